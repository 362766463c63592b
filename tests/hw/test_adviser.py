"""Advice from a process of its own: the same as at once, and none when it has died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import fields

import numpy as np
import pytest
from wire import PERIOD_S, parts, plant

from poise.control import Stack
from poise.control.advice import Advice, Advisor, Question
from poise.hw.elsewhere import Adviser, AdviserProcess
from poise.launch.compose import build_advisor
from poise.robots import Intent, load_robot
from poise.robots.types import Array
from poise.sim import fallen

PATIENCE_S = 120.0


def advisor() -> Advisor:
    return build_advisor(load_robot("g1"))


def asked() -> Adviser:
    return advisor().ask


class Later:
    """Advises when it is asked for the `late`th time what has come; never: 0."""

    def __init__(self, late: int) -> None:
        self._advisor, self._late, self._left = advisor(), late, 0
        self._advice: Advice | None = None
        self.questions = list[Question]()

    def ask(self, q: Question) -> None:
        self.questions.append(q)
        self._advice, self._left = self._advisor.ask(q), self._late

    def answer(self) -> Advice | None:
        self._left -= 1
        return self._advice if self._left == 0 else None


def walked(advises: Later | None, seconds: float = 4.0) -> tuple[Array, float, bool]:
    """Torques of a walk, how far it came (m), and whether it fell."""
    backend, stack = plant(), Stack(parts()[0], advises=advises)
    backend.reset(3)
    sent = []
    for _ in range(round(seconds / PERIOD_S)):
        decision = stack.step(backend.read(), Intent(velocity=(0.4, 0.0, 0.0)))
        stack.think()
        sent.append(decision.command.tau)
        backend.write(decision.command)
    return np.array(sent), float(backend.base_position_world[0]), fallen(backend)


@pytest.fixture(scope="module")
def at_once() -> tuple[Array, float, bool]:
    return walked(None)


@pytest.mark.parametrize("late", [1, 4])
def test_advice_that_comes_in_time_changes_nothing(at_once: tuple[Array, float, bool], late: int) -> None:
    np.testing.assert_array_equal(walked(Later(late))[0], at_once[0])


@pytest.mark.parametrize("late", [0, 30])
def test_without_advice_or_with_old_one_it_walks_on(at_once: tuple[Array, float, bool], late: int) -> None:
    _, forward, fell = walked(Later(late))
    assert not fell and forward > 0.7 * at_once[1]


def same(a: Advice | None, b: Advice | None) -> bool:
    return a is not None and b is not None and all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Advice))


def test_a_process_advises_as_the_advisor_does_and_its_death_is_no_harm() -> None:
    here, questions = advisor(), Later(0)
    walked(questions, 2.5)
    with AdviserProcess(multiprocessing.get_context("spawn"), asked) as adviser:
        assert adviser.wait(PATIENCE_S) and adviser.answer() is None
        for question in questions.questions[:5]:
            adviser.ask(question)
            end, advice = time.monotonic() + PATIENCE_S, None
            while advice is None and time.monotonic() < end:
                time.sleep(0.001)
                advice = adviser.answer()
            assert same(advice, here.ask(question))
        assert adviser.pid is not None
        os.kill(adviser.pid, signal.SIGKILL)
        for _ in range(1000):
            adviser.ask(questions.questions[0])  # also when nobody takes them out
        assert adviser.answer() is None
