"""The DCM's reference on two feet: held where a stand keeps the pelvis in place, or brought to where a first step starts."""

from __future__ import annotations

from copy import copy

import numpy as np

from poise.robots.types import Array

from .swing import rest_to_rest, slope_at_the_end


class TwoFeet:
    """Of a stand, and of the shift to the first step. No array of it is ever written to.

    Attributes:
        reference: (2,) m, of the stand; None before its first tick.
        placed: (2,) m, where the pelvis was when the stand began.
    """

    def __init__(self, return_rate: float, most_m: float, shift_s: float, dt: float) -> None:
        """return_rate, 1/s, to where it is held, at most `most_m` from the middle; how long a shift takes, s."""
        self._rate, self._most, self._total, self._dt = return_rate, most_m, shift_s, dt
        self.reset()

    def reset(self) -> None:
        """A stand begins."""
        self.reference: Array | None = None
        self.placed: Array | None = None
        self._from = np.zeros(2)

    def copy(self) -> TwoFeet:
        """An independent copy."""
        return copy(self)

    def stand(self, dcm: Array, pelvis: Array, com: Array, soles: Array) -> tuple[Array, Array]:
        """DCM reference and rate: to where the centre of mass keeps the pelvis in place, within `most_m` of the middle."""
        if self.reference is None or self.placed is None:
            self.reference, self.placed = dcm.copy(), pelvis.copy()
        middle = 0.5 * (soles[0, :2] + soles[1, :2])
        shift = com + self.placed - pelvis - middle
        shift *= min(1.0, self._most / max(float(np.hypot(*shift)), 1e-9))
        rate = self._rate * (middle + shift - self.reference)
        self.reference = self.reference + self._dt * rate
        return self.reference, rate

    def begin_shift(self, dcm: Array) -> None:
        """A shift begins where the DCM is, (2,) m."""
        self._from = dcm.copy()

    def shift(self, time_s: float, end: Array, end_rate: Array) -> tuple[Array, Array]:
        """DCM reference and rate: a quintic from rest to `end` (2,) m, reached at a rate (2,) m/s."""
        total = self._total
        s, delta = min(1.0, time_s / total), end - self._from
        (way, speed, _), (push, pull, _) = rest_to_rest(s), slope_at_the_end(s)
        return self._from + delta * way + end_rate * total * push, delta * speed / total + end_rate * pull
