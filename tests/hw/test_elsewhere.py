from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poise.control.proposals import Choice
from poise.control.protocols import Situation
from poise.hw.elsewhere import Chooser, ElsewhereProcess

CONTEXT = multiprocessing.get_context("spawn")
PATIENCE_S = 60.0


def echo(situation: Situation) -> Choice:
    """A choice that says what it was asked."""
    return Choice(situation.tick, situation.tick, (), (), -1, None, "")  # type: ignore[arg-type]


def echoing() -> Chooser:
    return echo


def unable() -> Chooser:
    raise SystemExit(3)


def at(tick: int) -> Situation:
    return Situation(tick, *[None] * 15)  # type: ignore[arg-type]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "nothing comes"
        time.sleep(0.001)


def answered(process: ElsewhereProcess) -> int:
    """The tick of the next answer."""
    answers: list[Choice] = []

    def come() -> bool:
        answers.extend(filter(None, [process.answer()]))
        return bool(answers)

    until(come)
    return answers[0].born


@pytest.fixture
def ready() -> Iterator[ElsewhereProcess]:
    with ElsewhereProcess(CONTEXT, echoing) as process:
        assert process.wait(PATIENCE_S)
        yield process


def test_it_answers_what_it_was_asked_once(ready: ElsewhereProcess) -> None:
    for tick in (3, 4):
        ready.pose(at(tick))
        assert answered(ready) == tick
    assert ready.answer() is None


def test_who_owes_an_answer_is_not_asked_again(ready: ElsewhereProcess) -> None:
    assert ready.pid is not None
    os.kill(ready.pid, signal.SIGSTOP)
    for tick in range(10_000):  # more than a pipe takes
        ready.pose(at(tick))
    os.kill(ready.pid, signal.SIGCONT)
    assert answered(ready) == 0
    ready.pose(at(77))
    assert answered(ready) == 77


def test_what_is_no_longer_wanted_never_comes(ready: ElsewhereProcess) -> None:
    ready.pose(at(1))
    ready.forget()
    came = list[Choice | None]()

    def no_longer_owed() -> bool:
        came.append(ready.answer())
        return not ready._owed

    until(no_longer_owed)
    assert set(came) == {None}
    ready.pose(at(2))
    assert answered(ready) == 2
    ready.forget()
    ready.pose(at(3))
    assert answered(ready) == 3, "where nothing is owed there is nothing to forget"


def test_it_may_be_polled_before_it_is_waited_for() -> None:
    """A stack that is warmed up asks and polls while the process is still being loaded."""
    with ElsewhereProcess(CONTEXT, echoing) as process:
        assert process.answer() is None
        assert process.wait(PATIENCE_S)
        process.pose(at(5))
        assert answered(process) == 5


def test_one_that_is_killed_is_seen_and_holds_nobody_up(ready: ElsewhereProcess) -> None:
    assert ready.alive and ready.pid is not None
    ready.pose(at(1))
    os.kill(ready.pid, signal.SIGKILL)
    until(lambda: not ready.alive)
    for tick in range(2, 5):
        ready.pose(at(tick))
        assert ready.answer() is None or tick == 2
    assert not ready.wait(PATIENCE_S)


def test_one_that_cannot_begin_is_never_ready() -> None:
    with ElsewhereProcess(CONTEXT, unable) as process:
        assert not process.wait(PATIENCE_S)


def test_it_ends_with_who_asks() -> None:
    with ElsewhereProcess(CONTEXT, echoing) as process:
        assert process.wait(PATIENCE_S)
    assert not process.alive


def asks_and_dies() -> None:
    process = ElsewhereProcess(CONTEXT, echoing)
    process.wait(PATIENCE_S)
    process.pose(at(1))
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_asking_process_that_is_killed_leaves_nothing_behind() -> None:
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_elsewhere as t\n"
    script += "if __name__ == '__main__':\n p = t.CONTEXT.Process(target=t.asks_and_dies); p.start(); p.join(); print(p.exitcode)\n"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ran.stdout.split() == [str(-signal.SIGKILL)] and ran.stderr == ""  # Python would name what is left: semaphores, shared memory
