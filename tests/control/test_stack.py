"""The stack in the closed loop on the G1: sound and unsound states, intents and proposals, and replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from loop import STAND, WALK, Loop, g1_parts, make_loop, statuses, torques

from poise.control.dynamics import Dynamics
from poise.control.lip import GRAVITY
from poise.control.protocols import Situation
from poise.control.scripted import ScriptedProposer
from poise.control.stack import Stack, StackConfig
from poise.control.wholebody import WholeBodySolution, WholeBodyTargets
from poise.robots import Decision, Intent, MotionProposal, RobotModel, RobotState, Verdict
from poise.sim import MujocoBackend, Push

HOLD_TICKS, PERIOD_S = StackConfig().hold_ticks, StackConfig().period_s


class Broken:
    """Proposes the scripted motion with one part made NaN, for each part in turn."""

    PARTS = ("twist", "height_m", "torso_rpy", "arm_position", "step_duration_s", "footstep_offset", "period_s", "log_likelihood")

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """As many proposals as there are parts."""
        robot, gait = g1_parts()[0], g1_parts()[0].overlay.gait
        sound = MotionProposal(
            origin="broken",
            period_s=0.2,
            twist=situation.twist,
            height_m=np.full(5, gait.com_height_m),
            torso_rpy=np.zeros((5, 3)),
            arm_position=np.tile(robot.posture[robot.arms], (5, 1)),
            step_duration_s=gait.step_duration_s,
            footstep_offset=np.zeros((2, 2)),
            log_likelihood=0.0,
        )
        changes: list[dict[str, Any]] = [{part: np.nan * np.asarray(getattr(sound, part))} for part in self.PARTS]
        return tuple(replace(sound, **change) for change in changes)


class Silent:
    """Proposes nothing."""

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """Never a motion."""
        return ()


def without_joints(state: RobotState) -> RobotState:
    """A state whose joint positions are not finite."""
    return replace(state, joint_position=np.full_like(state.joint_position, np.nan))


def without_gyro(state: RobotState) -> RobotState:
    """A state without angular velocity."""
    return replace(state, gyro_imu=None)


FAULTS = [(without_joints, "joint positions not finite"), (without_gyro, "gyro missing")]


@pytest.mark.parametrize(("spoil", "problem"), FAULTS)
def test_a_short_gap_repeats_the_last_command(spoil: Callable[[RobotState], RobotState], problem: str) -> None:
    loop = make_loop()
    last = loop.run(0.6)[-1]
    gap = loop.run(HOLD_TICKS * PERIOD_S, spoil=spoil)
    for decision in gap:
        assert (decision.status, decision.reason) == ("degraded", f"{problem}: the last command is repeated")
        assert decision.command is last.command
        assert decision.belief is None and decision.plan is None and not decision.certificate.changed
    after = loop.run(1.0)
    assert set(statuses(after)) == {"ok"}
    assert loop.stands and after[-1].plan is not None and after[-1].plan.phase == "step"  # it walks on


def test_a_long_gap_without_joints_damps_them_until_states_are_good_again() -> None:
    loop, (spoil, problem) = make_loop(), FAULTS[0]
    loop.run(0.2, STAND)
    seen = loop.backend.read().joint_position
    gap = loop.run((HOLD_TICKS + 20) * PERIOD_S, STAND, spoil)
    assert statuses(gap) == ["degraded"] * HOLD_TICKS + ["safe"] * 20
    for decision in gap[HOLD_TICKS:]:
        command = decision.command
        assert decision.reason == f"{problem}: every joint is damped" and decision.certificate.method == "damping"
        assert not command.kp.any() and not command.tau.any() and not command.v.any()
        assert (command.kd > 0.0).all()
        assert np.abs(command.q - seen).max() < 0.1  # without stiffness a target means nothing; it is where the joints were last seen
    after = loop.run(1.0, STAND)
    assert set(statuses(after)) == {"ok"}
    assert loop.stands


def test_a_run_that_begins_without_a_state_is_safe_from_the_first_tick() -> None:
    loop = make_loop()
    assert statuses(loop.run(5 * PERIOD_S, STAND, without_joints)) == ["safe"] * 5
    assert set(statuses(loop.run(0.2, STAND))) == {"ok"}


def test_parts_of_an_intent_that_are_not_usable_are_left_out_with_a_remark() -> None:
    loop = make_loop()
    wrong = Intent(velocity=(np.nan, 0.0, 0.0), height_m=np.inf, torso_rpy=(0.0, 0.1, 0.0))
    decisions = loop.run(0.08, wrong)  # longer, and the robot is stopped
    for decision in decisions:
        assert (decision.status, decision.reason) == ("degraded", "intent velocity, height_m not usable: left out")
        assert decision.intent.velocity is None and decision.intent.height_m is None
        assert decision.intent.torso_rpy == (0.0, 0.1, 0.0)
        assert decision.plan is not None and decision.plan.phase == "stand"
        assert np.isfinite(decision.command.tau).all()
    assert loop.run(PERIOD_S, STAND)[-1].status == "ok"


def test_proposals_that_are_not_finite_are_rejected_and_the_scripted_one_acts() -> None:
    loop = make_loop(proposer=Broken())
    decisions = loop.run(1.2)
    made = [decision for decision in decisions if decision.proposals]
    assert len(made) == 12  # each 0.1 s
    for decision in made:
        assert [verdict.constraint for verdict in decision.verdicts] == ["finite"] * len(Broken.PARTS)
        assert not any(verdict.accepted for verdict in decision.verdicts)
        assert decision.chosen == -1
    assert {decision.proposal.origin for decision in decisions if decision.proposal} == {"scripted"}
    assert set(statuses(decisions)) == {"ok"}
    assert np.isfinite(torques(decisions)).all()
    assert loop.stands and loop.backend.base_position_world[0] > 0.1


def test_without_proposals_it_acts_as_the_scripted_proposer_would() -> None:
    silent, scripted = make_loop(proposer=Silent()), make_loop()
    np.testing.assert_array_equal(torques(silent.run(0.5)), torques(scripted.run(0.5)))
    assert all(not decision.proposals and decision.chosen == -1 for decision in silent.decisions)
    assert silent.decisions[-1].proposal is not None and silent.decisions[-1].proposal.origin == "scripted"


def pushed_loop() -> Loop:
    """A walk with a push from the side from 0.9 s to 1.1 s."""
    return make_loop(seed=3, disturbances=(Push("torso_link", (0.0, 1.0, 0.0), 8.0, 0.9),))


def test_a_restored_run_continues_bit_for_bit_through_a_push() -> None:
    loop = pushed_loop()
    loop.run(0.83)  # neither at a tick of the proposer nor at one of the MPC
    stack, plant = loop.stack.snapshot(), loop.backend.snapshot()
    first, pose = torques(loop.run(0.6)), loop.backend.base_position_world
    loop.run(0.1, STAND, without_gyro)  # must not leave a trace
    loop.stack.restore(stack)
    loop.backend.restore(plant)
    again = loop.run(0.6)
    np.testing.assert_array_equal(torques(again), first)
    np.testing.assert_array_equal(loop.backend.base_position_world, pose)
    other = pushed_loop()  # and in another stack, which never saw the beginning
    other.stack.restore(stack)
    other.backend.restore(plant)
    np.testing.assert_array_equal(torques(other.run(0.6)), first)


def test_what_is_thought_out_between_ticks_is_what_the_next_tick_would_think_out() -> None:
    within, between = make_loop(seed=3), make_loop(seed=3)
    within.run(1.2)
    for _ in range(600):
        between.run(PERIOD_S)
        between.stack.think()
    np.testing.assert_array_equal(torques(between.decisions), torques(within.decisions))
    assert {plan.mpc_status for decision in within.decisions if (plan := decision.plan)} > {"none"}


def test_after_states_that_were_missed_the_references_have_moved_on_by_as_much_time() -> None:
    """Of two loops in one, at the same states: one is shown one in three."""
    loop, busy = make_loop(), make_loop().stack
    every, third = list[Decision](), list[Decision]()
    for tick in range(900):
        state = loop.backend.read()
        every += loop.run(PERIOD_S)
        if tick % 3 == 0:
            third.append(busy.step(state, WALK))
    compared = [(a.plan, b.plan) for a, b in zip(every[::3], third, strict=True)]
    same = [(a, b) for a, b in compared if a is not None and b is not None and (a.phase, a.stance) == (b.phase, b.stance)]
    assert len(same) > 280 and {a.phase for a, _ in same} == {"stand", "shift", "step"}
    np.testing.assert_allclose([b.time_in_phase_s for _, b in same], [a.time_in_phase_s for a, _ in same], atol=3 * PERIOD_S)


@pytest.mark.parametrize(("late", "periods"), [(0.0, 1), (0.5, 2), (100.0, StackConfig().missed_most), (-5.0, 0)])
def test_however_late_a_state_is_the_references_move_on_by_little(late: float, periods: int) -> None:
    """0: such a state is of no use at all."""
    loop = make_loop()
    before = loop.run(1.3)[-1].plan
    step = loop.run(PERIOD_S, spoil=lambda state: replace(state, stamp_s=state.stamp_s + late * 2 * PERIOD_S))[-1].plan
    assert before is not None and before.phase == "step" and (step is None) == (periods == 0)
    if step is not None:
        assert step.time_in_phase_s - before.time_in_phase_s == pytest.approx(periods * PERIOD_S)


def test_two_runs_of_one_seed_are_the_same_and_of_another_are_not() -> None:
    a, b, c = (make_loop(seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(torques(a.run(0.8)), torques(b.run(0.8)))
    assert not np.array_equal(torques(a.decisions), torques(c.run(0.8)))
    a.backend.reset(6)
    a.stack.reset(6)
    np.testing.assert_array_equal(torques(a.run(0.8)), torques(c.decisions))  # a reset leaves nothing of the run before


GARBAGE = (np.nan, np.inf, -np.inf, 0.0, -1.0)
PARTS = ("joint_position", "joint_velocity", "joint_torque", "base_orientation_wxyz", "gyro_imu", "accelerometer_imu")


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")
def test_nothing_in_a_tick_raises_whatever_the_state_and_the_intent() -> None:
    rng, loop = np.random.default_rng(0), make_loop()
    n_arms = len(g1_parts()[0].arms)

    def spoil(state: RobotState) -> RobotState:
        if rng.random() < 0.05:
            return state
        part, value = str(rng.choice(PARTS)), float(rng.choice(GARBAGE))
        spoilt = np.array(getattr(state, part))
        spoilt[rng.integers(spoilt.size) :] = value
        choices = (spoilt, spoilt[:-1], None if part not in PARTS[:2] else spoilt[:0])
        changes: dict[str, Any] = {part: choices[rng.integers(3)], "stamp_s": state.stamp_s - float(rng.integers(2))}
        return replace(state, **changes)

    for _ in range(150):
        x, y, z = (10**400 if rng.random() < 0.1 else float(value) for value in rng.choice(GARBAGE, 3))
        arms = np.full(int(rng.integers(n_arms - 1, n_arms + 1)), x, dtype=object if isinstance(x, int) else float)
        intent = (Intent((x, y, z), height_m=x), Intent(waypoint=(x, y, z), torso_rpy=(z, y, x)), Intent(arms=arms))[rng.integers(3)]
        (decision,) = loop.run(PERIOD_S, intent, spoil)
        assert decision.status in ("ok", "degraded", "safe")
        assert (decision.reason == "") == (decision.status == "ok") and "\n" not in decision.reason
        command = decision.command
        for values in (command.q, command.v, command.kp, command.kd, command.tau):
            assert np.isfinite(values).all()
    assert {"degraded", "safe"} <= set(statuses(loop.decisions))


ODD_INTENTS = {
    "numpy velocity": (Intent(velocity=np.array([0.3, 0.0, 0.0], dtype=np.float32)), ""),  # type: ignore[arg-type]
    "list": (Intent(waypoint=[1.0, 0.0, 0.0]), ""),  # type: ignore[arg-type]
    "numpy height": (Intent(height_m=np.float32(0.6)), ""),  # type: ignore[arg-type]
    "words for arms_external": (Intent(arms_external="yes"), "intent arms_external not usable: left out"),  # type: ignore[arg-type]
    "huge": (Intent(velocity=(10**400, 0.0, 0.0)), "intent velocity not usable: left out"),
    "nothing": (None, "intent not usable: left out"),
}


@pytest.mark.parametrize("kind", ODD_INTENTS)
def test_odd_intents_are_taken_as_numbers_or_left_out(kind: str) -> None:
    loop, (intent, reason) = make_loop(), ODD_INTENTS[kind]
    (decision,) = loop.run(PERIOD_S, intent)  # type: ignore[arg-type]
    assert (decision.status, decision.reason) == ("degraded" if reason else "ok", reason)
    for value in (decision.intent.velocity, decision.intent.waypoint):
        assert value is None or (isinstance(value, tuple) and all(isinstance(number, float) for number in value))


@pytest.mark.parametrize("stamp", [None, "x", np.zeros(3), 10**400, np.nan])
def test_a_state_without_a_stamp_or_no_state_at_all_is_bridged(stamp: Any) -> None:
    loop = make_loop()
    loop.run(3 * PERIOD_S)
    sent = loop.decisions[-1].command
    for state in (replace(loop.backend.read(), stamp_s=stamp), None):
        decision = loop.stack.step(state, WALK)  # type: ignore[arg-type]
        assert decision.status == "degraded" and decision.command is sent
    assert loop.run(PERIOD_S)[0].status == "ok"


class Failing:
    """Proposes what is none, or fails."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def reset(self, seed: int) -> None:
        pass

    def propose(self, situation: Situation) -> Any:
        if self.kind == "raises":
            raise RuntimeError("no\nmemory")
        return {"a number": 3, "an array": np.zeros(3), "not in a tuple": object(), "nothing": None}[self.kind]


