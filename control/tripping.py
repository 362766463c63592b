"""A swing foot that strikes something, which pushes it back against its way.

Early in a step it waits until it is high enough and goes over. Later it comes down where it is, and at once: while it hangs there the
robot falls on. The next feet are lifted over what it met (ground.py): such a foot goes up before it goes ahead.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array

from .swing import SwingFoot


@dataclass(frozen=True)
class TripConfig:
    """When a foot strikes, and what it does then."""

    force_n: float = 40.0  # against its way; its own swinging looks like 35 N to the contact observer
    lasts_s: float = 0.01
    after_s: float = 0.06  # from the last touchdown on
    speed_mps: float = 0.05  # from which on it has a way
    back_m: float = 0.02  # by which it goes back
    over_phase: float = 0.4  # of the swing, up to which it goes over
    high: float = 0.75  # share of its lift from which it may go ahead
    down_s: float = 0.08  # in which one comes down that does not go over
    last_phase: float = 0.95  # after it the ground is what a foot meets


class Trip:
    """Of the foot that swings.

    Attributes:
        ends_s: when the step has to end, s since its touchdown; infinite where nothing was struck.
        over: whether a foot that is kept where it is goes over what it met.
    """

    def __init__(self, config: TripConfig, period_s: float) -> None:
        self._config, self._period = config, period_s
        self.reset()

    def reset(self) -> None:
        """No foot swings."""
        self._kept: Array | None = None  # x, y, yaw where the foot waits or comes down
        self.over, self.ends_s = True, np.inf
        self._start_m = self._pushed_s = 0.0

    def copy(self) -> Trip:
        """An independent copy; no array of it is ever written to."""
        return copy(self)

    def lift_off(self, sole: Array, yaw: float, waits: bool) -> None:
        """A foot (3,) m leaves the ground; one that waits goes up first."""
        self.reset()
        self._start_m = float(sole[2])
        self._kept = np.array([sole[0], sole[1], yaw]) if waits else None

    def strikes(self, swing: SwingFoot, sole: Array, force: Array, time_s: float) -> bool:
        """Whether the foot, at (3,) m, begins to strike something.

        force (2,) N is what acts on it in the plane; time_s since the last touchdown.
        """
        c, way = self._config, swing.state[1, :2]
        if not self.over or swing.phase > c.last_phase:
            return False
        speed = float(np.hypot(*way))
        against = speed > c.speed_mps and time_s > c.after_s and -float(force @ way) > c.force_n * speed
        self._pushed_s = self._pushed_s + self._period if against else 0.0
        if self._pushed_s < c.lasts_s:
            return False
        back = sole[:2] - c.back_m * way / speed
        self._kept, self.over = np.array([back[0], back[1], swing.yaw]), swing.phase < c.over_phase
        self.ends_s = np.inf if self.over else time_s + c.down_s
        return True

    def target(self, foothold: Array, swing: SwingFoot, height_m: float, lift_m: float) -> Array:
        """Where the foot goes in this tick, x, y (m) and yaw (rad): to its foothold, or where it is kept; it is at a height now."""
        c = self._config
        if self.over and (height_m > self._start_m + c.high * lift_m or swing.phase > c.over_phase):
            self._kept = None
        return foothold if self._kept is None else self._kept
