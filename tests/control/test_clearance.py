from __future__ import annotations

import numpy as np
import pytest

from poise.control.clearance import ROWS, ClearanceConfig, Spacing, capsules_of, clearance_rows, far_pairs, is_clear, nearest_gap
from poise.control.rooted import place, room_for, root_at
from poise.robots import RobotModel
from poise.robots.collision import CollisionModel
from poise.robots.tree import build_tree
from poise.robots.types import Array

DT, CONFIG = 0.002, ClearanceConfig()


def rows_at(g1: RobotModel, q: Array, v: Array, config: ClearanceConfig = CONFIG) -> tuple[Array, Array, Array]:
    """Rows, least values and pairs of a posture and its velocity."""
    rows, lower, which = np.full((ROWS, g1.n), np.nan), np.full(ROWS, np.nan), np.full(ROWS, -1)
    tree, numbers = root_at(build_tree(g1.pinocchio), 0), np.array((*config, DT))
    capsules = capsules_of(g1)
    gaps, then = np.full(len(capsules.pairs), np.nan), np.full((g1.n, len(capsules.pairs)), np.nan)
    count = clearance_rows(tree, capsules, q, v, numbers, (gaps, then), rows, lower, which)
    np.testing.assert_allclose(gaps, CollisionModel(g1).distances(q), atol=1e-12)
    np.testing.assert_array_equal(then.T, np.tile(q, (len(gaps), 1)))
    return rows[:count], lower[:count], which[:count]


def near_posture(g1: RobotModel, seed: int) -> Array:
    """A posture with some pair from 0 to 2 cm apart."""
    rng, model = np.random.default_rng(seed), CollisionModel(g1)
    while True:
        q = g1.posture.copy()
        q[g1.arms] = rng.uniform(g1.position_min[g1.arms], g1.position_max[g1.arms])
        if 0.0 < model.distances(q).min() < 0.02:
            return q


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_the_gradient_of_the_distances(g1: RobotModel, seed: int) -> None:
    q, model, step = near_posture(g1, seed), CollisionModel(g1), 1e-6
    rows, _, which = rows_at(g1, q, np.zeros(g1.n))
    assert len(which) and int(np.argmin(model.distances(q))) in which
    for joint in range(g1.n):
        ahead, behind = q.copy(), q.copy()
        ahead[joint], behind[joint] = q[joint] + step, q[joint] - step
        slope = (model.distances(ahead) - model.distances(behind))[which] / (2.0 * step)
        np.testing.assert_allclose(rows[:, joint], slope, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_a_bound_is_kept_exactly_by_an_acceleration_at_it(g1: RobotModel, seed: int) -> None:
    """One period at the least acceleration leaves the closing speed that stops before the least distance."""
    q, rng, model = near_posture(g1, seed), np.random.default_rng(seed), CollisionModel(g1)
    v = rng.normal(0.0, 0.3, g1.n)
    rows, lower, which = rows_at(g1, q, v, CONFIG._replace(rate=1e5))  # as hard a brake as it takes
    for row, least, pair in zip(rows, lower, which, strict=True):
        if np.linalg.norm(row) < 0.05:
            continue
        a = row * least / (row @ row)
        gap = [float(model.distances(q + time_s * v + 0.5 * time_s**2 * a)[pair]) for time_s in (0.0, DT - 1e-6, DT + 1e-6)]
        allowed = CONFIG.decay * max(0.0, gap[0] - CONFIG.least_m) / (1.0 + CONFIG.decay * DT)
        if gap[0] > CONFIG.least_m:
            assert -(gap[2] - gap[1]) / 2e-6 == pytest.approx(allowed, abs=0.02 + 0.02 * abs(least) * DT)


def test_pairs_that_are_far_apart_or_part_are_left_out(g1: RobotModel) -> None:
    assert not len(rows_at(g1, g1.posture, np.zeros(g1.n), CONFIG._replace(least_m=-1.0))[2])
    q = near_posture(g1, 0)
    which = rows_at(g1, q, np.zeros(g1.n))[2]
    assert (CollisionModel(g1).distances(q)[which] < 0.06).all()


@pytest.mark.parametrize("seed", range(20))
def test_clear_is_what_every_distance_says(g1: RobotModel, seed: int) -> None:
    rng, capsules, motion, tree = np.random.default_rng(seed), capsules_of(g1), room_for(g1.n), root_at(build_tree(g1.pinocchio), 0)
    q = g1.posture.copy()
    q[g1.arms] = rng.uniform(g1.position_min[g1.arms], g1.position_max[g1.arms])
    place(tree, q, motion)
    least = float(CollisionModel(g1).distances(q).min())
    assert is_clear(capsules, motion, np.empty(capsules.ends.shape), least - 1e-9)
    assert not is_clear(capsules, motion, np.empty(capsules.ends.shape), least + 1e-9)
    assert nearest_gap(capsules, motion, np.empty(capsules.ends.shape), 1.0) == pytest.approx(least, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_no_pair_changes_faster_than_the_reach_of_the_joints(g1: RobotModel, seed: int) -> None:
    rng, model, reach = np.random.default_rng(seed), CollisionModel(g1), capsules_of(g1).reach
    q = rng.uniform(g1.position_min, g1.position_max)
    moved = rng.choice([1e-4, 0.1, 1.0]) * rng.normal(size=g1.n) * (rng.random(g1.n) < rng.choice([0.1, 1.0]))
    change = np.abs(model.distances(q + moved) - model.distances(q))
    assert (change <= np.abs(moved) @ reach + 1e-12).all()
    assert (reach[g1.legs[[4, 5]]] == 0.0).all()  # no capsule hangs on an ankle


@pytest.mark.parametrize("seed", range(40))
def test_what_is_far_by_its_last_distances_bounds_nothing_when_it_is_looked_at(g1: RobotModel, seed: int) -> None:
    rng, capsules, model = np.random.default_rng(seed), capsules_of(g1), CollisionModel(g1)
    then = g1.posture[:, None] + rng.normal(0.0, 0.1, (g1.n, len(capsules.pairs)))  # each pair was looked at somewhere else
    gaps = np.array([model.distances(joints)[k] for k, joints in enumerate(then.T)])
    q, v = g1.posture + rng.normal(0.0, 0.1, g1.n), rng.normal(0.0, 0.5, g1.n)
    config = CONFIG._replace(least_m=0.0, rate=30.0, decay=100.0)
    far = far_pairs(capsules, q, v, np.array((*config, DT)), (gaps, then))
    assert far.any() and not far[rows_at(g1, q, v, config)[2]].any()


def test_bounds_do_not_depend_on_what_was_looked_at_before(g1: RobotModel) -> None:
    rng, moving = np.random.default_rng(3), CONFIG._replace(least_m=0.0, rate=30.0, decay=100.0)
    walked, looks = Spacing(g1, CONFIG, moving, DT), 0
    q, v = g1.posture.copy(), np.zeros(g1.n)
    for _ in range(300):
        v += rng.normal(0.0, 0.3, g1.n) - 0.1 * (q - g1.posture)
        q += DT * v
        fresh = Spacing(g1, CONFIG, moving, DT)
        walked.update(q, v, resting=False)
        fresh.update(q, v, resting=False)
        looks += bool(np.isfinite(fresh.least).any())
        np.testing.assert_array_equal(walked.rows, fresh.rows)
        np.testing.assert_array_equal(walked.least, fresh.least)
    assert 0 < looks < 300
