from __future__ import annotations

import numpy as np
import pytest

from poise.control.foresight import Foresight, ForesightConfig, PushConfig, PushWatch
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
    """1 mm of white noise moves what is foreseen by less than 2 cm: a stand has 5 cm and more to where it makes a step."""
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


def pushed(force_rate: Array, seconds: float = 0.2) -> Array:
    """What is said after a pendulum, ω = 4/s over a ZMP at 0 with a swing foot that shifts it, was pushed for a while by F/(m ω)."""
    watch, dcm, zmp, out = PushWatch(PushConfig(), DT), np.array([0.05, -0.03]), np.array([0.01, 0.02]), np.zeros(2)
    for _ in range(round(seconds / DT)):
        out = watch(dcm, 4.0, zmp)
        dcm = dcm + DT * (4.0 * (dcm - zmp) + force_rate)
    return out


def test_what_the_pendulum_explains_is_no_push() -> None:
    np.testing.assert_allclose(pushed(np.zeros(2)), 0.0, atol=1e-12)


def test_a_push_is_known_less_what_may_be_an_error() -> None:
    """Of 1 m/s to (0.6, 0.8), 0.3 m/s may be an error; of 0.2 m/s nothing is left."""
    along = np.array([0.6, 0.8])
    np.testing.assert_allclose(pushed(along), 0.7 * along, rtol=1e-3)
    np.testing.assert_array_equal(pushed(0.2 * along), 0.0)


def test_a_new_step_keeps_the_push_and_forgets_the_dcm() -> None:
    watch, zero = PushWatch(PushConfig(), DT), np.zeros(2)
    for k in range(100):
        before = watch(np.array([0.002 * k, 0.0]), 4.0, np.array([0.002 * k, 0.0]))
    watch.begin_step()
    np.testing.assert_array_equal(watch(np.array([5.0, 0.0]), 4.0, zero), before)
    watch.reset()
    np.testing.assert_array_equal(watch(np.array([5.0, 0.0]), 4.0, zero), zero)
