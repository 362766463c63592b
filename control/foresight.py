"""Where the DCM is about to be: a step that waits for the end of a push comes too late.

On two feet it is taken at its present rate: a sideways push takes the DCM from between the feet over the edge in a tenth of a second,
the best part of a step's time. In a step, where it moves anyway, at the rate that the pendulum does not explain; a stand meets that
rate with its ZMP at once.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
from numba import njit

from poise.robots.types import Array


@dataclass(frozen=True)
class ForesightConfig:
    """Times in s."""

    ahead_s: float = 0.12
    filter_s: float = 0.03  # of the DCM's rate: the noise of the estimate alone would make steps


class Foresight:
    """The DCM at its present rate, a while ahead; called once a tick."""

    def __init__(self, config: ForesightConfig, period_s: float) -> None:
        self._config, self._dt = config, period_s
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the DCM is taken to be at rest."""
        self._seen: Array | None = None
        self._rate = np.zeros(2)

    def copy(self) -> Foresight:
        """An independent copy; its arrays are never written to."""
        return copy(self)

    def __call__(self, dcm: Array) -> Array:
        """The DCM to come, (2,) m, of the DCM now, (2,) m, in the world."""
        if self._seen is not None:
            share = self._dt / (self._dt + self._config.filter_s)
            self._rate = self._rate + share * ((dcm - self._seen) / self._dt - self._rate)
        self._seen = dcm.copy()
        return dcm + self._config.ahead_s * self._rate


@dataclass(frozen=True)
class PushConfig:
    """Times in s, a rate in m/s."""

    ahead_s: float = 0.06  # a push is taken to last so long
    filter_s: float = 0.02
    rate_least: float = 0.3  # of what is not explained so much is the model's error


class PushWatch:
    """How fast a push moves the DCM: ξ̇ − ω (ξ − p + s a) of a force F is F/(m ω); called once a tick."""

    def __init__(self, config: PushConfig, period_s: float) -> None:
        self._numbers = (period_s, period_s / (period_s + config.filter_s), config.rate_least)
        self._memory = np.zeros(4)  # the rate, m/s, and the DCM of the last call, m, NaN where there was none
        self.reset()

    def reset(self) -> None:
        """Forget push and DCM."""
        self.begin_step()
        self._memory[:2] = 0.0

    def begin_step(self) -> None:
        """The ZMP jumps: what the DCM was before tells nothing of a push."""
        self._memory[2:] = np.nan

    def copy(self) -> PushWatch:
        """An independent copy."""
        other = copy(self)
        other._memory = self._memory.copy()
        return other

    def __call__(self, dcm: Array, omega: float, zmp: Array) -> Array:
        """How fast the DCM is pushed, (2,) m/s in the world.

        dcm (2,) m is that of now, omega in 1/s; zmp (2,) m was in force since the last call, less s a of the swing foot.
        """
        return pushed(self._memory, dcm, omega, zmp, *self._numbers)


@njit(cache=True)
def pushed(memory: Array, dcm: Array, omega: float, zmp: Array, period: float, share: float, least: float) -> Array:
    """Follow the rate that the pendulum does not explain, in place; what it has beyond the model's error, (2,) m/s."""
    if not np.isnan(memory[2]):
        for i in range(2):
            unexplained = (dcm[i] - memory[2 + i]) / period - omega * (memory[2 + i] - zmp[i])
            memory[i] += share * (unexplained - memory[i])
    memory[2:] = dcm
    return max(0.0, 1.0 - least / max(np.hypot(memory[0], memory[1]), 1e-9)) * memory[:2]
