"""Base, feet and contacts from IMU, encoders and joint torques: the invariant filter and the contact observer, joined.

The filter turns the IMU's readings into attitude and turning rate, with which Pinocchio runs; then the soles' positions
correct it. Whether a foot stands is what the observer and the plan both say; whether it slips, the filter's innovation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from poise.robots import RobotModel, RobotState
from poise.robots.types import Array

from .contact_observer import ObserverConfig, observe_contact
from .dynamics import Dynamics, Frames, Source, fill_frames, place_base, terms_of
from .invariant_filter import FILTER_SIZE, FilterConfig, FilterState, correct_feet, correct_orientation, deviations, propagate, start, state_of
from .linalg import cross, rotated
from .lip import GRAVITY


class EstimatorConfig(NamedTuple):
    """Of the filter and of the observer."""

    filter: FilterConfig = FilterConfig()
    observer: ObserverConfig = ObserverConfig()


FILTER_NUMBERS, OBSERVER_NUMBERS = len(FilterConfig._fields), len(ObserverConfig._fields)
MEMORY_SIZE = 3 + 12 + 2 + 2 + FILTER_SIZE  # and nv


class Memory(NamedTuple):
    """What the estimator carries from tick to tick, as views of one block."""

    omega: Array  # (3,) rad/s, base frame, gyro without its bias
    residual: Array  # (2, 6) N·m
    force: Array  # (2,) N
    contact: Array  # (2,)
    v_last: Array  # (nv,)
    state: FilterState


@njit(cache=True)
def memory_of(block: Array) -> Memory:
    """The parts of a block (MEMORY_SIZE + nv,)."""
    head = block.size - FILTER_SIZE
    return Memory(block[:3], block[3:15].reshape(2, 6), block[15:17], block[17:19], block[19:head], state_of(block[head:]))


@njit(cache=True)
def advance(
    memory: Array, started: bool, orientation: Array, gyro: Array, specific_force: Array, planned_contact: Array, dt: float, numbers: Array
) -> None:
    """Attitude and turning rate of this tick from the IMU alone, in place, before the legs are looked at."""
    config = FilterConfig(*to_fixed_tuple(numbers[:FILTER_NUMBERS], FILTER_NUMBERS))  # type: ignore[call-arg]
    m = memory_of(memory)
    if started:
        propagate(m.state, gyro, specific_force, np.minimum(m.contact, planned_contact), dt, config)
        correct_orientation(m.state, orientation, config)
    else:
        start(m.state, orientation, config)
    m.omega[:] = gyro - m.state.gyro_bias


@njit(cache=True)
def estimate(
    mass_matrix: Array,
    bias: Array,
    jacobian: Array,
    rotation: tuple[Array, Array, Array],
    position: tuple[Array, Array, Array],
    acceleration: tuple[Array, Array, Array],
    local: Array,
    supports: NDArray[np.bool_],
    terms: Array,
    memory: Array,
    started: bool,
    imu: Array,
    legs: NDArray[np.intp],
    torque: Array,
    has_torque: bool,
    planned_contact: Array,
    dt: float,
    numbers: Array,
) -> None:
    """One tick from what Pinocchio left (the parts of `Source` and `Frames`) to all terms at the estimated state, in place.

    terms and memory are the blocks of `terms_of` and `memory_of`; numbers those of an EstimatorConfig.
    """
    nv = bias.size
    t, m = terms_of(terms, nv), memory_of(memory)
    fill_frames(Source(mass_matrix, bias, jacobian, rotation, position, acceleration), Frames(local, supports), t)
    _correct(t.base_rotation, t.v[3:6], imu, t.sole_position, m, started, planned_contact, dt, numbers, t)
    observer = ObserverConfig(*to_fixed_tuple(numbers[FILTER_NUMBERS:], OBSERVER_NUMBERS))  # type: ignore[call-arg]
    if not started:  # the observer begins at rest
        for foot in range(2):
            for i in range(legs.shape[1]):
                m.residual[foot, i] = t.sole_jacobian[foot, 2, legs[foot, i]] * m.force[foot]
    elif has_torque:  # without joint torques the plan is believed
        observe_contact(t.mass_matrix, t.bias, t.v, m.v_last, torque, legs, t.sole_jacobian, dt, observer, m.residual, m.force, m.contact)
    m.v_last[:] = t.v


@njit(cache=True)
def _correct(rotation, omega, imu, sole_position, m, started, planned_contact, dt, numbers, t):
    config = FilterConfig(*to_fixed_tuple(numbers[:FILTER_NUMBERS], FILTER_NUMBERS))  # type: ignore[call-arg]
    s, lever, lever_velocity = m.state, rotated(rotation, imu), rotated(rotation, cross(omega, imu))
    relative = np.empty((2, 3))
    for foot in range(2):
        for axis in range(3):
            relative[foot, axis] = sole_position[foot, axis] - lever[axis]
    if started:
        correct_feet(s, relative, np.minimum(m.contact, planned_contact), dt, config)
    else:  # stand at the origin, the lower sole at height 0
        s.vectors[1, 0], s.vectors[1, 1], s.vectors[1, 2] = lever[0], lever[1], -min(relative[0, 2], relative[1, 2])
        s.vectors[2:] = s.vectors[1] + relative
    v, p = s.vectors[0], s.vectors[1]
    place_base(
        (p[0] - lever[0], p[1] - lever[1], p[2] - lever[2]),
        (v[0] - lever_velocity[0], v[1] - lever_velocity[1], v[2] - lever_velocity[2]),
        t,
    )


@njit(cache=True)
def believed(terms: Array, nv: int, memory: Array, dcm: Array, sole_yaw: Array) -> Array:
    """The arrays of a Belief, flat and in its order, (39,), from the blocks of terms and memory, DCM (2,) and yaws (2,)."""
    t, m, out = terms_of(terms, nv), memory_of(memory), np.empty(39)
    out[:3] = t.q[:3]
    out[3], out[4:7] = t.q[6], t.q[3:6]
    out[7], out[8], out[9] = rotated(t.base_rotation, t.v[:3])
    out[10:13] = t.v[3:6]
    out[13:16], out[16:19], out[19:21] = t.com, t.com_velocity, dcm
    out[21:24], out[24:27] = t.sole_position[0], t.sole_position[1]
    out[27:29], out[29:31], out[31:33] = sole_yaw, m.contact, m.force
    out[33:36], out[36:39] = deviations(m.state)
    return out


class Estimator:
    """Fills a `Dynamics` at the estimated state; holds the filter and the contact observer."""

    def __init__(self, robot: RobotModel, dynamics: Dynamics, config: EstimatorConfig, period_s: float) -> None:
        self._robot, self._dynamics, self._dt = robot, dynamics, period_s
        self._numbers = np.array([*config.filter, *config.observer])
        self._imu = np.array(robot.overlay.imu_position_base)
        self._legs = robot.legs.reshape(2, -1) + 6
        self._no_torque = np.zeros(robot.n)
        self.memory = np.zeros(MEMORY_SIZE + dynamics.nv)
        self._views = (*dynamics.source, *dynamics.frames, dynamics.block, self.memory)
        head = self.memory.size - FILTER_SIZE
        self.omega, self.force, self.contact = self.memory[:3], self.memory[15:17], self.memory[17:19]
        self.filter: FilterState = state_of.py_func(self.memory[head:])
        self.cov=self.filter.cov
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next state starts the filter, standing, the base over x = y = 0, the lower sole at 0."""
        self._started = False
        self.contact[:] = 1.0
        self.force[:] = 0.5 * self._robot.mass * GRAVITY

    def update(self, state: RobotState, planned_contact: Array) -> None:
        """Take one complete state; `planned_contact` (2,) says which feet the plan lets stand."""
        assert state.base_orientation_wxyz is not None and state.gyro_imu is not None and state.accelerometer_imu is not None
        d, torque, tail = self._dynamics, state.joint_torque, (planned_contact, self._dt, self._numbers)
        advance(self.memory, self._started, state.base_orientation_wxyz, state.gyro_imu, state.accelerometer_imu, *tail)
        d.run(self.filter.quat, self.omega, state.joint_position, state.joint_velocity)
        given = self._no_torque if torque is None else torque
        estimate(*self._views, self._started, self._imu, self._legs, given, torque is not None, *tail)
        self._started = True

    def snapshot(self) -> tuple[Array, bool]:
        """The filter's and the observer's state, copied."""
        return self.memory.copy(), self._started

    def restore(self, snapshot: tuple[Array, bool]) -> None:
        """Go back to a snapshot."""
        self.memory[:], self._started = snapshot
