"""A route: how long to go with which velocity, one leg after another, from a text file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from poise.robots import Intent, PoiseError
from poise.robots.reading import read_text

from .exchange import DAMPING, DISARMED, FAULT, SAFE_STOP, STAND, STAND_UP, WALK
from .operation import STILL, Operated

STAGES = {DISARMED: "arm", DAMPING: "stand up", STAND_UP: "stand", STAND: "walk", FAULT: "disarm"}  # what is asked for in each
ASK_S, REST_S, LYING_S = 0.5, 1.0, 4.0  # between two requests, in a stage before the next, and after a safe stop


class Leg(NamedTuple):
    """So many seconds with this velocity, vx and vy in m/s and wz in rad/s, heading frame."""

    seconds: float
    velocity: tuple[float, float, float]


def read_route(path: str | Path) -> tuple[Leg, ...]:
    """The legs of a file: four numbers a line, seconds vx vy wz; what follows a # counts not.

    Raises:
        PoiseError: the file cannot be read, has a line that is none, or no leg.
    """
    try:
        text = read_text(Path(path))
    except ValueError as error:
        raise PoiseError(f"route {path}: cannot be read ({error}); give a text file of lines of seconds vx vy wz") from error
    legs = []
    for i, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            seconds, vx, vy, wz = map(float, words)
        except ValueError:
            seconds = vx = vy = wz = math.nan
        if not (seconds > 0.0 and math.isfinite(seconds + vx + vy + wz)):
            raise PoiseError(f"route {path}, line {i}: {line.strip()!r} is no leg; give seconds vx vy wz, as 5 0.4 0 0.2")
        legs.append(Leg(seconds, (vx, vy, wz)))
    if not legs:
        raise PoiseError(f"route {path}: no leg in it; give lines of seconds vx vy wz, as 5 0.4 0 0.2")
    return tuple(legs)


def velocity_at(legs: tuple[Leg, ...], time_s: float) -> tuple[float, float, float] | None:
    """What a route asks for at a time since its begin, s; None when it is over."""
    for leg in legs:
        if time_s < leg.seconds:
            return leg.velocity
        time_s -= leg.seconds
    return None


class RouteOperator:
    """Goes through all stages by itself: arm, stand up, stand, walk the legs, stand, and a safe stop; told the mode by `sees`."""

    hint = "going through all stages along the route; Ctrl-C brings the robot down"

    def __init__(self, legs: tuple[Leg, ...]) -> None:
        self._legs, self._mode, self._since_s, self._walking_s = legs, "", 0.0, -1.0
        self._asked_s, self._now_s = -math.inf, 0.0

    def sees(self, mode: str) -> None:
        """What the supervisor does now."""
        if mode != self._mode:
            self._mode, self._since_s = mode, self._now_s

    def poll(self, now_s: float) -> Operated:
        """The velocity of the leg, and the request that comes next, twice a second until it has had its effect."""
        self._now_s = now_s
        if self._mode == WALK and self._walking_s < 0.0:
            self._walking_s = now_s
        velocity = velocity_at(self._legs, now_s - self._walking_s) if self._mode == WALK else STILL
        request = self._next(now_s, velocity is None)
        due = request and now_s - self._asked_s >= ASK_S
        self._asked_s = now_s if due else self._asked_s
        return Operated(Intent(velocity=velocity or STILL), request if due else "")

    def _next(self, now_s: float, over: bool) -> str:
        rested = now_s - self._since_s >= REST_S
        if self._mode == STAND and self._walking_s >= 0.0:
            return "safe stop" if rested else ""
        if self._mode == SAFE_STOP:
            return "disarm" if now_s - self._since_s >= LYING_S else ""
        if self._mode == WALK:
            return "stand" if over else ""
        return STAGES.get(self._mode, "") if rested else ""

    def release(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to give back."""
