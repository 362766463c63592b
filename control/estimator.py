"""Base and feet from IMU and encoders: a Kalman filter whose stance feet do not move, and contact from leg torques.

State x = [p_imu, v_imu, p_left, p_right] (12,), world frame, m and m/s, at the IMU's point so that the accelerometer
enters without a lever arm; after Bloesch et al., RSS 2012, with the orientation taken as the IMU's fused one.
Contact: the generalised-momentum observer of De Luca & Mattone, 2005, on the six rows of each leg gives the
external leg torque r = Jᵀf, and from it the foot's vertical force.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from numba import njit

from poise.robots import RobotModel, RobotState
from poise.robots.types import Array

from .dynamics import Dynamics
from .rotation import matrix_from_quat


@dataclass(frozen=True)
class EstimatorConfig:
    """Standard deviations per sample at the control rate; forces in N."""

    accelerometer_std: float = 0.3  # m/s², with the tilt error's share
    foot_walk_std: float = 0.002  # m per sample, stance foot
    kinematics_std: float = 0.003  # m
    foot_velocity_std: float = 0.06  # m/s, joint velocity noise through the leg
    swing_inflation: float = 1e4  # times the variance when a foot does not stand
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
def correct(x: Array, cov: Array, foot_position: Array, foot_velocity: Array, position_var: Array, velocity_var: Array) -> None:
    """Scalar updates, in place: p_foot − p_imu = foot_position (2, 3) and v_imu = −foot_velocity (2, 3), world axes."""
    gain = np.empty(12)
    for foot in range(2):
        for axis in range(3):
            f = 6 + 3 * foot + axis
            innovation = foot_position[foot, axis] - (x[f] - x[axis])
            s = cov[f, f] - cov[f, axis] - cov[axis, f] + cov[axis, axis] + position_var[foot]
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


class Estimator:
    """Fills a `Dynamics` at the estimated state; holds the filter and the contact observer."""

    def __init__(self, robot: RobotModel, dynamics: Dynamics, config: EstimatorConfig, period_s: float) -> None:
        self._robot, self._dynamics, self._config, self._dt = robot, dynamics, config, period_s
        self._imu = np.array(robot.overlay.imu_position_base)
        half = len(robot.legs) // 2
        self._leg_dofs = (robot.legs[:half] + 6, robot.legs[half:] + 6)
        self._kinematics = robot.pinocchio.createData()
        self.x = np.zeros(12)
        self.cov = np.eye(12)
        self._observer_sum = np.zeros((2, half))
        self._residual = np.zeros((2, half))
        self.contact = np.ones(2)
        self.force = np.zeros(2)
        self._started = False

    def reset(self) -> None:
        """Forget the past: the next state starts the filter, standing, with the left sole at the world's origin height."""
        self._started = False
        self._residual[:] = 0.0
        self.contact[:] = 1.0
        self.force[:] = 0.5 * self._robot.mass * 9.81

    def update(self, state: RobotState, planned_contact: Array) -> None:
        """Take one complete state; `planned_contact` (2,) says which feet the plan lets stand."""
        assert state.base_orientation_wxyz is not None and state.gyro_imu is not None and state.accelerometer_imu is not None
        rotation = matrix_from_quat(state.base_orientation_wxyz)
        omega = state.gyro_imu
        foot_position, foot_velocity = self._leg_kinematics(state, rotation, omega)
        if not self._started:
            self._start(foot_position, rotation)
        cfg = self._config
        stands = np.minimum(self.contact, np.maximum(planned_contact, 0.0))
        inflation = 1.0 + (1.0 - stands) * cfg.swing_inflation
        acceleration = rotation @ state.accelerometer_imu
        acceleration[2] -= 9.81
        predict(self.x, self.cov, acceleration, self._dt, cfg.accelerometer_std, cfg.foot_walk_std * np.sqrt(inflation))
        correct(self.x, self.cov, foot_position, foot_velocity, np.full(2, cfg.kinematics_std**2), cfg.foot_velocity_std**2 * inflation)
        self._fill_dynamics(state, rotation, omega)
        self._observe_contact(state)

    def _leg_kinematics(self, state: RobotState, rotation: Array, omega: Array) -> tuple[Array, Array]:
        """Soles from the IMU point and their velocity relative to it, world axes, (2, 3) each."""
        model, data, q, v = self._robot.pinocchio, self._kinematics, self._dynamics.q, self._dynamics.v
        q[:3], q[3:6], q[6] = 0.0, 0.0, 1.0
        q[7:], v[:3], v[3:6], v[6:] = state.joint_position, 0.0, omega, state.joint_velocity
        pin.forwardKinematics(model, data, q, v)
        position, velocity = np.empty((2, 3)), np.empty((2, 3))
        imu_velocity = np.cross(omega, self._imu)
        for foot, frame in enumerate(self._robot.sole_frames):
            placement = pin.updateFramePlacement(model, data, frame)
            position[foot] = rotation @ (placement.translation - self._imu)
            motion = pin.getFrameVelocity(model, data, frame, pin.ReferenceFrame.LOCAL_WORLD_ALIGNED).linear
            velocity[foot] = rotation @ (motion - imu_velocity)
        return position, velocity

    def _start(self, foot_position: Array, rotation: Array) -> None:
        """Stand at the origin: base over x = y = 0, lower sole at height 0."""
        imu = rotation @ self._imu
        imu[2] = -foot_position[:, 2].min()
        self.x[:3], self.x[3:6] = imu, 0.0
        self.x[6:9], self.x[9:12] = imu + foot_position[0], imu + foot_position[1]
        self.cov[:] = np.diag(np.repeat([1e-6, 1e-2, 1e-6, 1e-6], 3))
        self._started = True
        self._observer_sum[:] = np.nan

    def _fill_dynamics(self, state: RobotState, rotation: Array, omega: Array) -> None:
        dynamics = self._dynamics
        w, x, y, z = state.base_orientation_wxyz  # type: ignore[misc]
        q, v = dynamics.q, dynamics.v
        lever = rotation @ self._imu
        q[:3] = self.x[:3] - lever
        q[3], q[4], q[5], q[6] = x, y, z, w
        v[:3] = rotation.T @ self.x[3:6] - np.cross(omega, self._imu)
        v[3:6] = omega
        dynamics.update(q, v)

    def _observe_contact(self, state: RobotState) -> None:
        """Vertical foot forces from the leg rows of the momentum observer; without joint torques the plan is believed."""
        if state.joint_torque is None:
            return
        dynamics, cfg = self._dynamics, self._config
        coriolis = pin.computeCoriolisMatrix(dynamics.model, dynamics.data, dynamics.q, dynamics.v)
        drift = coriolis.T @ dynamics.v - (dynamics.bias - coriolis @ dynamics.v)  # Cᵀv − g
        for foot, dofs in enumerate(self._leg_dofs):
            momentum = dynamics.mass_matrix[dofs] @ dynamics.v
            if np.isnan(self._observer_sum[foot, 0]):
                self._observer_sum[foot] = momentum - self._residual[foot] / cfg.observer_rate
            rate = state.joint_torque[dofs - 6] + drift[dofs] + self._residual[foot]
            self._observer_sum[foot] += self._dt * rate
            self._residual[foot] = cfg.observer_rate * (momentum - self._observer_sum[foot])
            jacobian = dynamics.sole_jacobian[foot][:, dofs]
            # Damped, so that a straight knee does not turn noise into force.
            wrench = np.linalg.solve(jacobian @ jacobian.T + 1e-4 * np.eye(6), jacobian @ self._residual[foot])
            self.force[foot] = wrench[2]
            self.contact[foot] = min(1.0, max(0.0, (wrench[2] - cfg.force_off) / (cfg.force_on - cfg.force_off)))
