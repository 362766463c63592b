from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import integrate_dcm, plane_rotation, transfer
from scipy.integrate import solve_ivp
from scipy.optimize import lsq_linear

from poise.control.adaptation import (
    ALONG_LEAST,
    AdaptationConfig,
    StepLimits,
    StepState,
    adapt_step,
    box_minimum,
    horizon_start,
    is_frozen,
    lead_of,
    plan_step,
    reach_box,
    share_along,
)
from poise.control.crossing import AHEAD, BEHIND, BESIDE, late_share, way_of
from poise.control.reaction import dcm_of_swing
from poise.robots.types import Array

CONFIG = AdaptationConfig()
WEIGHTS = np.array([CONFIG.weight_foothold, CONFIG.weight_offset, CONFIG.weight_cop])
OMEGA = 3.98


def axis_cost(u: Array, d: Array, target: float, growth: float, dcm: float, u_nom: float, w: Array, effect: float = 1.0) -> Array:
    """The cost as the pendulum gives it: ξ grows away from the shifted CoP, b is its distance to the new sole.

    With `effect` below 1 the swing foot takes the DCM along by a share of its way.
    """
    b = d + (dcm - d) * growth - effect * u
    return np.asarray(w[0] * (u - u_nom) ** 2 + w[1] * (b - target) ** 2 + w[2] * d**2)


def case(rng: np.random.Generator) -> tuple[tuple[float, float, float, float], Array, Array]:
    """A random axis: (target, growth, dcm, u_nom), weights and box."""
    given = (rng.uniform(-0.1, 0.1), np.exp(rng.uniform(0.1, 2.0)), rng.uniform(-0.2, 0.2), rng.uniform(-0.4, 0.4))
    low_u, low_d = rng.uniform(-0.5, 0.3), rng.uniform(-0.08, 0.02)
    box = np.array([low_u, low_u + rng.uniform(0.0, 0.5), low_d, low_d + rng.uniform(0.0, 0.1)])
    return given, rng.uniform([0.1, 1.0, 0.01], [5.0, 100.0, 5.0]), box


@pytest.mark.parametrize("effect", [1.0, 0.75])
@pytest.mark.parametrize("seed", range(40))
def test_box_minimum_is_the_bounded_least_squares(seed: int, effect: float) -> None:
    (target, growth, dcm, u_nom), w, box = case(np.random.default_rng(seed))
    u, d, cost = box_minimum(target, growth, dcm, u_nom, w[0], w[1], w[2], box, effect)
    assert box[0] <= u <= box[1] and box[2] <= d <= box[3]
    assert cost == pytest.approx(float(axis_cost(np.array(u), np.array(d), target, growth, dcm, u_nom, w, effect)), rel=1e-9, abs=1e-15)
    root = np.sqrt(w)
    matrix = np.array([[root[0], 0.0], [-root[1] * effect, root[1] * (1.0 - growth)], [0.0, root[2]]])
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
        "outward": 0.45,
        "cop_box": np.array([[-0.07, 0.07], [-0.015, 0.015]]),
        "swing_position": np.array([0.05, -0.2]) + rng.normal(0.0, 0.02, 2),
        "swing_velocity": rng.normal(0.0, 0.3, 2),
        "swing_acceleration": CONFIG.swing_acceleration,
        "swing_shift": 0.0,
        "lead": rng.uniform(0.0, 0.04),
        "elapsed": 0.42 - left,
        "duration_min": 0.2,
        "side": 1.0,
        "across": -np.inf,
        "apart": 0.2,
        "way_now": BESIDE,
        "config": CONFIG,
    }


def swing_time(r: dict[str, Any], time_left: float) -> float:
    """Until the swing foot's reference has to be there."""
    share = (r["elapsed"] + time_left - r["duration_min"]) / (r["elapsed"] + r["time_left_nominal"] - r["duration_min"])
    return float(time_left - r["lead"] * np.clip(2.0 * share, 0.0, 1.0))


def drift_and_span(r: dict[str, Any], time: float, axis: int) -> tuple[float, float]:
    """Where a swing foot left alone drifts to, and how far from there it can land: a minimum-jerk move's peak is (10/√3) D/T²."""
    return r["swing_position"][axis] + 0.5 * r["swing_velocity"][axis] * time, r["swing_acceleration"] * time**2 / (10.0 / np.sqrt(3.0))


