"""Random sequences in time: what the operator model wants now, drawn from a seeded generator."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from poise.robots.overlay import Gait

T = TypeVar("T")
Velocity = tuple[float, float, float]

Posture = tuple[float | None, tuple[float, float, float] | None]

TORSO_RANGE = ((-0.1, 0.1), (-0.1, 0.25), (-0.35, 0.35))  # rad: roll, pitch, yaw
COMMANDS = ("stand", "forward", "back", "sideways", "turning", "mixed")
COMMAND_SHARES = (0.16, 0.30, 0.10, 0.14, 0.12, 0.18)


class Schedule(Generic[T]):
    """Values that each hold for a random while; asked at any time, in any order, it answers the same."""

    def __init__(self, rng: np.random.Generator, draw: Callable[[np.random.Generator, int], tuple[float, T]]) -> None:
        """`draw(rng, i)` gives how long (s) the i-th value holds, and the value; time starts at 0."""
        self._rng, self._draw = rng, draw
        self._starts: list[float] = []
        self._values: list[T] = []
        self._end = 0.0

    def at(self, time_s: float) -> tuple[float, T]:
        """Since when (s) and what value holds at a time."""
        while self._end <= time_s or not self._values:
            hold, value = self._draw(self._rng, len(self._values))
            self._starts.append(self._end)
            self._values.append(value)
            self._end += hold
        index = max(bisect_right(self._starts, time_s) - 1, 0)
        return self._starts[index], self._values[index]


def draw_velocity(rng: np.random.Generator, index: int, gait: Gait) -> tuple[float, Velocity]:
    """A velocity command within the gait's limits and how long it holds (2 to 6 s); the first one stands for 1 to 2 s."""
    if index == 0:
        return float(rng.uniform(1.0, 2.0)), (0.0, 0.0, 0.0)
    kind = str(rng.choice(COMMANDS, p=COMMAND_SHARES))
    vx, vy, wz = gait.velocity_max
    side = float(rng.choice([-1.0, 1.0]))
    speed = float(rng.uniform(0.15, 1.0))
    velocity = {
        "stand": (0.0, 0.0, 0.0),
        "forward": (speed * vx, 0.0, 0.0),
        "back": (-0.6 * speed * vx, 0.0, 0.0),
        "sideways": (0.0, side * speed * vy, 0.0),
        "turning": (0.0, 0.0, side * speed * wz),
        "mixed": (float(rng.uniform(-0.3, 0.7)) * vx, float(rng.uniform(-0.6, 0.6)) * vy, float(rng.uniform(-0.6, 0.6)) * wz),
    }[kind]
    return float(rng.uniform(2.0, 6.0)), velocity


def draw_height(rng: np.random.Generator, index: int, gait: Gait, crouch_m: float, rise_m: float) -> tuple[float, float]:
    """A centre-of-mass height (m) and how long it holds: nominal more often than not."""
    hold = float(rng.uniform(2.0, 6.0))
    if index == 0 or rng.random() < 0.55:
        return hold, gait.com_height_m
    return hold, gait.com_height_m + float(rng.uniform(-crouch_m, rise_m))


def draw_posture(rng: np.random.Generator, index: int, gait: Gait, crouch_m: float, rise_m: float) -> tuple[float, Posture]:
    """A height (m) and a torso attitude (rad) that are commanded, and how long: neither more often than not."""
    hold = float(rng.uniform(2.0, 6.0))
    if index == 0 or rng.random() < 0.65:
        return hold, (None, None)
    height = gait.com_height_m + float(rng.uniform(-crouch_m, rise_m))
    roll, pitch, yaw = (float(rng.uniform(low, high)) for low, high in TORSO_RANGE)
    which = rng.choice(3)
    return hold, (None if which == 0 else height, None if which == 1 else (roll, pitch, yaw))
