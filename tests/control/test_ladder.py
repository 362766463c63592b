"""Every rung of the ladder is entered and left by its own cause, alone and in the closed loop; nothing gets stuck or raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from loop import STAND, WALK, Loop, Spoil, g1_parts, make_loop, torques

from poise.control.ladder import CAUSES, Ladder, LadderConfig, Rung, Walk
from poise.control.protocols import Situation
from poise.control.stack_config import StackConfig
from poise.control.wholebody import WholeBodySolution
from poise.robots import Certificate, Decision, Intent, JointCommand, RobotState
from poise.robots.types import RUNGS
from poise.sim import Push

CONFIG, PERIOD_S, HOLD_TICKS = LadderConfig(), StackConfig().period_s, StackConfig().hold_ticks
DESCENT = StackConfig().descent
WELL = Walk("unchanged", "daqp", "stand", 0, 0.0, resting=False)
PARTS: dict[str, tuple[dict[str, Any], bool]] = {  # what a tick is about, as `Walk` and `watch` have it, by the cause that it is
    "where to go is not known": ({}, True),
    "no torque keeps every bound": ({"method": "best"}, False),
    "the whole-body QP fails": ({"source": "hold"}, False),
}


def rungs(decisions: Sequence[Decision]) -> list[str]:
    """The rungs of some decisions in order, without repetitions; a tick that was filtered counts as nominal."""
    said = ["nominal" if decision.rung == "filtered" else decision.rung for decision in decisions]
    return [rung for i, rung in enumerate(said) if i == 0 or said[i - 1] != rung]


# -- the ladder alone ---------------------------------------------------------------------------------------------


def run(ladder: Ladder, seconds: float, walk: Walk = WELL, aimless: bool = False, at_once: str = "") -> list[Rung]:
    """The rungs of a while in which every tick is the same."""
    found = []
    for _ in range(round(seconds / PERIOD_S)):
        ladder.watch(aimless, at_once)
        found.append(ladder.found(walk))
    return found


def test_rungs_are_named_in_their_order() -> None:
    assert tuple(rung.words for rung in Rung) == RUNGS and sorted(Rung) == list(Rung)
    assert tuple(PARTS) == CAUSES


@pytest.mark.parametrize(
    ("parts", "rung"),
    [
        ({}, Rung.NOMINAL),
        ({"method": "clip"}, Rung.FILTERED),
        ({"method": "brake", "resting": True}, Rung.FILTERED),
        ({"source": "hold"}, Rung.FILTERED),
        ({"urgency": 0.1, "method": "qp"}, Rung.RECOVERY),
        ({"method": "damping", "urgency": 1.0}, Rung.DAMPING),
    ],
)
def test_what_a_tick_did_says_its_rung_and_the_next_is_nominal_again(parts: dict[str, Any], rung: Rung) -> None:
    ladder = Ladder(CONFIG, PERIOD_S)
    assert run(ladder, 2 * PERIOD_S, WELL._replace(**parts)) == [rung, rung]
    assert run(ladder, PERIOD_S) == [Rung.NOMINAL] and ladder.rung is Rung.NOMINAL


def test_a_step_that_a_stand_must_take_is_a_recovery_until_it_is_done() -> None:
    ladder, stepping = Ladder(CONFIG, PERIOD_S), WELL._replace(phase="step", touchdowns=3)
    run(ladder, 0.1)
    assert set(run(ladder, 0.3, stepping)) == {Rung.RECOVERY}
    assert set(run(ladder, 0.3, stepping._replace(touchdowns=4))) == {Rung.NOMINAL}
    run(ladder, 0.1, WELL._replace(phase="shift", touchdowns=4))
    assert set(run(ladder, 0.3, stepping._replace(touchdowns=4))) == {Rung.NOMINAL}, "asked for, after a shift"


@pytest.mark.parametrize(("why", "after_s"), list(zip(CAUSES, CONFIG, strict=False)))
def test_a_cause_that_lasts_stops_the_robot_until_it_has_been_gone_for_a_while(why: str, after_s: float) -> None:
    ladder, (parts, aimless) = Ladder(CONFIG, PERIOD_S), PARTS[why]
    ill = WELL._replace(**parts)
    assert Rung.SAFE_STOP not in run(ladder, after_s - PERIOD_S, ill, aimless)
    run(ladder, PERIOD_S, WELL)
    assert Rung.SAFE_STOP not in run(ladder, after_s - PERIOD_S, ill, aimless), "it was interrupted"
    assert set(run(ladder, 1.0, ill, aimless)[3:]) == {Rung.SAFE_STOP}
    assert ladder.why == why and why in ladder.stop
    assert set(run(ladder, CONFIG.cleared_s - PERIOD_S)) == {Rung.SAFE_STOP}
    assert run(ladder, 0.1)[-1] is Rung.NOMINAL and not ladder.stopping and ladder.stop == ""


def test_a_motor_at_fault_stops_at_once() -> None:
    ladder = Ladder(CONFIG, PERIOD_S)
    assert run(ladder, PERIOD_S, at_once="motor fault: a") == [Rung.SAFE_STOP] and ladder.why == "motor fault: a"


def test_what_brakes_a_robot_that_rests_does_not_keep_it_from_walking_away() -> None:
    ladder = Ladder(CONFIG, PERIOD_S)
    assert set(run(ladder, 1.0, WELL._replace(method="brake", resting=True))) == {Rung.FILTERED}


def test_a_tick_without_a_plan_ends_a_stop_and_a_copy_goes_its_own_way() -> None:
    ladder = Ladder(CONFIG, PERIOD_S)
    run(ladder, 0.2, aimless=True)
    other = ladder.copy()
    assert ladder.left(Rung.DESCENT) is Rung.DESCENT and not ladder.stopping and ladder.rung is Rung.DESCENT
    assert other.stopping and other.rung is Rung.SAFE_STOP
    assert run(ladder, PERIOD_S) == [Rung.NOMINAL]


# -- in the closed loop -------------------------------------------------------------------------------------------


def twist(loop: Loop) -> float:
    """How fast the robot is asked to go, m/s."""
    return float(np.hypot(*loop.stack._twist[:2]))


def stops_and_goes_on(loop: Loop, stopped: Sequence[Decision]) -> None:
    """What was stopped stood still in the end with its arms in the posture, and walks again once all has been well."""
    robot = loop.stack.robot
    assert stopped[-1].rung == "safe stop" and stopped[-1].status == "degraded" and stopped[-1].reason
    assert stopped[-1].plan is not None and stopped[-1].plan.phase == "stand" and twist(loop) == 0.0
    assert stopped[-1].proposal is not None and stopped[-1].proposal.origin == "scripted"
    arms = np.array([decision.command.q[robot.arms] for decision in stopped])
    assert np.abs(arms[-1] - robot.posture[robot.arms]).max() < 0.01 and np.abs(np.diff(arms, axis=0)).max() < 0.01
    after = loop.run(1.5)
    assert rungs(after) == ["safe stop", "nominal"]
    clear = [decision.rung for decision in after].count("safe stop")
    assert abs(clear * PERIOD_S - CONFIG.cleared_s) < 0.01
    assert after[-1].status == "ok" and after[-1].plan is not None and after[-1].plan.phase == "step" and loop.stands


UNKNOWN_WAYS = {
    "not finite": (Intent(velocity=(np.nan, 0.0, 0.0)), "intent velocity not usable: left out"),
    "stale": (replace(WALK, stamp_s=0.0), "intent stale: left out"),
}


@pytest.mark.parametrize("kind", UNKNOWN_WAYS)
def test_without_a_way_to_go_the_robot_stops_and_goes_on_when_it_is_told(kind: str) -> None:
    loop, (intent, reason) = make_loop(), UNKNOWN_WAYS[kind]
    assert "safe stop" not in rungs(loop.run(1.4, replace(WALK, arms=loop.stack.robot.posture[loop.stack.robot.arms] + 0.1)))
    before = twist(loop)
    lost = loop.run(1.6, intent)
    ticks = round(CONFIG.aimless_s / PERIOD_S)
    assert all(decision.status == "degraded" and decision.reason.endswith(reason) for decision in lost)
    assert "safe stop" not in rungs(lost[: ticks - 1]) and rungs(lost[ticks:]) == ["safe stop"]
    assert lost[0].reason == reason and lost[-1].reason == f"where to go is not known: it comes to a stand; {reason}"
    assert before == pytest.approx(0.4)
    stops_and_goes_on(loop, lost)


def test_an_intent_that_says_when_it_was_given_counts_while_it_is_fresh() -> None:
    loop = make_loop()
    loop.run(0.2)
    for _ in range(50):
        (decision,) = loop.run(PERIOD_S, replace(WALK, stamp_s=loop.decisions[-1].stamp_s - 0.3))
    assert (decision.status, decision.rung) == ("ok", "nominal") and decision.intent.velocity == WALK.velocity
    (decision,) = loop.run(PERIOD_S, replace(WALK, stamp_s="noon"))  # type: ignore[arg-type]
    assert decision.reason == "intent stale: left out" and decision.intent.velocity is None


def test_a_motor_at_fault_is_named_and_the_robot_stops_until_it_is_well() -> None:
    loop = make_loop()
    loop.run(1.4)
    fault = np.zeros(loop.stack.robot.n)
    fault[loop.stack.robot.arms[0]] = 1.0
    stopped = loop.run(1.6, spoil=lambda state: replace(state, motor_fault=fault))
    name = loop.stack.robot.joint_names[loop.stack.robot.arms[0]]
    assert rungs(stopped) == ["safe stop"] and {d.reason for d in stopped} == {f"motor fault: {name}: it comes to a stand"}
    stops_and_goes_on(loop, stopped)


@pytest.mark.parametrize("fault", [np.full(29, np.nan), np.zeros(3), "hot", [None], np.zeros((29, 1)), np.zeros(29)])
def test_motor_faults_that_cannot_be_read_are_remarked_and_are_none(fault: Any) -> None:
    loop = make_loop()
    (decision,) = loop.run(PERIOD_S, STAND, lambda state: replace(state, motor_fault=fault))
    well = isinstance(fault, np.ndarray) and fault.shape == (29,) and not fault.any()
    assert (decision.status, decision.reason) == (("ok", "") if well else ("degraded", "motor faults not usable: left out"))
    assert decision.rung == "nominal"


def test_where_the_proposer_fails_the_robot_walks_on_nominally() -> None:
    class Failing:
        """Fails."""

        def reset(self, seed: int) -> None:
            """Nothing to forget."""

        def propose(self, situation: Situation) -> Any:
            raise RuntimeError("no memory")

    loop = make_loop(proposer=Failing())
    decisions = loop.run(1.2)
    assert rungs(decisions) == ["nominal"] and {decision.status for decision in decisions} == {"degraded"}
    assert decisions[-1].plan is not None and decisions[-1].plan.phase == "step"


def failing_solver(loop: Loop) -> Callable[..., WholeBodySolution]:
    """A whole-body QP of that loop's stack that never finds anything."""
    body = loop.stack.whole_body
    return lambda d, targets, load_n, friction: body._hold(d, targets, 0.0)


