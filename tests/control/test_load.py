from __future__ import annotations

import numpy as np
import pytest

from poise.control.load import Load, LoadConfig

CONFIG, WEIGHT, DT = LoadConfig(), 330.0, 0.002


def carrying(pull_n: float, seconds: float) -> Load:
    load = Load(CONFIG, WEIGHT)
    for _ in range(round(seconds / DT)):
        load.update(pull_n, DT)
    return load


def test_it_comes_with_its_time_constant() -> None:
    assert carrying(98.1, CONFIG.filter_s).newton == pytest.approx(98.1 * (1.0 - np.exp(-1.0)) - CONFIG.least_n, rel=0.01)
    assert carrying(98.1, 3.0).newton == pytest.approx(98.1 - CONFIG.least_n, abs=0.1)


@pytest.mark.parametrize("pull_n", [-200.0, 0.0, 14.0])
def test_what_lifts_or_hardly_pulls_is_no_load(pull_n: float) -> None:
    assert carrying(pull_n, 3.0).newton == 0.0


def test_it_is_bounded_and_forgotten() -> None:
    load = carrying(1000.0, 3.0)
    assert load.newton == pytest.approx(CONFIG.most * WEIGHT)
    other = load.copy()
    load.reset()
    assert load.newton == 0.0 and other.newton > 0.0
    load.update(98.1, DT)
    assert load.newton == 0.0


@pytest.mark.parametrize("pull_n", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_says_nothing(pull_n: float) -> None:
    load = carrying(98.1, 3.0)
    before = load.newton
    load.update(pull_n, DT)
    assert load.newton == before


def test_a_short_pull_is_no_load() -> None:
    """A push of 10 N·s straight down, in 0.1 s, counts for a third of its force at most."""
    assert carrying(100.0, 0.1).newton < 0.3 * 100.0 - CONFIG.least_n
