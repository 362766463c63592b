from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.hw.exchange import DAMPING, DISARMED, FAULT, MODES, SAFE_STOP, STAND, STAND_UP, WALK
from poise.hw.operation import REQUESTS
from poise.hw.supervisor import Supervisor, SupervisorConfig
from poise.robots import JointCommand, RobotState, load_robot
from poise.robots.commands import damping_command, hold_command
from poise.robots.types import Array

DT, CONFIG, G1 = 0.002, SupervisorConfig(), load_robot("g1")
DOWN_S = CONFIG.descent.lasts_s + 2 * DT
PATHS: dict[str, tuple[str, ...]] = {  # requests that lead to a mode
    DISARMED: (),
    DAMPING: ("arm",),
    STAND_UP: ("arm", "stand up"),
    STAND: ("arm", "stand up", "stand"),
    WALK: ("arm", "stand up", "stand", "walk"),
    SAFE_STOP: ("arm", "stand up", "stand", "safe stop"),
    FAULT: ("arm", "stop"),
}
# What follows which request in which mode; in all other modes it changes nothing. Disarming is always followed.
FOLLOWS = {
    ("arm", DISARMED): DAMPING,
    ("stand up", DAMPING): STAND_UP,
    ("stand", STAND_UP): STAND,
    ("stand", WALK): STAND,
    ("walk", STAND): WALK,
    ("safe stop", STAND_UP): SAFE_STOP,
    ("safe stop", STAND): SAFE_STOP,
    ("safe stop", WALK): SAFE_STOP,
}


def a_state(joints: Array = G1.posture) -> RobotState:
    return RobotState(0.0, joints, np.zeros(G1.n), base_orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]))


def sound(value: float = 0.0) -> JointCommand:
    """A command that is told from others by its targets."""
    return replace(hold_command(G1, G1.posture + value), kp=np.zeros(G1.n))


def in_mode(mode: str, joints: Array = G1.posture) -> Supervisor:
    supervisor = Supervisor(G1, DT)
    for request in PATHS[mode]:
        if request == "stop":
            supervisor.emergency_stop("somebody")
        if request == "stand":
            steps(supervisor, CONFIG.stand_up_s + DT, joints=joints)
        supervisor.request(request)
    assert supervisor.mode == mode
    return supervisor


def steps(
    supervisor: Supervisor, seconds: float, command: JointCommand | None = None, joints: Array = G1.posture
) -> list[JointCommand | None]:
    return [supervisor.step(a_state(joints), True, command, DT) for _ in range(round(seconds / DT))]


def same(a: JointCommand | None, b: JointCommand) -> bool:
    return a is not None and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("q", "v", "kp", "kd", "tau"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("request_", REQUESTS)
def test_each_request_in_each_mode(mode: str, request_: str) -> None:
    supervisor = in_mode(mode)
    if mode == STAND_UP:
        steps(supervisor, CONFIG.stand_up_s + DT)
    supervisor.request(request_)
    lets_go = request_ == "disarm" and mode in (DISARMED, DAMPING, FAULT)
    assert supervisor.mode == (DISARMED if lets_go else FOLLOWS.get((request_, mode), mode))


@pytest.mark.parametrize("mode", MODES)
def test_an_emergency_stop_damps_for_good_whatever_was_done(mode: str) -> None:
    supervisor = in_mode(mode)
    supervisor.emergency_stop("operator")
    if mode == DISARMED:
        assert supervisor.mode == DISARMED and supervisor.step(a_state(), True, None, DT) is None
        return
    assert supervisor.mode == FAULT and supervisor.reason == f"emergency stop: {'operator' if mode != FAULT else 'somebody'}"
    for request in REQUESTS[:-1]:
        supervisor.request(request)
        assert same(supervisor.step(a_state(), True, sound(), DT), damping_command(G1))
    assert supervisor.mode == FAULT


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [(DISARMED, None), (DAMPING, damping_command(G1)), (FAULT, damping_command(G1))],
    ids=["disarmed", "damping", "fault"],
)
def test_what_is_sent_where_nobody_may_move(mode: str, kinds: JointCommand | None) -> None:
    sent = in_mode(mode).step(a_state(), True, sound(), DT)
    assert sent is None if kinds is None else same(sent, kinds)


