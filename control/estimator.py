"""The state of the robot from IMU, encoders and joint torques: invariant filter, joint filter and contact observer, joined.

The IMU gives attitude and turning rate, with which Pinocchio runs; then the soles' positions correct the filter. A foot
stands where observer and plan both say so; whether it slips the filter's innovation tells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from poise.robots import RobotModel, RobotState
from poise.robots.types import Array, Belief

from .contact_observer import ObserverConfig, observe_contact
from .delay import Delay, DelayConfig
from .dynamics import Dynamics, Frames, Source, Terms, fill_frames, place_base, terms_of
from .filter_state import FILTER_SIZE, FilterConfig, FilterState, deviations, start, state_of
from .grip import Grip, GripConfig
from .invariant_filter import correct_feet, correct_orientation, propagate
from .joint_filter import JointFilterConfig, gains, track_joints
from .linalg import cross, rotated
from .lip import GRAVITY
from .load import Load, LoadConfig

FILTER_NUMBERS, OBSERVER_NUMBERS = len(FilterConfig._fields), len(ObserverConfig._fields)
LONGEST_S = 0.05  # between two states; what is older is no motion to follow


class EstimatorConfig(NamedTuple):
    """Of the parts."""

    joints: JointFilterConfig = JointFilterConfig()
    filter: FilterConfig = FilterConfig()
    observer: ObserverConfig = ObserverConfig()
    load: LoadConfig = LoadConfig()
    grip: GripConfig = GripConfig()
    delay: DelayConfig = DelayConfig()


class Memory(NamedTuple):
    """What the estimator carries from tick to tick, as views of one block (memory_size(nv),)."""

    stamp: Array  # (2,) s, of this state and since the last
    omega: Array  # (3,) rad/s, base frame: the gyro without its bias
    contact: Array  # (2,) probability
    residual: Array  # (18,) N·m of the legs, then N and N·m of the base
    wrench: Array  # (3, 6) N and N·m: on the soles, world axes, and from elsewhere on the base, in its frame
    joint_position: Array  # (nv − 6,) rad, filtered
    joint_rate: Array  # (nv − 6,) rad/s
    v_last: Array  # (nv,)
    state: FilterState


def memory_size(nv: int) -> int:
    """Length of the block of a model with nv degrees of freedom."""
    return 31 + 3 * nv + FILTER_SIZE


@njit(cache=True)
def memory_of(block: Array, nv: int) -> Memory:
    """The parts of a block."""
    joints, rates, last, state = 43, 37 + nv, 31 + 2 * nv, 31 + 3 * nv
    return Memory(
        stamp=block[:2],
        omega=block[2:5],
        contact=block[5:7],
        residual=block[7:25],
        wrench=block[25:joints].reshape(3, 6),
        joint_position=block[joints:rates],
        joint_rate=block[rates:last],
        v_last=block[last:state],
        state=state_of(block[state:]),
    )


@njit(cache=True)
def sense_motion(
    orientation: Array,
    gyro: Array,
    specific_force: Array,
    joint_position: Array,
    joint_rate: Array,
    joint_gains: Array,
    memory: Array,
    started: bool,
    planned_contact: Array,
    stamp: float,
    period: float,
    numbers: Array,
) -> None:
    """From IMU and encoders to attitude, turning rate and joint rates of this tick, before the legs' kinematics are known."""
    m = memory_of(memory, joint_rate.size + 6)
    config = FilterConfig(*to_fixed_tuple(numbers[:FILTER_NUMBERS], FILTER_NUMBERS))  # type: ignore[call-arg]
    dt = min(max(stamp - m.stamp[0], 0.5 * period), LONGEST_S) if started else period
    m.stamp[0], m.stamp[1] = stamp, dt
    if started:
        propagate(m.state, gyro, specific_force, np.minimum(m.contact, planned_contact), dt, config)
        correct_orientation(m.state, orientation, config)
        track_joints(
            m.joint_position,
            m.joint_rate,
            joint_position,
            joint_rate,
            dt,
            joint_gains[min(max(round(dt / period), 1), len(joint_gains)) - 1],
        )
    else:
        start(m.state, orientation, config)
        m.joint_position[:], m.joint_rate[:] = joint_position, joint_rate
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
    imu: Array,
    legs: NDArray[np.intp],
    torque: Array,
    has_torque: bool,
    memory: Array,
    started: bool,
    planned_contact: Array,
    numbers: Array,
) -> None:
    """From what Pinocchio left (the parts of `Source` and `Frames`) to all terms at the estimated state, in place.

    terms and memory are the blocks of `terms_of` and `memory_of`; numbers those of filter and observer.
    """
    nv = bias.size
    t, m = terms_of(terms, nv), memory_of(memory, nv)
    fill_frames(Source(mass_matrix, bias, jacobian, rotation, position, acceleration), Frames(local, supports), t)
    filter_config = FilterConfig(*to_fixed_tuple(numbers[:FILTER_NUMBERS], FILTER_NUMBERS))  # type: ignore[call-arg]
    place_over_feet(t, m, imu, started, planned_contact, filter_config)
    config = ObserverConfig(*to_fixed_tuple(numbers[FILTER_NUMBERS:], OBSERVER_NUMBERS))
    if not started:  # the observer begins at rest
        for foot in range(2):
            for i in range(6):
                m.residual[6 * foot + i] = t.sole_jacobian[foot, 2, legs[foot, i]] * m.wrench[foot, 2]
        m.residual[12:] = t.bias[:6]
    elif has_torque:  # without joint torques the plan is believed
        change = (t.v - m.v_last) / m.stamp[1]
        observe_contact(t.mass_matrix, t.bias, change, torque, legs, t.sole_jacobian, m.stamp[1], config, m.residual, m.wrench, m.contact)
    m.v_last[:] = t.v


