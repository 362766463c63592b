"""The regression suite of the certifier: what it holds back stays so, and what is planted to make it worse is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poise.control.gate import Gate, GateConfig
from poise.control.safety import Certifier, SafetyConfig
from poise.launch.safety_suite import MakeGuard, render
from poise.robots import PoiseError, RobotModel
from poise.sim.adversaries import ADVERSARIES
from poise.sim.requesters import MakeRequester
from poise.sim.safety_scenario import packaged_scenarios
from poise.sim.safety_trials import TrialWork
from poise.sim.safety_verdict import baseline_of, check_baseline, reduction, regressions, table

BASELINE: dict[str, Any] = json.loads((Path(__file__).parent / "baseline.json").read_text(encoding="utf-8"))
CASES = [("rig_faults", "pumping"), ("rig_heavy", "jumping"), ("stand_light", "oscillating"), ("stride", "saturated")]


@pytest.fixture(scope="module")
def work(g1: RobotModel) -> TrialWork:
    """Runs any case of the packaged scenarios."""
    names = {requester: MakeRequester(requester) for requester in ADVERSARIES}
    return TrialWork(g1, packaged_scenarios(), MakeGuard(GateConfig()), SafetyConfig(), names)


def run(work: TrialWork, scenario: str, requester: str, certified: bool = True) -> dict[str, Any]:
    return work({"scenario": scenario, "requester": requester, "seed": 0, "certified": certified})


def test_the_baseline_is_of_every_packaged_scenario() -> None:
    assert {name.split()[0] for name in BASELINE} == set(packaged_scenarios())
    assert not any(case["fell"] for case in BASELINE.values())


@pytest.mark.parametrize(("scenario", "requester"), CASES)
def test_nothing_is_worse_than_it_was(work: TrialWork, scenario: str, requester: str) -> None:
    certified = run(work, scenario, requester)
    assert regressions([certified], BASELINE) == []
    assert all(bound["ticks"] == 0 for bound in certified["sent"].values())


def test_without_the_certifier_bounds_are_broken_and_the_robot_falls(work: TrialWork) -> None:
    runs = [run(work, "stand_light", "oscillating", certified) for certified in (False, True)]
    off, on = table(runs)
    assert (off["certifier"], off["falls"], on["falls"], on["sent"]) == ("off", 1, 0, 0)
    assert off["position"] > 10 and off["velocity"] > 10 and off["sent"] > 10
    found = reduction(runs)
    assert found["position"] == found["velocity"] == 1.0
    result = {"table": [off, on], "reduction": found, "runs": runs, "scenarios": {}, "robot": "g1"}
    assert "stand_light" in render(result) and "100.00 %" in render(result)


def lines_with(work: TrialWork, plant: Callable[[pytest.MonkeyPatch], None], scenario: str, requester: str) -> list[str]:
    """What the suite says of a case with something planted."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        return regressions([run(work, scenario, requester)], BASELINE)


def loosened(patch: pytest.MonkeyPatch) -> None:
    """The certifier's torque limit, by one per cent."""
    begin = Certifier.__init__

    def init(self: Certifier, *args: Any) -> None:
        begin(self, *args)
        self._limits[3] *= 1.01

    patch.setattr(Certifier, "__init__", init)


def test_a_bound_loosened_by_one_per_cent_is_named(work: TrialWork) -> None:
    (line, *_) = [line for line in lines_with(work, loosened, "rig", "white") if "torque" in line]
    assert "sent beyond its bound, margin -0.01" in line and " s; again: poise bench safety --scenarios rig " in line


def test_a_rung_that_is_removed_is_named(work: TrialWork) -> None:
    lines = lines_with(work, lambda patch: patch.setattr(Gate, "__call__", lambda *_: ""), "stand_light", "oscillating")
    assert any("rung 'safe stop' is not entered any more" in line for line in lines)
    assert any("falls at" in line for line in lines)


def test_a_clip_that_is_skipped_is_named(work: TrialWork) -> None:
    def skipped(patch: pytest.MonkeyPatch) -> None:
        patch.setattr("poise.control.safety._Case.inside", lambda self, torque: torque)

    lines = lines_with(work, skipped, "stride", "misordered")
    assert any("torque jump of" in line and "sent beyond its bound" in line for line in lines), lines


def test_a_baseline_that_is_none_is_refused(work: TrialWork) -> None:
    certified = run(work, "rig", "misordered")
    assert regressions([certified], baseline_of([certified])) == []
    with pytest.raises(PoiseError, match="baseline"):
        regressions([certified], {"rig misordered 0": {"fell": False}})
    for change in ({"rungs": "abc"}, {"margins": {"position": float("nan")}}):
        with pytest.raises(PoiseError, match="not as --save-baseline writes it"):
            check_baseline({"rig misordered 0": baseline_of([certified])["rig misordered 0"] | change})
