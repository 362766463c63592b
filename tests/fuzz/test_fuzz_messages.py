"""Whatever a driver, an operator, a proposer or a world model hands to the stack: it never raises, and its command is the robot's."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from messages import WALK, odd, put, sound_state, with_one_entry
from mutation import fuzzed
from synthetic import make_situation

from poise.control import Situation, Stack
from poise.control.scripted import ScriptedProposer
from poise.launch import build_stack
from poise.learning.world_model import LipWorldModel
from poise.robots import Decision, Intent, JointCommand, MotionProposal, RobotModel, RobotState, Verdict, load_robot
from poise.robots.commands import hold_command
from poise.robots.plain import to_plain
from poise.robots.types import Array

STATUSES = ("ok", "degraded", "safe")


class Others:
    """A proposer and a world model that answer what a test tells them to."""

    def __init__(self) -> None:
        self.proposals: Any = ()
        self.verdicts: Any = None

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def propose(self, situation: Situation) -> Any:
        """What was put there."""
        return self.proposals

    def imagine(self, situation: Situation, proposals: tuple[MotionProposal, ...]) -> Any:
        """What was put there, or a word of praise for each."""
        return self.verdicts if self.verdicts is not None else tuple(Verdict(True, "", 1.0, "m", 1.0) for _ in proposals)


@cache
def parts() -> tuple[RobotModel, Stack, Others, Stack]:
    """The robot, a stack with `Others` above it, and one of mode model."""
    robot, others = load_robot("g1"), Others()
    others.proposals = ScriptedProposer(robot).propose(make_situation(robot))
    return robot, build_stack(robot, "model", others, others), others, build_stack(robot, "model")


def assert_sendable(robot: RobotModel, command: JointCommand, q: Array | None = None) -> None:
    """Finite, in the robot's limits, and so is what the motors make of it."""
    for value in (command.q, command.v, command.kp, command.kd, command.tau, command.torque_limit):
        assert isinstance(value, np.ndarray) and value.shape == (robot.n,) and value.dtype == float and np.isfinite(value).all()
    assert (command.q >= robot.position_min).all() and (command.q <= robot.position_max).all()
    assert (np.abs(command.v) <= robot.velocity_limit).all()
    assert (command.kp >= 0.0).all() and (command.kd >= 0.0).all()
    assert (command.torque_limit >= 0.0).all() and (command.torque_limit <= robot.torque_limit).all()
    at = robot.posture if q is None else q
    assert (np.abs(command.torque(at, np.zeros(robot.n))) <= robot.torque_limit + 1e-9).all()


def recordable(decision: Decision) -> bytes:
    """The decision as a recording holds it."""
    return orjson.dumps(to_plain(decision))


def assert_decided(robot: RobotModel, decision: Decision) -> None:
    assert decision.status in STATUSES and bool(decision.reason) == (decision.status != "ok")
    assert decision.reason.isprintable() and len(decision.reason) < 500
    assert_sendable(robot, decision.command)
    assert recordable(decision)


def drive(stack: Stack, robot: RobotModel, states: list[Any], intents: list[Any]) -> None:
    """A sound tick, then these, then sound ones until the stack has to be itself again."""
    stack.reset()
    stack.step(sound_state(robot, 0.0), WALK)
    for state, intent in zip(states, intents, strict=True):
        assert_decided(robot, stack.step(state, intent))
    for tick in range(3):
        decision = stack.step(sound_state(robot, 1e3 + 0.002 * tick), WALK)
        assert_decided(robot, decision)
    assert decision.status != "safe" or "falls" in decision.reason


@st.composite
def states(draw: st.DrawFn) -> Any:
    """A state with odd fields, or odd numbers in its arrays."""
    robot, stamp = parts()[0], draw(st.sampled_from((0.002, 0.0, -1.0, np.nan, 1e9)))
    state, changes = sound_state(robot, stamp), dict[str, Any]()
    for field in draw(st.lists(st.sampled_from([f.name for f in fields(RobotState)]), max_size=3)):
        sound = getattr(state, field)
        changes[field] = draw(odd() if sound is None or draw(st.booleans()) else with_one_entry(sound))
    return put(state, changes)


@st.composite
def intents(draw: st.DrawFn) -> Any:
    """An intent with odd fields."""
    names = draw(st.lists(st.sampled_from([f.name for f in fields(Intent)]), max_size=3))
    return put(Intent(), {name: draw(odd()) for name in names})


