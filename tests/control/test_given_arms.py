"""Arms that an intent gives are proposed, imagined and recorded like any others before they are followed."""

from __future__ import annotations

import numpy as np
import pytest
from loop import Loop, g1_parts, make_loop

from poise.control.motion import SPEED_MAX
from poise.learning.proposer import LearnedProposer
from poise.learning.world_model import WorldModelConfig
from poise.robots import Decision, Intent
from poise.robots.types import Array

ROBOT = g1_parts()[0]
ARMS = ROBOT.arm_joints
HOME = ROBOT.posture[ROBOT.arms]


def arms(**angles: float) -> Array:
    """The nominal arms, some joints elsewhere."""
    given = HOME.copy()
    for name, angle in angles.items():
        given[ARMS.index(f"{name}_joint")] = angle
    return given


WAVE = arms(left_shoulder_roll=1.2, left_elbow=0.2, right_shoulder_pitch=-0.6)
INSIDE = arms(left_shoulder_roll=-0.6, left_shoulder_pitch=0.0, left_elbow=0.0, left_shoulder_yaw=0.5)  # the trunk
VELOCITY = (0.3, 0.0, 0.0)


def made(decisions: list[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.proposals]


def reference(loop: Loop) -> Array:
    return loop.decisions[-1].command.q[ROBOT.arms]


@pytest.mark.parametrize("learned", [False, True], ids=["scripted", "learned"])
def test_given_arms_are_in_every_proposal_and_the_chosen_one_brings_them_there(learned: bool) -> None:
    loop = make_loop(proposer=LearnedProposer(ROBOT) if learned else None)
    decisions = loop.run(3.0, Intent(velocity=VELOCITY, arms=WAVE))
    assert loop.stands and len(made(decisions)) == 30
    for decision in made(decisions)[1:]:
        assert [p.origin for p in decision.proposals] == ["learned"] * (8 * learned) + ["teleop"]
        assert all(np.allclose(p.arm_position[-1], WAVE, atol=0.02) for p in decision.proposals)
        assert len(decision.verdicts) == len(decision.proposals) and decision.chosen >= 0
        assert all({"joint_speed", "self_collision"} <= v.margins.keys() for v in decision.verdicts if v.accepted)
    assert decisions[-1].proposal is not None
    assert np.allclose(decisions[-1].proposal.arm_position[-1], WAVE, atol=1e-3)
    assert np.abs(reference(loop) - WAVE).max() < 0.01
    assert np.abs(loop.backend.read().joint_position[ROBOT.arms] - WAVE).max() < 0.1


def test_what_is_imagined_is_what_is_followed() -> None:
    """Knots of the first proposal against where the reference is at their times."""
    loop = make_loop()
    (first, *later) = loop.run(1.2, Intent(arms=WAVE))
    (proposal,) = first.proposals
    ticks = [round((k + 1) * proposal.period_s / loop.stack.period_s) - 1 for k in range(proposal.knots)]
    followed = np.array([[first, *later][tick].command.q[ROBOT.arms] for tick in ticks])
    assert np.allclose(followed, proposal.arm_position, atol=1e-9)


def test_arms_that_would_hit_the_body_are_refused_by_name_and_held() -> None:
    loop = make_loop()
    loop.run(1.5, Intent(arms=WAVE))
    before = reference(loop)
    refused = made(loop.run(1.5, Intent(velocity=VELOCITY, arms=INSIDE)))[1:]
    assert {verdict.constraint for decision in refused for verdict in decision.verdicts} == {"self_collision"}
    assert all(decision.chosen == -1 for decision in refused)
    assert np.abs(reference(loop) - before).max() < 0.25, "they stop on the way, where they were when it was found out"
    loop.run(1.5, Intent(velocity=VELOCITY, arms=arms()))
    assert np.abs(reference(loop) - HOME).max() < 0.01, "what can be done is done again"
    assert loop.stands


def test_arms_beyond_their_limits_are_brought_to_the_limit() -> None:
    loop = make_loop()
    decisions = loop.run(2.5, Intent(arms=arms(left_elbow=9.0)))
    assert all(decision.chosen >= 0 for decision in made(decisions))
    elbow = ARMS.index("left_elbow_joint")
    assert reference(loop)[elbow] == pytest.approx(ROBOT.walking_max[ROBOT.arms][elbow], abs=1e-3)


def test_a_large_step_of_the_arms_is_no_faster_than_a_proposal_may_be() -> None:
    assert SPEED_MAX <= WorldModelConfig().joint_speed_max
    loop = make_loop()
    decisions = loop.run(1.5, Intent(arms=arms(left_shoulder_pitch=-1.2, right_shoulder_pitch=-1.2)))
    assert all(verdict.accepted for decision in decisions for verdict in decision.verdicts)
    speed = np.abs(np.diff([decision.command.q[ROBOT.arms] for decision in decisions], axis=0)).max() / loop.stack.period_s
    assert speed <= SPEED_MAX + 1e-6


def test_arms_that_something_else_moves_are_not_proposed() -> None:
    loop = make_loop()
    decisions = loop.run(0.5, Intent(arms=WAVE, arms_external=True))
    assert all(np.allclose(p.arm_position, HOME, atol=0.1) for decision in made(decisions) for p in decision.proposals)


def test_torso_and_height_are_in_the_scripted_proposal() -> None:
    loop = make_loop()
    decisions = loop.run(1.0, Intent(torso_rpy=(0.0, 0.2, 0.1), height_m=0.6))
    for decision in made(decisions):
        (proposal,) = decision.proposals
        assert np.allclose(proposal.torso_rpy, [0.0, 0.2, 0.1]) and np.allclose(proposal.height_m, 0.6)
        assert decision.chosen == 0
