"""What a proposer and a world model are told at a tick."""

from __future__ import annotations

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Belief, Intent, RobotState

from .dynamics import Dynamics
from .footsteps import twist_command
from .gait import Walker
from .motion import MotionReference
from .protocols import Situation
from .rotation import yaw_of


def situation_of(
    robot: RobotModel,
    d: Dynamics,
    walker: Walker,
    motion: MotionReference,
    state: RobotState,
    intent: Intent,
    tick: int,
    stamp_s: float,
    belief: Belief,
) -> Situation:
    """The situation of a walker that has just sensed `d`, with arrays of its own."""
    pose = np.array([d.q[0], d.q[1], yaw_of(d.base_rotation)])
    return Situation(
        tick=tick,
        stamp_s=stamp_s,
        intent=intent,
        twist=twist_command(intent, robot.overlay.gait, pose),
        belief=belief,
        phase=walker.phase,
        stance=walker.stance,
        time_in_phase_s=walker.time,
        step_duration_s=walker.step_duration,
        dcm_offset_m=walker.dcm_offset(),
        joint_position=np.array(state.joint_position),
        joint_velocity=np.array(state.joint_velocity),
        arm_reference=motion.arms.copy(),
        arm_reference_velocity=motion.arms_velocity.copy(),
        torso_reference_rpy=motion.torso_rpy.copy(),
        height_reference_m=motion.height_m,
    )
