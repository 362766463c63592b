from __future__ import annotations

import numpy as np
import pytest
from oracles import plane_rotation

from poise.control.crossing import AHEAD, BEHIND, BESIDE, LINE_M, SLACK_M, late_share, reach_of_way, way_of, way_round, waypoint
from poise.control.swing import SwingFoot
from poise.robots.types import Array

INWARD, APART, DT = 0.1, 0.2, 0.002


def mirrored(points: tuple[float, float], side: float) -> Array:
    """A point given for a left stance (the swing foot's side is y < 0), for either."""
    return np.array([points[0], side * points[1]])


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_way_is_told_by_where_the_foothold_is(side: float) -> None:
    assert way_of(mirrored((0.2, -0.2), side), side, INWARD) == BESIDE
    assert way_of(mirrored((-0.2, -INWARD), side), side, INWARD) == BESIDE
    assert way_of(mirrored((0.25, -0.05), side), side, INWARD) == AHEAD
    assert way_of(mirrored((-0.25, 0.08), side), side, INWARD) == BEHIND


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_foothold_on_the_inward_limit_stays_beside_when_the_sole_is_seen_elsewhere(side: float) -> None:
    assert way_of(mirrored((0.1, -INWARD + 0.001), side), side, INWARD) == BESIDE


def test_the_reach_of_each_way() -> None:
    """A left stance: the swing foot's side is y < 0; a right one is its mirror image."""
    reach, out = np.array([[-0.4, 0.5], [-0.45, -INWARD]]), np.empty((2, 2))
    for way, along in ((AHEAD, [APART, 0.5]), (BEHIND, [-0.4, -APART])):
        reach_of_way(reach, way, 1.0, 0.08, APART, out)
        np.testing.assert_array_equal(out, [along, [-INWARD, 0.08]])
        reach_of_way(np.array([reach[0], -reach[1, ::-1]]), way, -1.0, 0.08, APART, out)
        np.testing.assert_array_equal(out, [along, [-0.08, INWARD]])
    reach_of_way(reach, BESIDE, 1.0, 0.08, APART, out)
    np.testing.assert_array_equal(out, reach)


def minimum_jerk(share: Array) -> Array:
    """Share of the way after a share of the time."""
    return np.asarray(share**3 * (10.0 - 15.0 * share + 6.0 * share**2))


@pytest.mark.parametrize("start, end", [(-0.2, 0.3), (0.05, 0.25), (0.1, 0.6), (0.25, -0.3), (-0.1, -0.5)])
def test_the_time_left_once_apart_is_no_more_than_a_minimum_jerk_move_leaves(start: float, end: float) -> None:
    share = np.linspace(0.0, 1.0, 200001)
    along = np.sign(end) * (start + (end - start) * minimum_jerk(share))
    left = 1.0 - share[np.argmax(along >= APART - SLACK_M)]
    assert 0.6 * left <= late_share(start, end, APART) <= left + 1e-4


def test_a_foot_that_is_apart_already_has_all_its_time() -> None:
    assert late_share(-0.18, -0.3, APART) == 1.0
    assert late_share(0.3, 0.25, APART) == 1.0


def swung(start: Array, foothold: Array, side: float, seconds: float) -> Array:
    """The swing foot's way (ticks, 2) over a stance sole at the origin, headed as `way_round` says."""
    swing, way = SwingFoot(np.append(start, 0.0), 0.0, DT), []
    for tick in range(round(seconds / DT)):
        target = way_round(swing.state[0, :2], foothold, side, INWARD, APART)
        swing.advance(np.append(target, 0.0), seconds - tick * DT, 0.0, 0.06, 0.0, 1.0)
        way.append(swing.state[0, :2].copy())
    return np.array(way)


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    "start, foothold",
    [
        ((-0.2, -0.2), (0.35, 0.05)),  # across, ahead
        ((-0.22, -0.2), (-0.25, 0.1)),  # across, behind
        ((0.05, -0.2), (-0.3, 0.05)),
        ((-0.25, 0.1), (0.2, -0.3)),  # and back again
        ((-0.2, -0.2), (0.2, -0.2)),  # beside
    ],
)
def test_a_foot_goes_round_the_stance_foot_to_its_foothold(start: tuple[float, float], foothold: tuple[float, float], side: float) -> None:
    way = swung(mirrored(start, side), mirrored(foothold, side), side, 0.4)
    np.testing.assert_allclose(way[-1], mirrored(foothold, side), atol=5e-3)
    outward, along = -side * way[:, 1], np.abs(way[:, 0])
    assert not ((outward < LINE_M - 0.01) & (along < APART - SLACK_M - 0.01)).any()


def test_beside_the_stance_foot_nothing_is_changed() -> None:
    foothold = np.array([0.2, -0.2])
    np.testing.assert_array_equal(way_round(np.array([-0.2, -0.15]), foothold, 1.0, INWARD, APART), foothold)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_waypoint_turns_and_moves_with_the_world(side: float) -> None:
    position, foothold = np.append(mirrored((-0.05, -0.2), side), 0.05), np.append(mirrored((-0.25, 0.05), side), 0.1)
    sole, turn = np.array([2.0, -1.0, 0.3]), plane_rotation(0.7)
    local = way_round(position[:2], foothold[:2], side, INWARD, APART)
    assert not np.array_equal(local, foothold[:2])
    at, aim = (np.array([*(sole[:2] + turn @ point[:2]), point[2]]) for point in (position, foothold))
    there = waypoint(at, aim, sole, 0.7, side, INWARD, APART)
    np.testing.assert_allclose(there, [*(sole[:2] + turn @ local), foothold[2]], atol=1e-12)