def axis_target(r: dict[str, Any], left: float, axis: int) -> tuple[float, float]:
    """The wanted offset less what the swing foot's place and velocity do to it, and what is left of a metre of foothold."""
    way, speed = dcm_of_swing(swing_time(r, left), OMEGA, r["swing_shift"])
    return r["offset"][axis] + way * r["swing_position"][axis] - speed * r["swing_velocity"][axis], 1.0 - way


def reachable(r: dict[str, Any], time_left: float, axis: int, lateral: float) -> tuple[float, float]:
    """Where the swing foot can still land on an axis: bounded acceleration and reach, along the heading an ellipse's at `lateral`."""
    centre, span = drift_and_span(r, swing_time(r, time_left), axis)
    low, high = r["reach"][axis]
    if axis == 0:
        # (u / high)² + (lateral / outward)² = 1
        share = np.sin(np.arccos(min(abs(lateral) / r["outward"], np.sqrt(1.0 - ALONG_LEAST**2))))
        low, high = low * share, high * share
    return max(low, centre - span), min(high, centre + span)


def effort_cost(r: dict[str, Any], u: Array, time: float, axis: int) -> Array:
    """Of the peak acceleration that a minimum-jerk move to u takes in `time`, beyond an easy one."""
    peak = np.abs(u - drift_and_span(r, time, axis)[0]) * (10.0 / np.sqrt(3.0)) / time**2
    return np.asarray(CONFIG.weight_swing * np.maximum(peak - CONFIG.swing_easy, 0.0) ** 2)


def time_cost(r: dict[str, Any], left: float) -> float:
    """What leaving the nominal and the present step time costs."""
    nominal, current = left - r["time_left_nominal"], left - r["time_left_current"]
    return float(CONFIG.weight_time_nominal * nominal**2 + CONFIG.weight_time_change * current**2)


def brute_force(r: dict[str, Any]) -> float:
    """The least cost over a fine grid of T (the same), u and d."""
    best = np.inf
    for k in range(round((r["time_left_max"] - r["time_left_min"]) / CONFIG.grid_s) + 1):
        left = min(r["time_left_max"], r["time_left_min"] + k * CONFIG.grid_s)
        cost = time_cost(r, left)
        lateral = 0.0
        for axis in (1, 0):
            low, high = reachable(r, left, axis, lateral)
            u, d = np.meshgrid(np.linspace(low, high, 161), np.linspace(r["cop_box"][axis, 0], r["cop_box"][axis, 1], 61))
            growth = np.exp(OMEGA * left)
            target, effect = axis_target(r, left, axis)
            costs = axis_cost(u, d, target, growth, r["dcm"][axis], r["foothold"][axis], WEIGHTS, effect)
            costs = costs + effort_cost(r, u, swing_time(r, left), axis)
            cost, lateral = cost + costs.min(), float(u.flat[costs.argmin()])
        best = min(best, cost)
    return best


@pytest.mark.parametrize("shift", [0.0, 0.006])
@pytest.mark.parametrize("seed", range(8))
def test_adapt_step_is_the_best_of_its_grid(seed: int, shift: float) -> None:
    r = request(np.random.default_rng(seed)) | {"swing_shift": shift}
    time_left, u, d, cost = adapt_step(*r.values())
    coarse = brute_force(r)
    assert cost <= coarse + 1e-9
    assert coarse - cost < 1e-3  # the spacing of the brute force
    expected = time_cost(r, time_left)
    for axis in range(2):
        low, high = reachable(r, time_left, axis, u[1])
        assert low - 1e-4 <= u[axis] <= high + 1e-4
        assert r["cop_box"][axis, 0] <= d[axis] <= r["cop_box"][axis, 1]
        target, effect = axis_target(r, time_left, axis)
        args = (target, np.exp(OMEGA * time_left), r["dcm"][axis], r["foothold"][axis], WEIGHTS, effect)
        expected += float(axis_cost(u[axis], d[axis], *args) + effort_cost(r, u[axis], swing_time(r, time_left), axis))
    assert cost == pytest.approx(expected, rel=1e-9)
    assert r["time_left_min"] - 1e-12 <= time_left <= r["time_left_max"] + 1e-12