@pytest.mark.parametrize("kind", ["raises", "a number", "an array", "not in a tuple", "nothing"])
def test_where_the_proposer_fails_the_scripted_motion_acts(kind: str) -> None:
    loop = make_loop(proposer=Failing(kind))
    decision = loop.run(0.1)[-1]
    assert decision.proposal is not None and decision.proposal.origin == "scripted"
    assert decision.status == ("ok" if kind == "nothing" else "degraded")
    if kind == "raises":
        assert decision.reason == "proposing failed (RuntimeError: no memory): the scripted motion acts"


@pytest.mark.parametrize("verdicts", [None, ()])
def test_where_the_world_model_fails_the_scripted_motion_acts(g1: RobotModel, verdicts: tuple[Verdict, ...] | None) -> None:
    class Blind:
        """Judges nothing, or raises."""

        def imagine(self, situation: Situation, proposals: Sequence[MotionProposal]) -> tuple[Verdict, ...]:
            if verdicts is None:
                raise RuntimeError("out of ideas")
            return verdicts

    backend, stack = MujocoBackend(g1), Stack(g1, world_model=Blind())
    decision = stack.step(backend.reset(0), WALK)
    assert (decision.status, decision.chosen) == ("degraded", -1) and decision.reason.startswith("proposing failed")
    assert decision.proposal is not None and decision.proposal.origin == "scripted"


