"""What an operator says: where to go, how to hold the body, what comes next, and whether to stop at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from poise.robots import Intent

Velocity = tuple[float, float, float]

REQUESTS = ("", "arm", "stand up", "stand", "walk", "safe stop", "disarm")
DEAD_ZONE = 0.1  # of a stick's way, to each side
STILL: Velocity = (0.0, 0.0, 0.0)
PARTS = ("velocity", "height_m", "torso_rpy", "arms")  # of an intent, each of which one source gives


@dataclass(frozen=True, slots=True, eq=False)
class Operated:
    """What an operator said since the last poll. Requests are told once, an emergency stop until it is released."""

    intent: Intent = Intent(velocity=STILL)  # not stamped: who passes it on does that
    request: str = ""  # of REQUESTS
    next: bool = False  # go on to the stage that follows: the receiver knows which
    emergency_stop: bool = False
    remark: str = ""  # what the operator should know: a source that is gone, say; empty: nothing


class Operator(Protocol):
    """A source of what is wanted."""

    @property
    def hint(self) -> str:
        """How to use it, for people: one line."""
        ...

    def poll(self, now_s: float) -> Operated:
        """What is wanted at a time of a monotonic clock, s. Never blocks and never raises; a source that is gone wants velocity zero."""
        ...

    def release(self) -> None:
        """Forget an emergency stop: to be called where it is let go of, never by the source itself."""
        ...

    def close(self) -> None:
        """Give back what the source holds."""
        ...


class Buttons:
    """What was pressed: requests until they are told, an emergency stop until it is released."""

    def __init__(self) -> None:
        self._request, self._next, self._stop = "", False, False

    def ask(self, request: str) -> None:
        """Ask for one of REQUESTS; the last one before a poll counts."""
        self._request = request

    def go_on(self) -> None:
        """Ask for the next stage."""
        self._next = True

    def stop(self) -> None:
        """Stop at once: from now on nobody goes anywhere."""
        self._stop = True

    def release(self) -> None:
        """Forget the emergency stop."""
        self._stop = False

    def told(self, intent: Intent, remark: str = "") -> Operated:
        """What was pressed since the last time, with an intent: one that stands still while the emergency stop holds."""
        request, self._request = self._request, ""
        go_on, self._next = self._next, False
        return Operated(Intent(velocity=STILL) if self._stop else intent, request, go_on, self._stop, remark)


class Merged:
    """Several sources as one: any emergency stop counts, and each part of the intent comes from the source that changed it last."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        """The first of them gives what none has changed yet."""
        self._operators = tuple(operators)
        self._before: list[Intent] = [Operated().intent] * len(self._operators)
        self._giver = dict.fromkeys(PARTS, 0)

    @property
    def hint(self) -> str:
        """How to use them, a line each."""
        return "\n".join(operator.hint for operator in self._operators)

    def poll(self, now_s: float) -> Operated:
        """What they want together."""
        said = [operator.poll(now_s) for operator in self._operators]
        intents = [one.intent for one in said]
        parts = {part: self._given(part, intents) for part in PARTS}
        self._before = intents
        stop = any(one.emergency_stop for one in said)
        return Operated(
            Intent(velocity=STILL) if stop else Intent(**parts),
            next((one.request for one in said if one.request), ""),
            any(one.next for one in said),
            stop,
            "; ".join(filter(None, (one.remark for one in said))),
        )

    def release(self) -> None:
        """Forget an emergency stop."""
        for operator in self._operators:
            operator.release()

    def close(self) -> None:
        """Close them all."""
        for operator in self._operators:
            operator.close()

    def _given(self, part: str, intents: Sequence[Intent]) -> Any:
        """A part of the intent: of the newest source that changed it, or of any other that gives it where that one does no more."""
        values = [getattr(intent, part) for intent in intents]
        for i, before in enumerate(self._before):
            if not np.array_equal(values[i], getattr(before, part)):
                self._giver[part] = i
        given = values[self._giver[part]]
        return given if given is not None else next((value for value in values if value is not None), None)


def bounded(velocity: Sequence[float], most: Sequence[float]) -> Velocity:
    """A velocity, each part within plus and minus the most of it."""
    vx, vy, wz = (min(max(float(value), -limit), limit) for value, limit in zip(velocity, most, strict=True))
    return vx, vy, wz


def sticks(forward: float, left: float, turn: float, most: Sequence[float]) -> Velocity:
    """The velocity that sticks ask for, each from -1 to 1, in shares of the most; nothing near the middle, since none rests at 0."""
    asked = [_beyond(value) * limit for value, limit in zip((forward, left, turn), most, strict=True)]
    return bounded(asked, most)


def _beyond(value: float) -> float:
    """How far beyond the dead zone, from 0 at its edge to 1 at the end; 0 of what is no number."""
    share = (abs(value) - DEAD_ZONE) / (1.0 - DEAD_ZONE)
    return math.copysign(share, value) if share > 0.0 else 0.0
