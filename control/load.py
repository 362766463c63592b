"""What the robot carries: the steady part of what pulls it down and is none of its own weight."""

from __future__ import annotations

import math
from copy import copy
from typing import NamedTuple


class LoadConfig(NamedTuple):
    """How a load is told from all else that pulls and pushes."""

    filter_s: float = 0.3
    least_n: float = 15.0  # that the estimate is wrong by without any load; a load counts beyond it
    most: float = 0.6  # of the robot's own weight


class Load:
    """Updated with each state.

    Attributes:
        newton: N, that the feet have to carry beside the robot's own weight.
    """

    def __init__(self, config: LoadConfig, weight_n: float) -> None:
        """Of a robot of that weight."""
        self._config, self._most_n = config, config.most * weight_n
        self.reset()

    def reset(self) -> None:
        """Nothing, as far as is known."""
        self._pull_n = self.newton = 0.0

    def copy(self) -> Load:
        """An independent copy."""
        return copy(self)

    def update(self, down_n: float, dt: float) -> None:
        """Take what pulls the robot down now (N), dt s after the last time; what is not finite says nothing."""
        if not math.isfinite(down_n):
            return
        c = self._config
        self._pull_n += min(1.0, dt / c.filter_s) * (down_n - self._pull_n)
        self.newton = min(max(0.0, self._pull_n - c.least_n), self._most_n)
