"""Compile, or load from the cache, every kernel of a stack before the robot is armed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poise.robots import Intent, JointCommand, RobotState

from .stack import Stack
from .support import Support
from .wholebody import WholeBodyTargets

SECONDS = 0.6  # standing, weight shift, and into the first step


def warm_up(stack: Stack) -> None:
    """Drive the stack through stand, shift and step on made-up states of a robot that does not move, then reset it.

    Without it the first ticks of each phase take as long as their kernels take to compile.
    """
    robot, zero, height = stack.robot, np.zeros(stack.robot.n), stack.robot.overlay.gait.com_height_m
    ticks = round(SECONDS / stack.period_s)
    for tick in range(ticks):
        torque = zero if tick > ticks - 3 else None  # without torques the contact that the plan wants is believed
        state = RobotState(
            stamp_s=tick * stack.period_s,
            joint_position=robot.posture,
            joint_velocity=zero,
            joint_torque=torque,
            base_orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            gyro_imu=np.zeros(3),
            accelerometer_imu=np.array([0.0, 0.0, 9.81]),
        )
        posture = Intent(height_m=height, torso_rpy=(0.0, 0.0, 0.0), arms=robot.posture[robot.arms])
        stack.step(state, Intent(velocity=(0.2, 0.0, 0.1)) if tick else posture)
    targets = WholeBodyTargets(
        com_acceleration_xy=zero[:2],
        com_height=np.array([height, 0.0, 0.0]),
        heading=0.0,
        torso_rpy=zero[:3],
        yaw_rate=0.0,
        contact=np.ones(2),
        swing=np.zeros((3, 3)),
        swing_yaw=0.0,
        slope=zero[:2],
        swing_momentum=0.0,
        joints=robot.posture,
        joint_velocity=zero,
        urgency=0.0,
    )
    stack.whole_body.warm(stack.dynamics, targets)
    for support in Support:
        for tau in (2.0 * robot.torque_limit, stack.certifier.backup.torque(stack.dynamics, support)):  # what is changed, and what passes
            stack.certifier.reset()
            asked = JointCommand(robot.posture, zero, zero, zero, tau, robot.torque_limit)
            stack.certifier.certify(stack.dynamics, asked, support, resting=True)
    stack.reset()
    standing = replace(state, joint_torque=None)
    own = stack.step(standing, posture).command
    stack.step(replace(standing, stamp_s=standing.stamp_s + stack.period_s), posture, own)  # somebody else's request
    stack.reset()
