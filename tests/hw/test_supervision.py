"""The supervisor's turn with the controller's, on a plant: who has the motors, and what becomes of a robot whose controller fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from deploying import CONFIG, PERIOD_S, Deployed
from wire import parts, plant

from poise.control import Stack
from poise.hw.controller import Steps
from poise.hw.exchange import command_record, operation_record
from poise.hw.supervision import LATE, Supervision
from poise.hw.supervisor import LONGEST_S
from poise.robots import Decision, Intent, JointCommand, RobotState
from poise.robots.commands import damping_command, hold_command
from poise.robots.types import Certificate

GO = Intent(velocity=(0.4, 0.0, 0.0))
UPRIGHT = Certificate(False, (), 0.0, "unchanged")


class Holding:
    """A stack that holds the posture, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked, self.resets, self.thoughts = list[tuple[RobotState, Intent]](), 0, 0
        self.garble: Callable[[JointCommand], JointCommand] = lambda command: command

    def reset(self, seed: int = 0) -> None:
        self.resets += 1

    def step(self, state: RobotState, intent: Intent, request: JointCommand | None = None) -> Decision:
        self.asked.append((state, intent))
        command = self.garble(hold_command(parts()[0], parts()[0].posture))
        return Decision(len(self.asked), state.stamp_s, "ok", "", intent, None, None, command, UPRIGHT, None, 0.0)

    def think(self) -> None:
        self.thoughts += 1


def deployed(stack: Steps | None = None) -> Deployed:
    return Deployed(parts()[0], plant(), stack or Holding())


def damped(command: JointCommand | None) -> bool:
    return command is not None and not command.kp.any() and not command.tau.any() and bool((command.kd > 0.0).all())


def test_it_stands_up_stands_and_walks() -> None:
    backend = plant()
    it = Deployed(parts()[0], backend, Stack(parts()[0]))
    it.stand()
    weight_n = 9.81 * float(backend.model.body_mass.sum())
    assert float(it.status["carried_n"]) == pytest.approx(weight_n, rel=0.1)
    begin = backend.base_position_world
    sent = it.turns(3.0, "walk", GO)
    assert it.mode == "walk" and it.reason == ""
    forward, left, _ = backend.base_position_world - begin
    assert forward > 0.5 and abs(left) < 0.2 and backend.tilt < 0.2
    assert all(command is not None for command in sent)
    it.turns(1.5, "stand")
    assert it.mode == "stand" and np.linalg.norm(backend.data.qvel[:3]) < 0.1
    assert int(it.status["missed"]) <= 1, "the state with which it was told to stand"
    it.turns(2.5, "safe stop")
    assert (it.mode, it.reason) == ("safe stop", "asked for") and damped(it.wire.sent[-1])
    assert it.turns(0.1, "disarm")[1:] == [None] * 49 and it.mode == "disarmed"


@pytest.mark.parametrize("mode", ["stand", "walk"])
def test_a_controller_that_dies_is_answered_in_time_and_the_robot_comes_down(mode: str) -> None:
    it = deployed()
    it.stand()
    it.supervisor.mode = mode
    it.turns(0.02)
    it.answers = False
    last = it.wire.sent[-1]
    sent = it.turns(CONFIG.descent.lasts_s + 0.2)
    bridged = [command is last for command in sent].index(False)
    assert bridged * PERIOD_S <= CONFIG.heartbeat_s + PERIOD_S
    assert it.mode == "safe stop" and it.reason.startswith("no sound command from the controller for 0.04")
    assert all(command is not None and np.isfinite([command.q, command.kp, command.kd, command.tau]).all() for command in sent)
    assert damped(sent[-1])


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -1.0], ids=["NaN", "infinite", "negative gains"])
def test_a_controller_that_sends_garbage_is_stopped_and_none_of_it_gets_through(garbage: float) -> None:
    stack = Holding()
    it = deployed(stack)
    it.stand()
    stack.garble = lambda command: replace(command, kp=np.full(29, garbage))
    sent = it.turns(0.1)
    assert it.mode == "safe stop" and it.reason.startswith("no sound command")
    assert all(command is not None and np.isfinite(command.kp).all() and (command.kp >= 0.0).all() for command in sent)


