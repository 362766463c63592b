from __future__ import annotations

import numpy as np
import pytest

from poise.control.foresight import Foresight, ForesightConfig
from poise.robots.types import Array

DT = 0.002


def after(foresight: Foresight, way: Array) -> Array:
    """What is foreseen at the end of a way (k, 2)."""
    return np.array([foresight(dcm) for dcm in way])[-1]


def test_a_steady_dcm_is_foreseen_where_it_goes() -> None:
    config = ForesightConfig(ahead_s=0.1, filter_s=0.03)
    way = np.outer(np.arange(300) * DT, [1.0, -0.5])
    np.testing.assert_allclose(after(Foresight(config, DT), way), way[-1] + 0.1 * np.array([1.0, -0.5]), atol=1e-6)


def test_the_rate_comes_with_its_time_constant() -> None:
    """After 30 ms of a filter of 30 ms, 1 − 1/e of it, as the backward difference has it."""
    config = ForesightConfig(ahead_s=0.1, filter_s=0.03)
    way = np.outer(np.arange(16) * DT, [1.0, 0.0])
    share = 1.0 - (1.0 + DT / 0.03) ** -15
    assert after(Foresight(config, DT), way)[0] - way[-1, 0] == pytest.approx(0.1 * share)


def test_noise_of_a_stand_foresees_no_step() -> None:
    """1 mm of white noise, a tenth of the way to the edge that makes a step at 1 cm."""
    noise = np.random.default_rng(0).normal(0.0, 0.001, (5000, 2))
    foresight = Foresight(ForesightConfig(), DT)
    assert np.abs([foresight(dcm) for dcm in noise]).max() < 0.02


def test_reset_forgets_and_a_copy_goes_its_own_way() -> None:
    foresight, way = Foresight(ForesightConfig(), DT), np.outer(np.arange(50) * DT, [1.0, 0.0])
    after(foresight, way)
    other = foresight.copy()
    np.testing.assert_array_equal(other(way[-1]), foresight(way[-1]))
    foresight.reset()
    np.testing.assert_array_equal(foresight(way[-1]), way[-1])
    assert other(way[-1])[0] > way[-1, 0]
