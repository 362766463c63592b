"""Recorded runs, replayed three ways: in every bit what was recorded, or found out where not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run_main

from poise.launch import live
from poise.launch.closed_loop import RunPlan
from poise.launch.replay import How, Replay
from poise.launch.replay_run import END_M, replay_run
from poise.robots import Intent, PoiseError, RecordError, RobotModel
from poise.robots.plain import to_plain
from poise.robots.record import Log, read_log
from poise.robots.types import Array
from poise.sim.disturbances import Push
from poise.sim.faults import SensorFault
from poise.sim.replay import apart
from poise.sim.scenarios import Scenario, Segment

LEFT = (0.0, 1.0, 0.0)
HOWS: tuple[How, ...] = ("closed-loop", "open-loop", "estimator")


def scenario(name: str, robot: RobotModel) -> Scenario:
    """Every field of an intent, or what makes the estimator begin anew, or reckon."""
    arms = robot.posture[robot.arms] + 0.1
    stand, walk = Segment(9.0, Intent()), Segment(9.0, Intent(velocity=(0.4, 0.0, 0.0)))
    wishes = (
        Segment(0.3, Intent(height_m=0.6, torso_rpy=(0.0, 0.1, 0.1))),
        Segment(0.503, Intent(arms=arms, velocity=(0.0, 0.0, 0.3))),
        Segment(0.8, Intent(arms_external=True, waypoint=(0.3, 0.1, 0.2))),
        Segment(1.6, Intent(velocity=(0.3, 0.0, 0.0), stamp_s=0.7)),  # stale half a second later: the robot stops
    )
    return {
        "wishes": Scenario(name, wishes, (Push("torso_link", LEFT, 5.0, 0.4),), 1.6),
        "fall": Scenario(name, (stand,), (Push("torso_link", LEFT, 60.0, 0.3),), 1.5),
        "blind": Scenario(name, (walk,), (), 1.2, (SensorFault("gyro_imu", "nan", 0.5, 0.014),)),
        "dead encoder": Scenario(name, (walk,), (), 1.6, (SensorFault("joint_position", "frozen", 0.7, 0.9, "left_knee_joint"),)),
    }[name]


SCENARIOS = ("wishes", "fall", "blind", "dead encoder")


def make(robot: RobotModel, name: str, out: Path, record: str) -> Path:
    """The folder of a run."""
    return Path(RunPlan("walk", lambda seed: scenario(name, robot), mode="model", out=str(out), record=record)(3)["folder"])


@pytest.fixture(scope="module")
def runs(g1: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each run, recorded in full."""
    return {name: make(g1, name, tmp_path_factory.mktemp("runs"), "full") for name in SCENARIOS}