def test_a_controller_that_is_late_by_a_state_is_not_stopped() -> None:
    stack = Holding()
    it = deployed(stack)
    it.stand()
    missed = int(it.status["missed"])
    it.late = True
    it.turns(0.5)
    assert it.mode == "stand" and int(it.status["missed"]) - missed == 250 and len(stack.asked) > 250


@pytest.mark.parametrize(("behind", "taken"), [(0, True), (1, True), (LATE, True), (LATE + 1, False), (-1, False)])
def test_an_answer_counts_for_so_many_states_and_none_that_has_not_come(behind: int, taken: bool) -> None:
    it = deployed()
    it.stand()
    it.answers, it.late = False, True
    command, number = hold_command(parts()[0], parts()[0].posture + 0.01), int(it.status["states"]) + 1
    it.boxes.command.put(command_record(command, number - behind, 123.0, "nominal"))
    it.boxes.command_came.release()
    it.turn()
    sent = it.wire.sent[-1]
    assert sent is not None and np.array_equal(sent.q, command.q) == taken
    assert (float(it.status["carried_n"]) == 123.0) == taken


def test_a_controller_that_answers_again_in_time_goes_on() -> None:
    it = deployed()
    it.stand()
    for _ in range(3):
        it.answers = False
        it.turns(CONFIG.heartbeat_s - 2 * PERIOD_S)
        it.answers = True
        it.turns(0.01)
    assert it.mode == "stand" and float(it.status["longest_silence_s"]) == pytest.approx(CONFIG.heartbeat_s - 2 * PERIOD_S, abs=1e-6)


@pytest.mark.parametrize("turn_s", [0.002, 0.0056])
def test_silence_of_the_robot_is_answered_in_time_though_turns_take_longer_then(turn_s: float) -> None:
    it = deployed()
    it.stand()
    it.wire.speaks, it.wire.turn_s, begin_s = False, turn_s, it.wire.now_s
    while it.mode == "stand":
        it.turn()
    assert CONFIG.silence_s < it.wire.now_s - begin_s <= CONFIG.silence_s + 2 * turn_s
    assert it.reason.startswith("no state from the robot")


def test_a_stamp_that_stands_still_is_silence() -> None:
    it = deployed()
    it.stand()
    frozen = it.wire.read()
    it.wire.spoil = lambda state: replace(state, stamp_s=frozen.stamp_s)
    it.turns(CONFIG.silence_s + 2 * PERIOD_S)
    assert it.mode == "safe stop" and it.reason.startswith("no state from the robot")


def test_standing_still_itself_it_does_not_take_the_others_for_silent() -> None:
    it = deployed()
    it.stand()
    it.wire.turn_s = 0.5
    it.answers = False
    it.turn()
    it.wire.turn_s = PERIOD_S
    it.turn()
    assert it.mode == "stand" and float(it.status["longest_silence_s"]) <= LONGEST_S + PERIOD_S + 1e-9
    it.answers = True
    it.turns(0.1)
    assert it.mode == "stand"


@pytest.mark.parametrize("who", ["operator", "wireless remote"])
def test_an_emergency_stop_damps_in_the_same_turn_and_until_it_is_disarmed(who: str) -> None:
    it = deployed()
    it.stand()
    if who == "operator":
        it.tell(emergency_stop=True)
    else:
        it.health.stopped = who
    it.turn()
    it.health.stopped = ""
    assert (it.mode, it.reason) == ("fault", f"emergency stop: {who}") and damped(it.wire.sent[-1])
    assert all(damped(command) for request in ("arm", "stand up", "walk", "stand", "safe stop") for command in it.turns(0.02, request))
    it.turns(0.004, "disarm")
    assert it.mode == "disarmed" and it.wire.sent[-1] is None


