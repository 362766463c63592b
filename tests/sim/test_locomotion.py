"""The locomotion protocol on a stack that walks: what its cases measure, and how they are summed up."""

from __future__ import annotations

import numpy as np
import pytest

from poise.launch.bench_runs import MakeStack
from poise.robots import PoiseError, RobotModel
from poise.sim import locomotion
from poise.sim.locomotion import (
    DIRECTIONS,
    PUSH_STEP_NS,
    TIMINGS,
    TRACKED,
    LocomotionConfig,
    LocomotionWork,
    push_cases,
    summarise,
    tracking_cases,
)


def work(g1: RobotModel) -> LocomotionWork:
    """Of the scripted mode: it loads no network."""
    return LocomotionWork(g1, MakeStack("model"), LocomotionConfig())


def test_a_tracked_velocity_is_measured(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locomotion, "TRACKING_S", 3.0)
    case = {"case": "tracking", "command": [0.4, 0.0, 0.0], "seed": 1}
    run = work(g1)(case)
    assert case.items() == {key: run[key] for key in case}.items()
    assert not run["fell"] and run["survival_s"] == pytest.approx(3.0)
    assert run["mean_velocity"][0] == pytest.approx(0.4, abs=0.1)
    assert run["cost_of_transport"] > 0.1
    assert run["mu"] == pytest.approx(0.8)


def test_pushes_go_up_to_the_first_that_fells_it(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 60 N·s and a second after each: one of these no humanoid of 35 kg takes."""
    monkeypatch.setattr(locomotion, "PUSH_STEP_NS", 60.0)
    monkeypatch.setattr(locomotion, "AFTER_S", 1.5)
    run = work(g1)({"case": "push", "command": [0.4, 0.0, 0.0], "direction": 2, "timing": 1, "seed": 0})
    assert (run["fell"], run["strict_ns"]) == (False, 0.0)
    monkeypatch.setattr(locomotion, "PUSH_STEP_NS", 2.0)
    monkeypatch.setattr(locomotion, "PUSH_MOST_NS", 4.0)
    run = work(g1)({"case": "push", "command": [0.0, 0.0, 0.0], "direction": 0, "timing": 2, "seed": 0})
    assert (run["fell"], run["strict_ns"]) == (False, 4.0)


def test_where_no_step_begins_it_says_so(g1: RobotModel) -> None:
    with pytest.raises(PoiseError, match="no step begins"):
        work(g1)({"case": "push", "command": [1e-3, 0.0, 0.0], "direction": 0, "timing": 0, "seed": 0})


def test_the_cases_are_those_of_the_protocol() -> None:
    assert len(tracking_cases([0, 1])) == 2 * len(TRACKED)
    pushes = push_cases([3])
    assert len(pushes) == 2 * DIRECTIONS * TIMINGS == len({tuple(map(str, case.values())) for case in pushes})
    assert PUSH_STEP_NS == 5.0


def test_the_summary_by_hand() -> None:
    def tracked(vx: float, seed: int, fell: bool = False) -> dict[str, object]:
        means = {"mean_velocity": [vx, 0.01, 0.0], "cost_of_transport": 0.4 + 0.1 * seed, "drift_m": 3.0}
        return {"case": "tracking", "command": [0.5, 0.0, 0.0], "seed": seed, "fell": fell, **means}

    def pushed(strict: float, direction: int) -> dict[str, object]:
        return {"case": "push", "command": [0.5, 0.0, 0.0], "direction": direction, "fell": False, "strict_ns": strict}

    track, push = summarise([tracked(0.48, 0), tracked(0.51, 1, fell=True), pushed(10.0, 0), pushed(40.0, 1), pushed(15.0, 2)])
    assert (track["runs"], track["falls"], track["drift_m"]) == (2, 1, None)
    np.testing.assert_allclose([track["mean_velocity"], track["worst_error"], track["cost_of_transport"]], [0.495, 0.02, 0.45])
    assert (push["runs"], push["strict_min_ns"], push["strict_median_ns"]) == (3, 10.0, 15.0)
