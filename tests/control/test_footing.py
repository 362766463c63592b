"""When a foot that stands by plan counts as knocked away, and what the walker does then."""

from __future__ import annotations

import numpy as np
import pytest
from loop import g1_parts, standing_walker

from poise.control.dynamics import Dynamics
from poise.control.footing import Footing, FootingConfig
from poise.control.references import GaitCommand
from poise.robots.types import LEFT, RIGHT, Array

BOTH, CONFIG = np.ones(2), FootingConfig()
SOLES = np.array([[0.0, 0.1, 0.0], [0.0, -0.1, 0.0]])


def moved(foot: int, way_m: float, speed_mps: float, soles: Array = SOLES) -> tuple[Array, Array]:
    """Soles (2, 3) and velocities (2, 3) of which one foot is that far forward of where it was, at that speed."""
    places, velocities = soles.copy(), np.zeros((2, 3))
    places[foot, 0] += way_m
    velocities[foot, 0] = speed_mps
    return places, velocities


def at_rest(standing: Array = BOTH, soles: Array = SOLES) -> Footing:
    """Feet that have come to rest there."""
    footing = Footing(CONFIG)
    assert footing(standing, soles, np.zeros((2, 3))) is None
    return footing


@pytest.mark.parametrize("foot", [0, 1])
def test_a_foot_that_flies_off_is_knocked_away(foot: int) -> None:
    assert at_rest()(BOTH, *moved(foot, 1.1 * CONFIG.moved, 1.1 * CONFIG.speed)) == foot


def test_a_foot_that_slips_or_twitches_stands() -> None:
    assert at_rest()(BOTH, *moved(0, 1.1 * CONFIG.moved, 0.9 * CONFIG.speed)) is None, "far, but slow"
    assert at_rest()(BOTH, *moved(0, 0.9 * CONFIG.moved, 1.1 * CONFIG.speed)) is None, "fast, but near"


def test_a_foot_that_is_put_down_in_motion_is_not_knocked_away_before_it_has_come_to_rest() -> None:
    footing = Footing(CONFIG)
    assert footing(BOTH, *moved(0, 0.0, 2.0)) is None
    assert footing(BOTH, *moved(0, 0.2, 2.0)) is None
    assert footing(BOTH, *moved(0, 0.3, 0.9 * CONFIG.still)) is None, "here it comes to rest"
    assert footing(BOTH, *moved(0, 0.3 + 1.1 * CONFIG.moved, 2.0)) == 0


def test_a_foot_that_slides_and_rests_is_measured_from_there() -> None:
    footing = at_rest()
    assert footing(BOTH, *moved(0, 0.2, 0.9 * CONFIG.still)) is None
    assert footing(BOTH, *moved(0, 0.2 + 0.9 * CONFIG.moved, 2.0)) is None
    assert footing(BOTH, *moved(0, 0.2 + 1.1 * CONFIG.moved, 2.0)) == 0


def test_a_foot_that_swings_is_not_knocked_away_and_rests_anew_where_it_lands() -> None:
    footing, right = at_rest(), np.array([0.0, 1.0])
    assert footing(right, *moved(0, 0.3, 2.0)) is None
    assert footing(BOTH, *moved(0, 0.4, 0.0)) is None
    assert footing(BOTH, *moved(0, 0.4 + 0.9 * CONFIG.moved, 2.0)) is None
    assert footing(BOTH, *moved(0, 0.4 + 1.1 * CONFIG.moved, 2.0)) == 0


def test_there_must_be_another_foot_to_stand_on() -> None:
    flies = moved(0, 0.1, 2.0)
    both = np.array([[0.1, 0.1, 0.0], [0.1, -0.1, 0.0]])
    assert at_rest()(BOTH, both, np.full((2, 3), 2.0)) is None, "both are gone"
    left = np.array([1.0, 0.0])
    for height, foot in ((0.9 * CONFIG.low, 0), (1.1 * CONFIG.low, None)):
        soles = flies[0].copy()
        soles[:, 2] = 0.15, height  # over where the left foot was at rest, however high that flies
        assert at_rest(left)(left, soles, flies[1]) == foot


def test_a_copy_goes_its_own_way() -> None:
    footing = at_rest()
    other = footing.copy()
    other.reset()
    flies = moved(1, 0.1, 2.0)
    assert (footing(BOTH, *flies), other(BOTH, *flies)) == (1, None)


def test_a_foot_whose_place_or_speed_is_not_known_is_not_knocked_away() -> None:
    for unknown in (np.nan, np.inf):
        places, velocities = moved(0, 0.1, 2.0)
        velocities[0] = np.nan
        assert at_rest()(BOTH, places, velocities) is None
        places[0], velocities[0] = np.nan, (unknown, 0.0, 0.0)
        assert at_rest()(BOTH, places, velocities) is None


@pytest.mark.parametrize("gone", [LEFT, RIGHT])
def test_a_robot_whose_foot_is_knocked_away_stands_on_the_other_at_once(gone: int) -> None:
    """On two feet, and in the step that follows, its foot hardly off the ground; not where the foot that flies is about to swing."""
    walker, d = standing_walker(), Dynamics(g1_parts()[0])

    def knock(foot: int) -> tuple[str, int, int]:
        d.update(g1_parts()[0].standing_configuration(), np.zeros(d.nv))
        walker.update(d, np.ones(2), GaitCommand(np.zeros(3), 0.42, 0.62, np.zeros((2, 2))))
        d.sole_position[foot, 0] += 0.06
        d.sole_velocity[foot, 0] = 2.0
        walker.update(d, np.ones(2), walker._command)
        return walker.phase, walker.stance, walker.touchdowns

    assert knock(gone) == ("step", 1 - gone, 1)
    assert knock(1 - gone) == ("step", gone, 2)
    walker._begin_step(gone, 0.1)  # on two feet, of which the other is about to swing
    assert knock(1 - gone) == ("step", gone, 2)


def test_a_walker_that_is_restored_remembers_where_its_feet_were_at_rest() -> None:
    walker, d = standing_walker(), Dynamics(g1_parts()[0])
    command = GaitCommand(np.zeros(3), 0.42, 0.62, np.zeros((2, 2)))
    d.update(g1_parts()[0].standing_configuration(), np.zeros(d.nv))
    walker.update(d, np.ones(2), command)
    snapshot = walker.snapshot()
    walker._footing.reset()
    walker.restore(snapshot)
    d.sole_position[LEFT, 0] += 0.06
    d.sole_velocity[LEFT, 0] = 2.0
    walker.update(d, np.ones(2), command)
    assert (walker.phase, walker.stance) == ("step", RIGHT)
