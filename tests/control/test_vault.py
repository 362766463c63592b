from __future__ import annotations

import numpy as np
import pytest

from poise.control.vault import vault

HEIGHT, DURATION, LAG = 0.66, 0.45, 0.8


def height(time: float, way: float = 0.25, share: float = 1.0, lag: float = LAG) -> np.ndarray:
    """The vault of a step."""
    return np.asarray(vault(way, time, DURATION, HEIGHT, share, lag))


@pytest.mark.parametrize("time", [0.05, 0.2, 0.37])
def test_rate_and_acceleration_are_the_derivatives(time: float) -> None:
    step = 1e-4
    before, here, after = height(time - step), height(time), height(time + step)
    assert here[1] == pytest.approx((after[0] - before[0]) / (2 * step), rel=1e-5)
    assert here[2] == pytest.approx((after[0] - 2 * here[0] + before[0]) / step**2, rel=1e-4)


@pytest.mark.parametrize("way", [0.1, 0.2, 0.25])
def test_a_whole_share_is_what_a_stiff_leg_rises(way: float) -> None:
    """From touchdown, half a step behind the foot, to the middle: ℓ less √(ℓ² − d²/4)."""
    rise = height(0.5 * DURATION, way, lag=0.0)[0] - height(0.0, way, lag=0.0)[0]
    assert rise == pytest.approx(HEIGHT - np.sqrt(HEIGHT**2 - 0.25 * way**2), rel=0.05)
    assert height(0.5 * DURATION, way, share=0.5, lag=0.0)[0] == pytest.approx(0.25 * rise)


def test_steps_join_without_a_jump_and_the_lowest_point_comes_after_touchdown() -> None:
    np.testing.assert_allclose(height(DURATION - 1e-12), height(0.0), atol=1e-8)
    times = np.linspace(0.0, DURATION, 1001)
    lowest = times[np.argmin([height(t)[0] for t in times])]
    assert lowest == pytest.approx(LAG / (2 * np.pi) * DURATION, abs=1e-3)
    assert np.mean([height(t)[0] for t in times[:-1]]) == pytest.approx(0.0, abs=1e-9)


def test_a_late_step_stays_where_it_ends() -> None:
    np.testing.assert_allclose(height(DURATION + 0.1), [height(0.0)[0], 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("duration", np.linspace(0.18, 0.6, 8))
def test_no_step_asks_for_a_hop(duration: float) -> None:
    """The soles keep seven tenths of the weight on them, and are asked for three tenths more at most."""
    for time in np.linspace(0.0, duration, 50):
        assert abs(vault(0.5, time, duration, HEIGHT, 1.0, LAG)[2]) < 0.3 * 9.81


def test_in_place_nothing_rises() -> None:
    np.testing.assert_array_equal(height(0.1, way=0.0), 0.0)
