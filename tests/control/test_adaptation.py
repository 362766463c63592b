from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from poise.control.adaptation import AdaptationConfig, adapt_step, box_minimum
from poise.robots.types import Array

CONFIG = AdaptationConfig()
WEIGHTS = np.array([1.0, 50.0, 0.05, 2.0, 1.0])
OMEGA = 3.98


def axis_cost(u: Array, d: Array, target: float, growth: float, dcm: float, u_nom: float, w: Array) -> Array:
    """The cost as the pendulum gives it: ξ grows away from the shifted CoP, b is its distance to the new sole."""
    b = d + (dcm - d) * growth - u
    return np.asarray(w[0] * (u - u_nom) ** 2 + w[1] * (b - target) ** 2 + w[2] * d**2)


def case(rng: np.random.Generator) -> tuple[tuple[float, float, float, float], Array, Array]:
    """A random axis: (target, growth, dcm, u_nom), weights and box."""
    given = (rng.uniform(-0.1, 0.1), np.exp(rng.uniform(0.1, 2.0)), rng.uniform(-0.2, 0.2), rng.uniform(-0.4, 0.4))
    low_u, low_d = rng.uniform(-0.5, 0.3), rng.uniform(-0.08, 0.02)
    box = np.array([low_u, low_u + rng.uniform(0.0, 0.5), low_d, low_d + rng.uniform(0.0, 0.1)])
    return given, rng.uniform([0.1, 1.0, 0.01], [5.0, 100.0, 5.0]), box


@pytest.mark.parametrize("seed", range(40))
def test_box_minimum_is_the_bounded_least_squares(seed: int) -> None:
    (target, growth, dcm, u_nom), w, box = case(np.random.default_rng(seed))
    u, d, cost = box_minimum(target, growth, dcm, u_nom, *w, box)
    assert box[0] <= u <= box[1] and box[2] <= d <= box[3]
    assert cost == pytest.approx(float(axis_cost(np.array(u), np.array(d), target, growth, dcm, u_nom, w)), rel=1e-9, abs=1e-15)
    root = np.sqrt(w)
    matrix = np.array([[root[0], 0.0], [-root[1], root[1] * (1.0 - growth)], [0.0, root[2]]])
    wanted = np.array([root[0] * u_nom, root[1] * (target - growth * dcm), 0.0])
    widened = box + np.array([-1e-12, 1e-12, -1e-12, 1e-12])  # scipy wants a box with an inside
    best = lsq_linear(matrix, wanted, (widened[[0, 2]], widened[[1, 3]]), method="bvls", tol=1e-14)
    assert cost == pytest.approx(2.0 * best.cost, rel=1e-6, abs=1e-12)


def request(rng: np.random.Generator) -> dict[str, Any]:
    """A random call of adapt_step: a left stance, a perturbed DCM."""
    left = rng.uniform(0.1, 0.35)
    return {
        "dcm": np.array([0.03, -0.06]) + rng.normal(0.0, 0.04, 2),
        "time_left_min": max(0.06, left - 0.12),
        "time_left_max": left + 0.15,
        "time_left_nominal": left,
        "time_left_current": left + rng.uniform(-0.03, 0.03),
        "omega": OMEGA,
        "foothold": np.array([0.2, -0.2]),
        "offset": np.array([0.05, 0.03]),
        "reach": np.array([[-0.4, 0.5], [-0.45, -0.11]]),
        "cop_box": np.array([[-0.07, 0.07], [-0.015, 0.015]]),
        "swing_position": np.array([0.05, -0.2]) + rng.normal(0.0, 0.02, 2),
        "swing_velocity": rng.normal(0.0, 0.3, 2),
        "weights": WEIGHTS,
        "swing_acceleration": CONFIG.swing_acceleration,
        "grid_s": CONFIG.grid_s,
    }


def reachable(r: dict[str, Any], time_left: float, axis: int) -> tuple[float, float]:
    """Where the swing foot can still land on an axis: reach and bounded acceleration, the peak of a minimum-jerk move."""
    # A minimum-jerk move of length D in T peaks at (10/√3) D/T².
    span = r["swing_acceleration"] * time_left**2 / (10.0 / np.sqrt(3.0))
    centre = r["swing_position"][axis] + 0.5 * r["swing_velocity"][axis] * time_left
    return max(r["reach"][axis, 0], centre - span), min(r["reach"][axis, 1], centre + span)


