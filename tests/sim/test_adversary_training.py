"""Adversaries from data: one that learns against the certifier, and one that replays an operator."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poise.control.safety import SafetyConfig
from poise.robots import PoiseError, RobotModel
from poise.robots.types import Array
from poise.sim.adversaries import Teleoperated, Trained, known_adversary, trained_gains
from poise.sim.adversary_file import INPUTS, TrainedFile, read_trained, write_trained
from poise.sim.adversary_training import Evolution, Round, Trial, evolve

JOINTS = ("a", "b", "c")
NOTHING = Round(0, 0.0, np.zeros((INPUTS, len(JOINTS))))
SUMMIT = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.0, -1.5]])


def height(gains: Array, seed: int) -> Array:
    """A hill for each joint, with its summit at SUMMIT."""
    return np.asarray(-((gains - SUMMIT) ** 2).sum(axis=0))


def test_it_climbs() -> None:
    found = list(evolve(height, Evolution(), 0, 150, NOTHING))
    assert [round_.done for round_ in found[:3]] == [1, 2, 3]
    assert np.abs(found[-1].gains - SUMMIT).max() < 0.4 and found[-1].score > found[0].score


def test_it_goes_on_from_its_file_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = list(evolve(height, Evolution(), 3, 6, NOTHING))[-1]
    half = list(evolve(height, Evolution(), 3, 2, NOTHING))[-1]
    gains = dict(zip(JOINTS, half.gains.T.tolist(), strict=True))
    write_trained(tmp_path / "it.json", TrainedFile(3, asdict(Evolution()), half.done, half.score, gains))
    file = read_trained(tmp_path / "it.json")
    again = list(evolve(height, Evolution(), 3, 6, Round(file.done, file.score, file.of(JOINTS))))
    assert len(again) == 4 and again[-1].done == 6
    np.testing.assert_array_equal(again[-1].gains, whole.gains)
    np.testing.assert_array_equal(file.of(("a", "x"))[:, 1], 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "x"}, "is not of schema"),
        ({"seed": "x"}, "how it was trained"),
        ({"done": -1}, "how far"),
        ({"done": True}, "how far"),
        ({"done": 3.7}, "how far"),
        ({"score": np.nan}, "how far"),
        ({"evolution": {"pairs": "x"}}, "how it was trained"),
        ({"gains": {}}, "4 finite gains"),
        ({"gains": {"a": [1.0, 2.0]}}, "4 finite gains"),
        ({"gains": {"a": [1.0, 2.0, 3.0, np.inf]}}, "4 finite gains"),
        ({"gains": {"a": [1.0, 2.0, 3.0, 10**400]}}, "4 finite gains"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "it.json"
    write_trained(file, TrainedFile(3, {}, 0, 0.0, {"a": [0.0] * 4}))
    table = json.loads(file.read_text())
    file.write_text(json.dumps(table | change))
    with pytest.raises(ValueError, match=said):
        read_trained(file)
    with pytest.raises(PoiseError, match="give a file that `poise train adversary` has written"):
        trained_gains(file, ("a",))


def test_an_adversary_may_be_a_file_of_ones_own(g1: RobotModel, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    write_trained(file, TrainedFile(0, {}, 1, 0.0, {"left_knee_joint": [np.arctanh(0.5), 0.0, 0.0, 0.0]}))
    make = known_adversary(str(file))
    assert make is not None and known_adversary("nobody") is None
    asked = make(g1, np.random.default_rng(0), 0.002)(g1.posture, np.zeros(g1.n)).tau
    knee = g1.joint_names.index("left_knee_joint")
    assert asked[knee] == pytest.approx(0.5 * Trained.most * g1.torque_limit[knee]) and not np.delete(asked, knee).any()


def test_the_packaged_one_brings_joints_nearer_to_their_limits_than_no_gains_or_those_of_other_joints(g1: RobotModel) -> None:
    trial, found = Trial(g1, SafetyConfig(), 0.002, 150), Trained(g1, np.random.default_rng(0), 0.002)
    other = np.random.default_rng(1).permuted(found.gains, axis=1)
    trained, permuted, none = (np.mean([trial(gains, seed) for seed in (901, 902)]) for gains in (found.gains, other, 0.0 * found.gains))
    assert trained > 1.2 * none and trained > permuted > none


def test_the_operator_replayed_moves_as_recorded_between_jumps(g1: RobotModel) -> None:
    operator = Teleoperated(g1, np.random.default_rng(0), 0.002)
    targets = np.array([operator(g1.posture, np.zeros(g1.n)).q for _ in range(5000)])
    pace = np.abs(np.diff(targets, axis=0)).max(axis=1) / 0.002
    jumps = np.flatnonzero(pace > 20.0) + 1
    assert jumps.size > 10 and not (jumps % 200).any(), "every 0.4 s, if at all"
    still = [bool((np.diff(part, axis=0) == 0.0).all()) for part in np.split(targets, 25)]
    assert 2 <= sum(still) <= 10, "the link is lost now and then"
    assert (targets >= g1.position_min - 0.05).all() and (targets <= g1.position_max + 0.05).all(), "a person asked for it"
    assert np.ptp(targets, axis=0).min() > 1e-3, "every joint moves"