@njit(cache=True)
def place_over_feet(t: Terms, m: Memory, imu: Array, started: bool, planned_contact: Array, config: FilterConfig) -> None:
    """Correct the filter with the soles' positions, and place the base of the terms where the filter has it."""
    s, relative, motion = m.state, np.empty((2, 3)), np.empty((2, 3))
    lever, turning = rotated(t.base_rotation, imu), rotated(t.base_rotation, cross(m.omega, imu))
    for foot in range(2):
        for axis in range(3):
            relative[foot, axis] = t.sole_position[foot, axis] - lever[axis]
            motion[foot, axis] = t.sole_velocity[foot, axis] - turning[axis]
    if started:
        correct_feet(s, relative, motion, np.minimum(m.contact, planned_contact), m.stamp[1], config)
    else:  # the base over x = y = 0, the lower sole at height 0
        s.vectors[1, 0], s.vectors[1, 1], s.vectors[1, 2] = lever[0], lever[1], -min(relative[0, 2], relative[1, 2])
        s.vectors[2:] = s.vectors[1] + relative
    v, p = s.vectors[0], s.vectors[1]
    place_base((p[0] - lever[0], p[1] - lever[1], p[2] - lever[2]), (v[0] - turning[0], v[1] - turning[1], v[2] - turning[2]), t)


@njit(cache=True)
def believed(terms: Array, nv: int, memory: Array, dcm: Array, sole_yaw: Array) -> Array:
    """The arrays of a Belief, flat and in its order, (42,), from the blocks of terms and memory, DCM (2,) and yaws (2,)."""
    t, m, out = terms_of(terms, nv), memory_of(memory, nv), np.empty(42)
    out[:3] = t.q[:3]
    out[3], out[4:7] = t.q[6], t.q[3:6]
    out[7], out[8], out[9] = rotated(t.base_rotation, t.v[:3])
    out[10:13] = t.v[3:6]
    out[13:16], out[16:19], out[19:21] = t.com, t.com_velocity, dcm
    out[21:24], out[24:27] = t.sole_position[0], t.sole_position[1]
    out[27:29], out[29:31], out[31:33] = sole_yaw, m.contact, m.wrench[:2, 2]
    out[33:36], out[36:39] = deviations(m.state)
    out[39], out[40], out[41] = rotated(t.base_rotation, m.wrench[2, :3])
    return out