def test_an_emergency_stop_goes_before_what_is_asked_for_beside_it() -> None:
    it = deployed()
    it.tell("arm")
    it.turn()
    it.tell("disarm", emergency_stop=True)
    it.turn()
    it.turn()
    assert it.mode == "fault"
    it.tell("disarm", emergency_stop=True)  # still held
    it.turn()
    assert it.mode == "disarmed"
    it.tell("arm", emergency_stop=True)
    it.turn()
    assert it.mode == "disarmed"


def test_what_was_asked_for_before_it_listened_is_not_meant() -> None:
    it = deployed()
    it.tell("arm")
    another = Supervision(it.robot, it.wire, it.health, it.supervisor, it.boxes, lambda: it.wire.now_s)
    another.turn()
    assert it.supervisor.mode == "disarmed"
    it.tell("arm")
    another.turn()
    assert it.supervisor.mode == "damping"


def test_a_request_is_followed_once() -> None:
    it = deployed()
    it.turns(0.02, "arm")
    assert it.mode == "damping" and all(damped(command) for command in it.wire.sent)
    it.supervisor.request("disarm")
    again = operation_record(Intent(), len(parts()[0].arms), "arm", 1, False)
    for _ in range(5):
        it.boxes.operation.put(again)
        it.turn()
    assert it.mode == "disarmed", "the same request again, not another one"
    it.turns(0.02, "arm")
    assert it.mode == "damping"


def test_an_unfit_robot_is_not_armed_and_the_operator_is_told() -> None:
    it = deployed()
    it.health.against = "the pelvis leans by 36°: put the robot upright"
    it.turns(0.02, "arm")
    assert (it.mode, it.reason) == ("disarmed", it.health.against) and set(it.wire.sent) == {None}


def test_a_reason_that_is_too_long_for_its_place_is_cut() -> None:
    it = deployed()
    it.health.against = "°" * 500
    it.turns(0.02, "arm")
    assert it.mode == "disarmed" and it.status["reason"].item().decode(errors="replace").startswith("°" * 99)


def test_an_operator_who_says_nothing_lets_it_stand() -> None:
    it = deployed()
    it.stand()
    it.supervisor.mode = "walk"
    for _ in range(round(CONFIG.operator_s / PERIOD_S) - 10):
        it.turn()
    assert it.mode == "walk"
    for _ in range(20):
        it.turn()
    assert it.mode == "stand" and it.reason.startswith("no word from the operator for 1.0")


@pytest.mark.parametrize("what", ["joint_position", "joint_velocity", "base_orientation_wxyz", "gyro_imu", "joint_torque", "motor_fault"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_no_state_makes_a_turn_raise(what: str, value: float) -> None:
    it = Deployed(parts()[0], plant(), Stack(parts()[0]))
    it.stand()
    size = {"base_orientation_wxyz": 4, "gyro_imu": 3}.get(what, parts()[0].n)
    spoiled: dict[str, Any] = {what: np.full(size, value)}
    it.wire.spoil = lambda state: replace(state, **spoiled)
    it.turns(0.06)
    it.turns(0.06, "safe stop")
    assert it.mode == "safe stop"
    assert all(command is not None and np.isfinite([command.q, command.kp, command.kd, command.tau]).all() for command in it.wire.sent[20:])


def test_what_is_told_of_age_and_battery() -> None:
    it = deployed()
    it.stand()
    assert float(it.status["battery"]) == 90.0 and int(it.status["states"]) == len(it.wire.sent)
    assert it.status["age_ms"][1] < 1e-2, "in made-up time the command goes out as soon as the state has come"


def test_damping_is_what_a_robot_without_a_posture_gets() -> None:
    it = deployed()
    it.turns(0.02, "arm")
    sent = it.wire.sent[-1]
    assert sent is not None
    np.testing.assert_array_equal(sent.kd, damping_command(parts()[0]).kd)
