"""From the references of one tick to what the whole-body QP is to track."""

from __future__ import annotations

import numpy as np

from poise.robots.types import Array

from .dynamics import Dynamics
from .lip import GRAVITY
from .motion import MotionReference
from .reaction import left_to_the_body
from .references import Reference
from .wholebody import WholeBodyTargets


def whole_body_targets(
    d: Dynamics,
    reference: Reference,
    motion: MotionReference,
    joints: Array,
    speed: Array,
    swing_momentum: float,
    mass: float,
    load_n: float,
) -> WholeBodyTargets:
    """Targets of the walker's reference and of the motion's heights, trunk and joints.

    joints, speed (n,): positions and velocities that the posture task tracks; swing_momentum: of the swing leg, kg·m per m/s of its foot
    (reaction.py); mass: kg; load_n: what the robot carries, N, whose weight the model, which does not have it, sees as an acceleration.
    """
    momentum = left_to_the_body(reference.urgency) * swing_momentum
    up, up_rate, up_acceleration = reference.rise.tolist()
    up_acceleration += load_n / mass
    height = motion.height_m + up
    stiffness, reaction = (GRAVITY + up_acceleration) / height, momentum / (mass * height)
    (com_x, com_y, _), (zmp_x, zmp_y), (swing_x, swing_y, _) = d.com.tolist(), reference.zmp.tolist(), reference.swing[2].tolist()
    return WholeBodyTargets(
        com_acceleration_xy=np.array([stiffness * (com_x - zmp_x) + reaction * swing_x, stiffness * (com_y - zmp_y) + reaction * swing_y]),
        com_height=np.array([reference.ground_height + height, up_rate, up_acceleration]),
        heading=reference.heading,
        torso_rpy=motion.torso_rpy,
        yaw_rate=reference.heading_rate,
        contact=reference.contact,
        swing=reference.swing,
        swing_yaw=reference.swing_yaw,
        slope=reference.slope,
        swing_momentum=momentum,
        joints=joints,
        joint_velocity=speed,
        urgency=reference.urgency,
    )
