"""Planted incidents: each a real run, of which the cause is told by what is recorded, and tried by leaving it out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run_main
from sample_run import sample_run

from poise.control import proposals
from poise.control.dynamics import Dynamics, fill_frames
from poise.control.safety import Certifier, SafetyConfig
from poise.control.support import Support
from poise.launch import counterfactual as module
from poise.launch.again import Lifted
from poise.launch.bench_runs import MakeStack
from poise.launch.closed_loop import OPTIONS, RunPlan
from poise.launch.explain import explain
from poise.robots import Intent, JointCommand, PoiseError, RecordError, RobotModel
from poise.robots.record import LogWriter
from poise.robots.types import Array
from poise.sim import pushing
from poise.sim.disturbances import Push
from poise.sim.faults import SensorFault
from poise.sim.locomotion import SCHEMA, LocomotionConfig, LocomotionWork, fall_name
from poise.sim.scenarios import Scenario, Segment

LEFT, NOTHING = (0.0, 1.0, 0.0), 2.0  # N·s that a robot does not notice


def push(newton_second: float, start_s: float) -> Push:
    return Push("torso_link", LEFT, newton_second, start_s, frame="heading")


def through_the_trunk(robot: RobotModel) -> Array:
    """Arms crossed in the trunk."""
    inward = {"shoulder_roll": -0.9, "shoulder_yaw": -0.6}
    arms = robot.posture[robot.arms].copy()
    for i, name in enumerate(robot.arm_joints):
        for part, angle in inward.items():
            if part in name:
                arms[i] = angle if name.startswith("left") else -angle
    return arms


def scenario(name: str, robot: RobotModel) -> Scenario:
    """Something harmless, and what makes the incident."""
    stand, walk = Segment(9.0, Intent()), Segment(9.0, Intent(velocity=(0.4, 0.0, 0.0)))
    blind = SensorFault("joint_velocity", "nan", 0.9, 0.2)
    crossed = Segment(9.0, Intent(arms=through_the_trunk(robot)))
    return {
        "push": Scenario(name, (stand,), (push(NOTHING, 0.3), push(60.0, 0.5)), 1.2),
        "step": Scenario(name, (stand,), (push(NOTHING, 0.3), push(17.0, 0.5)), 0.8),
        "fault": Scenario(name, (walk,), (push(NOTHING, 0.5),), 1.15, (blind,)),
        "request": Scenario(name, (Segment(0.6, Intent()), crossed), (push(NOTHING, 0.4),), 0.8),
    }[name]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planted here shows at once."""
    monkeypatch.setattr(module, "FALL_S", 1.0)
    monkeypatch.setattr(module, "MORE_S", 0.1)


@pytest.fixture(scope="module", autouse=True)
def _unjudged() -> Iterator[None]:
    """The world model would not let the arms into the trunk: here it is not asked, so that the certifier has something to change."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(proposals, "given_arms", lambda intent: None)
        yield


@pytest.fixture(scope="module")
def runs(g1: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each run."""
    out, found = tmp_path_factory.mktemp("runs"), {}
    for name in ("push", "step", "fault", "request"):
        plan = RunPlan("walk", lambda seed, name=name: scenario(name, g1), mode="model", out=str(out))  # type: ignore[misc]
        found[name] = Path(plan(3)["folder"])
    return found


INCIDENTS = [  # run, its moment, kind of the incident and of its cause, the cause, and something harmless beside it
    ("push", 0.9, "fell", "push", "push-2", "push-1"),
    ("step", 0.7, "stepped", "push", "push-2", "push-1"),
    ("fault", 1.0, "safe", "sensor", "fault-1", "push-1"),
    ("request", 0.7, "changed", "request", "request-2", "push-1"),
]