@pytest.mark.parametrize("mode", [STAND, WALK])
def test_a_sound_command_is_passed_on_as_it_is(mode: str) -> None:
    supervisor, command = in_mode(mode), sound(0.01)
    assert supervisor.step(a_state(), True, command, DT) is command
    assert supervisor.step(a_state(), True, None, DT) is command, "a gap is bridged by the last one"


def test_an_unfit_robot_is_not_armed_and_it_is_said_why() -> None:
    supervisor = Supervisor(G1, DT)
    supervisor.request("arm", unfit="the battery is empty")
    assert (supervisor.mode, supervisor.reason) == (DISARMED, "the battery is empty")
    supervisor.request("arm")
    assert (supervisor.mode, supervisor.reason) == (DAMPING, "")


def test_it_stands_up_from_where_the_joints_are_evenly_to_the_posture() -> None:
    begin = G1.posture + np.linspace(-0.5, 0.5, G1.n)
    supervisor = in_mode(STAND_UP)
    sent = [command.q for command in steps(supervisor, CONFIG.stand_up_s + 0.1, joints=begin) if command is not None]
    np.testing.assert_allclose(sent[0], begin, atol=0.5 * DT / CONFIG.stand_up_s + 1e-9)
    np.testing.assert_array_equal(sent[-1], G1.posture)
    even = 0.5 * DT / CONFIG.stand_up_s  # of the joint that has 0.5 rad to go
    assert max(float(np.abs(b - a).max()) for a, b in pairwise(sent)) == pytest.approx(even, rel=1e-6)


def test_it_takes_as_long_as_it_says_however_often_it_is_asked() -> None:
    supervisor = in_mode(STAND_UP)
    halfway = [supervisor.step(a_state(G1.posture + 1.0), True, None, 0.01) for _ in range(round(0.5 * CONFIG.stand_up_s / 0.01))][-1]
    assert halfway is not None
    np.testing.assert_allclose(halfway.q, G1.posture + 0.5, atol=1e-9)


def test_it_is_not_handed_over_before_it_stands() -> None:
    supervisor = in_mode(STAND_UP)
    steps(supervisor, CONFIG.stand_up_s - 0.1)
    supervisor.request("stand")
    assert supervisor.mode == STAND_UP
    steps(supervisor, 0.11)
    supervisor.request("stand")
    assert supervisor.mode == STAND


def test_nobody_lets_go_of_a_robot_that_comes_down() -> None:
    supervisor = in_mode(WALK)
    supervisor.request("safe stop")
    steps(supervisor, 0.3)
    supervisor.request("disarm")
    assert supervisor.mode == SAFE_STOP and not supervisor.over
    steps(supervisor, DOWN_S)
    supervisor.request("disarm")
    assert supervisor.mode == DISARMED


def test_until_the_controllers_first_command_the_posture_is_held() -> None:
    supervisor = in_mode(STAND)
    held = steps(supervisor, CONFIG.heartbeat_s - DT)
    assert all(same(command, hold_command(G1, G1.posture)) for command in held) and supervisor.mode == STAND
    assert supervisor.step(a_state(), True, sound(), DT) is not None and supervisor.mode == STAND


def test_what_the_controller_said_before_the_last_stop_does_not_act_again() -> None:
    supervisor = in_mode(WALK)
    supervisor.step(a_state(), True, sound(0.3), DT)
    supervisor.request("safe stop")
    steps(supervisor, DOWN_S)
    for request in ("disarm", "arm", "stand up"):
        supervisor.request(request)
    steps(supervisor, CONFIG.stand_up_s + DT)
    supervisor.request("stand")
    assert supervisor.mode == STAND
    assert same(supervisor.step(a_state(), True, None, DT), hold_command(G1, G1.posture))


def unsound() -> dict[str, JointCommand]:
    zero = np.zeros(G1.n)
    poisoned: dict[str, Any] = {}
    for name in ("q", "v", "kp", "kd", "tau", "torque_limit"):
        poisoned[f"{name} NaN"] = replace(sound(), **{name: np.where(np.arange(G1.n) == 5, np.nan, getattr(sound(), name))})
    return poisoned | {
        "infinite": replace(sound(), tau=np.full(G1.n, np.inf)),
        "huge": replace(sound(), kp=np.full(G1.n, 1e30)),
        "too few": replace(sound(), q=np.zeros(3)),
        "a torque that no motor has": replace(sound(), tau=1.1 * G1.torque_limit),
        "a gain that drives away": replace(sound(), kp=zero - 1.0),
        "far stiffer than it holds itself": replace(sound(), kp=10.0 * G1.hold_kp),
        "a damping that shakes": replace(sound(), kd=10.0 * G1.hold_kd),
        "a stiff joint beyond its limits": replace(sound(), kp=G1.hold_kp, q=G1.position_max + 0.4),
        "a damping that drives": replace(sound(), kd=zero - 0.1),
    }


