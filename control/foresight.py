"""Where the DCM of a robot on two feet is about to be: a step that waits for it to be over the edge comes too late.

A sideways push takes the DCM from between the feet over the edge in a tenth of a second, the best part of a step's time.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

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
