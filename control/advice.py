"""The MPC's advice to the walker: posed at its own rate in the stance sole's axes, used a few ticks later in the world's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from poise.robots.overlay import Gait
from poise.robots.types import Array

from .adaptation import StepLimits, limits_of, reach_box
from .footsteps import orbit_plan
from .mpc import CentroidalConfig, LipMpc, Mpc, MpcConfig, MpcInput
from .reaction import dcm_of_swing
from .rotation import turned, wrap_angle
from .walker_config import WalkerConfig


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """An MPC solution in world axes, with the step it belongs to and when it may be used."""

    step: int
    born: int
    ready: int
    touchdown: Array  # (2, 2) m, foothold and DCM offset
    usable: bool
    status: str


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A step under way, for which advice is wanted."""

    step: int  # its number
    tick: int
    side: float  # +1 when the left foot stands
    sole: Array  # (2,) m, world frame
    yaw: float  # rad, of the stance sole
    intended_yaw: float  # rad, where it was meant to point
    dcm: Array  # (2,) m from the stance sole, in its frame, when single support begins or now
    swing: Array  # (2, 2) m and m/s, position from the stance sole and velocity of the swing foot, in its frame
    left: float  # s to touchdown from then
    step_s: float
    in_air_s: float  # of a whole step
    omega: float
    kappa: float
    swing_shift: float  # s² (reaction.py)
    momentum: Array  # (2,) m·s, of trunk and arms, in the stance sole's frame (MpcInput)
    twist: Array  # (3,) m/s and rad/s
    width: float  # m
    shift: Array  # (2, 2) m, forward and outward, of the next two footsteps


def make_mpc(config: MpcConfig) -> Mpc:
    """The MPC of a configuration: the LIP's, or that which knows trunk's and arms' momentum."""
    if isinstance(config, CentroidalConfig):
        from .centroidal_mpc import CentroidalMpc  # CasADi takes its time to load

        return CentroidalMpc(config)
    return LipMpc(config)


class Advises(Protocol):
    """Solves the walker's problems, at once or elsewhere. No method raises."""

    def ask(self, q: Question) -> Advice | None:
        """The advice; None where it comes later, out of `answer`."""
        ...

    def answer(self) -> Advice | None:
        """The newest that came later, once; None where there is none."""
        ...


class Advisor:
    """Holds the MPC, and solves at once."""

    def __init__(self, config: MpcConfig, limits: StepLimits, cop_box: Array, delay_ticks: int) -> None:
        self._mpc, self._limits, self._cop_box, self._delay = make_mpc(config), limits, cop_box, delay_ticks

    def answer(self) -> None:
        """Nothing comes later."""

    def ask(self, q: Question) -> Advice:
        """Solve for the rest of this step and the steps that follow."""
        in_air = dcm_of_swing(q.in_air_s, q.omega, q.swing_shift)[0]
        first, second, here, there = orbit_plan(q.twist, q.step_s, q.width, q.side, q.omega, q.kappa, in_air)
        step, off = np.array([first[:2], second[:2], first[:2]]), wrap_angle(q.intended_yaw - q.yaw)
        step[:2] += q.shift * np.array([[1.0, -q.side], [1.0, q.side]])
        step[0] = turned(off, step[0])
        gain, drift = dcm_of_swing(q.left, q.omega, q.swing_shift)
        plan = self._mpc.solve(
            MpcInput(
                dcm=q.dcm,
                omega=q.omega,
                time_left=q.left,
                step_duration=q.step_s,
                kappa=q.kappa,
                step=step,
                turn=np.array([first[2] + off, second[2], first[2]]),
                offset=np.stack((there, here, there)),
                reach=np.stack([reach_box(self._limits, sign) for sign in (q.side, -q.side, q.side)]),
                cop_box=self._cop_box,
                swing=np.array([gain, in_air]),
                swing_known=drift * q.swing[1] - gain * q.swing[0],
                momentum=q.momentum,
            )
        )
        touchdown = np.stack((q.sole + turned(q.yaw, plan.footholds[0, :2]), turned(q.yaw, plan.offset)))
        return Advice(q.step, q.tick, q.tick + self._delay, touchdown, plan.usable, plan.status)


def cop_box(polygon: Array, config: WalkerConfig) -> Array:
    """Where the MPC may have the centre of pressure in a sole's frame, least and most of x and y, (2, 2) m."""
    half_width = float(np.abs(polygon[:, 1]).min()) - config.cop_inset
    return np.array([[polygon[:, 0].min() + config.cop_inset, polygon[:, 0].max() - config.cop_inset], [-half_width, half_width]])


def advisor_of(gait: Gait, polygon: Array, config: WalkerConfig) -> Advisor:
    """What solves a walker's MPC."""
    return Advisor(config.mpc, limits_of(gait), cop_box(polygon, config), config.mpc_delay)
