from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest
from test_supervision import Holding
from wire import parts, plant

from poise.hw.controller import Controller
from poise.hw.exchange import MODES, Mailboxes, mailboxes, operation_record, state_record
from poise.robots import Decision, Intent, RobotState

GO = Intent(velocity=(0.4, 0.0, 0.1), height_m=0.6)


class Told:
    """A controller that holds, and what is told to it."""

    def __init__(self) -> None:
        robot, self.stack = parts()[0], Holding()
        self.boxes: Mailboxes = mailboxes(multiprocessing.get_context("spawn"), robot)
        self.ticks = list[Decision]()
        self.controller = Controller(self.stack, self.boxes, self.note, seed=7)
        self.number, self.state = 0, plant().read()

    def note(self, decision: Decision, state: RobotState) -> str:
        self.ticks.append(decision)
        return ""

    def show(self, mode: str, state: RobotState | None = None) -> None:
        self.number += 1
        self.boxes.state.put(state_record(state or self.state, self.number, MODES.index(mode)))
        self.controller.turn()

    def want(self, intent: Intent) -> None:
        self.boxes.operation.put(operation_record(intent, len(parts()[0].arms), "", 0, False))

    @property
    def answer(self) -> int | None:
        """Which state the newest command answers."""
        record = self.boxes.command.get()
        return None if record is None else int(record["answers"])


@pytest.mark.parametrize("mode", MODES)
def test_it_answers_in_the_modes_in_which_it_has_the_motors(mode: str) -> None:
    told = Told()
    told.show(mode)
    assert told.answer == (1 if mode in ("stand", "walk") else None)
    assert told.boxes.command_came.acquire(block=False) == (mode in ("stand", "walk"))
    assert len(told.ticks) == told.stack.thoughts == (mode in ("stand", "walk"))


def test_no_state_is_answered_twice() -> None:
    told = Told()
    told.show("stand")
    told.controller.turn()
    assert told.answer == 1 and len(told.stack.asked) == 1


def test_it_begins_anew_each_time_it_is_given_the_motors() -> None:
    told = Told()
    for mode in ("stand up", "stand", "walk", "stand"):
        told.show(mode)
    assert told.stack.resets == 1
    for mode in ("safe stop", "disarmed", "damping", "stand up", "stand"):
        told.show(mode)
    assert told.stack.resets == 2


def test_standing_it_goes_nowhere_but_keeps_its_posture() -> None:
    told = Told()
    told.show("stand")
    told.want(GO)
    told.show("stand")
    told.show("walk")
    (_, first), (_, standing), (_, walking) = told.stack.asked
    assert first.velocity is None and (standing.velocity, standing.waypoint, standing.height_m) == (None, None, 0.6)
    assert walking.velocity == (0.4, 0.0, 0.1) and walking.stamp_s == told.state.stamp_s


def test_what_was_wanted_before_a_stop_is_not_wanted_after_it() -> None:
    told = Told()
    told.show("stand")
    told.want(GO)
    for mode in ("walk", "safe stop", "stand up", "stand", "walk"):
        told.show(mode)
    assert told.stack.asked[-1][1].velocity is None


def test_an_intent_keeps_the_time_at_which_it_came() -> None:
    """One that is not renewed gets old, and the stack stops by itself."""
    told = Told()
    told.show("stand")
    told.want(GO)
    told.show("walk", RobotState(1.0, told.state.joint_position, told.state.joint_velocity))
    told.show("walk", RobotState(3.0, told.state.joint_position, told.state.joint_velocity))
    assert [intent.stamp_s for _, intent in told.stack.asked[1:]] == [1.0, 1.0]


def test_a_state_of_nothing_but_nan_is_answered() -> None:
    told = Told()
    n = parts()[0].n
    told.show("stand", RobotState(np.nan, np.full(n, np.nan), np.full(n, np.nan)))
    assert told.answer == 1


def test_it_answers_until_everything_ends() -> None:
    told = Told()
    running = threading.Thread(target=told.controller.run, args=(lambda: False,), daemon=True)
    running.start()
    for number in range(1, 4):
        told.boxes.state.put(state_record(told.state, number, MODES.index("walk")))
        told.boxes.state_came.release()
        assert told.boxes.command_came.acquire(timeout=20.0)
        assert told.answer == number
    told.boxes.end.set()
    running.join(20.0)
    assert not running.is_alive()


def test_it_ends_when_nobody_is_left_who_could_end_it() -> None:
    told = Told()
    asked = iter([False, False, True])
    running = threading.Thread(target=told.controller.run, args=(lambda: next(asked),), daemon=True)
    running.start()
    running.join(20.0)
    assert not running.is_alive()
