"""What a foreign policy sees: one function from what was sensed, commanded and done to the vector of its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poise.control.rotation import matrix_from_quat
from poise.robots import RobotModel, RobotState
from poise.robots.types import Array

from .policy_contract import Clocks, PolicyContract

Frame = tuple[Array, ...]
"""The scaled terms of one period, in the contract's order."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the terms of one period are made of."""

    state: RobotState  # with orientation and gyro
    command: Array  # (3,) vx, vy (m/s), wz (rad/s), heading frame
    last_action: Array  # (a,) the network's last output, clipped
    phase: Array  # (k,) cycles


class Observer:
    """Makes observations of one robot as a contract says; it holds no state of a run."""

    def __init__(self, robot: RobotModel, contract: PolicyContract) -> None:
        self._contract = contract
        self._joints = np.array([robot.joint_names.index(name) for name in contract.observed_joints])
        named = dict(zip(contract.joint_names, contract.default_position, strict=True))
        self._default = np.array([named[name] for name in contract.observed_joints])
        self._length = max(term.history for term in contract.terms)

    def frame(self, seen: Seen) -> Frame:
        """The terms of one period.

        `angular_velocity` is the gyro's, rad/s, whose axes are the base's; `projected_gravity` the unit vector along gravity in
        the base frame; `joint_position` is relative to the default, rad; `phase_sin` and `phase_cos` are of each clock.
        """
        state = seen.state
        assert state.base_orientation_wxyz is not None and state.gyro_imu is not None  # no state comes this far without them
        angle = 2.0 * np.pi * seen.phase
        terms = {
            "angular_velocity": state.gyro_imu,
            "projected_gravity": -matrix_from_quat(state.base_orientation_wxyz)[2],
            "command": seen.command,
            "command_linear": seen.command[:2],
            "command_angular": seen.command[2:],
            "joint_position": state.joint_position[self._joints] - self._default,
            "joint_velocity": state.joint_velocity[self._joints],
            "last_action": seen.last_action,
            "phase_sin": np.sin(angle),
            "phase_cos": np.cos(angle),
        }
        return tuple(terms[term.name] * term.scale for term in self._contract.terms)

    def remembered(self, past: tuple[Frame, ...], now: Frame) -> tuple[Frame, ...]:
        """The frames that an observation needs, oldest first: those of the past, and now."""
        begun = past or (now if self._contract.history.start == "first" else tuple(np.zeros_like(part) for part in now),) * self._length
        return (*begun, now)[-self._length :]

    def observation(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """The network's input (d,) for the frames that `remembered` gave."""
        order = -1 if self._contract.history.order == "newest_first" else 1
        if self._contract.history.by == "frame":
            parts = [part for frame in frames[::order] for part in frame]
        else:
            parts = [frame[i] for i, term in enumerate(self._contract.terms) for frame in frames[-term.history :][::order]]
        return np.concatenate(parts).astype(np.float32)


def clock_phase(clocks: Clocks | None, time_s: float | None) -> Array:
    """Phase (k,) of the clocks, cycles, at a time since they began; None: the command is zero."""
    if clocks is None:
        return np.zeros(0)
    if time_s is None and clocks.still is not None:
        return clocks.still.phase + np.zeros(len(clocks.offset))
    return clocks.offset + (time_s or 0.0) / clocks.period_s