def brute_force(r: dict[str, Any]) -> float:
    """The least cost over a fine grid of T (the same), u and d."""
    best = np.inf
    for k in range(round((r["time_left_max"] - r["time_left_min"]) / r["grid_s"]) + 1):
        left = min(r["time_left_max"], r["time_left_min"] + k * r["grid_s"])
        cost = WEIGHTS[3] * (left - r["time_left_nominal"]) ** 2 + WEIGHTS[4] * (left - r["time_left_current"]) ** 2
        for axis in range(2):
            u, d = np.meshgrid(np.linspace(*reachable(r, left, axis), 161), np.linspace(*r["cop_box"][axis], 61))
            growth = np.exp(OMEGA * left)
            cost += axis_cost(u, d, r["offset"][axis], growth, r["dcm"][axis], r["foothold"][axis], WEIGHTS).min()
        best = min(best, cost)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_adapt_step_is_the_best_of_its_grid(seed: int) -> None:
    r = request(np.random.default_rng(seed))
    time_left, u, d, cost = adapt_step(*r.values())
    coarse = brute_force(r)
    assert cost <= coarse + 1e-9
    assert coarse - cost < 1e-3  # the spacing of the brute force
    expected = WEIGHTS[3] * (time_left - r["time_left_nominal"]) ** 2 + WEIGHTS[4] * (time_left - r["time_left_current"]) ** 2
    for axis in range(2):
        low, high = reachable(r, time_left, axis)
        assert low - 1e-4 <= u[axis] <= high + 1e-4
        assert r["cop_box"][axis, 0] <= d[axis] <= r["cop_box"][axis, 1]
        args = (r["offset"][axis], np.exp(OMEGA * time_left), r["dcm"][axis], r["foothold"][axis], WEIGHTS)
        expected += float(axis_cost(u[axis], d[axis], *args))
    assert cost == pytest.approx(expected, rel=1e-9)
    assert r["time_left_min"] - 1e-12 <= time_left <= r["time_left_max"] + 1e-12


def test_on_the_orbit_nothing_is_changed() -> None:
    """A DCM that the nominal step, time and no CoP shift bring to the wanted offset."""
    r = request(np.random.default_rng(0))
    r["time_left_min"], r["time_left_max"], r["time_left_nominal"], r["time_left_current"] = 0.1, 0.4, 0.25, 0.25
    r["dcm"] = (r["foothold"] + r["offset"]) * np.exp(-OMEGA * 0.25)
    r["swing_position"], r["swing_velocity"] = np.array([0.1, -0.2]), np.zeros(2)
    time_left, u, d, cost = adapt_step(*r.values())
    assert time_left == pytest.approx(0.25, abs=1e-9)
    np.testing.assert_allclose(u, r["foothold"], atol=1e-9)
    np.testing.assert_allclose(d, 0.0, atol=1e-9)
    assert cost < 1e-12


def test_a_push_outward_makes_the_step_earlier_and_wider() -> None:
    r = request(np.random.default_rng(0))
    r["time_left_min"], r["time_left_max"], r["time_left_nominal"], r["time_left_current"] = 0.1, 0.4, 0.25, 0.25
    r["dcm"] = (r["foothold"] + r["offset"]) * np.exp(-OMEGA * 0.25) + [0.0, -0.06]
    r["swing_position"], r["swing_velocity"] = np.array([0.1, -0.2]), np.zeros(2)
    time_left, u, _, _ = adapt_step(*r.values())
    assert time_left < 0.25 and u[1] < r["foothold"][1] - 0.02


def test_a_swing_foot_that_cannot_reach_lands_as_near_as_it_may() -> None:
    """Just before touchdown the foot is bound to its drift, and the reach still holds."""
    r = request(np.random.default_rng(1))
    r["time_left_min"] = r["time_left_max"] = r["time_left_nominal"] = r["time_left_current"] = 0.02
    r["swing_position"], r["swing_velocity"] = np.array([0.6, -0.2]), np.zeros(2)
    time_left, u, _, _ = adapt_step(*r.values())
    assert time_left == 0.02
    assert u[0] == pytest.approx(0.5)  # beyond the forward reach: on its edge
    assert u[1] == pytest.approx(-0.2, abs=1.001 * CONFIG.swing_acceleration * 0.02**2 / 5.77)
