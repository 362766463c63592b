"""Encoders that stand still while their joints move: found out by the joints' rates, which then take their place.

A reading that has not changed by a single bit, while the rate says that the joint went a way that noise does not go, is dead; the
position is reckoned from the last true reading by the rate until the reading changes again. The way is forgotten within `FORGOTTEN_S`, so
that noise alone does not add up: of white noise of 0.3 rad/s a sample, at 500 Hz, it has a standard deviation of 7 mrad.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array

DEAD_RAD = 0.035  # of a way
FORGOTTEN_S = 0.5
GAP_S = 0.05  # between two states; over a longer one nothing is reckoned


class Memory(NamedTuple):
    """Of each joint (n,): the last reading, the way since it, forgotten and in full, and 1 where the reading is dead."""

    reading: Array
    way: Array
    gone: Array
    dead: Array


class Encoders:
    """Called once for each sound state, whose positions it mends; `dead` says whose."""

    def __init__(self, n: int) -> None:
        self._block, self._n, self._stamp = np.zeros((4, n)), n, np.inf
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._block[:], self._stamp = 0.0, np.inf
        self._block[0] = np.nan
        self.any_dead = False

    @property
    def dead(self) -> Array:
        """1 for each joint (n,) whose encoder stands still."""
        return Memory(*self._block).dead

    def __call__(self, stamp_s: float, positions: Array, rates: Array) -> None:
        """Take readings (n,) each, rad and rad/s; positions of dead encoders are replaced."""
        dt = stamp_s - self._stamp
        self._stamp = stamp_s
        self.any_dead = bool(_reckon(self._block, positions, rates, dt if 0.0 < dt < GAP_S else 0.0))

    def snapshot(self) -> tuple[Array, float, bool]:
        """The state."""
        return self._block.copy(), self._stamp, self.any_dead

    def restore(self, snapshot: tuple[Array, float, bool]) -> None:
        """Go back to a snapshot."""
        self._block[:], self._stamp, self.any_dead = snapshot


@njit(cache=True)
def _reckon(block: Array, positions: Array, rates: Array, dt: float) -> int:
    """Update the rows of `Memory` and replace dead positions; how many there are."""
    reading, way, gone, dead = block[0], block[1], block[2], block[3]
    keep, found = np.exp(-dt / FORGOTTEN_S), 0
    for i in range(positions.size):
        if positions[i] != reading[i]:
            reading[i], way[i], gone[i], dead[i] = positions[i], 0.0, 0.0, 0.0
            continue
        way[i], gone[i] = keep * way[i] + dt * rates[i], gone[i] + dt * rates[i]
        if abs(way[i]) > DEAD_RAD:
            dead[i] = 1.0
        if dead[i] > 0.5:
            positions[i] += gone[i]
            found += 1
    return found