@pytest.mark.parametrize(("name", "at_s", "kind", "cause", "done", "harmless"), INCIDENTS, ids=[case[0] for case in INCIDENTS])
def test_the_cause_is_named_and_leaving_it_out_and_nothing_else_prevents_the_incident(
    runs: dict[str, Path], name: str, at_s: float, kind: str, cause: str, done: str, harmless: str
) -> None:
    told = explain(runs[name], at_s, without=done)
    assert (told["incident"]["kind"], told["cause"]["kind"], told["cause"]["done"]) == (kind, cause, done)
    assert {each["done"] for each in told["evidence"]} <= {done, None}, "what is harmless is seen as nothing"
    assert {done, harmless} <= {candidate["name"] for candidate in told["candidates"]}
    assert told["counterfactual"]["needed"] and told["counterfactual"]["as_it_was"]["incident"]
    assert not told["counterfactual"]["without_it"]["incident"] and not told["counterfactual"]["without_it"]["fell"]
    assert told["sentences"][-1].startswith(f"Without {done} it does not happen: ")
    control = explain(runs[name], at_s, without=harmless)
    assert control["cause"] == told["cause"]
    assert not control["counterfactual"]["needed"] and control["counterfactual"]["without_it"]["incident"]
    assert control["sentences"][-1].startswith(f"Without {harmless} it happens all the same: ")
    json.dumps(control, allow_nan=False)


def test_a_push_is_measured_not_read(runs: dict[str, Path]) -> None:
    figures = explain(runs["push"], 0.9)["cause"]["figures"]
    assert figures["impulse_ns"] == pytest.approx(60.0, rel=0.1)
    assert figures["left_ns"] > 0.95 * figures["impulse_ns"]


def test_sentences_say_what_when_and_how_long_before(runs: dict[str, Path]) -> None:
    text = " ".join(explain(runs["fault"], 1.0)["sentences"])
    assert "Incident: the safe command was sent from 0.920 to 1.098 s (joint velocities not finite: every joint is damped)." in text
    assert (
        "Cause: joint velocities not finite from 0.900 s on, for 198 ms, 0.02 s before; what was done then: fault-1, joint velocity" in text
    )
    assert "a request that changed the arms' posture, seen from 0.60 s on" in " ".join(explain(runs["request"], 0.7)["sentences"])


def test_a_bound_that_is_lifted_is_not_what_changes_the_torques(runs: dict[str, Path]) -> None:
    """Nothing keeps the arms out of the trunk any more."""
    without = explain(runs["request"], 0.7, without="bound-clearance")["counterfactual"]
    assert without["needed"] and without["without_it"]["ticks"] == without["as_it_was"]["ticks"]


@pytest.mark.parametrize("bound", ["torque", "motion", "power"])
def test_the_other_bounds_stay(g1: RobotModel, bound: str) -> None:
    d, zero = Dynamics(g1), np.zeros(g1.n)
    d.run(np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3), g1.position_max - 0.01, 0.9 * g1.velocity_limit)
    fill_frames(d.source, d.frames, d.terms)
    request = JointCommand(g1.posture, zero, zero, zero, 1.5 * g1.torque_limit, g1.torque_limit)

    def kinds(certifier: Certifier) -> set[str]:
        return {reason.split()[0] for reason in certifier.certify(d, request, Support.NONE)[1].reasons}

    config = SafetyConfig()
    assert kinds(Certifier(g1, config, 0.002)) >= {"torque", "motion", "power"}
    assert kinds(Lifted(g1, config, bound, 0.002)) & {"torque", "motion", "power"} == {"torque", "motion", "power"} - {bound}
    assert np.array_equal(
        Lifted(g1, config, bound, 0.002).damping(zero).torque_limit, Certifier(g1, config, 0.002).damping(zero).torque_limit
    )


