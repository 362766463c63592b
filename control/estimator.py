"""Base and feet from IMU and encoders: a Kalman filter whose stance feet do not move, and contact from leg torques.

State x = [p_imu, v_imu, p_left, p_right] (12,), world frame, m and m/s, at the IMU's point so that the accelerometer
enters without a lever arm; after Bloesch et al., RSS 2012, with the orientation taken as the IMU's fused one.
Contact: the residual r = M q̈ + h − τ of each leg's rows is the torque Jᵀf of its foot's contact force. With q̈ from
differences and a first-order low-pass it equals the momentum observer of De Luca & Mattone (ICRA 2005) up to Ṁ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from poise.robots import RobotModel, RobotState
from poise.robots.types import Array

from .dynamics import Dynamics
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


@njit(cache=True)
def predict(x: Array, cov: Array, acceleration: Array, dt: float, accel_std: float, foot_std: Array) -> None:
    """Advance state (12,) and covariance (12, 12) in place by dt with a world acceleration (3,) m/s²."""
    for i in range(3):
        x[i] += dt * x[3 + i] + 0.5 * dt * dt * acceleration[i]
        x[3 + i] += dt * acceleration[i]
    for i in range(3):  # cov ← F cov Fᵀ, with F = I + dt on (p, v)
        for j in range(12):
            cov[i, j] += dt * cov[3 + i, j]
    for i in range(3):
        for j in range(12):
            cov[j, i] += dt * cov[j, 3 + i]
    q = accel_std * accel_std
    for i in range(3):
        cov[i, i] += 0.25 * dt**4 * q
        cov[i, 3 + i] += 0.5 * dt**3 * q
        cov[3 + i, i] += 0.5 * dt**3 * q
        cov[3 + i, 3 + i] += dt * dt * q
        cov[6 + i, 6 + i] += foot_std[0] ** 2
        cov[9 + i, 9 + i] += foot_std[1] ** 2


@njit(cache=True)
def correct(x: Array, cov: Array, foot_position: Array, foot_velocity: Array, position_var: float, velocity_var: Array) -> None:
    """Scalar updates, in place: p_foot − p_imu = foot_position (2, 3) and v_imu = −foot_velocity (2, 3), world axes."""
    gain = np.empty(12)
    for foot in range(2):
        for axis in range(3):
            f = 6 + 3 * foot + axis
            innovation = foot_position[foot, axis] - (x[f] - x[axis])
            s = cov[f, f] - cov[f, axis] - cov[axis, f] + cov[axis, axis] + position_var
            for i in range(12):
                gain[i] = (cov[i, f] - cov[i, axis]) / s
            _update(x, cov, gain, innovation, s)
            innovation = -foot_velocity[foot, axis] - x[3 + axis]
            s = cov[3 + axis, 3 + axis] + velocity_var[foot]
            for i in range(12):
                gain[i] = cov[i, 3 + axis] / s
            _update(x, cov, gain, innovation, s)


@njit(cache=True)
def _update(x: Array, cov: Array, gain: Array, innovation: float, s: float) -> None:
    for i in range(12):
        x[i] += gain[i] * innovation
        for j in range(12):
            cov[i, j] -= gain[i] * gain[j] * s


@njit(cache=True)
def _cross(a: Array, b: Array) -> Array:
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


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
) -> tuple[Array, Array]:
    """One filter step, in place; gives the base's position and linear velocity (3,), world frame.

    sole_position and sole_velocity (2, 3) are relative to the base origin, world axes, with the base's ω included.
    """
    lever, lever_velocity = rotation @ imu, rotation @ _cross(omega, imu)
    relative, motion = sole_position - lever, sole_velocity - lever_velocity
    if not started:  # stand at the origin, the lower sole at height 0
        x[:3] = lever
        x[2] = -min(relative[0, 2], relative[1, 2])
        x[3:6] = 0.0
        x[6:9], x[9:12] = x[:3] + relative[0], x[:3] + relative[1]
        cov[:] = np.eye(12) * 1e-6
        for i in range(3, 6):
            cov[i, i] = 1e-2
    inflation = 1.0 + (1.0 - stands) * config.swing_inflation
    acceleration = rotation @ specific_force
    acceleration[2] -= GRAVITY
    predict(x, cov, acceleration, dt, config.accelerometer_std, config.foot_walk_std * np.sqrt(inflation))
    correct(x, cov, relative, motion, config.kinematics_std**2, config.foot_velocity_std**2 * inflation)
    return x[:3] - lever, x[3:6] - lever_velocity


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
    for foot in range(2):
        block = np.empty((6, 6))
        for i in range(6):
            dof = legs[foot, i]
            seen = mass[dof] @ change + bias[dof] - torque[dof - 6]
            residual[foot, i] += blend * (seen - residual[foot, i])
            block[:, i] = jacobian[foot, :, dof]
        # Damped, so that a straight knee does not turn noise into force.
        wrench = np.linalg.solve(block @ block.T + 1e-4 * np.eye(6), block @ residual[foot])
        force[foot] = wrench[2]
        contact[foot] = min(1.0, max(0.0, (wrench[2] - config.force_off) / (config.force_on - config.force_off)))


class Estimator:
    """Fills a `Dynamics` at the estimated state; holds the filter and the contact observer."""

    def __init__(self, robot: RobotModel, dynamics: Dynamics, config: EstimatorConfig, period_s: float) -> None:
        self._robot, self._dynamics, self._config, self._dt = robot, dynamics, config, period_s
        self._imu = np.array(robot.overlay.imu_position_base)
        self._legs = robot.legs.reshape(2, -1) + 6
        self.x = np.zeros(12)
        self.cov = np.eye(12)
        self._residual = np.zeros((2, self._legs.shape[1]))
        self._v_last = np.zeros(robot.pinocchio.nv)
        self.contact = np.ones(2)
        self.force = np.zeros(2)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next state starts the filter, standing, the base over x = y = 0, the lower sole at 0."""
        self._started = False
        self.contact[:] = 1.0
        self.force[:] = 0.5 * self._robot.mass * GRAVITY

    def update(self, state: RobotState, planned_contact: Array) -> None:
        """Take one complete state; `planned_contact` (2,) says which feet the plan lets stand."""
        assert state.base_orientation_wxyz is not None and state.gyro_imu is not None and state.accelerometer_imu is not None
        d, quat, omega = self._dynamics, state.base_orientation_wxyz, state.gyro_imu
        np.copyto(self._v_last, d.v)
        d.shape(quat, omega, state.joint_position, state.joint_velocity)
        stands = np.minimum(self.contact, planned_contact)
        position, velocity = filter_step(
            self.x,
            self.cov,
            self._started,
            d.base_rotation,
            omega,
            state.accelerometer_imu,
            self._imu,
            d.sole_position,
            d.sole_velocity[:, :3],
            stands,
            self._dt,
            self._config,
        )
        d.place(position, velocity)
        if not self._started:
            self._start(state)
        elif state.joint_torque is not None:  # without joint torques the plan is believed
            observe_contact(
                d.mass_matrix,
                d.bias,
                d.v,
                self._v_last,
                state.joint_torque,
                self._legs,
                d.sole_jacobian,
                self._dt,
                self._config,
                self._residual,
                self.force,
                self.contact,
            )

    def _start(self, state: RobotState) -> None:
        """Begin the observer at rest under the present torques."""
        self._started = True
        if state.joint_torque is not None:
            for foot in (0, 1):
                dofs = self._legs[foot]
                weight = np.zeros(6)
                weight[2] = 0.5 * self._robot.mass * GRAVITY
                self._residual[foot] = self._dynamics.sole_jacobian[foot][:, dofs].T @ weight

    def snapshot(self) -> tuple[Array, ...]:
        """The filter's and the observer's state, copied."""
        return tuple(value.copy() for value in self._state()) + (np.array(self._started),)

    def restore(self, snapshot: tuple[Array, ...]) -> None:
        """Go back to a snapshot."""
        for value, saved in zip(self._state(), snapshot, strict=False):
            np.copyto(value, saved)
        self._started = bool(snapshot[-1])

    def _state(self) -> tuple[Array, ...]:
        return self.x, self.cov, self._residual, self._dynamics.v, self.contact, self.force