def test_timings_sum_to_the_tick_without_proposing_and_imagining() -> None:
    (first, *rest) = make_loop().run(0.02, WALK)
    assert {"estimate", "propose", "imagine", "refine", "track", "certify", "record", "tick"} == set(first.timings_us)
    assert not {"propose", "imagine"} & set(rest[0].timings_us)
    for decision in (first, *rest):
        parts = [us for part, us in decision.timings_us.items() if part not in ("propose", "imagine", "tick")]
        assert decision.timings_us["tick"] == pytest.approx(sum(parts))


class Trusting:
    """A world model that accepts everything."""

    def imagine(self, situation: Situation, proposals: Sequence[MotionProposal]) -> tuple[Verdict, ...]:
        return tuple(Verdict(True, "", 0.0, "", 0.0) for _ in proposals)


@pytest.mark.parametrize("world_model", [None, Trusting()])
def test_only_wellformed_proposals_act_whatever_a_world_model_says(g1: RobotModel, world_model: Trusting | None) -> None:
    class Odd:
        """Proposals that no stack can follow, and one that it can."""

        def reset(self, seed: int) -> None:
            """Nothing to forget."""

        def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
            (good,) = ScriptedProposer(g1).propose(situation)
            wrong = (
                replace(good, twist=np.zeros(2)),
                replace(good, height_m=good.height_m * np.nan),
                replace(good, period_s=0.0),
                replace(good, footstep_offset=np.full((2, 2), np.inf)),
                replace(good, torso_rpy=np.zeros((1, 3))),
            )
            return (*wrong, replace(good, origin="odd"))

    backend, stack = MujocoBackend(g1), Stack(g1, proposer=Odd(), world_model=world_model)
    decision = stack.step(backend.reset(0), Intent(velocity=(0.1, 0.0, 0.0)))
    assert [verdict.accepted for verdict in decision.verdicts] == [world_model is not None] * 5 + [True]
    assert decision.chosen == 5 and decision.proposal is not None and decision.proposal.origin == "odd"


