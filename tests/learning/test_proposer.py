"""The learned proposer at run time: likeliest first, repeatable, silent on NaN, and without torch."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from synthetic import advance, make_belief, make_situation

from poise.control.protocols import Situation
from poise.learning.features import features
from poise.learning.likelihood import log_softmax, standard_normal_log_density
from poise.learning.operator import OperatorProposer
from poise.learning.proposer import LearnedProposer, packaged_weights
from poise.learning.training import TrainingReport
from poise.robots import MotionProposal, RobotModel


@pytest.fixture
def proposer(robot: RobotModel, trained: TrainingReport) -> LearnedProposer:
    return LearnedProposer(robot, trained.out)


def same(first: tuple[MotionProposal, ...], second: tuple[MotionProposal, ...]) -> bool:
    return all(a.arm_position.tobytes() == b.arm_position.tobytes() for a, b in zip(first, second, strict=True))


def test_gives_candidates_likeliest_first(robot: RobotModel, proposer: LearnedProposer) -> None:
    motions = proposer.propose(make_situation(robot))
    likelihoods = [motion.log_likelihood or 0.0 for motion in motions]
    assert len(motions) == 8
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert len(set(likelihoods)) == 8
    for motion in motions:
        assert motion.origin == "learned"
        assert (motion.knots, motion.period_s) == (5, 0.2)
        assert motion.arm_position.shape == (5, len(robot.arms))
        assert motion.footstep_offset.shape == (2, 2)
        assert motion.twist[0] == 0.5


def test_likelihood_is_the_networks(robot: RobotModel, proposer: LearnedProposer) -> None:
    """Recomputed from the network's mixture, component by component."""
    situation = make_situation(robot)
    logits, mean, log_std = proposer.network.mixture(features(situation, robot))
    whitening, layout = proposer.contract.whitening, proposer.contract.layout
    for motion in proposer.propose(situation):
        z = whitening.whiten(layout.encode(situation, motion))
        leading, trailing = z[: whitening.rank], z[whitening.rank :]
        np.testing.assert_allclose(trailing, 0.0, atol=1e-8)
        density = sum(
            math.exp(w) * math.prod(np.exp(-0.5 * ((leading - m) / np.exp(s)) ** 2 - s) / math.sqrt(2 * math.pi))
            for w, m, s in zip(log_softmax(logits), mean, log_std, strict=True)
        )
        expected = math.log(density) + float(standard_normal_log_density(trailing)) - whitening.log_volume
        assert motion.log_likelihood == pytest.approx(expected, abs=1e-6)


def test_strangeness_is_the_contracts_distance(robot: RobotModel, proposer: LearnedProposer) -> None:
    """Recomputed from the motions that come out."""
    situation, contract = make_situation(robot), proposer.contract
    seen = contract.normalise(features(situation, robot))
    for motion in proposer.propose(situation):
        z = contract.whitening.leading(contract.layout.encode(situation, motion))
        assert motion.strangeness == pytest.approx(float(contract.familiarity.distance(seen, z)), abs=1e-6)


def test_the_best_components_mean_is_among_them(robot: RobotModel, trained: TrainingReport) -> None:
    proposer, situation = LearnedProposer(robot, trained.out, candidates=1), make_situation(robot)
    (motion,) = proposer.propose(situation)
    logits, mean, _ = proposer.network.mixture(features(situation, robot))
    whitening = proposer.contract.whitening
    z = whitening.whiten(proposer.contract.layout.encode(situation, motion))
    np.testing.assert_allclose(z[: whitening.rank], mean[np.argmax(logits)], atol=1e-8)


def test_depends_on_seed_and_tick_alone(robot: RobotModel, trained: TrainingReport, proposer: LearnedProposer) -> None:
    other = LearnedProposer(robot, trained.out)
    proposer.reset(3)
    other.reset(3)
    other.propose(make_situation(robot, tick=7))  # no state: an earlier call changes nothing
    assert same(proposer.propose(make_situation(robot)), other.propose(make_situation(robot)))
    other.reset(4)
    assert not same(proposer.propose(make_situation(robot)), other.propose(make_situation(robot)))
    assert not same(proposer.propose(make_situation(robot)), proposer.propose(make_situation(robot, tick=101)))


def test_starts_where_the_arms_are(robot: RobotModel, proposer: LearnedProposer) -> None:
    """From an unusual posture the first knot is within reach of it, at a speed that demonstrations have."""
    away = robot.posture[robot.arms] + 0.3
    best = proposer.propose(make_situation(robot, arm_reference=away))[0]
    assert np.abs(best.arm_position[0] - away).max() < 2.5 * 0.2


def test_closed_loop_stays_within_limits(robot: RobotModel, proposer: LearnedProposer) -> None:
    operator, rng, situation = OperatorProposer(robot), np.random.default_rng(0), make_situation(robot)
    for tick in range(100):
        motion = proposer.propose(situation)[0]
        situation = advance(robot, situation, motion, operator.intent(0.1 * tick), np.zeros(2), rng)
        assert (robot.position_min[robot.arms] < situation.arm_reference).all()
        assert (situation.arm_reference < robot.position_max[robot.arms]).all()
        assert 0.5 < situation.height_reference_m < 0.7


def broken_situations(robot: RobotModel) -> dict[str, Situation]:
    nan = math.nan
    lost = replace(make_belief(np.random.default_rng(0)), base_velocity_world=np.array([nan, 0.0, 0.0]))
    return {
        "velocity_x": make_situation(robot, belief=lost),
        "dcm_x": make_situation(robot, dcm_offset_m=np.array([math.inf, 0.0])),
        "reference left_elbow_joint": make_situation(robot, arm_reference=np.where(np.arange(14) == 3, nan, 0.0)),
    }


@pytest.mark.parametrize("name", ["velocity_x", "dcm_x", "reference left_elbow_joint"])
def test_no_proposals_from_nan(robot: RobotModel, proposer: LearnedProposer, name: str) -> None:
    assert proposer.propose(broken_situations(robot)[name]) == ()
    assert proposer.note == f"no proposals: feature {name} is not finite"
    assert len(proposer.propose(make_situation(robot))) == 8
    assert proposer.note == ""


def test_no_proposals_from_a_network_that_gives_nan(robot: RobotModel, proposer: LearnedProposer, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (np.full(4, math.nan), np.zeros((4, 48)), np.zeros((4, 48)))
    monkeypatch.setattr(proposer.network, "mixture", lambda seen: broken)
    assert proposer.propose(make_situation(robot)) == ()
    assert "not finite" in proposer.note


def test_runs_without_torch(trained: TrainingReport) -> None:
    code = (
        "import sys, poise.learning; from poise.robots import load_robot\n"
        f"poise.learning.LearnedProposer(load_robot('g1'), {trained.out!r})\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'onnx', 'onnxscript')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_packaged_weights_have_a_place() -> None:
    assert packaged_weights("g1").parts[-2:] == ("weights", "g1_proposer.onnx")
