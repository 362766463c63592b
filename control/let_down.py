"""Is the robot on its feet at all? One that is let go of above the ground must not balance in the air.

A run begins with the belief that the robot stands. Where its soles sink nevertheless, by the IMU integrated from rest and the
legs' kinematics, it falls: the posture that it began with is held until the feet have carried it for a while, and estimator and
walker begin anew. One that is let go of tilted, or lowered slowly, may not be noticed.
Later the robot is in the air when neither foot has carried anything for a while, as when it is lifted: the posture of that moment is
held, in the same way; stepping there, it would kick whoever holds it.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np

from poise.robots.types import Array

from .dynamics import Dynamics
from .lip import GRAVITY


class LetDownConfig(NamedTuple):
    """How a fall to the ground is known, and its end."""

    watched_s: float = 0.1  # from the start: what sinks later has lost its balance
    sunk_m: float = 0.012  # of both soles; standing, on a plant that begins with a foot up to 6 mm above the ground, it is 9 mm at most
    carried_share: float = 0.5  # of the weight; with more load on the feet,
    carried_s: float = 0.04  # for so long, they carry it
    unloaded_s: float = 0.1  # without a break, of both feet: it is in the air; walking and pushed by 20 N·s it is 4 ms at most


class LetDown:
    """`posture` (n,) rad is what is held in the air, None on the ground. Called once a tick that has a sound state."""

    def __init__(self, config: LetDownConfig, weight_n: float, period_s: float) -> None:
        self._config, self._weight, self._period = config, weight_n, period_s
        self.posture: Array | None = None  # never written to, as the other arrays
        self._first = self._reach = np.zeros(0)
        self._left_s = self._carried_s = self._unloaded_s = 0.0
        self._height = self._speed = 0.0  # of the base, m and m/s, since the start

    def begin(self, d: Dynamics) -> None:
        """Begin to watch, from the first state of a run."""
        self.posture, self._first, self._reach = None, d.joint_position.copy(), _reach(d)
        self._left_s, self._carried_s, self._unloaded_s = self._config.watched_s, 0.0, 0.0
        self._height = self._speed = 0.0

    def copy(self) -> LetDown:
        """An independent copy."""
        return copy(self)

    def __call__(self, d: Dynamics, specific_force: Array, load_n: float | None, unloaded: bool = False) -> bool:
        """Whether in this tick a robot that was in the air has come to stand.

        specific_force (3,): m/s², base axes; load_n: vertical force on both feet, None where joint torques do not tell it: then it
        is all that holds the robot; unloaded: neither foot seems to carry anything.
        """
        upward = float(d.base_rotation[2] @ specific_force)
        if self.posture is not None:
            return self._carried(self._weight * upward / GRAVITY if load_n is None else load_n)
        if self._left_s > 0.0:
            self._left_s -= self._period
            self._speed += (upward - GRAVITY) * self._period
            self._height += self._speed * self._period
            if (self._height + _reach(d) - self._reach).max() < -self._config.sunk_m:
                self.posture, self._left_s = self._first, 0.0
        self._unloaded_s = self._unloaded_s + self._period if unloaded else 0.0
        if self._unloaded_s > self._config.unloaded_s:
            self.posture, self._unloaded_s = d.joint_position.copy(), 0.0
        return False

    def _carried(self, load_n: float) -> bool:
        cfg = self._config
        self._carried_s = self._carried_s + self._period if load_n > cfg.carried_share * self._weight else 0.0
        if self._carried_s < cfg.carried_s:
            return False
        self.posture = None
        return True


def _reach(d: Dynamics) -> Array:
    """Height of the soles over the base, (2,) m."""
    return np.asarray(d.sole_position[:, 2] - d.q[2])
