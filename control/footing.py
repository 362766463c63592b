"""A foot that is knocked away: by plan it stands, it stood, and it moves.

A blow at an ankle takes a foot from under the robot at metres a second, and the body hardly feels it. What is left to stand on is the
other foot, while it is on the ground or close to it.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from numba import njit

from poise.robots.types import Array


@dataclass(frozen=True)
class FootingConfig:
    """Lengths in m, speeds in m/s."""

    still: float = 0.3  # below it a foot that is put down has come to rest
    moved: float = 0.05  # so far from where it last was at rest,
    speed: float = 0.8  # and still so fast: a foot that slips is not both
    low: float = 0.05  # a foot in the air is close to the ground up to this height over where the other was at rest


class Footing:
    """Where the feet that stand were last at rest; called once a tick."""

    def __init__(self, config: FootingConfig) -> None:
        self._numbers = (config.still, config.moved, config.speed, config.low)
        self._rest = np.empty((2, 3))  # x, y, z in the world, m
        self.reset()

    def reset(self) -> None:
        """Forget: the feet that stand next have come to rest nowhere yet."""
        self._rest[:] = np.nan

    def copy(self) -> Footing:
        """An independent copy."""
        other = copy(self)
        other._rest = self._rest.copy()
        return other

    def __call__(self, standing: Array, soles: Array, velocities: Array) -> int | None:
        """The foot that is knocked away, where the other is there to stand on.

        standing (2,): above 0.5 where a foot stands by plan; soles (2, 3) m and their velocities (2, 3 or more) m/s in the world.
        """
        foot: int = knocked_away(self._rest, standing, soles, velocities, *self._numbers)
        return foot if foot >= 0 else None


@njit(cache=True)
def knocked_away(rest: Array, standing: Array, soles: Array, velocities: Array, still: float, moved: float, fast: float, low: float) -> int:
    """The foot, -1 where there is none; where feet come to rest is written to `rest` (2, 3) m, NaN for one that has not."""
    gone, count = -1, 0
    for foot in range(2):
        speed = np.hypot(velocities[foot, 0], velocities[foot, 1])
        if standing[foot] <= 0.5:
            rest[foot] = np.nan
        elif speed < still:
            rest[foot] = soles[foot]
        elif speed > fast and np.hypot(soles[foot, 0] - rest[foot, 0], soles[foot, 1] - rest[foot, 1]) > moved:
            gone, count = foot, count + 1
    if count == 1 and (standing[1 - gone] > 0.5 or soles[1 - gone, 2] - rest[gone, 2] <= low):
        return gone
    return -1
