"""What any backend does to a command before it is sent: clip the limits, refuse what cannot be computed with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .model import RobotModel
from .types import Array, JointCommand

_HUGE = 1e9  # larger values overflow when gains multiply errors, and no motor takes them


def hold_command(robot: RobotModel, position: Array) -> JointCommand:
    """Hold joint positions (n,) rad with the robot's holding gains."""
    zero = np.zeros(robot.n)
    return JointCommand(position.copy(), zero, robot.hold_kp, robot.hold_kd, zero, robot.torque_limit)


def damping_command(robot: RobotModel) -> JointCommand:
    """Brake every joint with the robot's holding damping, and hold none."""
    zero = np.zeros(robot.n)
    return JointCommand(robot.posture, zero, zero, robot.hold_kd, zero, robot.torque_limit)


def sendable(robot: RobotModel, command: JointCommand, torque_limit: Array) -> JointCommand:
    """The command with its torque limits cut to `torque_limit` (n,) N·m; what motors cannot take becomes pure damping."""
    sent = command if usable(command, robot.n) else damping_command(robot)
    return replace(sent, torque_limit=np.minimum(np.maximum(sent.torque_limit, 0.0), torque_limit))


def usable(command: JointCommand, n: int) -> bool:
    """Whether motors can take every number of a command of n joints."""
    values = (command.q, command.v, command.kp, command.kd, command.tau, command.torque_limit)
    if [np.shape(value) for value in values] != [(n,)] * len(values):
        return False
    numbers = np.abs(np.concatenate(values))
    if numbers.max() <= _HUGE:  # NaN compares false
        return True
    unlimited = np.isposinf(command.torque_limit)  # no limit of its own is a usable wish
    numbers[-n:][unlimited] = 0.0
    return bool(numbers.max() <= _HUGE)
