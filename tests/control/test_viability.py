from __future__ import annotations

import numpy as np
import pytest

from poise.control.viability import viable_acceleration
from poise.robots.types import Array

DT = 0.002


def brake_from_viable_states(braking: float, decay: float, semi_implicit: bool) -> tuple[Array, Array, float]:
    """Positions and speeds of joints ±1 rad, 20 rad/s, that always ask for the most allowed; the hardest braking asked."""
    rng, n = np.random.default_rng(0), 2000
    limit, fastest, low, high = np.ones(n), np.full(n, 20.0), np.empty(n), np.empty(n)
    q = rng.uniform(-1.0, 1.0, n)
    room, slow, fading, rate = 1.0 - np.abs(q), braking / decay, np.full(n, decay), np.full(n, braking)
    hard = np.sqrt(np.maximum(0.0, 2.0 * braking * room - slow**2))
    most = np.minimum(20.0, np.where(room * decay > slow, hard, decay * room))
    v = rng.uniform(-1.0, 1.0, n) * most
    way, positions, speeds, hardest = np.ones(n), [], [], 0.0
    for tick in range(1000):
        if tick % 100 == 0:
            way = rng.choice([-1.0, 1.0], n)
        viable_acceleration(q, v, -limit, limit, fastest, fading, rate, DT, low, high)
        assert (low <= high).all()
        acceleration = np.where(way > 0, high, low)
        onward = way * v > 0.0
        hardest = max(hardest, float(-(way * acceleration)[onward].min(initial=0.0)))
        v_next = v + acceleration * DT
        q = q + DT * (v_next if semi_implicit else 0.5 * (v + v_next))
        v = v_next
        positions.append(np.abs(q).max())
        speeds.append(np.abs(v).max())
    return np.array(positions), np.array(speeds), hardest


@pytest.mark.parametrize("braking", [20.0, 60.0, 200.0])
@pytest.mark.parametrize("decay", [4.0, 25.0, 500.0])
@pytest.mark.parametrize("semi_implicit", [True, False], ids=["as MuJoCo", "exact"])
def test_the_worst_requests_stay_within_the_limits(braking: float, decay: float, semi_implicit: bool) -> None:
    """Full speed towards a limit, then the other way, for ever: with the assumed braking no joint passes its limit."""
    positions, speeds, hardest = brake_from_viable_states(braking, decay, semi_implicit)
    assert positions.max() <= 1.0 + braking * DT**2  # a fraction of a milliradian, from one period's rounding
    assert positions.max() > 0.99  # it may use its range
    assert speeds.max() <= 20.0 + 1e-9
    assert hardest <= braking * (1.0 + 1e-9)  # never more than is assumed to be there


def test_outside_the_viable_set_the_joint_brakes_as_hard_as_it_can() -> None:
    low, high, one = np.empty(4), np.empty(4), np.ones(4)
    q, v = np.array([0.99, 1.2, 1.001, 0.0]), np.array([10.0, 0.0, 0.0, 25.0])
    viable_acceleration(q, v, -one, one, 20.0 * one, 500.0 * one, 60.0 * one, DT, low, high)
    # Too fast near the limit; far beyond it; a little beyond it, back within a tenth of a second; faster than the motor.
    np.testing.assert_allclose(high, [-60.0, -60.0, -0.01 / DT, -60.0])
