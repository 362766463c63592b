"""Any scenario of the safety suite is refused in one line, or can be run: its numbers are inside what the check lets pass."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from mutation import fuzzed, read_or_refused, root, spoilt, texts, toml

from poise.robots import PoiseError, RobotModel
from poise.sim.noise import NOISE
from poise.sim.safety_scenario import SafetyScenario, read_scenario
from poise.sim.safety_verdict import regressions

TEXT = (root() / "sim/safety_scenarios/stand_faults.toml").read_text(encoding="utf-8")
RUN = {"scenario": "it", "requester": "who", "seed": 0, "certified": True, "fell_s": None, "sent": {}, "rungs": {}}
BASELINE = {"it who 0": {"fell": False, "margins": {"position": 0.1}, "rungs": ["safe stop"]}}


def read(folder: Path, robot: RobotModel, content: bytes | str) -> SafetyScenario | None:
    """The scenario of a file with that content, if it can be run on the robot."""
    path = folder / "odd.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    scenario = read_or_refused(lambda: read_scenario(path), path)
    if scenario is None:
        return None
    try:
        scenario.check(robot)
    except PoiseError as error:
        assert "\n" not in str(error) and "odd" in str(error)
        return None
    return scenario


def assert_sound(scenario: SafetyScenario) -> None:
    plant = scenario.plant
    assert 0.0 <= scenario.from_s < scenario.seconds <= 60.0 and len(scenario.velocity) == 3
    assert 0.5 <= plant.mass <= 2.0 and 0.0 <= plant.dropped <= 0.5 and plant.noise in NOISE
    assert all(0.0 < share <= 1.0 for share in plant.weak.values())


@fuzzed(100)
@given(table=spoilt(tomllib.loads(TEXT)))
def test_a_scenario_with_odd_entries(folder: Path, g1: RobotModel, table: dict[str, Any]) -> None:
    if (scenario := read(folder, g1, toml(table))) is not None:
        assert_sound(scenario)


@fuzzed(60)
@given(content=texts(TEXT))
def test_a_damaged_scenario(folder: Path, g1: RobotModel, content: bytes) -> None:
    if (scenario := read(folder, g1, content)) is not None:
        assert_sound(scenario)


@fuzzed(100)
@given(baseline=spoilt(BASELINE))
def test_a_baseline_with_odd_entries(baseline: dict[str, Any]) -> None:
    run = RUN | {"happened": {"position": {"ticks": 1, "worst": 0.2, "time_s": 0.1, "of": "left_knee_joint"}}}
    try:
        lines = regressions([run], baseline)
    except PoiseError as error:
        assert "\n" not in str(error)
        return
    assert all(isinstance(line, str) for line in lines)