class Estimator:
    """Fills a `Dynamics` at the estimated state; `parts` holds what the filters and the observer carry, `load` what the robot does."""

    def __init__(self, robot: RobotModel, dynamics: Dynamics, config: EstimatorConfig, period_s: float) -> None:
        self._robot, self._dynamics, self._period = robot, dynamics, period_s
        self._numbers = np.array([*config.filter, *config.observer])
        self._gains = gains(config.joints, period_s, round(LONGEST_S / period_s))
        self._no_torque, self._planned = np.zeros(robot.n), np.ones(2)
        self.memory = np.zeros(memory_size(dynamics.nv))
        self.parts: Memory = memory_of.py_func(self.memory, dynamics.nv)
        body = (np.array(robot.overlay.imu_position_base), robot.legs.reshape(2, -1) + 6)
        self._views = (*dynamics.source, *dynamics.frames, dynamics.block, *body)
        self.contact = self.parts.contact
        self.load = Load(config.load, robot.mass * GRAVITY)
        self.grip = Grip(config.grip, robot.overlay.friction, robot.mass * GRAVITY)
        self.delay = Delay(config.delay, robot.pinocchio, period_s)
        self.reset()

    @property
    def external_wrench(self) -> Array:
        """Force, N, and moment, N·m, on the base that neither gravity nor the feet explain, (6,), base frame, low-passed."""
        return self.parts.wrench[2]

    def reset(self) -> None:
        """Forget the past: the next state starts the filter, standing, the base over x = y = 0, the lower sole at 0."""
        self._updates = 0
        self.load.reset()
        self.grip.reset()
        self.delay.reset()
        self.memory[:] = 0.0
        self.contact[:] = 1.0
        self.parts.wrench[:2, 2] = 0.5 * self._robot.mass * GRAVITY

    def update(self, state: RobotState, stamp_s: float, planned_contact: Array) -> None:
        """Take one complete state and its time; `planned_contact` (2,) says which feet the plan lets stand."""
        orientation, gyro, accelerometer = state.base_orientation_wxyz, state.gyro_imu, state.accelerometer_imu
        assert orientation is not None and gyro is not None and accelerometer is not None
        parts, torque, started = self.parts, state.joint_torque, self._updates > 0
        planned_contact = self.delay.planned(planned_contact)
        sense_motion(
            orientation,
            gyro,
            accelerometer,
            state.joint_position,
            state.joint_velocity,
            self._gains,
            self.memory,
            started,
            planned_contact,
            stamp_s,
            self._period,
            self._numbers,
        )
        self._dynamics.run(parts.state.quat, parts.omega, state.joint_position, parts.joint_rate)
        estimate(
            *self._views,
            self._no_torque if torque is None else torque,
            torque is not None,
            self.memory,
            started,
            planned_contact,
            self._numbers,
        )
        self._updates, self._planned = self._updates + 1, planned_contact.copy()
        d = self._dynamics
        self.load.update(-float(d.base_rotation[2] @ parts.wrench[2, :3]), parts.stamp[1])
        self.grip.update(planned_contact, d.sole_rotation, d.sole_velocity, parts.wrench, parts.stamp[1])
        if torque is not None:
            self.delay.measure(torque)
        if self.delay.late:
            d.update(*self.delay.predicted(d.q, d.v))

    def belief(self, dcm: Array, sole_yaw: Array) -> Belief:
        """What is believed now, with the walker's DCM (2,) m and yaw of the soles (2,) rad."""
        d = self._dynamics
        x = believed(d.block, d.nv, self.memory, dcm, sole_yaw)
        poses = (x[:3], x[3:7], x[7:10], x[10:13], x[13:16], x[16:19], x[19:21], x[21:27].reshape(2, 3), x[27:29])
        sure = (x[29:31], x[31:33], x[33:36], x[36:39])
        return Belief(*poses, *sure, age_s=0.0, external_force_world=x[39:], planned_contact=self._planned, updates=self._updates)

    def snapshot(self) -> tuple[Array, int, Load, Grip, Delay]:
        """All that is carried, copied."""
        return self.memory.copy(), self._updates, self.load.copy(), self.grip.copy(), self.delay.copy()

    def restore(self, snapshot: tuple[Array, int, Load, Grip, Delay]) -> None:
        """Go back to a snapshot."""
        self.memory[:], self._updates, load, grip, delay = snapshot
        self.load, self.grip, self.delay = load.copy(), grip.copy(), delay.copy()
