"""How late commands act, told from joint torques, and the state in which the one that is made now will find the robot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pinocchio as pin
from numba import njit

from poise.robots.types import Array

LONGEST = 32  # periods that are looked back


class DelayConfig(NamedTuple):
    """When commands count as late."""

    filter_s: float = 1.0  # over which measured torques are held against those that were sent
    clearer: float = 0.5  # share of the error of what was sent last, under which it is something sent earlier that acts
    least_nm2: float = 0.5  # mean square of that error, below which torques hardly change and tell nothing
    least: int = 3  # periods from which on the state is predicted


class Delay:
    """Called with each state, and after each command.

    Attributes:
        periods: by how many a command acts later than the next state; one or two may be told as none.
    """

    def __init__(self, config: DelayConfig, model: pin.Model, period_s: float) -> None:
        self._config, self._model, self._period = config, model, period_s
        self.reset()

    def reset(self) -> None:
        """Nothing is late, as far as is known."""
        self.periods = 0
        self._forget()

    def _forget(self) -> None:
        """Nothing is under way that is known of."""
        nv = self._model.nv
        self._torque, self._acceleration = np.zeros((LONGEST, nv - 6)), np.zeros((LONGEST, nv))
        self._contact, self._error = np.ones((LONGEST, 2)), np.zeros(LONGEST)
        self._count = self._measured = 0  # commands that went out, and those before the last state

    def copy(self) -> Delay:
        """An independent copy."""
        other = object.__new__(Delay)
        other.__dict__.update({key: value.copy() if isinstance(value, np.ndarray) else value for key, value in self.__dict__.items()})
        return other

    def sent(self, torque: Array, acceleration: Array, contact: Array) -> None:
        """A command went out: joint torques (n,) N·m, the accelerations (nv,) that they are to give, and the feet (2,) that stand by it."""
        at = self._count % LONGEST
        self._torque[at], self._acceleration[at], self._contact[at] = torque, 0.0, contact
        if np.isfinite(acceleration).all():
            self._acceleration[at] = acceleration
        self._count += 1

    def measure(self, torque: Array) -> None:
        """Joint torques (n,) N·m of a state, before its command is sent; what is not finite says nothing, nor what somebody else sent."""
        c = self._config
        if self._count == self._measured:
            self._forget()
        self._measured = self._count
        if self._count < LONGEST or not np.isfinite(torque).all():
            return
        late = matched(self._error, self._torque, torque, self._count, min(1.0, self._period / c.filter_s))
        if self._error[0] > c.least_nm2:
            self.periods = late if self._error[late] < c.clearer * self._error[0] else 0

    @property
    def late(self) -> bool:
        """Whether the state has to be predicted."""
        return self.periods >= self._config.least

    def planned(self, contact: Array) -> Array:
        """The feet (2,) that stand by the plan that acts now, of that of the last command."""
        return self._contact[(self._count - 1 - self.periods) % LONGEST].copy() if self.late else contact

    def predicted(self, q: Array, v: Array) -> tuple[Array, Array]:
        """Pinocchio's q (nq,) and v (nv,) when the next command begins to act, by the accelerations of those under way."""
        way, speed = np.zeros(v.size), v.copy()
        for i in range(self.periods):
            acceleration = self._acceleration[(self._count - self.periods + i) % LONGEST]
            way += self._period * (speed + 0.5 * self._period * acceleration)
            speed += self._period * acceleration
        return pin.integrate(self._model, q, way), speed


@njit(cache=True)
def matched(error: Array, sent: Array, torque: Array, count: int, share: float) -> int:
    """By how many periods what acts is older than what was sent last, of low-passed mean squares (LONGEST,) N²m² in place."""
    for late in range(error.size):
        square, before = 0.0, sent[(count - 1 - late) % error.size]
        for i in range(torque.size):
            square += (torque[i] - before[i]) ** 2
        error[late] += share * (square / torque.size - error[late])
    return int(np.argmin(error))