@pytest.fixture(scope="module")
def brief(g1: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(g1, "wishes", tmp_path_factory.mktemp("brief"), "brief")


def replayed(log: Log, how: How = "closed-loop", **options: Any) -> dict[str, Any]:
    return replay_run(log, Replay("run", how=how, **options))


def with_field(log: Log, name: str, change: Callable[[Array], None]) -> Log:
    """The recording with another value in a field."""
    values = log.tick[name].copy()
    change(values)
    return replace(log, tick={**log.tick, name: values})


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_full_recording_replays_bit_for_bit(runs: dict[str, Path], name: str, how: How) -> None:
    log = read_log(runs[name] / "log.mcap")
    result = replayed(log, how)
    assert result["identical"] and result["difference"] is None, result["difference"]
    assert result["ticks"] == len(log.pulse["tick"]) > 250
    if how == "closed-loop":
        assert result["held"] and result["end"]["distance_m"] == 0.0


def test_the_recordings_hold_what_they_are_to_show(runs: dict[str, Path]) -> None:
    logs = {name: read_log(runs[name] / "log.mcap") for name in SCENARIOS}
    last = {name: list(log.intents())[-1] for name, log in logs.items()}
    assert last["wishes"].stamp_s == 0.7 and last["wishes"].velocity is None  # it became stale
    updates = {name: log.tick["belief_updates"] for name, log in logs.items()}
    assert np.isnan(updates["fall"]).any()  # let down without an estimate
    assert np.isnan(updates["blind"]).sum() == 7  # ticks of 14 ms, which are bridged: the estimate goes on
    assert np.nanmax(updates["blind"]) == len(updates["blind"]) - 7
    assert any("encoder" in decision.reason for decision in logs["dead encoder"].decisions)


def test_an_intent_comes_back_as_it_was_given(runs: dict[str, Path], g1: RobotModel) -> None:
    log = read_log(runs["wishes"] / "log.mcap")
    wanted = scenario("wishes", g1)
    for time_s, intent in list(zip(log.tick["state_stamp_s"], log.intents(), strict=True))[:500]:
        asked = wanted.intent(time_s)
        assert to_plain(intent) == to_plain(asked)


@pytest.mark.parametrize(
    ("how", "field", "by", "found", "tick"),
    [
        ("open-loop", "command_tau", 1e-6, "state_", 41),  # N·m for 2 ms: less is rounded away in the plant
        ("closed-loop", "command_tau", 0.0, "command_tau", 40),
        ("estimator", "state_gyro_imu", 1e-12, "belief_", 40),  # rad/s: less is rounded away now and then
    ],
)
def test_the_least_change_is_found_where_it_is(runs: dict[str, Path], how: How, field: str, by: float, found: str, tick: int) -> None:
    """A number that is off by a little, or by one unit in the last place."""

    def nudge(values: Array) -> None:
        values[39, 0] = np.nextafter(values[39, 0] + by, np.inf)

    result = replayed(with_field(read_log(runs["wishes"] / "log.mcap"), field, nudge), how, end=0.2)
    assert not result["identical"]
    assert result["difference"]["tick"] == tick and result["difference"]["field"].startswith(found)


def test_an_estimator_that_missed_ticks_is_compared_all_the_same(runs: dict[str, Path]) -> None:
    """As of a disk that was too slow for some of them: it says so, and finds its way back."""
    log = read_log(runs["wishes"] / "log.mcap")
    there = np.ones(len(log.tick["tick"]), dtype=bool)
    there[300:305] = False
    part = replace(log, tick={name: values[there] for name, values in log.tick.items()}, truth={})
    result = replayed(part, "estimator")
    assert not result["identical"] and result["difference"]["tick"] == 306 and "lacks ticks" in result["remarks"][-1]
    largest = {field["field"]: field["largest"] for field in result["fields"]}
    assert largest["belief_base_position_world"] < 0.02


def test_another_seed_ends_near_and_another_intent_does_not(runs: dict[str, Path]) -> None:
    def faster(values: Array) -> None:
        values[200:] = [0.9, 0.0, 0.0]

    log = read_log(runs["blind"] / "log.mcap")
    other = replayed(log, seed=8)
    assert not other["identical"] and other["held"] and 0.0 < other["end"]["distance_m"] < END_M
    assert other["difference"]["tick"] == 1 and other["difference"]["field"] == "state_joint_position"
    elsewhere = replayed(with_field(log, "intent_velocity", faster))
    assert not elsewhere["held"] and elsewhere["end"]["distance_m"] > END_M
    assert elsewhere["difference"]["tick"] == 278  # where the first step begins


def test_a_brief_recording_goes_through_the_stack_and_no_other_way(brief: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = replayed(read_log(brief / "log.mcap"))
    assert result["identical"] and result["held"] and result["ticks"] == 160
    for how in ("open-loop", "estimator"):
        assert run_main("replay", str(brief), "--how", how) == 2
        assert "--record full" in capsys.readouterr().err


def test_a_part_is_compared_alone(runs: dict[str, Path]) -> None:
    def nudge(values: Array) -> None:
        values[39, 0] = np.nextafter(values[39, 0], np.inf)

    log = with_field(read_log(runs["wishes"] / "log.mcap"), "command_q", nudge)
    assert not replayed(log, end=0.2)["identical"]
    part = replayed(log, start=0.1, end=0.2)
    assert part["identical"] and part["ticks"] == 50
    for start, end in ((0.3, 0.2), (-1.0, None), (99.0, None), (0.0, float("nan"))):
        with pytest.raises(PoiseError, match="--from"):
            replayed(log, start=start, end=end)


def test_a_steered_run_follows_what_was_steered(runs: dict[str, Path]) -> None:
    log = read_log(runs["wishes"] / "log.mcap")
    config = log.meta["config"]
    steered = config | {"steered": True, "scenario": config["scenario"] | {"segments": config["scenario"]["segments"][:1]}}
    assert replayed(replace(log, meta={**log.meta, "config": steered}))["identical"]


class Page:
    """A page on which forward is asked for at once, and a push after half a second."""

    def __init__(self, *given: Any) -> None:
        self.velocity, self.stopped, self.url, self.hint, self.ticks = (0.2, 0.0, 0.1), False, "", "", 0

    def pushed(self) -> bool:
        self.ticks += 1
        return self.ticks == 250

    def update(self, *given: Any) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("how", ["closed-loop", "open-loop"])
def test_what_was_done_on_the_page_is_done_again(g1: RobotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: How) -> None:
    monkeypatch.setattr(live, "Viewer", Page)
    stand = Scenario("page", (Segment(1.0, Intent()),), (), 1.0)
    plan = RunPlan("walk", lambda seed: stand, mode="model", out=str(tmp_path), record="full", port=8080)
    log = read_log(Path(plan(3)["folder"]) / "log.mcap")
    (note,) = log.notes
    assert note["push"]["impulse"] == 10.0 and list(log.intents())[400].velocity == (0.2, 0.0, 0.1)
    assert replayed(log, how)["identical"]
    without = replayed(replace(log, notes=()), how)
    assert without["difference"]["tick"] == 252  # what the push did in the period after tick 251


def test_a_replay_is_shown(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page()
    monkeypatch.setattr(live, "Viewer", lambda *given: page)
    for how in ("closed-loop", "open-loop"):
        page.ticks = 0
        assert replayed(read_log(runs["wishes"] / "log.mcap"), how, end=0.2, view=True, speed=100.0)["identical"]  # the page steers nothing
        assert page.ticks == 100


def test_a_recording_of_a_robot_is_walked_on_the_default_plant(runs: dict[str, Path]) -> None:
    """It says neither plant nor scenario: the fall's push does not come again."""
    log = replace(read_log(runs["fall"] / "log.mcap"), meta={"seed": 3})
    result = replayed(log)
    assert result["difference"] is not None and not result["fell"]
    with pytest.raises(PoiseError, match="closed-loop"):
        replayed(log, "open-loop")


def test_the_command_prints_draws_and_returns(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "replay.json", tmp_path / "replay.png"
    options = ["--how", "estimator", "--json", str(out), "--plot", str(picture)]
    assert run_main("replay", str(runs["wishes"] / "log.mcap"), *options) == 0
    printed = capsys.readouterr().out
    assert "identical over 800 ticks" in printed and "drift" in printed
    result = json.loads(out.read_text())
    assert result["how"] == "estimator" and result["truth"]["recorded"] == result["truth"]["replayed"]
    assert result["truth"]["recorded"]["largest_m"] < 0.05
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run_main("replay", str(runs["wishes"]), "--seed", "4", "--to", "0.4") == 0  # another run, that ends near
    assert "state_joint_position" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--plot", "replay.txt"], "--plot replay.txt: give a file ending in"),
        (["--how", "open-loop", "--seed", "4"], "use --how closed-loop"),
        (["--how", "estimator", "--view"], "--view shows a plant"),
        (["--view", "--speed", "0"], "--speed 0: give a number above 0"),
        (["--plant", "none.xml"], "none.xml"),
        (["--seed", "-1"], "--seed -1: give a whole number"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    runs: dict[str, Path], options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("replay", str(runs["wishes"]), *options) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_what_is_no_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("replay", str(tmp_path)) == 2
    assert "log.mcap" in capsys.readouterr().err
    with pytest.raises(RecordError, match="cannot be read"):
        read_log(tmp_path / "none.mcap")


def test_poses_are_compared_from_their_own_starts() -> None:
    """By hand: the second way is the first one turned by 90° and moved; then 3 cm further."""
    a = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.1], [2.0, 1.0, 0.2]])
    b = np.array([[5.0, 5.0, np.pi / 2], [5.0, 6.0, np.pi / 2 + 0.1], [4.0, 7.03, np.pi / 2 + 0.25]])
    np.testing.assert_allclose(apart(a, b), [[0.0, 0.0], [0.0, 0.0], [0.03, 0.05]], atol=1e-12)
    b[0] = np.nan  # not known: they are seen from the second
    assert np.isnan(apart(a, b)[0]).all() and apart(a, b)[1].max() < 1e-12
