from __future__ import annotations

import numpy as np
import pytest

from poise.control.protocols import Situation
from poise.control.scripted import ScriptedProposer
from poise.robots import Belief, Intent, RobotModel


def situation(g1: RobotModel, intent: Intent) -> Situation:
    """Standing still."""
    two, three, arms = np.zeros(2), np.zeros(3), np.zeros(len(g1.arms))
    level = np.array([1.0, 0.0, 0.0, 0.0])
    belief = Belief(three, level, three, three, three, three, two, np.zeros((2, 3)), two, np.ones(2), two, three, three, 0.0)
    twist = np.array([0.3, 0.0, 0.1])
    return Situation(0, 0.0, intent, twist, belief, "stand", 0, 0.0, 0.4, two, g1.posture, np.zeros(g1.n), arms, arms, three, 0.62)


def test_nominal_motion(g1: RobotModel) -> None:
    (proposal,) = ScriptedProposer(g1).propose(situation(g1, Intent()))
    assert proposal.origin == "scripted" and proposal.log_likelihood is None
    assert proposal.duration_s == pytest.approx(1.0)
    np.testing.assert_array_equal(proposal.arm_position, np.tile(g1.posture[g1.arms], (proposal.knots, 1)))
    np.testing.assert_array_equal(proposal.height_m, g1.overlay.gait.com_height_m)
    np.testing.assert_array_equal(proposal.torso_rpy, 0.0)
    np.testing.assert_array_equal(proposal.footstep_offset, 0.0)
    np.testing.assert_array_equal(proposal.twist, [0.3, 0.0, 0.1])
    assert proposal.step_duration_s == g1.overlay.gait.step_duration_s


def test_posture_targets_are_taken_within_the_robots_range(g1: RobotModel) -> None:
    low, high = g1.overlay.gait.height_range_m
    for asked, given in ((0.6, 0.6), (0.1, low), (2.0, high)):
        (proposal,) = ScriptedProposer(g1).propose(situation(g1, Intent(height_m=asked, torso_rpy=(0.1, 3.0, -0.2))))
        np.testing.assert_array_equal(proposal.height_m, given)
        np.testing.assert_array_equal(proposal.torso_rpy, np.tile([0.1, 0.4, -0.2], (proposal.knots, 1)))


def test_it_has_no_memory(g1: RobotModel) -> None:
    proposer = ScriptedProposer(g1)
    first = proposer.propose(situation(g1, Intent()))[0]
    proposer.propose(situation(g1, Intent(height_m=0.55)))
    proposer.reset(7)
    np.testing.assert_array_equal(proposer.propose(situation(g1, Intent()))[0].height_m, first.height_m)
