"""Adversaries from data: one that learns against the certifier, and one that replays an operator."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from poise.control.safety import SafetyConfig
from poise.robots import RobotModel
from poise.robots.types import Array
from poise.sim.adversaries import Teleoperated, Trained
from poise.sim.adversary_training import Evolution, Round, Trial, evolve, from_table, to_table

JOINTS = ("a", "b", "c")
NOTHING = Round(0, 0.0, np.zeros((Trained.inputs, len(JOINTS))))
SUMMIT = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.0, -1.5]])


def height(gains: Array, seed: int) -> Array:
    """A hill for each joint, with its summit at SUMMIT."""
    return np.asarray(-((gains - SUMMIT) ** 2).sum(axis=0))


def test_it_climbs() -> None:
    found = list(evolve(height, Evolution(rounds=150), 0, NOTHING))
    assert [round_.done for round_ in found[:3]] == [1, 2, 3]
    assert np.abs(found[-1].gains - SUMMIT).max() < 0.4 and found[-1].score > found[0].score


def test_it_goes_on_from_its_file_as_if_it_had_not_stopped() -> None:
    config = Evolution(rounds=6)
    whole = list(evolve(height, config, 3, NOTHING))[-1]
    half = list(evolve(height, Evolution(rounds=2), 3, NOTHING))[-1]
    file = json.loads(json.dumps(to_table(JOINTS, half, Evolution(rounds=2), 3)))
    again = list(evolve(height, config, 3, from_table(file, JOINTS, config, 3)))
    assert len(again) == 4 and again[-1].done == 6
    np.testing.assert_array_equal(again[-1].gains, whole.gains)


@pytest.mark.parametrize("change", [{"seed": 4}, {"gains": {}}, {"gains": 3}, {"done": "x"}, {"schema": "x"}, {"evolution": {"pairs": 1}}])
def test_a_file_of_another_training_is_refused(change: dict[str, Any]) -> None:
    table = to_table(JOINTS, NOTHING, Evolution(), 3)
    from_table(table, JOINTS, Evolution(rounds=7), 3)
    with pytest.raises(ValueError, match="is"):
        from_table(table | change, JOINTS, Evolution(), 3)


def test_the_packaged_one_brings_joints_nearer_to_their_limits_than_no_gains_or_those_of_other_joints(g1: RobotModel) -> None:
    trial, found = Trial(g1, SafetyConfig(), 0.002, 150), Trained(g1, np.random.default_rng(0), 0.002)
    found(g1.posture, np.zeros(g1.n))
    assert found.gains is not None
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
