from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial import ConvexHull

from poise.control.contacts import EDGES, friction_edges
from poise.robots import RobotModel


@pytest.mark.parametrize("seed", range(5))
def test_generated_wrenches_stay_in_cone_and_polygon(g1: RobotModel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices, friction = np.array(g1.overlay.sole_polygon), 0.6
    rotation = pin.exp3(rng.normal(0.0, 0.3, 3))
    edges = np.full((6, EDGES * len(vertices)), np.nan)
    friction_edges(vertices, rotation, friction, edges)
    hull, reach = ConvexHull(vertices), np.linalg.norm(vertices, axis=1).max()
    for _ in range(50):
        wrench = edges @ (rng.random(edges.shape[1]) ** 6)
        force, moment = rotation.T @ wrench[:3], rotation.T @ wrench[3:]
        assert np.hypot(force[0], force[1]) <= friction * force[2] + 1e-12
        cop = np.array([-moment[1], moment[0]]) / force[2]
        assert (hull.equations[:, :2] @ cop + hull.equations[:, 2]).max() <= 1e-12
        assert abs(moment[2]) <= friction * force[2] * reach


def test_generators_reach_the_corners_of_cone_and_polygon(g1: RobotModel) -> None:
    """A single generator is a unit normal force at a vertex, on the cone's surface."""
    vertices, edges = np.array(g1.overlay.sole_polygon), np.empty((6, 16))
    friction_edges(vertices, np.eye(3), 0.6, edges)
    np.testing.assert_allclose(np.hypot(edges[0], edges[1]), 0.6, atol=1e-12)
    np.testing.assert_array_equal(edges[2], 1.0)
    np.testing.assert_allclose(np.stack((-edges[4], edges[3])), np.repeat(vertices, EDGES, axis=0).T, atol=1e-15)
    pairs = {(round(float(x), 3), round(float(y), 3)) for x, y in edges[:2].T}
    assert len(pairs) == EDGES
