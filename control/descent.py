"""A fall that cannot be saved: hips bent, arms between the trunk and the ground, every joint soft; then damping alone.

Once the base leans by more than a robot has ever come back from, balance is given up. The joints go, in a moment and softly, to a posture
for the way in which it falls, φ from forward to the left in the base's axes: middle + forward·cos φ + left·sin φ, from the overlay.
Lying, the robot is damped. It starts anew when it has been put upright.

One whose attitude is not known any more cannot balance either: it holds its joints softly for a while, on which it may stay on its
feet, and goes to the middle posture. If the attitude comes back soon, and it is still upright, it starts anew at once.
"""

from __future__ import annotations

import math
from copy import copy
from typing import NamedTuple

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Array, JointCommand, RobotState

from .rotation import matrix_from_quat


class DescentConfig(NamedTuple):
    """When a fall is given up as lost, how softly the posture is taken, and when the fall is over."""

    lean_rad: float = 0.65  # robots that were saved from a blow at an ankle leant by 0.5 rad at most, from pushes of 30 to 60 N·s by 0.31
    upright_rad: float = 0.2  # less than which, for so long, it has been put up again
    upright_s: float = 0.5
    taken_s: float = 0.08  # to the posture
    held_s: float = 0.4  # before, without attitude: 12 of 12 stood on that were blind for so long; bent at once, none after 0.16 s
    lasts_s: float = 2.0  # after which all has come to rest
    legs: float = 0.9  # shares of the overlay's holding stiffness
    arms: float = 1.0
    damping: float = 1.3  # and of its damping


class Descent:
    """`falling` says whether a fall goes on; called once a tick in which the joints are known."""

    def __init__(self, robot: RobotModel, config: DescentConfig, period_s: float) -> None:
        self._robot, self._config, self._period = robot, config, period_s
        arm = np.zeros(robot.n)
        arm[robot.arms] = 1.0
        self._kp = robot.hold_kp * np.where(arm > 0.0, config.arms, config.legs)
        self._kd = robot.hold_kd * config.damping
        self.reset()

    def reset(self) -> None:
        """Stand."""
        self.falling = self._unseen = False
        self._spent_s = self._upright_s = 0.0
        self._begin = self._end = self._robot.posture

    def copy(self) -> Descent:
        """An independent copy; its arrays are never written to."""
        return copy(self)

    @property
    def lies(self) -> bool:
        """Whether a fall has lasted for so long that the robot is damped."""
        return self._spent_s > self._config.lasts_s

    def __call__(self, state: RobotState, blind: bool = False) -> JointCommand | None:
        """The command of a robot that falls, None of one that does not; blind: the state's attitude means nothing."""
        assert state.base_orientation_wxyz is not None  # the monitor lets no state through without it
        cfg = self._config
        up = matrix_from_quat(state.base_orientation_wxyz)[2]  # the vertical in the base's axes
        lean = math.acos(min(1.0, max(-1.0, float(up[2]))))
        if not self.falling:
            if lean <= cfg.lean_rad and not blind:
                return None
            way = float(np.arctan2(-up[1], -up[0]))
            self._fall(state.joint_position, self.middle if blind else self.posture(way), unseen=blind)
        self._spent_s += self._period
        upright = lean < cfg.upright_rad and not blind
        self._upright_s = self._upright_s + self._period if upright else 0.0
        if self._upright_s >= cfg.upright_s or (upright and self._unseen and self._spent_s < cfg.upright_s):
            self.reset()
            return None
        return self._command(state.joint_position)

    def _fall(self, here: Array, end: Array, unseen: bool) -> None:
        self.falling, self._unseen, self._spent_s, self._upright_s = True, unseen, 0.0, 0.0
        self._begin, self._end = np.array(here), end

    @property
    def middle(self) -> Array:
        """Joint positions (n,) for a fall that may go any way."""
        return np.clip(self._robot.descent[0], self._robot.position_min, self._robot.position_max)

    def posture(self, way: float) -> Array:
        """Joint positions (n,) for a fall towards an angle, rad from forward to the left."""
        robot = self._robot
        middle, forward, left = robot.descent
        return np.clip(middle + np.cos(way) * forward + np.sin(way) * left, robot.position_min, robot.position_max)

    def _command(self, here: Array) -> JointCommand:
        robot, zero = self._robot, np.zeros(self._robot.n)
        if self.lies:
            return JointCommand(np.clip(here, robot.position_min, robot.position_max), zero, zero, robot.hold_kd, zero, robot.torque_limit)
        held_s = self._config.held_s if self._unseen else 0.0
        share = min(1.0, max(0.0, self._spent_s - held_s) / self._config.taken_s)
        return JointCommand(self._begin + share * (self._end - self._begin), zero, self._kp, self._kd, zero, robot.torque_limit)
