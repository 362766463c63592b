"""Blows that take a foot from under the robot, and legs that a blow has stretched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pinocchio as pin
import pytest

from poise.control import Stack
from poise.control.footing import FootingConfig
from poise.control.stack_config import StackConfig
from poise.control.walker_config import WalkerConfig
from poise.robots import Intent, JointCommand, RobotModel
from poise.sim import MujocoBackend, run
from poise.sim.noise import NOISE
from poise.sim.punches import Punch
from poise.sim.runner import constant

NEVER = FootingConfig(moved=np.inf)


def falls(g1: RobotModel, force_n: tuple[float, float, float], footing: FootingConfig) -> bool:
    """Whether a robot that stands falls within 2.5 s of a blow of 0.08 s at its left ankle, (3,) N in the pelvis frame."""
    stack = Stack(g1, StackConfig(walker=WalkerConfig(footing=footing)))
    blow = Punch("left_ankle_roll_link", (0.0, 0.0, 0.0), force_n, "pelvis", 0.5, 0.08)
    backend = MujocoBackend(g1, period_s=stack.period_s, noise=NOISE["nominal"], disturbances=[blow])
    backend.reset(0)
    stack.reset(0)
    return run(stack, backend, constant((0.0, 0.0, 0.0)), 3.0).fell


@pytest.mark.parametrize("force_n", [(0.0, 300.0, 0.0), (200.0, 0.0, 200.0)])
def test_a_robot_whose_foot_is_knocked_away_stands_on_the_other(g1: RobotModel, force_n: tuple[float, float, float]) -> None:
    """24 N·s outward, and 22 N·s forward and upward: four falls of four seeds each where it went on standing on both feet."""
    assert not falls(g1, force_n, FootingConfig())
    assert falls(g1, force_n, NEVER)


def height_after(robot: RobotModel, knee_rad: float, seconds: float) -> float:
    """Of the centre of mass over the soles, m, of a robot that stands on stretched legs and is to stand at its nominal height."""
    legs = {"hip_pitch": -0.5 * knee_rad, "knee": knee_rad, "ankle_pitch": -0.5 * knee_rad}
    q = robot.standing_configuration()
    for side in ("left", "right"):
        for joint, angle in legs.items():
            q[7 + robot.joint_names.index(f"{side}_{joint}_joint")] = angle
    data = robot.pinocchio.createData()
    pin.framesForwardKinematics(robot.pinocchio, data, q)
    stack = Stack(robot)
    backend = MujocoBackend(robot, period_s=stack.period_s, noise=NOISE["nominal"])
    backend.reset(0)
    backend.data.qpos[2] = q[2] - data.oMf[robot.sole_frames[0]].translation[2]
    backend.data.qpos[7:] = q[7:]
    zero = np.zeros(robot.n)
    for _ in range(50):  # until the sensors, which lag, have seen it
        backend.write(JointCommand(q[7:], zero, 4.0 * robot.hold_kp, 2.0 * robot.hold_kd, zero, robot.torque_limit))
    stack.reset(0)
    for _ in range(round(seconds / stack.period_s)):
        backend.write(stack.step(backend.read(), Intent()).command)
    return float(stack.dynamics.com[2] - stack.dynamics.sole_position[:, 2].mean())


def test_stretched_legs_bend_again(g1: RobotModel) -> None:
    """A knee at its limit, past straight, does not move the body: in its range, less a margin, the robot stands 1.5 cm too high."""
    target = g1.overlay.gait.com_height_m
    assert height_after(g1, -0.08, 0.8) == pytest.approx(target, abs=0.005)
    assert height_after(replace(g1, walking_min=g1.position_min), -0.08, 0.8) > target + 0.01
