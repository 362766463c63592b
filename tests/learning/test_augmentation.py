"""Disturbed copies: the demonstrated motion plus a disturbance that decays as the operator lets it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from synthetic import make_situation

from poise.learning.augmentation import with_disturbed_copies
from poise.learning.chunk import ChunkLayout
from poise.learning.dataset import Pairs
from poise.learning.features import feature_names, features
from poise.learning.operator import OperatorConfig, OperatorProposer, remaining_distance
from poise.robots import RobotModel


def test_copies_end_where_the_demonstration_ends(robot: RobotModel) -> None:
    """A hundred times the same pair: each copy starts elsewhere, and nearly all of that is gone after a second."""
    layout, names, situation = ChunkLayout(arms=len(robot.arms)), feature_names(robot), make_situation(robot)
    seen, chunk = features(situation, robot), layout.encode(situation, OperatorProposer(robot).propose(situation)[0])
    pairs = Pairs(np.tile(seen, (100, 1)), np.tile(chunk, (100, 1)), np.zeros(100, dtype=np.int64))
    more = with_disturbed_copies(pairs, names, layout, seed=0)
    np.testing.assert_array_equal(more.chunks[:100], pairs.chunks)
    assert 15 < len(more) - 100 < 45
    left = remaining_distance(5, 0.2)
    for feature, entry in (("reference left_elbow_joint", "left_elbow_joint"), ("torso_pitch", "pitch"), ("height", "height")):
        start = more.features[100:, names.index(feature)] - seen[names.index(feature)]
        assert start.std() > 0.01
        for knot in range(5):
            column = layout.names(robot.arm_joints).index(f"{entry}@{knot}")
            remains = start + more.chunks[100:, column] - chunk[column]
            np.testing.assert_allclose(remains, start * left[knot], atol=1e-6)
    np.testing.assert_array_equal(more.chunks[100:, -5:], np.tile(chunk[-5:], (len(more) - 100, 1)))


def test_a_share_of_the_arms_disturbance(robot: RobotModel) -> None:
    """The same pairs with a tenth of it: torso and height as before."""
    layout, names, seen = ChunkLayout(arms=len(robot.arms)), feature_names(robot), features(make_situation(robot), robot)
    pairs = Pairs(np.tile(seen, (100, 1)), np.zeros((100, layout.size)), np.zeros(100, dtype=np.int64))
    whole, tenth = (with_disturbed_copies(pairs, names, layout, 0, share).features[100:] - seen for share in (1.0, 0.1))
    arms = slice(-2 * layout.arms, None)
    np.testing.assert_allclose(tenth[:, arms], 0.1 * whole[:, arms], atol=1e-6)
    torso = [names.index(name) for name in ("torso_roll", "torso_pitch", "torso_yaw", "height")]
    np.testing.assert_array_equal(tenth[:, torso], whole[:, torso])


def test_the_operator_returns_at_that_rate(robot: RobotModel) -> None:
    """The law of the copies against the operator model itself, from a slightly displaced elbow."""
    operator = OperatorProposer(robot, OperatorConfig(arm_speed=1e3, arm_acceleration=1e4))  # bounds out of reach: linear
    still = make_situation(robot, phase="stand", twist=np.zeros(3))
    elbow = robot.arm_joints.index("left_elbow_joint")
    displaced = still.arm_reference.copy()
    displaced[elbow] += 0.05
    motions = []
    for situation in (still, replace(still, arm_reference=displaced)):
        operator.reset(2)
        motions.append(operator.propose(situation)[0].arm_position[:, elbow])
    left = (motions[1] - motions[0]) / 0.05
    np.testing.assert_allclose(left, remaining_distance(5, 0.2), atol=1e-9)
