"""A robot without dynamics: joints go where they are told, as fast as they may. For tests and dry runs."""

from __future__ import annotations

import numpy as np

from .commands import sendable
from .model import RobotModel
from .types import Array, JointCommand, RobotState

START_SPREAD = 0.02  # rad, of the joints at reset
GRAVITY = 9.81  # m/s²


class MockBackend:
    """Kinematic: each period the joints move to the commanded position, within their velocity limits; the base stands still."""

    def __init__(self, robot: RobotModel, period_s: float = 0.002) -> None:
        self.robot = robot
        self.period_s = period_s
        self._rng = np.random.default_rng(0)
        self.reset(0)

    def reset(self, seed: int | None = None) -> RobotState:
        """Go to the nominal posture, joints varied by the seed; None draws on."""
        self._rng = self._rng if seed is None else np.random.default_rng(seed)
        self._ticks = 0
        joints = self.robot.posture + self._rng.uniform(-START_SPREAD, START_SPREAD, self.robot.n)
        self._state = self._at(joints, np.zeros(self.robot.n))
        return self._state

    def read(self) -> RobotState:
        """The state after the last write."""
        return self._state

    def write(self, command: JointCommand) -> JointCommand:
        """Move for one control period; a joint without stiffness stays where it is."""
        sent = sendable(self.robot, command, self.robot.torque_limit)
        start, reach = self._state.joint_position, self.robot.velocity_limit * self.period_s
        wanted = np.clip(sent.q, self.robot.position_min, self.robot.position_max)
        move = np.where(sent.kp > 0.0, np.clip(wanted - start, -reach, reach), 0.0)
        self._ticks += 1
        self._state = self._at(start + move, move / self.period_s)
        return sent

    def close(self) -> None:
        """Nothing to release."""

    def _at(self, position: Array, velocity: Array) -> RobotState:
        return RobotState(
            stamp_s=self._ticks * self.period_s,
            joint_position=position,
            joint_velocity=velocity,
            base_orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            gyro_imu=np.zeros(3),
            accelerometer_imu=np.array([0.0, 0.0, GRAVITY]),
        )
