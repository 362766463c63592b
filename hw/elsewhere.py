"""Proposing and imagining in a process of its own, which may be slow or die: the control loop asks, and takes what has come."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np

from poise.control.proposals import Choice
from poise.control.protocols import Situation

from .mailbox import Mailbox

END_S, LOOK_S = 2.0, 0.01
ANSWER = np.dtype([("size", "<u4"), ("pickled", "u1", 1 << 17)])  # a longer one ends the process: nobody can take it
Chooser = Callable[[Situation], Choice]


class ElsewhereProcess:
    """Starts the process, in which `make` makes what chooses; it must be picklable. A context manager."""

    def __init__(self, context: SpawnContext, make: Callable[[], Chooser]) -> None:
        theirs, self._connection = context.Pipe(duplex=False)
        self._answers = Mailbox(context, ANSWER)  # not the pipe: half of an answer there would be waited for
        self._process = context.Process(target=_think, args=(make, theirs, self._answers), name="proposals", daemon=True)
        self._process.start()
        theirs.close()
        self._owed = True  # that it is ready
        self._stale = False  # what is owed is no longer wanted

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait until it owes nothing, at most so long; returns whether it is ready. One that has died never is."""
        end = time.monotonic() + seconds
        while self._owed and self._process.is_alive() and time.monotonic() < end:
            time.sleep(LOOK_S)
            self.answer()
        return not self._owed

    def pose(self, situation: Situation) -> None:
        """Ask, unless an answer is owed: the pipe never fills up."""
        if self._owed:
            return
        try:
            self._connection.send(situation)
            self._owed = True
        except OSError:  # it is dead: no answer will come, and that is seen
            self._owed = True

    def answer(self) -> Choice | None:
        """What it chose, if that has come."""
        record = self._answers.get()
        if record is None:
            return None
        choice: Choice | None = pickle.loads(record["pickled"].tobytes()[: int(record["size"])])
        self._owed = False
        wanted, self._stale = not self._stale, False
        return choice if wanted else None

    def forget(self) -> None:
        """What it is thinking about is no longer wanted."""
        self._stale = self._owed

    def __enter__(self) -> ElsewhereProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()


def _think(make: Callable[[], Chooser], connection: Connection, answers: Mailbox) -> None:
    """Answer each situation, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    choose = make()
    answer: Any = None  # the first word: ready
    try:
        while True:
            pickled, record = pickle.dumps(answer), np.zeros((), ANSWER)
            record["size"], record["pickled"][: len(pickled)] = len(pickled), np.frombuffer(pickled, np.uint8)
            answers.put(record)
            situation: Situation = connection.recv()
            answer = choose(situation)
    except (OSError, EOFError):
        return
