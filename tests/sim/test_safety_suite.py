"""The parts of the safety suite: scenario files, who asks, plants with errors, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poise.control.safety import SafetyConfig
from poise.launch.bench_runs import MakeStack
from poise.robots import Intent, JointCommand, PoiseError, RobotModel
from poise.robots.commands import hold_command
from poise.robots.types import Array
from poise.sim.requesters import MakeRequester
from poise.sim.safety_scenario import PlantErrors, SafetyScenario, packaged_scenarios, read_scenario
from poise.sim.safety_trials import Count, TrialWork
from poise.sim.safety_verdict import reduction, regressions, table


class Polite:
    """Holds the posture that it finds."""

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float) -> None:
        self.robot = robot

    def __call__(self, q: Array, v: Array) -> JointCommand:
        """Hold."""
        return hold_command(self.robot, self.robot.posture)


def work(g1: RobotModel, scenario: SafetyScenario, requester: MakeRequester) -> TrialWork:
    return TrialWork(g1, {"it": scenario}, MakeStack("model"), SafetyConfig(), {"who": requester})


def run(g1: RobotModel, scenario: SafetyScenario, requester: MakeRequester, certified: bool = True) -> dict[str, Any]:
    return work(g1, scenario, requester)({"scenario": "it", "requester": "who", "seed": 0, "certified": certified})


# -- scenario files -----------------------------------------------------------------------------------------------


def test_every_packaged_scenario_can_be_run_and_says_what_it_is(g1: RobotModel) -> None:
    found = packaged_scenarios()
    assert {"rig", "stand", "stride"} <= set(found)
    for scenario in found.values():
        scenario.check(g1)
        assert scenario.about
    assert found["rig"].plant.sees_truly and found["rig_heavy"].plant.sees_truly and not found["rig_faults"].plant.sees_truly


def test_a_file_is_read_with_defaults_for_what_it_does_not_say(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('seconds = 2\nvelocity = [0.3, 0, 0]\n[plant]\nweak = { left_knee_joint = 0.5 }\ndead = ["left_elbow_joint"]\n')
    expected = SafetyScenario("mine", seconds=2, velocity=(0.3, 0.0, 0.0))
    assert read_scenario(file) == replace(expected, plant=PlantErrors(weak={"left_knee_joint": 0.5}, dead=("left_elbow_joint",)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("second = 2", "unknown key second, known: about"),
        ("[plant]\nmas = 1.0", "unknown key plant.mas"),
        ("seconds = 'two'", "seconds 'two'"),
        ("velocity = [1.0, 2.0]", "velocity"),
        ("seconds = 2\nseconds = 3", "mine.toml"),
        ("plant = 3", "plant is no table"),
        ("[plant]\nweak = { left_knee_joint = 'half' }", "plant.weak"),
        ("[plant]\ndead = [3]", "plant.dead"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PoiseError, match=said.replace("[", r"\[")) as caught:
        read_scenario(tmp_path / "mine.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "air"},
        {"seconds": 0.0},
        {"seconds": float("nan")},
        {"takeover_s": 3.0},
        {"velocity": (9.0, 0.0, 0.0)},
        {"plant": PlantErrors(mass=3.0)},
        {"plant": PlantErrors(noise="loud")},
        {"plant": PlantErrors(latency_s=-0.1)},
        {"plant": PlantErrors(dropped=0.9)},
        {"plant": PlantErrors(weak={"left_knee_joint": 0.0})},
        {"plant": PlantErrors(dead=("nose",))},
    ],
)
def test_what_cannot_be_run_is_refused_with_what_can(g1: RobotModel, wrong: dict[str, Any]) -> None:
    with pytest.raises(PoiseError, match="scenario it: .*: "):
        replace(SafetyScenario("it"), **wrong).check(g1)


def test_a_file_cannot_name_its_scenario(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "yours"\n')
    with pytest.raises(PoiseError, match="unknown key name, known: about, start"):
        read_scenario(file)


def test_on_the_rig_somebody_else_asks_from_the_start() -> None:
    assert SafetyScenario("it", start="rig").from_s == 0.0 and SafetyScenario("it").from_s == 0.5


# -- who asks -----------------------------------------------------------------------------------------------------


def test_a_class_of_the_users_own_asks(g1: RobotModel) -> None:
    state = work(g1, SafetyScenario("it"), MakeRequester("white")).backend(SafetyScenario("it"), 0).read()
    asked = MakeRequester(f"{__name__}:Polite")(g1, 0, 0.002)(state, Intent())
    np.testing.assert_array_equal(asked.q, g1.posture)


@pytest.mark.parametrize("name", ["nobody", "no.such.module:Class", "poise.sim.adversaries:NoSuch"])
def test_nobody_is_refused_with_who_is_known(g1: RobotModel, name: str) -> None:
    with pytest.raises(PoiseError, match="give one of white, .*module:Class"):
        MakeRequester(name)(g1, 0, 0.002)


def test_a_class_that_is_none_of_a_requester_is_refused_in_one_line(g1: RobotModel) -> None:
    with pytest.raises(PoiseError, match="cannot be called with robot, generator and period") as caught:
        MakeRequester("json:JSONDecoder")(g1, 0, 0.002)
    assert "\n" not in str(caught.value)


class Rude(Polite):
    """Gives no command."""

    def __call__(self, q: Array, v: Array) -> JointCommand:
        """Give a word."""
        return "no"  # type: ignore[return-value]


class Failing(Polite):
    """Fails when it is asked."""

    def __call__(self, q: Array, v: Array) -> JointCommand:
        """Fail."""
        raise RuntimeError("never")


@pytest.mark.parametrize(
    ("name", "said"),
    [("Rude", "gave no command for 29 joints"), ("Failing", r"failed when .*, test_safety_suite\.py:\d+\)"), ("Leaving", "failed when")],
)
def test_a_class_that_gives_no_command_is_named(g1: RobotModel, name: str, said: str) -> None:
    state = work(g1, SafetyScenario("it"), MakeRequester("white")).backend(SafetyScenario("it"), 0).read()
    with pytest.raises(PoiseError, match=said) as caught:
        MakeRequester(f"{__name__}:{name}")(g1, 0, 0.002)(state, Intent())
    assert "\n" not in str(caught.value)


class Greedy(Polite):
    """Writes into the robot that it is given."""

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float) -> None:
        super().__init__(robot, rng, period_s)
        robot.torque_limit[:] = 1e9


def test_a_class_that_writes_into_its_robot_changes_nobody_elses(g1: RobotModel) -> None:
    before = g1.torque_limit.copy()
    MakeRequester(f"{__name__}:Greedy")(g1, 0, 0.002)
    np.testing.assert_array_equal(g1.torque_limit, before)


class Leaving(Polite):
    """Ends the process when it is asked."""

    def __call__(self, q: Array, v: Array) -> JointCommand:
        """Leave."""
        raise SystemExit(7)


def test_an_adversary_repeats_with_its_seed(g1: RobotModel) -> None:
    state = work(g1, SafetyScenario("it"), MakeRequester("white")).backend(SafetyScenario("it"), 0).read()
    first, same, other = (MakeRequester("white")(g1, seed, 0.002)(state, Intent()).tau for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1.0


# -- plants with errors, and what is counted ----------------------------------------------------------------------


def test_errors_are_in_the_plant_and_nowhere_else(g1: RobotModel) -> None:
    errors = PlantErrors(mass=1.2, weak={"left_knee_joint": 0.5}, latency_s=0.004)
    scenario = SafetyScenario("it", start="rig", plant=errors)
    backend, sound = (work(g1, s, MakeRequester("white")).backend(s, 0) for s in (scenario, SafetyScenario("it")))
    assert backend.model.body_mass.sum() == pytest.approx(1.2 * sound.model.body_mass.sum())
    knee = g1.joint_names.index("left_knee_joint")
    sent = backend.write(replace(hold_command(g1, g1.posture), torque_limit=g1.torque_limit))
    assert sent.torque_limit[knee] == pytest.approx(0.5 * g1.torque_limit[knee])
    for _ in range(50):
        backend.write(hold_command(g1, g1.posture))
    assert backend.pelvis_height > 0.6 and np.abs(backend.data.qvel[:6]).max() < 1e-3, "the base stands"


def test_states_that_do_not_arrive_are_the_ones_before(g1: RobotModel) -> None:
    scenario = SafetyScenario("it", start="rig", takeover_s=0.0, seconds=0.5, plant=PlantErrors(dropped=0.3))
    backend, stamps = work(g1, scenario, MakeRequester("white")).backend(scenario, 0), []
    for _ in range(200):
        backend.write(hold_command(g1, g1.posture))
        stamps.append(backend.read().stamp_s)
    assert np.mean(np.diff(stamps) < 1e-9) == pytest.approx(0.3, abs=0.1)


def test_a_count_keeps_ticks_the_worst_and_the_first() -> None:
    count = Count(("a", "b"))
    for tick, over in enumerate(([-0.5, -0.1], [0.2, 0.1], [0.1, 0.4], [np.nan, 0.0])):
        count.note(0.1 * tick, {"torque": np.array(over)})
    assert count.to_dict() == {"torque": {"ticks": 3, "worst": 1e9, "time_s": 0.1, "of": "a"}}


def test_a_polite_request_on_the_rig_is_counted_as_nothing(g1: RobotModel) -> None:
    found = run(g1, SafetyScenario("it", start="rig", seconds=0.3, takeover_s=0.0), MakeRequester(f"{__name__}:Polite"))
    assert found["fell_s"] is None and found["ticks"] == 150
    assert not any(bound["ticks"] for what in ("asked", "sent", "happened") for bound in found[what].values())


def test_what_an_adversary_breaks_on_the_rig_the_certifier_keeps(g1: RobotModel) -> None:
    scenario = SafetyScenario("it", start="rig", seconds=0.5, takeover_s=0.0)
    off, on = (run(g1, scenario, MakeRequester("saturated"), certified) for certified in (False, True))
    assert off["happened"]["position"]["ticks"] > 50 and off["sent"]["power"]["ticks"] > 50
    assert not any(bound["ticks"] for what in ("sent", "happened") for bound in on[what].values())
    without, with_ = table([off, on])
    assert (without["certifier"], with_["certifier"], with_["sent"]) == ("off", "on", 0) and without["margins"]["position"] < 0.0
    assert reduction([off, on])["position"] == 1.0


@pytest.mark.filterwarnings("error")
def test_requests_that_are_no_numbers_are_counted_without_a_warning(g1: RobotModel) -> None:
    scenario = SafetyScenario("it", start="rig", seconds=0.1)
    off, on = (run(g1, scenario, MakeRequester("not_finite"), certified) for certified in (False, True))
    assert off["asked"]["torque"]["ticks"] > 10 and not any(bound["ticks"] for bound in on["sent"].values())


def test_what_is_worse_than_in_the_baseline_gets_a_line(g1: RobotModel) -> None:
    case = {"scenario": "it", "requester": "who", "seed": 0, "certified": True, "ticks": 9, "rungs": {"filtered": 9}}
    happened = {"position": {"ticks": 2, "worst": 0.2, "time_s": 0.4, "of": "left_knee_joint"}}
    found = case | {"fell_s": 1.5, "asked": {}, "sent": {}, "happened": happened}
    baseline = {"it who 0": {"fell": False, "margins": {"position": 0.01}, "rungs": ["filtered", "nominal", "safe stop"]}}
    fell, margin, rung = regressions([found], baseline)
    assert "falls at 1.50 s" in fell and fell.endswith("poise bench safety --scenarios it --adversaries who --seeds 0")
    assert "position of left_knee_joint at 0.4 s: margin -0.200, it was 0.010" in margin
    assert "rung 'safe stop' is not entered any more" in rung
    baseline["it who 0"] |= {"fell": True, "margins": {"position": -0.18}, "rungs": ["filtered"]}
    assert regressions([found], baseline) == [] and regressions([found], {}) == []