def landed_offset(r: dict[str, Any], left: float, u: Array, d: Array) -> Array:
    """DCM offset (2,) from the foothold u of a pendulum over the ZMP d whose swing foot takes the cubic there: integrated numerically."""
    way, speed, s = u - r["swing_position"], r["swing_velocity"], r["swing_shift"]
    start, end = 6.0 * way / left**2 - 4.0 * speed / left, -6.0 * way / left**2 + 2.0 * speed / left

    def flow(t: float, dcm: Array) -> Array:
        return np.asarray(OMEGA * (dcm - d + s * (start + (end - start) * t / left)))

    return np.asarray(solve_ivp(flow, (0.0, left), r["dcm"], rtol=1e-11, atol=1e-13).y[:, -1] - u)


@pytest.mark.parametrize("seed", range(8))
def test_the_cost_is_that_of_the_integrated_pendulum(seed: int) -> None:
    r = request(np.random.default_rng(seed)) | {"swing_shift": 0.006, "lead": 0.0}
    left, u, d, cost = adapt_step(*r.values())
    expected = time_cost(r, left) + sum(float(effort_cost(r, u[axis], left, axis)) for axis in range(2))
    expected += WEIGHTS @ [np.sum(error**2) for error in (u - r["foothold"], landed_offset(r, left, u, d) - r["offset"], d)]
    assert cost == pytest.approx(expected, rel=1e-7)


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
    assert np.hypot(u[0] / 0.5, u[1] / 0.45) == pytest.approx(1.0)  # beyond the reach: on its edge
    assert u[1] == pytest.approx(-0.2, abs=1.001 * CONFIG.swing_acceleration * 0.02**2 / 5.77)


def test_the_share_of_the_reach_along_is_an_ellipses_down_to_its_least() -> None:
    assert [share_along(lateral, 0.5) for lateral in (0.0, 0.3, -0.3)] == pytest.approx([1.0, 0.8, 0.8])  # 3, 4, 5
    assert [share_along(lateral, 0.5) for lateral in (0.49, 0.5, 0.7)] == pytest.approx([ALONG_LEAST] * 3)
    assert share_along(0.7, np.inf) == 1.0


@pytest.mark.parametrize("forward", [1.0, -1.0])
def test_a_foot_that_lands_far_out_does_not_land_far_ahead_or_behind(forward: float) -> None:
    r = request(np.random.default_rng(0)) | {"dcm": np.array([0.4 * forward, -0.2]), "swing_acceleration": 1e3}

    def radius(outward: float) -> float:
        u = adapt_step(*(r | {"outward": outward}).values())[1]
        return float(np.hypot(u[0] / r["reach"][0, 1 if forward > 0.0 else 0], u[1] / 0.45))

    assert radius(0.45) == pytest.approx(1.0)
    assert radius(np.inf) > 1.2  # in the corner of the rectangle


def pushed_to_stance(side: float) -> dict[str, Any]:
    """A call in which a push throws the DCM beyond the stance foot, early in the swing of a foot that is still behind."""
    r = request(np.random.default_rng(0))
    mirror = np.array([1.0, side])
    r["dcm"], r["foothold"], r["offset"] = mirror * [0.01, 0.06], mirror * [0.2, -0.2], mirror * [0.04, 0.04]
    r["reach"] = np.array([[-0.4, 0.5], [-0.45, -0.11] if side > 0.0 else [0.11, 0.45]])
    r["swing_position"], r["swing_velocity"] = mirror * [-0.2, -0.2], np.zeros(2)
    r["time_left_min"], r["time_left_max"], r["time_left_nominal"], r["time_left_current"] = 0.15, 0.5, 0.35, 0.35
    r["lead"], r["elapsed"], r["side"], r["across"] = 0.0, 0.07, side, 0.1
    return r


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_dcm_beyond_the_stance_foot_is_met_by_a_step_across_it(side: float) -> None:
    """The foot is behind, and so it crosses there; it stays apart, within `across`, and with less of an error than beside."""
    r = pushed_to_stance(side)
    time_left, u, _, cost = adapt_step(*r.values())
    assert way_of(u, side, 0.11) == BEHIND
    np.testing.assert_allclose(u, [-r["apart"], side * r["across"]], atol=1e-9)  # as far as it may, no farther back than it has to
    moving = time_left * late_share(r["swing_position"][0], u[0], r["apart"])
    centre, span = drift_and_span(r, moving, 1)
    assert abs(u[1] - centre) <= span + 1e-9
    _, beside, _, dearer = adapt_step(*(r | {"across": -np.inf}).values())
    assert side * beside[1] == pytest.approx(-0.11) and dearer > cost


