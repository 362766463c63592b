"""Intervals at 95 % of what seeded runs give: of a rate, and of the difference between two controllers on the same cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, t

LEVEL = 0.95


def wilson(count: int, of: int) -> list[float]:
    """Low and high end of a rate's interval (Wilson, JASA 1927)."""
    interval = binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return [float(interval.low), float(interval.high)]


def mean_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, list[float] | None]:
    """Mean of second - first over pairs, and Student's interval of it; None with fewer than two pairs."""
    differences = np.subtract(second, first)
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return mean, None
    half = float(t.ppf(0.5 + LEVEL / 2.0, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return mean, [mean - half, mean + half]


def rate_difference(first: Sequence[bool], second: Sequence[bool]) -> tuple[float, list[float]]:
    """Difference of two rates, second - first, over the same cases, and its interval (Newcombe, Statistics in Medicine 1998, method 10).

    It is made of the two Wilson intervals, and so is not empty where nothing differs.
    """
    a, b = np.array(first, dtype=bool), np.array(second, dtype=bool)
    p, q = float(a.mean()), float(b.mean())
    (low_p, high_p), (low_q, high_q) = wilson(int(a.sum()), a.size), wilson(int(b.sum()), b.size)
    spread = float(np.sqrt(p * (1.0 - p) * q * (1.0 - q)))
    shared = float((a & b).mean()) - p * q
    phi = min(shared, max(shared - 0.5 / a.size, 0.0)) / spread if spread > 0.0 else 0.0  # a positive one corrected for continuity
    return q - p, [q - p - _joined(q - low_q, high_p - p, phi), q - p + _joined(high_q - q, p - low_p, phi)]


def _joined(one: float, other: float, phi: float) -> float:
    return float(np.sqrt(one**2 - 2.0 * phi * one * other + other**2))