def test_the_references_obey_the_balance_of_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ground's force through the ZMP, m (c̈, z̈ + g), turns the body as the momentum left to the swing leg changes."""
    loop, seen = make_loop(), []
    solve = loop.stack.whole_body.solve

    def watched(d: Dynamics, targets: WholeBodyTargets, load_n: float, friction: float) -> WholeBodySolution:
        foot = targets.swing[2, :2]
        walker, (height, _, acceleration) = loop.stack._walker, targets.com_height
        ground = d.sole_position[walker.stance if walker.phase == "step" else slice(None), 2].mean()
        arm = np.append(walker.zmp - d.com[:2], ground - height)
        force = loop.stack.robot.mass * np.append(targets.com_acceleration_xy, GRAVITY + acceleration)
        rate = targets.swing_momentum * np.array([foot[1], -foot[0]])
        seen.append((np.cross(arm, force)[:2] - rate, rate, acceleration))
        return solve(d, targets, load_n, friction)

    monkeypatch.setattr(loop.stack.whole_body, "solve", watched)
    loop.run(1.2)
    assert loop.stands
    error, rate, lift = (np.array([part[i] for part in seen]) for i in range(3))
    assert np.abs(error).max() < 1e-9 and np.abs(rate).max() > 5.0 and np.abs(lift).max() > 0.2
