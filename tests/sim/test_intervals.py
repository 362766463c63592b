from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from poise.sim.intervals import mean_difference, rate_difference, wilson


def test_a_rate_has_the_roots_of_wilsons_quadratic() -> None:
    for count, of in ((0, 2), (3, 20), (20, 20)):
        for p in wilson(count, of):
            assert (p - count / of) ** 2 == pytest.approx(1.959964**2 * p * (1.0 - p) / of, abs=1e-7)


def test_a_mean_difference_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=12)
    second = first + rng.normal(0.3, 0.2, 12)
    mean, interval = mean_difference(first.tolist(), second.tolist())
    expected = ttest_rel(second, first).confidence_interval(0.95)
    assert mean == pytest.approx(np.mean(second) - np.mean(first))
    assert interval == pytest.approx([expected.low, expected.high])
    assert mean_difference([1.0], [3.0]) == (2.0, None)


def test_a_rate_difference_by_hand() -> None:
    """14 held with both, 5 with the first alone, 22 with neither: Newcombe's own example of 41 pairs gives -0.226 to -0.011."""
    first = [True] * 19 + [False] * 22
    second = [True] * 14 + [False] * 27
    difference, interval = rate_difference(first, second)
    assert difference == pytest.approx(-5 / 41)
    assert interval == pytest.approx([-0.2261, -0.0113], abs=5e-4)


def test_where_nothing_differs_a_few_runs_still_leave_doubt() -> None:
    difference, (low, high) = rate_difference([False, False], [False, False])
    assert difference == 0.0
    assert low < -0.3 and high > 0.3