@pytest.mark.parametrize("kind", unsound())
def test_no_heartbeat_is_a_command_that_motors_cannot_take(kind: str) -> None:
    supervisor = in_mode(WALK)
    supervisor.step(a_state(), True, sound(), DT)
    sent = steps(supervisor, CONFIG.heartbeat_s + 2 * DT, unsound()[kind])
    assert supervisor.mode == SAFE_STOP and supervisor.reason.startswith("no sound command from the controller")
    assert all(command is not None and np.isfinite(command.q).all() for command in sent)


@pytest.mark.parametrize("passed_s", [0.001, 0.002, 0.0056])
def test_silence_of_the_controller_is_answered_in_time_however_long_a_turn_takes(passed_s: float) -> None:
    supervisor, last, silent_s = in_mode(WALK), sound(0.02), 0.0
    supervisor.step(a_state(), True, last, passed_s)
    while supervisor.mode == WALK:
        sent = supervisor.step(a_state(), True, None, passed_s)
        silent_s += passed_s
        assert silent_s <= CONFIG.heartbeat_s + passed_s
    assert silent_s > CONFIG.heartbeat_s and sent is not last
    assert supervisor.longest_silence_s == pytest.approx(silent_s)


def test_a_command_in_time_begins_the_count_anew() -> None:
    supervisor = in_mode(WALK)
    for _ in range(5):
        steps(supervisor, CONFIG.heartbeat_s - DT)
        supervisor.step(a_state(), True, sound(), DT)
    assert supervisor.mode == WALK


@pytest.mark.parametrize("mode", [STAND_UP, STAND, WALK])
@pytest.mark.parametrize("passed_s", [0.002, 0.0056])
def test_silence_of_the_robot_is_answered_in_time(mode: str, passed_s: float) -> None:
    supervisor, silent_s = in_mode(mode), 0.0
    while supervisor.mode == mode:
        supervisor.step(a_state(), False, sound(), passed_s)
        silent_s += passed_s
        assert silent_s <= CONFIG.silence_s + passed_s
    assert silent_s > CONFIG.silence_s and supervisor.mode == SAFE_STOP and supervisor.reason.startswith("no state from the robot")


def test_a_state_in_time_begins_the_count_anew() -> None:
    supervisor = in_mode(WALK)
    for i in range(200):
        supervisor.step(a_state(), i % 20 == 0, sound(), DT)
    assert supervisor.mode == WALK


def test_nobody_walks_whose_feet_carry_nothing() -> None:
    supervisor = in_mode(STAND)
    for share in (0.0, CONFIG.carried_share - 0.01, np.nan):
        supervisor.request("walk", carried_share=share)
        assert supervisor.mode == STAND and supervisor.reason.startswith("its feet carry")
    supervisor.request("walk", carried_share=CONFIG.carried_share)
    assert (supervisor.mode, supervisor.reason) == (WALK, "")


def test_an_operator_who_is_gone_lets_it_stand() -> None:
    supervisor = in_mode(WALK)
    supervisor.operator_silent(CONFIG.operator_s)
    assert supervisor.mode == WALK
    supervisor.operator_silent(CONFIG.operator_s + 0.5)
    assert (supervisor.mode, supervisor.reason) == (STAND, "no word from the operator for 1.5 s")


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != WALK])
def test_elsewhere_an_operator_who_is_gone_changes_nothing(mode: str) -> None:
    supervisor = in_mode(mode)
    supervisor.operator_silent(1e6)
    assert supervisor.mode == mode


def unseen(joints: Array, n: int) -> Array:
    joints = joints.copy()
    joints[:n] = np.nan
    return joints


