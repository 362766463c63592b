"""The locomotion protocol on a stack that walks: what its cases measure, and how they are summed up."""

from __future__ import annotations

import numpy as np
import pytest

from poise.launch.bench_runs import MakeStack
from poise.robots import PoiseError, RobotModel
from poise.sim import pushing, tracking
from poise.sim.locomotion import LocomotionConfig, LocomotionWork, summarise
from poise.sim.pushing import DIRECTIONS, PUSH_STEP_NS, TIMINGS, push_cases, push_summary


def work(g1: RobotModel) -> LocomotionWork:
    """Of the scripted mode: it loads no network."""
    return LocomotionWork(g1, MakeStack("model"), LocomotionConfig())


def test_a_tracked_velocity_is_measured(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "TRACKING_S", 4.0)
    case = {"case": "tracking", "command": [0.4, 0.0, 0.0], "seed": 1}
    run = work(g1)(case)
    assert case.items() == {key: run[key] for key in case}.items()
    assert not run["fell"] and run["survival_s"] == pytest.approx(4.0)
    assert run["mean_velocity"][0] == pytest.approx(0.4, abs=0.1)
    assert 0.6 < run["gait_period_s"] < 1.2
    assert all(0.0 < gait < raw for gait, raw in zip(run["rmse_gait"], run["rmse"], strict=True))
    assert 0.1 < run["positive_cost_of_transport"] < run["cost_of_transport"]
    assert run["mu"] == pytest.approx(0.8)


def test_pushes_go_up_to_the_first_that_fells_it(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 60 N·s and a second after each: one of these no humanoid of 35 kg takes."""
    monkeypatch.setattr(pushing, "PUSH_STEP_NS", 60.0)
    monkeypatch.setattr(pushing, "AFTER_S", 1.5)
    run = work(g1)({"case": "push", "command": [0.4, 0.0, 0.0], "direction": 2, "timing": 1, "seed": 0})
    assert (run["fell"], run["strict_ns"], run["felled_by_ns"]) == (False, 0.0, 60.0)
    monkeypatch.setattr(pushing, "PUSH_STEP_NS", 2.0)
    monkeypatch.setattr(pushing, "PUSH_MOST_NS", 4.0)
    run = work(g1)({"case": "push", "command": [0.0, 0.0, 0.0], "direction": 0, "timing": 2, "seed": 0})
    assert (run["fell"], run["strict_ns"], run["felled_by_ns"]) == (False, 4.0, None)


def test_where_no_step_begins_it_says_so(g1: RobotModel) -> None:
    with pytest.raises(PoiseError, match="no step begins"):
        work(g1)({"case": "push", "command": [1e-3, 0.0, 0.0], "direction": 0, "timing": 0, "seed": 0})


def test_the_push_cases_are_those_of_the_protocol() -> None:
    pushes = push_cases([3])
    assert len(pushes) == 2 * DIRECTIONS * TIMINGS == len({tuple(map(str, case.values())) for case in pushes})
    assert PUSH_STEP_NS == 5.0


def pushed(strict: float, direction: int) -> dict[str, object]:
    return {"case": "push", "command": [0.5, 0.0, 0.0], "direction": direction, "fell": False, "strict_ns": strict}


def test_pushes_are_summed_up_by_direction() -> None:
    summary = push_summary([pushed(10.0, 0), pushed(40.0, 2), pushed(15.0, 2), pushed(20.0, 2)])
    assert list(summary) == ["walking"]
    walking = summary["walking"]
    assert (walking["runs"], walking["min_newton_second"], walking["median_newton_second"]) == (4, 10.0, 17.5)
    assert walking["directions"] == [
        {"angle_deg": 0.0, "min_newton_second": 10.0, "median_newton_second": 10.0},
        {"angle_deg": 90.0, "min_newton_second": 15.0, "median_newton_second": 20.0},
    ]


def test_the_result_has_its_keys() -> None:
    figures = {"mean_velocity": [0.0, 0.0, 0.0], "rmse": [0.1, 0.1, 0.1], "rmse_gait": [0.0, 0.0, 0.0], "drift_m": 0.01, "power_w": 4.0}
    stood = {
        "case": "tracking",
        "command": [0.0, 0.0, 0.0],
        "fell": False,
        "interventions": 0.25,
        "cost_of_transport": None,
        "positive_cost_of_transport": None,
    }
    result = summarise([stood | figures, pushed(10.0, 0)])
    assert list(result) == ["summary", "tracking", "push", "cases", "energy"]
    assert (result["summary"]["runs"], result["summary"]["tracking_runs"], result["summary"]["tracking_falls"]) == (2, 1, 0)
    assert result["cases"] == [{"name": "tracking 0 0 0", "survived": 1, "crossed": None, "of": 1}]
    assert result["energy"]["standing_power_w"] == 4.0 and result["summary"]["tracking_interventions"] == 0.25
    np.testing.assert_allclose(result["tracking"][0]["rmse"], 0.1)
    empty = summarise([])
    assert (empty["tracking"], empty["push"], empty["energy"]["standing_power_w"]) == ([], {}, None)
