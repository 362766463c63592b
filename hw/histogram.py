"""Durations counted in bins, so that an hour at 500 Hz takes no more room than a second."""

from __future__ import annotations

import math

import numpy as np

LEAST_S, MOST_S = 1e-6, 100.0
PER_DECADE = 50  # bins, each 4.7 % wider than the one before


class Histogram:
    """Counts of durations from LEAST_S to MOST_S; what is beyond counts in the first or the last bin.

    Attributes:
        most_s: the longest duration, s, itself and not its bin; 0 where there was none.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(1 + round(PER_DECADE * math.log10(MOST_S / LEAST_S)), np.int64)
        self.most_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration, s; one that is not above 0 counts as the least."""
        i = round(PER_DECADE * math.log10(max(seconds, LEAST_S) / LEAST_S))
        self._counts[min(i, self._counts.size - 1)] += 1
        self.most_s = max(self.most_s, seconds)

    @property
    def count(self) -> int:
        """How many there were."""
        return int(self._counts.sum())

    def quantile(self, share: float) -> float:
        """The duration (s) that a share of all were no longer than, to 2.4 %; NaN where there was none."""
        if not self.count:
            return math.nan
        i = int(np.searchsorted(np.cumsum(self._counts), max(share * self.count, 1.0)))
        return min(LEAST_S * 10.0 ** (i / PER_DECADE), self.most_s)

    def plain(self) -> dict[str, float]:
        """Count, p50, p99, p999 and the longest, µs."""
        quantiles = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
        return {"count": self.count, **{name: 1e6 * self.quantile(share) for name, share in quantiles.items()}, "max": 1e6 * self.most_s}