@pytest.mark.parametrize("blind", [0, 1, G1.n])
def test_the_descent_begins_where_each_joint_was_last_seen(blind: int) -> None:
    here = G1.posture + 0.05
    supervisor = in_mode(STAND_UP, here)
    steps(supervisor, 0.02, joints=here)
    supervisor.request("safe stop")
    lasts_s = CONFIG.descent.lasts_s
    sent = [supervisor.step(a_state(unseen(here, blind)), True, None, DT) for _ in range(round((lasts_s + 0.1) / DT))]
    first, last = sent[0], sent[-1]
    assert first is not None and last is not None
    end = np.clip(G1.descent[0], G1.position_min, G1.position_max)
    np.testing.assert_allclose(first.q, here + DT / CONFIG.descent.taken_s * (end - here), atol=1e-9)
    assert all(command is not None and np.isfinite(command.q).all() for command in sent)
    assert not last.kp.any() and last.kd.all(), "lying, it is damped"


def test_a_descent_does_not_look_at_the_attitude() -> None:
    supervisor = in_mode(SAFE_STOP)
    states = [replace(a_state(), base_orientation_wxyz=attitude) for attitude in (None, np.full(4, np.nan), np.zeros(4))]
    assert all(supervisor.step(state, True, None, DT) is not None for state in states)
    assert supervisor.mode == SAFE_STOP


@pytest.mark.parametrize("mode", MODES)
def test_it_is_over_where_ending_loses_nothing(mode: str) -> None:
    supervisor = in_mode(mode)
    assert supervisor.over == (mode in (DISARMED, DAMPING, FAULT))
    if mode == SAFE_STOP:
        steps(supervisor, DOWN_S)
        assert supervisor.over


NUMBER = st.one_of(st.floats(-3.0, 3.0), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e12, -1e300]))
JOINTS = st.lists(NUMBER, min_size=G1.n, max_size=G1.n).map(np.array)
ATTITUDE = st.none() | st.lists(NUMBER, min_size=4, max_size=4).map(np.array)
STATES = st.builds(lambda q, v, attitude: RobotState(0.0, q, v, base_orientation_wxyz=attitude), JOINTS, JOINTS, ATTITUDE)
COMMANDS = st.builds(JointCommand, *[JOINTS] * 6) | st.just(sound(0.1))
COMMANDS |= st.builds(
    lambda name, values: replace(sound(), **{name: values}), st.sampled_from(["q", "v", "kp", "tau", "torque_limit"]), JOINTS
)
TURN = st.one_of(
    st.tuples(st.just("step"), STATES, st.booleans(), st.none() | COMMANDS, st.sampled_from([0.0, DT, 0.01])),
    st.tuples(st.just("request"), st.sampled_from(REQUESTS), st.sampled_from([0.0, 1.0, np.nan])),
    st.tuples(st.just("emergency_stop"), st.just("somebody")),
    st.tuples(st.just("operator_silent"), st.sampled_from([0.0, 2.0, np.inf])),
)


@settings(max_examples=150, deadline=None)
@given(mode=st.sampled_from(MODES), turns=st.lists(TURN, max_size=30))
def test_whatever_comes_nothing_raises_and_motors_can_take_what_is_sent(mode: str, turns: list[tuple[Any, ...]]) -> None:
    supervisor = in_mode(mode)
    left = mode if mode in (SAFE_STOP, FAULT) else ""
    for kind, *rest in turns:
        if kind == "request":
            supervisor.request(rest[0], carried_share=rest[1])
            left = "" if rest[0] == "disarm" else left
        elif kind != "step":
            getattr(supervisor, kind)(*rest)
            left = FAULT if supervisor.mode == FAULT else left
        else:
            takeable(supervisor.step(*rest))
            left = supervisor.mode if supervisor.mode in (SAFE_STOP, FAULT) else left
        assert supervisor.mode in MODES and (not left or supervisor.mode == left), "nothing but disarming leaves a stop or a fault"


def takeable(sent: JointCommand | None) -> None:
    if sent is None:
        return
    numbers: Callable[[str], Array] = lambda name: np.asarray(getattr(sent, name))  # noqa: E731
    for name in ("q", "v", "kp", "kd", "tau"):
        assert numbers(name).shape == (G1.n,) and np.isfinite(numbers(name)).all() and np.abs(numbers(name)).max() < 1e10, name
    assert min(numbers("kp").min(), numbers("kd").min(), numbers("torque_limit").min()) >= 0.0
    assert (np.abs(numbers("tau")) <= G1.torque_limit * (1.0 + 1e-5)).all()
