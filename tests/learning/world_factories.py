"""Situations and proposals around the G1's nominal stance and gait, made by formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from poise.control.footsteps import nominal_step, step_width
from poise.control.lip import natural_frequency, periodic_offset, transfer_shift
from poise.control.protocols import Situation
from poise.robots import Belief, Intent, MotionProposal, RobotModel
from poise.robots.types import LEFT, Array

KNOTS, PERIOD_S = 5, 0.2


def sign_of(stance: int) -> float:
    return 1.0 if stance == LEFT else -1.0


def make_belief(robot: RobotModel, stance: int) -> Belief:
    """Both soles on the ground a step width apart, the stance sole at the world's origin, facing along x."""
    sole = np.zeros((2, 3))
    sole[1 - stance, 1] = -sign_of(stance) * robot.overlay.gait.step_width_m
    return Belief(
        base_position_world=np.array([0.0, 0.5 * sole[1 - stance, 1], 0.74]),
        base_orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
        base_velocity_world=np.zeros(3),
        base_angular_velocity_base=np.zeros(3),
        com_position_world=np.array([0.0, 0.5 * sole[1 - stance, 1], 0.62]),
        com_velocity_world=np.zeros(3),
        dcm_world=np.array([0.0, 0.5 * sole[1 - stance, 1]]),
        sole_position_world=sole,
        sole_yaw=np.zeros(2),
        contact=np.ones(2),
        foot_force_n=np.full(2, 0.5 * robot.mass * 9.81),
        position_std_m=np.zeros(3),
        velocity_std_mps=np.zeros(3),
        age_s=0.0,
    )


def stand(robot: RobotModel, **changes: Any) -> Situation:
    """Standing still in the nominal posture, the DCM between the feet."""
    belief = make_belief(robot, LEFT)
    situation = Situation(
        tick=0,
        stamp_s=0.0,
        intent=Intent(velocity=(0.3, 0.0, 0.0)),
        twist=np.array([0.3, 0.0, 0.0]),
        belief=belief,
        phase="stand",
        stance=LEFT,
        time_in_phase_s=1.0,
        step_duration_s=robot.overlay.gait.step_duration_s,
        dcm_offset_m=belief.dcm_world.copy(),
        joint_position=robot.posture.copy(),
        joint_velocity=np.zeros(robot.n),
        arm_reference=robot.posture[robot.arms].copy(),
        arm_reference_velocity=np.zeros(len(robot.arms)),
        torso_reference_rpy=np.zeros(3),
        height_reference_m=robot.overlay.gait.com_height_m,
    )
    return replace(situation, **changes)


def orbit_offset(robot: RobotModel, twist: Array, step_s: float, stance: int) -> Array:
    """DCM offset (2,) at touchdown on the periodic orbit that control walks on."""
    gait, sign = robot.overlay.gait, sign_of(stance)
    width = step_width(gait, float(twist[1]), step_s)
    first, second = nominal_step(twist, step_s, width, sign), nominal_step(twist, step_s, width, -sign)
    omega = natural_frequency(gait.com_height_m)
    kappa = transfer_shift(omega, gait.double_support_s)
    return np.asarray(periodic_offset(first[:2], first[2], second[:2], second[2], omega, step_s, kappa))


def step(robot: RobotModel, stance: int = LEFT, twist: tuple[float, float, float] = (0.3, 0.0, 0.0), **changes: Any) -> Situation:
    """In single support on the periodic orbit, 0.1 s after touchdown."""
    gait, velocity, elapsed = robot.overlay.gait, np.array(twist), 0.1
    omega = natural_frequency(gait.com_height_m)
    last = nominal_step(velocity, gait.step_duration_s, step_width(gait, twist[1], gait.step_duration_s), -sign_of(stance))
    back = np.array([[np.cos(last[2]), np.sin(last[2])], [-np.sin(last[2]), np.cos(last[2])]])
    shift = transfer_shift(omega, gait.double_support_s) * back @ last[:2]
    offset = (orbit_offset(robot, velocity, gait.step_duration_s, stance) + shift) * np.exp(omega * elapsed)
    situation = stand(robot, phase="step", stance=stance, twist=velocity, belief=make_belief(robot, stance))
    return replace(situation, time_in_phase_s=elapsed, dcm_offset_m=offset, **changes)


def good(robot: RobotModel, **changes: Any) -> MotionProposal:
    """The nominal posture and gait at a moderate speed."""
    gait = robot.overlay.gait
    proposal = MotionProposal(
        origin="test",
        period_s=PERIOD_S,
        twist=np.array([0.3, 0.0, 0.0]),
        height_m=np.full(KNOTS, gait.com_height_m),
        torso_rpy=np.zeros((KNOTS, 3)),
        arm_position=np.tile(robot.posture[robot.arms], (KNOTS, 1)),
        step_duration_s=gait.step_duration_s,
        footstep_offset=np.zeros((2, 2)),
    )
    return replace(proposal, **changes)
