"""What the ground is like where nobody has looked: its slope, from how soles come to lie, and how high feet have to be lifted.

A slope is what soles that follow each other agree on, in how they are tilted and in how much higher one lies than the other: a step has
level treads, and a single tilted sole lies on a stone. The body follows the plane through the sole that stands.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array


@dataclass(frozen=True)
class GroundConfig:
    """Lengths in m; slopes are gradients."""

    slope_gain: float = 0.7  # share of a difference that a step takes up
    slope_least: float = 0.03  # up to it the ground counts as level; from twice that it counts whole
    slope_max: float = 0.35
    even: float = 0.006  # up to which a sole that lies higher or lower than expected is as expected
    lift_uneven: float = 2.5  # of what is beyond that, by which the next feet are lifted more,
    lift_lower: float = 0.04  # at most so much where it lay lower,
    lift_max: float = 0.13  # and where it lay higher
    lift_struck: float = 0.11  # after a foot has struck something
    lift_kept: float = 0.85  # of a lift, from step to step
    calm: float = 0.3  # urgency up to which ground that was even tells of itself
    uneven: float = 0.01  # lift from which on it is known to be uneven
    high: float = 0.06  # from this lift on a foot goes up before it goes ahead, and comes down at the end
    follow_s: float = 0.1  # in which the body follows ground that is higher or lower
    crouch_slope: float = 0.12  # by which it is lower on a slope of 1, so that both legs reach
    crouch_lift: float = 0.2  # of a lift


class Ground:
    """Learned from step to step.

    Attributes:
        slope: (2,) gradient of the height along the world's x and y.
        lift_m: by which feet are lifted more than on even ground.
    """

    def __init__(self, config: GroundConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Level and even, as far as is known."""
        self.slope, self.lift_m = np.zeros(2), 0.0
        self._learned, self._tilt = np.zeros(2), np.zeros(2)
        self._place = np.full(3, np.nan)  # of the sole that came down before
        self._floor = np.nan

    def copy(self) -> Ground:
        """An independent copy; no array of it is ever written to."""
        return copy(self)

    @property
    def high(self) -> bool:
        """Whether feet are lifted over something."""
        return self.lift_m > self._config.high

    def heeds(self, urgency: float) -> bool:
        """Whether what meets a foot tells of the ground: a robot that has to be caught on even ground was pushed."""
        return urgency < self._config.calm or self.lift_m > self._config.uneven or bool(self.slope.any())

    def lies(self, normal: Array, place: Array) -> None:
        """A sole that has come down carries the robot: its normal (3,) and place (3,) m in the world; not finite, they say nothing."""
        if not (np.isfinite(normal).all() and np.isfinite(place).all()):
            return
        c, before, way = self._config, self._tilt, place - self._place
        self._tilt, self._place = -normal[:2] / max(float(normal[2]), 0.7), place.copy()
        if np.isnan(way[0]):
            return
        higher = float(way[2] - self.slope @ way[:2])
        self._lift(min(c.lift_uneven * (abs(higher) - c.even), c.lift_max if higher > 0.0 else c.lift_lower))
        slope = np.array([common(a, b) for a, b in zip(self._tilt.tolist(), before.tolist(), strict=True)])
        ahead = way[:2] / max(float(np.hypot(*way[:2])), 0.05)
        tilted, rising = float(slope @ ahead), float(way[2]) / max(float(np.hypot(*way[:2])), 0.05)
        slope = slope + (common(tilted, rising) - tilted) * ahead
        self._learned = self._learned + c.slope_gain * (slope - self._learned)
        size = max(float(np.hypot(*self._learned)), 1e-9)
        self.slope = self._learned * min(1.0, max(0.0, size / c.slope_least - 1.0), c.slope_max / size)

    def struck(self) -> None:
        """A foot struck something."""
        self.lift_m = max(self.lift_m, self._config.lift_struck)

    def _lift(self, wanted: float) -> None:
        self.lift_m = max(self._config.lift_kept * self.lift_m, wanted, 0.0)

    def height_at(self, place: Array, sole: Array) -> float:
        """Height (m) at a place (2 or more,) m of the plane through a sole (3,) m."""
        return float(sole[2] + self.slope @ (place[:2] - sole[:2]))

    def floor(self, com: Array, sole: Array, dt: float) -> float:
        """Height (m) over which the centre of mass, at (2,) m, is kept while this sole stands (3,) m; called once a tick."""
        c, under = self._config, self.height_at(com, sole)
        near = not abs(under - self._floor) > c.even  # also where it begins
        self._floor = under if near else self._floor + (under - self._floor) * dt / c.follow_s
        return self._floor - c.crouch_slope * float(np.hypot(*self.slope)) - c.crouch_lift * self.lift_m

    def stand(self, soles: Array) -> float:
        """Height (m) over which the centre of mass is kept while both soles (2, 3) m stand."""
        self._floor = float(soles[:, 2].mean())
        return self._floor


def common(a: float, b: float) -> float:
    """What two figures have in common: the smaller one; nothing where their signs differ."""
    return 0.0 if a * b <= 0.0 else float(np.copysign(min(abs(a), abs(b)), a))
