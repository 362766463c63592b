"""Solving the MPC in a process of its own: it is asked once its turn has come, and its advice is taken when it is there."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from multiprocessing.context import SpawnContext
from multiprocessing.util import Finalize
from typing import Any

from poise.control.advice import Advice, Advises, Question

from .mailbox import Flag
from .process import abandoned, leave_signals
from .ring import Ring

END_S, LOOK_S, WAIT_S = 2.0, 0.01, 0.1
RING_BYTES = 1 << 16  # dozens of questions: only the newest is answered


class AdviserProcess:
    """Starts the process, in which `make` makes what advises; it must be picklable. A context manager.

    When the process dies no advice comes any more, and the walker plans without.
    """

    def __init__(self, context: SpawnContext, make: Callable[[], Advises]) -> None:
        self._questions, self._answers = Ring(context, RING_BYTES), Ring(context, RING_BYTES)
        self._came, self._ended, self._ready = context.Semaphore(0), Flag(context), Flag(context)
        shared = (self._questions, self._answers, self._came, self._ended, self._ready)
        self._process = context.Process(target=_advise, args=(make, *shared), name="adviser", daemon=True)
        self._process.start()
        Finalize(self, self._ended.set, exitpriority=10)  # at an exit without `__exit__` its process would be waited for

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    def wait(self, seconds: float) -> bool:
        """Wait until it can be asked, at most so long; returns whether it can."""
        end = time.monotonic() + seconds
        while not self._ready.is_set() and self._process.is_alive() and time.monotonic() < end:
            time.sleep(LOOK_S)
        return self._ready.is_set()

    def ask(self, q: Question) -> None:
        """Ask; where it is too busy to take any more, it is not asked."""
        if self._questions.put(pickle.dumps(q)):
            self._came.release()

    def answer(self) -> Advice | None:
        """The newest advice that has come."""
        newest = _newest(self._answers)
        return None if newest is None else pickle.loads(newest)

    def __enter__(self) -> AdviserProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()


def _newest(ring: Ring) -> bytes | None:
    newest = None
    while (message := ring.take()) is not None:
        newest = message
    return newest


def _advise(make: Callable[[], Advises], questions: Ring, answers: Ring, came: Any, ended: Flag, ready: Flag) -> None:
    """Answer the newest question, until nobody asks any more."""
    leave_signals()
    advises = make()
    ready.set()
    while not (ended.is_set() or abandoned()):
        if came.acquire(timeout=WAIT_S) and (question := _newest(questions)) is not None:
            answers.put(pickle.dumps(advises.ask(pickle.loads(question))))
