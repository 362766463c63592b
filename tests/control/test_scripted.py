from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poise.control.motion import ARM_RATE
from poise.control.protocols import Situation
from poise.control.scripted import ARM_SWING_RAD, PERIOD_S, ScriptedProposer
from poise.robots import Belief, Intent, RobotModel
from poise.robots.types import LEFT


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


def test_arms_swing_against_the_legs(g1: RobotModel) -> None:
    """The left shoulder is back (pitch > 0) when the left foot has landed ahead, once the filter has had its lag."""
    step_s, time_s = 0.4, 0.1
    standing = situation(g1, Intent())
    walking = replace(standing, phase="step", stance=LEFT, time_in_phase_s=time_s, step_duration_s=step_s, twist=np.array([1.0, 0.0, 0.0]))
    (proposal,) = ScriptedProposer(g1).propose(walking)
    swing = proposal.arm_position - g1.posture[g1.arms]
    pitch = [i for i, joint in enumerate(g1.arm_joints) if "shoulder_pitch" in joint]
    np.testing.assert_array_equal(np.delete(swing, pitch, axis=1), 0.0)
    np.testing.assert_allclose(swing[:, pitch[0]], -swing[:, pitch[1]], atol=1e-12)
    response = 1.0 / (1.0 + 1j * np.pi / step_s / ARM_RATE) ** 2  # of a critically damped filter to the stride's frequency
    since_landing = time_s + PERIOD_S * np.arange(1, proposal.knots + 1)
    wanted = np.real(np.exp(1j * (np.pi * since_landing / step_s - np.angle(response))))
    np.testing.assert_allclose(swing[:, pitch[0]], ARM_SWING_RAD * wanted, atol=1e-12)


def test_sideways_takes_shorter_steps(g1: RobotModel) -> None:
    gait = g1.overlay.gait
    for vx, vy, shorter in ((0.5, 0.1, 0.0), (1.0, 0.0, 0.0), (0.5, -1.0 / 3.3, 0.05)):
        (proposal,) = ScriptedProposer(g1).propose(replace(situation(g1, Intent()), twist=np.array([vx, vy, 0.0])))
        assert proposal.step_duration_s == pytest.approx(gait.step_duration_s - shorter)


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
