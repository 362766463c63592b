"""Thinking in a process of its own, which may be slow or die: the control loop asks, and takes the answer when it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.util import Finalize
from typing import Any, Self

from .coding import Coding, Pickled
from .mailbox import Flag
from .process import abandoned, leave_signals
from .ring import Ring

END_S, LOOK_S, WAIT_S = 2.0, 0.01, 0.1
RING_BYTES = 1 << 19  # of questions, and of answers, that nobody has taken out yet

Answer = Callable[[Any], Any]
Codings = tuple[Coding, Coding]  # of questions and of answers
ANYTHING: Codings = (Pickled(), Pickled())


class AnsweringProcess:
    """Starts the process, in which `make` makes what answers; it must be picklable. A context manager.

    Only the newest question is answered. No method but `wait` and leaving it blocks, and none raises when the process has died.
    """

    def __init__(self, context: SpawnContext, make: Callable[[], Answer], name: str, codings: Codings = ANYTHING) -> None:
        self._questions, self._answers = Ring(context, RING_BYTES), Ring(context, RING_BYTES)
        self._asked_as, self._answered_as = codings
        self._ended, self._ready = Flag(context), Flag(context)
        # No semaphore: its name would outlive an asking process that is killed. Both ends stay open here, so that no write can fail.
        self._bell, self._ring_bell = context.Pipe(duplex=False)
        shared = (self._questions, self._answers, self._bell, self._ended, self._ready)
        self._process = context.Process(target=_answer, args=(make, codings, *shared), name=name, daemon=True)
        self._process.start()
        Finalize(self, self._ended.set, exitpriority=10)  # at an exit without `__exit__` its process would be waited for

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait until it can be asked, at most so long; returns whether it can. One that has died never can."""
        end = time.monotonic() + seconds
        while not self._ready.is_set() and self.alive and time.monotonic() < end:
            time.sleep(LOOK_S)
        return self._ready.is_set() and self.alive

    def _ask(self, question: Any) -> None:
        """Ask; where too many questions lie there already, it is not asked."""
        if self._questions.put(self._asked_as.dumps(question)):
            self._ring_bell.send_bytes(b"?")  # the pipe holds more than the ring does: this never waits

    def _newest(self) -> Any:
        """The newest answer, if one has come."""
        newest = _newest(self._answers)
        return None if newest is None else self._answered_as.loads(newest)

    def __enter__(self) -> Self:
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


def _answer(
    make: Callable[[], Answer], codings: Codings, questions: Ring, answers: Ring, bell: Connection, ended: Flag, ready: Flag
) -> None:
    """Until nobody asks any more. An answer that nobody can take, since it is too long, ends the process."""
    leave_signals()
    answer, (asked_as, answered_as) = make(), codings
    ready.set()
    while not (ended.is_set() or abandoned()):
        if not bell.poll(WAIT_S):
            continue
        try:
            bell.recv_bytes()
        except EOFError:  # who asked has died
            return
        question = _newest(questions)
        if question is not None and not answers.put(answered_as.dumps(answer(asked_as.loads(question)))):
            return