def test_the_command_prints_both_outcomes_and_writes_them(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("explain", str(runs["step"]), "--at", "0.7", "--without", "push-1", "--json", "-") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["counterfactual"]["without"] == "push-1"
    assert "As it was: the robot did not fall; status ok throughout; DCM error up to" in err and "Without push-1: " in err
    for arguments, words in (
        (("--at", "0.7", "--without", "push-9"), "--without push-9: no cause of this run; it has push-1, push-2"),
        (("--at", "nan"), "not finite"),
    ):
        assert run_main("explain", str(runs["step"]), *arguments) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1


def test_the_scripted_motion_stands_in_for_a_policy_s(g1: RobotModel, tmp_path: Path) -> None:
    """A stand steps when it is pushed, whoever proposes."""
    folder = RunPlan("walk", lambda seed: scenario("step", g1), mode="hybrid", out=str(tmp_path))(3)["folder"]
    told = explain(folder, 0.7, without="proposals")
    assert told["cause"]["done"] == "push-2" and not told["counterfactual"]["needed"]
    as_it_was, without = told["counterfactual"]["as_it_was"], told["counterfactual"]["without_it"]
    assert as_it_was["incident"] and without["incident"] and as_it_was["largest_dcm_error_m"] != without["largest_dcm_error_m"]


def test_nothing_is_left_out_of_a_run_that_is_not_the_one_recorded(
    runs: dict[str, Path], g1: RobotModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scenario("push", g1)
    other = Scenario(made.name, made.segments, (push(4.0, 0.3), *made.pushes[1:]), made.seconds)
    monkeypatch.setattr(module, "scenario_of", lambda log: other)
    with pytest.raises(RecordError, match=r"differs from its recording at tick 1\d\d in \w+: recorded .*; use the versions"):
        explain(runs["push"], 0.9, without="push-2")


@pytest.mark.parametrize(
    ("config", "words"), [({}, "does not say how it was run"), ({"steered": True}, "was steered from its page")], ids=["older", "steered"]
)
def test_what_cannot_be_made_again_is_refused_in_one_line(g1: RobotModel, tmp_path: Path, config: dict[str, Any], words: str) -> None:
    known = {"scenario": scenario("step", g1)} | (dict.fromkeys(OPTIONS) | {"command": "walk"} if config else {})
    with LogWriter(tmp_path / "log.mcap", g1, {"config": known | config, "seed": 0}) as writer:
        for sample in sample_run(g1, 1.0):
            writer.write(*sample)
    with pytest.raises(RecordError, match=words) as refused:
        explain(tmp_path, 0.97, without="push-2")
    assert "\n" not in str(refused.value)


def test_where_nothing_went_wrong_there_is_nothing_to_leave_out(g1: RobotModel, tmp_path: Path) -> None:
    plan = RunPlan(
        "walk", lambda seed: Scenario("calm", (Segment(9.0, Intent()),), (push(NOTHING, 0.1),), 0.2), mode="model", out=str(tmp_path)
    )
    folder = plan(0)["folder"]
    told = explain(folder)
    assert told["incident"] is None and told["cause"] is None and "Incident: none within 1 s." in told["sentences"]
    with pytest.raises(PoiseError, match="nothing went wrong within 1 s"):
        explain(folder, without="push-1")


def test_the_push_of_a_benchmark_s_fall_is_left_out(g1: RobotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its recording begins with the push, and so does the run that is made again."""
    monkeypatch.setattr(pushing, "SETTLE_S", 0.4)
    monkeypatch.setattr(pushing, "AFTER_S", 1.5)
    config, maker = LocomotionConfig(), MakeStack("model")
    head = {"schema": SCHEMA, "locomotion": asdict(config), **asdict(maker), "versions": {}}
    case: dict[str, Any] = {"case": "push", "command": [0.0, 0.0, 0.0], "direction": 6, "timing": 0, "seed": 0}
    assert LocomotionWork(g1, maker, config, tmp_path, head)({**case, "first_ns": 70.0})["felled_by_ns"] == 70.0
    told = explain(tmp_path / fall_name(case), without="push-1")
    assert (told["incident"]["kind"], told["cause"]["done"]) == ("fell", "push-1")
    assert told["cause"]["figures"]["left_ns"] < -0.9 * 70.0 * 0.9
    assert told["counterfactual"]["needed"] and told["counterfactual"]["as_it_was"]["fell"]
    assert np.isclose(told["counterfactual"]["from_s"], 0.4)