def test_a_whole_body_qp_that_fails_for_a_tick_is_filtered_and_for_longer_stops_the_robot(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop()
    loop.run(1.4)
    with monkeypatch.context() as patch:
        patch.setattr(loop.stack.whole_body, "solve", failing_solver(loop))
        (once,) = loop.run(PERIOD_S)
    assert once.rung == "filtered" and once.status == "degraded" and loop.run(0.1)[-1].rung == "nominal"
    with monkeypatch.context() as patch:
        patch.setattr(loop.stack.whole_body, "solve", failing_solver(loop))
        failed = loop.run(CONFIG.failed_s + 2 * PERIOD_S)
    assert failed[0].rung == "filtered" and failed[-1].rung == "safe stop" and failed[-1].reason.startswith("the whole-body QP failed")
    rest = loop.run(CONFIG.cleared_s)
    assert rungs(rest)[0] == "safe stop" and rest[0].reason == "the whole-body QP fails: it comes to a stand"
    assert rungs(loop.run(0.8))[-1] == "nominal" and loop.stands


def test_a_command_that_no_torque_keeps_within_bounds_for_long_stops_the_robot(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop()
    loop.run(1.4)
    certify = loop.stack.certifier.certify

    def capped(*args: Any, **more: Any) -> tuple[JointCommand, Certificate]:
        return certify(*args, **more)[0], Certificate(True, ("motion left_knee_joint",), 1.0, "best")

    with monkeypatch.context() as patch:
        patch.setattr(loop.stack.certifier, "certify", capped)
        changed = loop.run(CONFIG.capped_s)
        assert {d.rung for d in changed} == {"filtered"} and changed[-1].status == "ok"
        stopped = loop.run(1.6)
    assert stopped[-1].reason == "no torque keeps every bound: it comes to a stand"
    assert rungs(stopped)[-1] == "safe stop" and twist(loop) == 0.0
    assert rungs(loop.run(CONFIG.cleared_s + 0.01))[-1] == "nominal" and loop.stands


def test_a_push_is_met_by_a_recovery_step() -> None:
    loop = make_loop(seed=1, disturbances=(Push("torso_link", (1.0, 0.0, 0.0), 25.0, 0.5),))
    decisions = loop.run(3.0, STAND)
    assert rungs(decisions)[:3] == ["nominal", "recovery step", "nominal"]
    forced = [d for d in decisions if d.plan is not None and d.plan.phase == "step"]
    assert forced and forced[0].rung == "recovery step" and decisions[-1].rung == "nominal" and loop.stands


def without_gyro(state: RobotState) -> RobotState:
    """A state without angular velocity."""
    return replace(state, gyro_imu=None)


def without_joints(state: RobotState) -> RobotState:
    """A state whose joint positions are not finite."""
    return replace(state, joint_position=np.full_like(state.joint_position, np.nan))


def test_a_robot_without_attitude_is_held_softly_and_goes_on_when_it_comes_back_soon() -> None:
    loop = make_loop()
    loop.run(1.0)
    blind = loop.run((HOLD_TICKS + 150) * PERIOD_S, WALK, without_gyro)
    assert rungs(blind) == ["nominal", "controlled descent"] and [d.status for d in blind].count("safe") == 150
    np.testing.assert_array_equal(blind[-1].command.q, blind[-100].command.q)  # held; targets go there in a few ticks
    assert blind[-1].command.kp.all() and blind[-1].reason.startswith("gyro missing: the joints are held softly")
    assert rungs(loop.run(2.5))[-1] == "nominal" and loop.stands


def put_up(loop: Loop, upright: Any, seconds: float) -> list[Decision]:
    """What the stack decides of a robot that is held upright for a while."""
    decisions = []
    for _ in range(round(seconds / PERIOD_S)):
        loop.backend.data.qpos[:], loop.backend.data.qvel[:] = upright, 0.0
        decisions += loop.run(PERIOD_S, STAND)
    return decisions


def test_a_robot_that_stays_without_attitude_lies_and_is_damped_until_it_is_put_up() -> None:
    loop = make_loop()
    loop.run(0.4, STAND)
    upright = loop.backend.data.qpos.copy()
    blind = loop.run(DESCENT.lasts_s + HOLD_TICKS * PERIOD_S + 0.2, STAND, without_gyro)
    assert rungs(blind) == ["nominal", "controlled descent", "damping"]
    bent = blind[HOLD_TICKS + round((DESCENT.held_s + DESCENT.taken_s + 0.01) / PERIOD_S)].command
    np.testing.assert_allclose(bent.q, loop.stack._descent.middle)
    assert blind[-1].reason == "lies: every joint is damped" and not blind[-1].command.kp.any()
    assert not loop.stands and rungs(loop.run(0.2, STAND)) == ["damping"]
    held = put_up(loop, upright, DESCENT.upright_s + 0.02)
    assert held[0].rung == "damping" and held[-1].rung not in ("damping", "controlled descent")
    assert loop.run(1.0, STAND)[-1].rung == "nominal" and loop.stands


def test_a_lean_is_given_up_and_joints_that_are_lost_meanwhile_damped() -> None:
    loop = make_loop()
    loop.run(0.2, STAND)
    loop.backend.data.qvel[1] = 4.0  # m/s to the left: nothing saves it
    falls = loop.run(0.8, STAND)
    assert rungs(falls)[-1] == "controlled descent"
    gap = loop.run((HOLD_TICKS + 10) * PERIOD_S, STAND, without_joints)
    assert rungs(gap) == ["controlled descent", "damping"] and gap[0].status == "degraded" and gap[-1].status == "safe"
    assert rungs(loop.run(0.1, STAND)) == ["controlled descent"]


def test_a_robot_that_never_knew_its_attitude_is_damped() -> None:
    loop = make_loop()
    assert rungs(loop.run(0.1, STAND, without_gyro)) == ["damping"]
    assert rungs(loop.run(0.2, STAND)) == ["nominal"]


def test_frozen_states_without_attitude_are_damped_though_they_have_joints() -> None:
    loop = make_loop()
    loop.run(0.2, STAND)
    stamp = loop.backend.read().stamp_s
    frozen = loop.run((HOLD_TICKS + 5) * PERIOD_S, STAND, lambda state: replace(without_gyro(state), stamp_s=stamp))
    assert frozen[-1].rung == "damping"


def test_an_estimate_that_is_not_finite_is_damped_for_a_tick_and_begins_anew() -> None:
    loop = make_loop()
    loop.run(0.4, STAND)
    loop.stack.estimator.memory[:] = np.nan
    (damped,) = loop.run(PERIOD_S, STAND)
    assert (damped.rung, damped.status) == ("damping", "safe") and damped.reason.startswith("the estimate is not finite")
    assert rungs(loop.run(0.6, STAND)) == ["nominal"] and loop.stands


def test_a_gap_stays_on_the_rung_and_a_restored_stop_continues_bit_for_bit() -> None:
    loop = make_loop()
    loop.run(1.4)
    loop.run(0.3, None)  # type: ignore[arg-type]
    stack, plant = loop.stack.snapshot(), loop.backend.snapshot()
    first = loop.run(1.2)
    assert rungs(first) == ["safe stop", "nominal"]
    loop.stack.restore(stack)
    loop.backend.restore(plant)
    other = make_loop()  # which never saw the cause
    other.stack.restore(stack)
    other.backend.restore(plant)
    for again in (loop.run(1.2), other.run(1.2)):
        assert [d.rung for d in again] == [d.rung for d in first]
        np.testing.assert_array_equal(torques(again), torques(first))
    loop.stack.restore(stack)
    assert rungs(loop.run(HOLD_TICKS * PERIOD_S, spoil=without_gyro)) == ["safe stop"]


# -- whatever comes -----------------------------------------------------------------------------------------------


def trouble(rng: np.random.Generator) -> tuple[Any, Spoil]:
    """An intent and a way to spoil states."""
    n, value = g1_parts()[0].n, float(rng.choice((np.nan, np.inf, 0.0, 1e12)))
    parts = ("joint_position", "joint_velocity", "joint_torque", "base_orientation_wxyz", "gyro_imu", "accelerometer_imu")
    part = str(rng.choice(parts))
    intents: tuple[Any, ...] = (STAND, WALK, None, "go", Intent(velocity=(value, 0.0, 0.0)), Intent(arms=np.full(3, value)))
    faults = (np.full(n, value), np.eye(n)[rng.integers(n)], np.zeros(2))
    changes: tuple[dict[str, Any], ...] = (
        {},
        {part: None if part not in parts[:2] else np.zeros(0)},
        {"stamp_s": value},
        {"motor_fault": faults[rng.integers(3)]},
    )
    change, garbles = changes[rng.integers(len(changes))], rng.random() < 0.3

    def spoil(state: RobotState) -> RobotState:
        return replace(state, **({part: np.full_like(getattr(state, part), value)} if garbles else change))

    return intents[rng.integers(len(intents))], spoil


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")
@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_the_command_is_finite_and_the_ladder_comes_back(seed: int) -> None:
    rng, loop = np.random.default_rng(seed), make_loop(seed=seed)
    for _ in range(12):
        intent, spoil = trouble(rng)
        loop.run(float(rng.choice((0.01, 0.04, 0.16))), intent, spoil)
        if rng.random() < 0.5:
            loop.run(0.1, WALK)
    after = loop.run(2.0, STAND)
    for decision in loop.decisions:
        command = decision.command
        assert all(np.isfinite(part).all() for part in (command.q, command.v, command.kp, command.kd, command.tau))
        bridged = decision.reason.endswith("the last command is repeated")
        assert decision.rung in RUNGS and (decision.status == "safe") == (decision.rung in RUNGS[4:] and not bridged)
        assert (decision.reason == "") == (decision.status == "ok")
    fell = not loop.stands
    assert after[-1].rung in (RUNGS[4:] if fell else RUNGS[:2]), f"{rungs(after)}"
