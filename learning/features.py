"""What the proposer sees of a situation: one function, for training data and at run time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poise.control.protocols import Situation
from poise.control.scripted import stride_angle
from poise.robots import RobotModel
from poise.robots.types import LEFT, Array

Features = NDArray[np.float32]

_FIXED = (
    "stride_sin", "stride_cos", "stand", "shift", "stance_sign", "step_duration",
    "twist_x", "twist_y", "twist_yaw", "velocity_x", "velocity_y", "velocity_z", "dcm_x", "dcm_y",
    "roll", "pitch", "gyro_x", "gyro_y", "gyro_z", "torso_roll", "torso_pitch", "torso_yaw", "height",
    "intent_x", "intent_y", "intent_yaw",
    "has_velocity", "has_waypoint", "has_height", "has_torso", "has_arms", "arms_external",
)  # fmt: skip


def feature_names(robot: RobotModel) -> tuple[str, ...]:
    """Names of the features, in order."""
    arms = robot.arm_joints
    return (*_FIXED, *(f"reference {joint}" for joint in arms), *(f"reference_velocity {joint}" for joint in arms))


def features(situation: Situation, robot: RobotModel) -> Features:
    """What the proposer sees, (d,) float32 in the order of `feature_names`.

    Velocities are in the heading frame, m/s; angles rad; DCM in the stance foot's yaw frame, m. No absolute position
    or yaw is among them: the same motion elsewhere in the world has the same features.

    Raises:
        ValueError: the situation's arms are not the robot's.
    """
    if np.shape(situation.arm_reference) != robot.arms.shape:
        got = np.shape(situation.arm_reference)
        raise ValueError(f"situation has arm references of shape {got}, robot {robot.name!r} has {len(robot.arms)} arm joints")
    belief, intent = situation.belief, situation.intent
    roll, pitch, yaw = roll_pitch_yaw(belief.base_orientation_wxyz)
    vx, vy, vz = belief.base_velocity_world
    c, s = math.cos(yaw), math.sin(yaw)
    fixed = [
        *_stride(situation),
        float(situation.phase == "stand"),
        float(situation.phase == "shift"),
        1.0 if situation.stance == LEFT else -1.0,
        situation.step_duration_s,
        *situation.twist,
        c * vx + s * vy,
        c * vy - s * vx,
        vz,
        *situation.dcm_offset_m,
        roll,
        pitch,
        *belief.base_angular_velocity_base,
        *situation.torso_reference_rpy,
        situation.height_reference_m,
        *((0.0, 0.0, 0.0) if intent.velocity is None else intent.velocity),
        *(float(given is not None) for given in (intent.velocity, intent.waypoint, intent.height_m, intent.torso_rpy, intent.arms)),
        float(intent.arms_external),
    ]
    return np.concatenate([fixed, situation.arm_reference, situation.arm_reference_velocity]).astype(np.float32)


def _stride(situation: Situation) -> tuple[float, float]:
    if situation.phase != "step":
        return 0.0, 0.0
    angle = stride_angle(situation)
    return math.sin(angle), math.cos(angle)


def roll_pitch_yaw(wxyz: Array) -> tuple[float, float, float]:
    """Roll, pitch and yaw (rad, R = Rz·Ry·Rx) of a unit quaternion."""
    w, x, y, z = (float(part) for part in wxyz)
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(min(1.0, max(-1.0, 2 * (w * y - z * x)))) if math.isfinite(w + x + y + z) else math.nan
    return roll, pitch, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
