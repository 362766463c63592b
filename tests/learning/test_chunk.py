"""A chunk and the motion that it means are the same thing."""

from __future__ import annotations

import numpy as np
from synthetic import make_situation

from poise.learning.chunk import ChunkLayout
from poise.learning.operator import OperatorProposer
from poise.robots import RobotModel


def test_decode_inverts_encode(robot: RobotModel) -> None:
    situation, layout = make_situation(robot), ChunkLayout(arms=len(robot.arms))
    (motion,) = OperatorProposer(robot).propose(situation)
    back = layout.decode(layout.encode(situation, motion), situation, "learned", -3.0, 0.5)
    for name in ("height_m", "torso_rpy", "arm_position", "step_duration_s", "footstep_offset"):
        np.testing.assert_allclose(getattr(back, name), getattr(motion, name), atol=1e-12)
    assert (back.origin, back.log_likelihood, back.strangeness, back.knots, back.duration_s) == ("learned", -3.0, 0.5, 5, 1.0)


def test_zero_differences_hold_the_references(robot: RobotModel) -> None:
    situation, layout = make_situation(robot), ChunkLayout(arms=len(robot.arms))
    held = layout.decode(np.zeros(layout.size), situation, "learned", 0.0)
    assert held.strangeness is None
    assert (held.arm_position == situation.arm_reference).all()
    assert (held.height_m == situation.height_reference_m).all()


def test_names_follow_the_order(robot: RobotModel) -> None:
    situation, layout = make_situation(robot), ChunkLayout(arms=len(robot.arms))
    names = layout.names(robot.arm_joints)
    assert len(names) == len(set(names)) == len(layout.unit()) == layout.size == 95
    chunk = np.zeros(layout.size)
    chunk[[names.index("left_elbow_joint@2"), names.index("pitch@4"), names.index("height@0"), names.index("outward@1")]] = 1.0
    motion = layout.decode(chunk, situation, "learned", 0.0)
    assert motion.arm_position[2, robot.arm_joints.index("left_elbow_joint")] == 1.6
    assert (motion.torso_rpy[4, 1], motion.footstep_offset[1, 1]) == (1.0, 1.0)
    assert motion.height_m[0] == situation.height_reference_m + 1.0
