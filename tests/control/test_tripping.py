from __future__ import annotations

import numpy as np
import pytest

from poise.control.swing import SwingFoot
from poise.control.tripping import Trip, TripConfig
from poise.robots.types import Array

CONFIG, DT = TripConfig(), 0.002
FOOTHOLD = np.array([0.4, 0.1, 0.2])
AT = np.array([0.1, 0.1, 0.02])


def swinging(phase: float) -> SwingFoot:
    """A foot that goes ahead at 1 m/s."""
    swing = SwingFoot(AT, 0.2, DT)
    swing.phase, swing.state[1] = phase, [1.0, 0.0, 0.0]
    return swing


def pushed(trip: Trip, swing: SwingFoot, force: tuple[float, float], seconds: float, time_s: float = 0.3) -> bool:
    """Whether it strikes within so long."""
    return any(trip.strikes(swing, AT, np.array(force), time_s) for _ in range(round(seconds / DT)))


@pytest.mark.parametrize(
    ("force", "seconds", "time_s", "expected"),
    [
        ((-50.0, 0.0), 0.02, 0.2, True),
        ((-50.0, 300.0), 0.02, 0.2, True),
        ((-30.0, 0.0), 0.1, 0.2, False),  # as its own swinging looks
        ((-50.0, 0.0), 0.006, 0.2, False),  # too short
        ((-50.0, 0.0), 0.1, 0.03, False),  # leaving the ground
        ((80.0, 0.0), 0.1, 0.2, False),  # along its way
    ],
)
def test_a_strike_is_a_lasting_force_against_its_way(force: tuple[float, float], seconds: float, time_s: float, expected: bool) -> None:
    trip = Trip(CONFIG, DT)
    trip.lift_off(AT, 0.2, waits=False)
    assert pushed(trip, swinging(0.3), force, seconds, time_s) is expected


def test_a_foot_that_stands_in_the_air_strikes_nothing() -> None:
    trip, swing = Trip(CONFIG, DT), swinging(0.3)
    trip.lift_off(AT, 0.2, waits=False)
    swing.state[1] = 0.0
    assert not pushed(trip, swing, (-200.0, 0.0), 0.1)


def target(trip: Trip, phase: float, height: float) -> Array:
    return trip.target(FOOTHOLD, swinging(phase), height, lift_m=0.12)


def test_early_it_goes_back_and_up_and_then_over() -> None:
    trip = Trip(CONFIG, DT)
    trip.lift_off(AT, 0.2, waits=False)
    np.testing.assert_array_equal(target(trip, 0.1, 0.03), FOOTHOLD)
    assert pushed(trip, swinging(0.2), (-60.0, 0.0), 0.02)
    assert trip.over and trip.ends_s == np.inf
    np.testing.assert_allclose(target(trip, 0.25, 0.05), [AT[0] - CONFIG.back_m, AT[1], 0.2])
    np.testing.assert_array_equal(target(trip, 0.3, AT[2] + 0.095), FOOTHOLD)


def test_late_it_comes_down_where_it_is_and_soon() -> None:
    trip = Trip(CONFIG, DT)
    trip.lift_off(AT, 0.2, waits=False)
    assert pushed(trip, swinging(0.6), (-60.0, 0.0), 0.02)
    assert not trip.over and trip.ends_s == pytest.approx(0.3 + CONFIG.down_s)
    np.testing.assert_allclose(target(trip, 0.9, 0.2), [AT[0] - CONFIG.back_m, AT[1], 0.2])
    assert not pushed(trip, swinging(0.7), (-60.0, 0.0), 0.1)  # what it has struck it does not strike again
    trip.lift_off(AT, 0.2, waits=False)
    assert trip.ends_s == np.inf


def test_one_that_waits_goes_up_first_but_not_for_ever() -> None:
    for phase, height in ((0.2, AT[2] + 0.1), (0.41, AT[2] + 0.01)):
        trip = Trip(CONFIG, DT)
        trip.lift_off(AT, 0.2, waits=True)
        np.testing.assert_allclose(target(trip, 0.1, AT[2] + 0.02), [AT[0], AT[1], 0.2])
        np.testing.assert_array_equal(target(trip, phase, height), FOOTHOLD)


def test_a_copy_goes_its_own_way() -> None:
    trip = Trip(CONFIG, DT)
    trip.lift_off(AT, 0.2, waits=False)
    other = trip.copy()
    assert pushed(other, swinging(0.6), (-60.0, 0.0), 0.02)
    assert trip.over and not other.over
    np.testing.assert_array_equal(target(trip, 0.6, 0.1), FOOTHOLD)
