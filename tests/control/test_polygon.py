from __future__ import annotations

import numpy as np
import pytest
from oracles import plane_rotation
from scipy.spatial import ConvexHull

from poise.control.polygon import clamp_inside, convex_hull, margin_inside, support_hull
from poise.robots import RobotModel
from poise.robots.types import Array

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])


def signed_margin(point: Array, hull: ConvexHull) -> float:
    """Scipy's facets are outward unit normals with offsets."""
    return float(-(hull.equations[:, :2] @ point + hull.equations[:, 2]).max())


@pytest.mark.parametrize("seed", range(20))
def test_hull_and_margin_are_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(rng.integers(3, 14), 2))
    hull, reference = convex_hull(points), ConvexHull(points)
    wanted = points[reference.vertices]  # counter-clockwise, from any of them
    start = int(np.argmin(np.linalg.norm(wanted - hull[0], axis=1)))
    np.testing.assert_array_equal(hull, np.roll(wanted, -start, axis=0))
    for point in rng.normal(size=(10, 2)):
        assert margin_inside(point, hull) == pytest.approx(signed_margin(point, reference), abs=1e-12)


def test_hull_of_edge_points_and_duplicates_has_corners_only() -> None:
    extra = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    hull = convex_hull(np.concatenate((extra, SQUARE)))
    assert {tuple(p) for p in hull} == {tuple(p) for p in SQUARE} and len(hull) == 4


def test_margin_by_hand() -> None:
    assert margin_inside(np.array([0.5, 1.0]), SQUARE) == 0.5
    assert margin_inside(np.array([1.0, 2.25]), SQUARE) == -0.25
    assert margin_inside(np.array([2.0, 1.0]), SQUARE) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_clamped_points_are_inside_and_inner_points_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hull = convex_hull(rng.uniform(-0.2, 0.2, (10, 2)))
    centre = hull.mean(axis=0)
    for point in rng.uniform(-0.5, 0.5, (20, 2)):
        clamped = clamp_inside(point, hull, 0.01)
        assert margin_inside(clamped, hull) > 0.01 - 2e-3  # a few projections come close at a sharp corner
        if margin_inside(point, hull) >= 0.01:
            np.testing.assert_array_equal(clamped, point)
        assert np.linalg.norm(clamped - centre) <= np.linalg.norm(point - centre) + 1e-9


def test_clamping_to_a_square_by_hand() -> None:
    np.testing.assert_allclose(clamp_inside(np.array([3.0, 1.0]), SQUARE, 0.1), [1.9, 1.0], atol=1e-12)
    np.testing.assert_allclose(clamp_inside(np.array([3.0, -1.0]), SQUARE, 0.1), [1.9, 0.1], atol=1e-12)


def test_support_hull_of_two_turned_soles(g1: RobotModel) -> None:
    polygon = np.array(g1.overlay.sole_polygon)
    soles, yaws = np.array([[0.1, 0.12, 0.0], [-0.05, -0.1, 0.0]]), np.array([0.4, -0.3])
    corners = np.concatenate([soles[foot, :2] + polygon @ plane_rotation(yaws[foot]).T for foot in range(2)])
    hull, reference = support_hull(soles, yaws, polygon), ConvexHull(corners)
    after = np.roll(hull, -1, axis=0)
    area = 0.5 * float(np.sum(hull[:, 0] * after[:, 1] - hull[:, 1] * after[:, 0]))  # positive: counter-clockwise
    assert area == pytest.approx(reference.volume, rel=1e-12)
    assert len(hull) == len(reference.vertices)
    assert margin_inside(soles.mean(axis=0)[:2], hull) > 0.0