@fuzzed(150)
@given(given_states=st.lists(st.one_of(states(), odd()), min_size=1, max_size=3), data=st.data())
def test_states_and_intents(given_states: list[Any], data: st.DataObject) -> None:
    robot, _, _, stack = parts()
    drive(stack, robot, given_states, [data.draw(st.one_of(intents(), odd())) for _ in given_states])


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """A command with odd fields, or odd numbers in its arrays."""
    robot = parts()[0]
    command, changes = hold_command(robot, robot.posture), dict[str, Any]()
    for field in draw(st.lists(st.sampled_from([f.name for f in fields(JointCommand)]), max_size=3)):
        changes[field] = draw(odd() if draw(st.booleans()) else with_one_entry(getattr(command, field)))
    return put(command, changes)


@pytest.mark.filterwarnings("error")
@fuzzed(100)
@given(asked=st.lists(st.one_of(requests(), odd()), min_size=1, max_size=4))
@example(asked=[put(hold_command(load_robot("g1"), np.zeros(29)), {"kp": np.full(29, 1e308)})])
def test_requests(asked: list[Any]) -> None:
    robot, _, _, stack = parts()
    stack.reset()
    stack.step(sound_state(robot, 0.0), WALK)
    for tick, request in enumerate(asked):
        assert_decided(robot, stack.step(sound_state(robot, 0.002 * (tick + 1)), WALK, request))
    decision = stack.step(sound_state(robot, 0.002 * (len(asked) + 1)), WALK)
    assert_decided(robot, decision)
    assert decision.status != "safe", "a tick without a request is the stack's own"


@st.composite
def proposals(draw: st.DrawFn) -> Any:
    """A motion with odd fields, or odd numbers in its arrays."""
    robot = parts()[0]
    (motion,), changes = ScriptedProposer(robot).propose(make_situation(robot)), dict[str, Any]()
    for field in draw(st.lists(st.sampled_from([f.name for f in fields(MotionProposal)]), max_size=3)):
        sound = getattr(motion, field)
        arrays = isinstance(sound, np.ndarray) and draw(st.booleans())
        changes[field] = draw(with_one_entry(sound) if arrays else odd())
    return put(motion, changes)


def follow(answers: Any, verdicts: Any = None) -> None:
    """The stack over two rounds of proposals with these."""
    robot, stack, others, _ = parts()
    others.proposals, others.verdicts = answers, verdicts
    stack.reset()
    for tick in range(58):
        assert_decided(robot, stack.step(sound_state(robot, 0.002 * tick), WALK))


several = st.one_of(st.lists(proposals(), max_size=3).map(tuple), st.lists(st.one_of(proposals(), odd()), max_size=2), odd())


@fuzzed(40)
@given(answers=several)
def test_proposals_that_any_world_model_lets_pass(answers: Any) -> None:
    follow(answers)


@fuzzed(60)
@given(answers=st.lists(st.one_of(proposals(), odd()), min_size=1, max_size=3).map(tuple))
def test_the_world_model_judges_any_proposal(answers: tuple[Any, ...]) -> None:
    robot = parts()[0]
    with np.errstate(all="ignore"):
        verdicts = world_model().imagine(make_situation(robot), answers)
    assert len(verdicts) == len(answers)
    for verdict in verdicts:
        assert verdict.accepted is (verdict.constraint == "")
        assert np.isfinite(verdict.score) if verdict.accepted else verdict.score == -np.inf


@cache
def world_model() -> LipWorldModel:
    """The G1's."""
    return LipWorldModel(parts()[0])


@st.composite
def verdicts(draw: st.DrawFn) -> Any:
    """A verdict with odd fields."""
    names = draw(st.lists(st.sampled_from([f.name for f in fields(Verdict)]), max_size=3))
    return put(Verdict(True, "", 1.0, "m", 1.0), {name: draw(odd()) for name in names})


@fuzzed(40)
@given(answers=st.one_of(st.lists(st.one_of(verdicts(), odd()), max_size=3), odd()))
@example(answers=[put(Verdict(True, "", 1.0, "m", 1.0), {"score": None})] * 2)
@example(answers=[put(Verdict(True, "", 1.0, "m", 1.0), {"score": np.zeros(0)})] * 2)
@example(answers=[put(Verdict(True, "", 1.0, "m", 1.0), {"score": np.nan})] * 2)
def test_verdicts(answers: Any) -> None:
    robot = parts()[0]
    follow(ScriptedProposer(robot).propose(make_situation(robot)) * 2, answers)
