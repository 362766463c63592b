"""Base and feet from IMU and encoders: a Kalman filter whose stance feet do not move, and contact from leg torques.

State x: rows p_imu, v_imu, p_left, p_right (4, 3), world frame, m and m/s, at the IMU's point so that the accelerometer
enters without a lever arm; after Bloesch et al., RSS 2012, with the orientation taken as the IMU's fused one. As that
leaves the axes uncoupled and all noise is the same along each, one covariance (4, 4) holds for all three.
Contact: the residual r = M q̈ + h − τ of each leg's rows is the torque Jᵀf of its foot's contact force. With q̈ from
differences and a first-order low-pass it equals the momentum observer of De Luca & Mattone (ICRA 2005) up to Ṁ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from poise.robots import RobotModel, RobotState
from poise.robots.types import Array

from .dynamics import Dynamics, Frames, Source, fill_frames, place_base, terms_of
from .linalg import Triple, Vector, backward, cholesky, cross, dot, forward, rotated
from .lip import GRAVITY


class EstimatorConfig(NamedTuple):
    """Standard deviations a sample at the control rate; forces in N."""

    accelerometer_std: float = 0.3  # m/s², with the tilt error's share
    foot_walk_std: float = 0.002  # m a sample, stance foot
    kinematics_std: float = 0.003  # m
    foot_velocity_std: float = 0.06  # m/s, joint velocity noise through the leg
    swing_inflation: float = 1e4  # times the variance of a foot that does not stand
    observer_rate: float = 80.0  # 1/s
    force_off: float = 20.0  # N, contact probability 0 below
    force_on: float = 80.0  # N, and 1 above


POSITION, VELOCITY, FEET = 0, 1, 2  # rows of the state
MEMORY_SIZE = 12 + 16 + 12 + 2 + 2  # and nv
CONFIG_SIZE = len(EstimatorConfig._fields)


@njit(cache=True)
def predict(x: Array, cov: Array, acceleration: Vector, dt: float, accel_std: float, foot_std: Array) -> None:
    """Advance state (4, 3) and covariance (4, 4) in place by dt with a world acceleration (3,) m/s²."""
    for axis in range(3):
        x[POSITION, axis] += dt * x[VELOCITY, axis] + 0.5 * dt * dt * acceleration[axis]
        x[VELOCITY, axis] += dt * acceleration[axis]
    for j in range(4):  # cov ← F cov Fᵀ, with F = I + dt on (p, v)
        cov[POSITION, j] += dt * cov[VELOCITY, j]
    for j in range(4):
        cov[j, POSITION] += dt * cov[j, VELOCITY]
    q = accel_std * accel_std
    cov[POSITION, POSITION] += 0.25 * dt**4 * q
    cov[POSITION, VELOCITY] += 0.5 * dt**3 * q
    cov[VELOCITY, POSITION] += 0.5 * dt**3 * q
    cov[VELOCITY, VELOCITY] += dt * dt * q
    for foot in range(2):
        cov[FEET + foot, FEET + foot] += foot_std[foot] ** 2


@njit(cache=True)
def correct(x: Array, cov: Array, foot_position: Array, foot_velocity: Array, position_var: float, velocity_var: Array) -> None:
    """Two updates a foot, in place: p_foot − p_imu = foot_position (2, 3) and v_imu = −foot_velocity (2, 3), world axes."""
    gain, innovation = np.empty(4), np.empty(3)
    for foot in range(2):
        f = FEET + foot
        for axis in range(3):
            innovation[axis] = foot_position[foot, axis] - (x[f, axis] - x[POSITION, axis])
        s = cov[f, f] - cov[f, POSITION] - cov[POSITION, f] + cov[POSITION, POSITION] + position_var
        for i in range(4):
            gain[i] = (cov[i, f] - cov[i, POSITION]) / s
        _update(x, cov, gain, innovation, s)
        for axis in range(3):
            innovation[axis] = -foot_velocity[foot, axis] - x[VELOCITY, axis]
        s = cov[VELOCITY, VELOCITY] + velocity_var[foot]
        for i in range(4):
            gain[i] = cov[i, VELOCITY] / s
        _update(x, cov, gain, innovation, s)


@njit(cache=True)
def _update(x: Array, cov: Array, gain: Array, innovation: Array, s: float) -> None:
    for i in range(4):
        for axis in range(3):
            x[i, axis] += gain[i] * innovation[axis]
        for j in range(4):
            cov[i, j] -= gain[i] * gain[j] * s


@njit(cache=True)
def filter_step(
    x: Array,
    cov: Array,
    started: bool,
    rotation: Array,
    omega: Array,
    specific_force: Array,
    imu: Array,
    sole_position: Array,
    sole_velocity: Array,
    stands: Array,
    dt: float,
    config: EstimatorConfig,
) -> tuple[Triple, Triple]:
    """One filter step, in place; gives the base's position and linear velocity (3,), world frame.

    sole_position and sole_velocity (2, 3) are relative to the base origin, world axes, with the base's ω included.
    """
    lever, lever_velocity = rotated(rotation, imu), rotated(rotation, cross(omega, imu))
    relative, motion, inflation, foot_std = np.empty((2, 3)), np.empty((2, 3)), np.empty(2), np.empty(2)
    for foot in range(2):
        inflation[foot] = 1.0 + (1.0 - stands[foot]) * config.swing_inflation
        foot_std[foot] = config.foot_walk_std * np.sqrt(inflation[foot])
        inflation[foot] *= config.foot_velocity_std**2
        for axis in range(3):
            relative[foot, axis] = sole_position[foot, axis] - lever[axis]
            motion[foot, axis] = sole_velocity[foot, axis] - lever_velocity[axis]
    if not started:  # stand at the origin, the lower sole at height 0
        x[POSITION, 0], x[POSITION, 1], x[POSITION, 2] = lever[0], lever[1], -min(relative[0, 2], relative[1, 2])
        x[VELOCITY] = 0.0
        x[FEET], x[FEET + 1] = x[POSITION] + relative[0], x[POSITION] + relative[1]
        cov[:] = np.diag(np.array([1e-6, 1e-2, 1e-6, 1e-6]))
    ax, ay, az = rotated(rotation, specific_force)
    predict(x, cov, (ax, ay, az - GRAVITY), dt, config.accelerometer_std, foot_std)
    correct(x, cov, relative, motion, config.kinematics_std**2, inflation)
    p, v = x[POSITION], x[VELOCITY]
    return (
        (p[0] - lever[0], p[1] - lever[1], p[2] - lever[2]),
        (v[0] - lever_velocity[0], v[1] - lever_velocity[1], v[2] - lever_velocity[2]),
    )


@njit(cache=True)
def observe_contact(
    mass: Array,
    bias: Array,
    v: Array,
    v_last: Array,
    torque: Array,
    legs: NDArray[np.intp],
    jacobian: Array,
    dt: float,
    config: EstimatorConfig,
    residual: Array,
    force: Array,
    contact: Array,
) -> None:
    """Update leg residuals (2, 6) N·m, vertical sole forces (2,) N and contact probabilities (2,) in place."""
    change = (v - v_last) / dt
    blend = min(1.0, config.observer_rate * dt)
    gram, wrench = np.empty((6, 6)), np.empty(6)
    for foot in range(2):
        wrench[:], gram[:] = 0.0, 0.0
        for i in range(6):
            dof = legs[foot, i]
            seen = dot(mass[dof], change) + bias[dof] - torque[dof - 6]
            residual[foot, i] += blend * (seen - residual[foot, i])
            for j in range(6):
                wrench[j] += jacobian[foot, j, dof] * residual[foot, i]
                for k in range(j, 6):
                    gram[j, k] += jacobian[foot, j, dof] * jacobian[foot, k, dof]
        for i in range(6):
            gram[i, i] += 1e-4  # damped, so that a straight knee does not turn noise into force
        if not cholesky(gram, 6):  # not finite: what the solver of the whole body makes of it says so
            continue
        forward(gram, wrench, 6)
        backward(gram, wrench, 6)
        force[foot] = wrench[2]
        contact[foot] = min(1.0, max(0.0, (wrench[2] - config.force_off) / (config.force_on - config.force_off)))


class Memory(NamedTuple):
    """What the estimator carries from tick to tick, as views of one block."""

    x: Array  # (4, 3)
    cov: Array  # (4, 4)
    residual: Array  # (2, 6) N·m
    force: Array  # (2,) N
    contact: Array  # (2,)
    v_last: Array  # (nv,)


@njit(cache=True)
def memory_of(block: Array) -> Memory:
    """The parts of a block (MEMORY_SIZE + nv,)."""
    return Memory(block[:12].reshape(4, 3), block[12:28].reshape(4, 4), block[28:40].reshape(2, 6), block[40:42], block[42:44], block[44:])


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
    specific_force: Array,
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
    config = EstimatorConfig(*to_fixed_tuple(numbers, CONFIG_SIZE))  # type: ignore[call-arg]
    t, m = terms_of(terms, nv), memory_of(memory)
    fill_frames(Source(mass_matrix, bias, jacobian, rotation, position, acceleration), Frames(local, supports), t)
    stands = np.minimum(m.contact, planned_contact)
    origin, velocity = filter_step(
        m.x, m.cov, started, t.base_rotation, t.v[3:6], specific_force, imu, t.sole_position, t.sole_velocity[:, :3], stands, dt, config
    )
    place_base(origin, velocity, t)
    if not started:  # the observer begins at rest
        for foot in range(2):
            for i in range(legs.shape[1]):
                m.residual[foot, i] = t.sole_jacobian[foot, 2, legs[foot, i]] * m.force[foot]
    elif has_torque:  # without joint torques the plan is believed
        observe_contact(t.mass_matrix, t.bias, t.v, m.v_last, torque, legs, t.sole_jacobian, dt, config, m.residual, m.force, m.contact)
    m.v_last[:] = t.v


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
    for i in range(2):
        out[33 + 3 * i : 36 + 3 * i] = np.sqrt(max(m.cov[i, i], 0.0))
    return out


class Estimator:
    """Fills a `Dynamics` at the estimated state; holds the filter and the contact observer."""

    def __init__(self, robot: RobotModel, dynamics: Dynamics, config: EstimatorConfig, period_s: float) -> None:
        self._robot, self._dynamics, self._dt = robot, dynamics, period_s
        self._numbers = np.array(config)
        self._imu = np.array(robot.overlay.imu_position_base)
        self._legs = robot.legs.reshape(2, -1) + 6
        self._no_torque = np.zeros(robot.n)
        self.memory = np.zeros(MEMORY_SIZE + dynamics.nv)
        self._views = (*dynamics.source, *dynamics.frames, dynamics.block, self.memory)
        self.x, self.cov, _, self.force, self.contact, _ = memory_of.py_func(self.memory)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next state starts the filter, standing, the base over x = y = 0, the lower sole at 0."""
        self._started = False
        self.contact[:] = 1.0
        self.force[:] = 0.5 * self._robot.mass * GRAVITY

    def update(self, state: RobotState, planned_contact: Array) -> None:
        """Take one complete state; `planned_contact` (2,) says which feet the plan lets stand."""
        assert state.base_orientation_wxyz is not None and state.gyro_imu is not None and state.accelerometer_imu is not None
        d, torque = self._dynamics, state.joint_torque
        d.run(state.base_orientation_wxyz, state.gyro_imu, state.joint_position, state.joint_velocity)
        estimate(
            *self._views,
            self._started,
            self._imu,
            self._legs,
            state.accelerometer_imu,
            self._no_torque if torque is None else torque,
            torque is not None,
            planned_contact,
            self._dt,
            self._numbers,
        )
        self._started = True

    def snapshot(self) -> tuple[Array, bool]:
        """The filter's and the observer's state, copied."""
        return self.memory.copy(), self._started

    def restore(self, snapshot: tuple[Array, bool]) -> None:
        """Go back to a snapshot."""
        self.memory[:], self._started = snapshot