def test_a_foot_that_is_ahead_crosses_there() -> None:
    r = pushed_to_stance(1.0)
    r["swing_position"], r["dcm"] = np.array([0.25, -0.2]), np.array([0.08, 0.07])
    assert way_of(adapt_step(*r.values())[1], 1.0, 0.11) == AHEAD


def test_a_dcm_between_the_feet_crosses_nothing() -> None:
    r = pushed_to_stance(1.0) | {"dcm": np.array([0.01, -0.06])}
    np.testing.assert_array_equal(adapt_step(*r.values())[1], adapt_step(*(r | {"across": -np.inf}).values())[1])


def test_the_way_so_far_is_kept_where_the_other_is_hardly_better() -> None:
    """Between a DCM that is met beside and one that is met across lie those for which the way is the one so far."""
    ways = set()
    for shift in np.linspace(-0.1, 0.1, 201):
        r = pushed_to_stance(1.0) | {"dcm": np.array([0.01, shift])}
        ways.add(tuple(way_of(adapt_step(*(r | {"way_now": way}).values())[1], 1.0, 0.11) for way in (BESIDE, BEHIND)))
    assert ways == {(BESIDE, BESIDE), (BESIDE, BEHIND), (BEHIND, BEHIND)}


def test_the_lead_is_for_steps_that_are_not_hurried() -> None:
    for duration, lead in ((0.6, 0.03), (0.42, 0.03), (0.3, 0.03), (0.24, 0.015), (0.18, 0.0), (0.1, 0.0)):
        assert lead_of(0.03, duration, 0.18, 0.42) == pytest.approx(lead)


LIMITS = StepLimits(forward=0.5, backward=0.4, inward=0.11, outward=0.45, time_min=0.28, time_max=0.6, across=0.08, apart=0.2)
COP = np.array([[-0.07, 0.07], [-0.015, 0.015]])
LAST_STEP = np.array([0.2, 0.2])


def step_at(time: float, yaw: float = 0.0, sole: tuple[float, float] = (0.0, 0.0)) -> StepState:
    """A left stance `time` s after touchdown, double support 0.04 s, the swing foot on its way."""
    place, turn = np.array(sole), plane_rotation(yaw)
    share = min(1.0, max(0.0, time - 0.04) / 0.38)
    swing, foothold = place + turn @ [-0.2 + 0.4 * share, -0.2], place + turn @ [0.2, -0.2]
    velocity = np.append(turn @ [1.0, 0.0], 0.0)
    swinging = time > 0.04
    moving, aim = (np.append(swing, 0.05), velocity * swinging), np.append(foothold, yaw)
    return StepState(place, yaw, 1.0, time, 0.04, 0.42, LAST_STEP, swinging, *moving, aim, 0.0, 0.0)


def planned(dcm: Array, step: StepState, foothold: Array, offset: Array) -> tuple[float, Array, Array, float]:
    """plan_step with the limits of these tests; everything in the world frame."""
    return plan_step(dcm, OMEGA, step, foothold, offset, 0.42, LIMITS, COP, CONFIG)


def on_orbit(step: StepState, foothold: Array, offset: Array) -> Array:
    """The DCM, world frame, from which the rest of the nominal step ends at the wanted offset from the foothold."""
    early = max(0.0, step.double_support - step.time)
    at_single = step.sole + (foothold + offset - step.sole) * np.exp(-OMEGA * (0.42 - max(step.time, step.double_support)))
    # Backwards through the rest of the double support: time reversed, the pendulum's sign turns.
    zmp, turn = transfer(LAST_STEP, 0.04), plane_rotation(step.yaw)
    return integrate_dcm(at_single, lambda t: step.sole + turn @ zmp(0.04 - t), -OMEGA, early) if early else at_single


