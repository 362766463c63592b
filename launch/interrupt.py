"""Ctrl-C, or SIGTERM, as a request to end: what was done until then is kept, and nobody is shown where it struck."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

ENDS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While entered, the first Ctrl-C or SIGTERM only sets `requested`; the second one interrupts as usual. Call it to ask."""

    def __init__(self, insist: bool = True) -> None:
        """With `insist` off the second one says no more than the first: in a process to which another passes signals on."""
        self.requested, self._insist = False, insist

    def __call__(self) -> bool:
        """Whether the user asked to stop."""
        return self.requested

    def __enter__(self) -> StopRequest:
        self._previous = [signal.signal(number, self._ask) for number in ENDS]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, previous in zip(ENDS, self._previous, strict=True):
            signal.signal(number, previous)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        for each in ENDS if self._insist else ():
            signal.signal(each, signal.default_int_handler)


class Interruption:
    """While entered, Ctrl-C or SIGTERM interrupts and sets `came`: an extension that is being imported makes another error of it."""

    def __init__(self) -> None:
        self.came = False

    def __enter__(self) -> Interruption:
        self._previous = [signal.signal(number, self._interrupt) for number in ENDS]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, previous in zip(ENDS, self._previous, strict=True):
            signal.signal(number, previous)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until this is left; in a process that is started meanwhile they wait until that lets them through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def let_through() -> Iterator[None]:
    """The inverse of `held_back`: Ctrl-C and SIGTERM are heard, also those that waited, until this is left."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
