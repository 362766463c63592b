from __future__ import annotations

import math

import numpy as np
import pytest

from poise.hw.histogram import LEAST_S, MOST_S, Histogram


def test_quantiles_are_numpys_to_half_a_bin() -> None:
    rng, histogram = np.random.default_rng(0), Histogram()
    durations = rng.lognormal(math.log(3e-4), 0.8, 20_000)
    for duration in durations:
        histogram.add(float(duration))
    for share in (0.1, 0.5, 0.9, 0.99, 0.999):
        assert histogram.quantile(share) == pytest.approx(np.quantile(durations, share, method="inverted_cdf"), rel=0.024)
    assert histogram.quantile(1.0) == pytest.approx(durations.max(), rel=0.024)
    assert histogram.most_s == durations.max() and histogram.count == 20_000


def test_by_hand() -> None:
    histogram = Histogram()
    for microseconds in (10.0, 10.0, 10.0, 1000.0):
        histogram.add(1e-6 * microseconds)
    plain = histogram.plain()
    assert plain == {"count": 4, "p50": pytest.approx(10.0), "p99": pytest.approx(1000.0), "p999": pytest.approx(1000.0), "max": 1000.0}


def test_what_is_out_of_its_range_counts_at_its_ends() -> None:
    histogram = Histogram()
    for seconds in (0.0, -1.0, 0.1 * LEAST_S):
        histogram.add(seconds)
    assert (histogram.count, histogram.quantile(1.0)) == (3, 0.1 * LEAST_S)
    histogram.add(1e6)
    assert histogram.quantile(1.0) == pytest.approx(MOST_S) and histogram.most_s == 1e6


def test_of_nothing_nothing_is_known() -> None:
    assert math.isnan(Histogram().quantile(0.5)) and Histogram().most_s == 0.0