@pytest.mark.parametrize("time", [0.0, 0.02, 0.04, 0.2])
def test_on_the_orbit_the_nominal_step_is_planned(time: float) -> None:
    step = step_at(time, yaw=0.7, sole=(1.0, -2.0))
    foothold, offset = step.foothold[:2], plane_rotation(0.7) @ [0.05, 0.03]
    duration, where, zmp, cost = planned(on_orbit(step, foothold, offset), step, foothold, offset)
    assert duration == pytest.approx(0.42, abs=0.006)  # a grid of 0.01 s
    np.testing.assert_allclose(where, foothold, atol=0.01)
    sole = step.sole + plane_rotation(0.7) @ transfer(LAST_STEP, 0.04)(time)
    np.testing.assert_allclose(zmp, sole, atol=0.01)  # over the sole, or on its way there
    assert cost < 0.01


def test_plans_turn_and_move_with_the_world() -> None:
    dcm, foothold, offset = np.array([0.06, -0.09]), np.array([0.2, -0.2]), np.array([0.05, 0.03])
    here, turn, place = planned(dcm, step_at(0.2), foothold, offset), plane_rotation(1.1), np.array([3.0, -1.0])
    there = planned(place + turn @ dcm, step_at(0.2, 1.1, (3.0, -1.0)), place + turn @ foothold, turn @ offset)
    assert there[0] == pytest.approx(here[0]) and there[3] == pytest.approx(here[3])
    for moved, original in zip(there[1:3], here[1:3], strict=True):
        np.testing.assert_allclose(moved, place + turn @ original, atol=1e-9)


def test_horizon_starts_with_single_support() -> None:
    step, dcm = step_at(0.01, yaw=0.5, sole=(0.3, 0.1)), np.array([0.32, 0.05])
    local = plane_rotation(0.5).T @ (dcm - step.sole)
    zmp = transfer(LAST_STEP, 0.04)
    start, elapsed = horizon_start(dcm, OMEGA, step.sole, 0.5, LAST_STEP, 0.01, 0.04)
    np.testing.assert_allclose(start, integrate_dcm(local, lambda t: zmp(0.01 + t), OMEGA, 0.03), atol=1e-9)
    assert elapsed == 0.04
    start, elapsed = horizon_start(dcm, OMEGA, step.sole, 0.5, LAST_STEP, 0.25, 0.04)
    np.testing.assert_allclose(start, local, atol=1e-15)
    assert elapsed == 0.25


def test_reach_is_mirrored() -> None:
    left, right = reach_box(LIMITS, 1.0), reach_box(LIMITS, -1.0)
    np.testing.assert_array_equal(left, [[-0.4, 0.5], [-0.45, -0.11]])
    np.testing.assert_array_equal(right[1], -left[1, ::-1])


@pytest.mark.parametrize("seed", range(10))
def test_planned_steps_keep_reach_and_times(seed: int) -> None:
    rng = np.random.default_rng(seed)
    step = step_at(rng.uniform(0.0, 0.34))
    duration, where, zmp, _ = planned(rng.normal(0.0, 0.2, 2), step, np.array([0.2, -0.2]), np.array([0.05, 0.03]))
    reach = reach_box(LIMITS, 1.0)
    if way_of(where, 1.0, LIMITS.inward) != BESIDE:
        assert abs(where[0]) >= LIMITS.apart - 1e-9
        reach[1, 1] = LIMITS.across
    assert (where >= reach[:, 0] - 1e-9).all() and (where <= reach[:, 1] + 1e-9).all()
    assert LIMITS.time_min - 1e-9 <= duration <= LIMITS.time_max + 1e-9
    if step.time >= step.double_support:
        assert (zmp >= COP[:, 0] - 1e-9).all() and (zmp <= COP[:, 1] + 1e-9).all()


def test_close_to_touchdown_the_step_is_kept() -> None:
    assert not is_frozen(step_at(0.3), CONFIG)
    assert is_frozen(step_at(0.4), CONFIG)
    assert not is_frozen(step_at(0.4)._replace(swinging=False), CONFIG)
    step = step_at(0.4)
    duration, where, zmp, _ = planned(np.array([0.3, 0.1]), step, np.array([0.5, -0.4]), np.zeros(2))
    assert duration == pytest.approx(0.42)
    np.testing.assert_allclose(where, step.foothold[:2], atol=1e-12)
    assert COP[0, 0] <= zmp[0] <= COP[0, 1]  # the CoP still acts
