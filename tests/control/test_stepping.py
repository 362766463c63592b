from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from oracles import plane_rotation, random_state

from poise.control.adaptation import AdaptationConfig, StepLimits, StepState, is_frozen, plan_step
from poise.control.dynamics import Dynamics
from poise.control.footsteps import nominal_touchdown, orbit_plan
from poise.control.lip import GRAVITY
from poise.control.reaction import dcm_of_swing
from poise.control.stepping import STRIDE_M, look, replan, toward
from poise.robots import RobotModel
from poise.robots.types import LEFT, Array

CONFIG, LIMITS = AdaptationConfig(), StepLimits(0.45, 0.35, 0.16, 0.5, 0.3, 0.7, 0.05, 0.2)
COP_BOX = np.array([[-0.05, 0.1], [-0.03, 0.03]])
NONE = np.full((2, 2), np.nan)
AUTHORITY = 0.02


@pytest.mark.parametrize("seed", range(5))
def test_look_says_what_the_terms_do(g1: RobotModel, seed: int) -> None:
    height, double_support = 0.62, 0.06
    d = Dynamics(g1)
    d.update(*random_state(g1, seed))
    *pendulum, seen = look(d.block, d.nv, height, double_support)
    omega = np.sqrt(GRAVITY / height)
    s = np.linspace(0.0, double_support, 20001)
    kappa = omega * np.trapezoid(np.exp(-omega * s) * (1.0 - s / double_support), s)
    yaws = [np.arctan2(rotation[1, 0], rotation[0, 0]) for rotation in d.sole_rotation]
    assert np.linalg.norm(d.com_velocity[:2]) > 0.05
    np.testing.assert_allclose(pendulum, [omega, kappa], rtol=1e-8)
    np.testing.assert_allclose(seen, [*yaws, *d.com[:2], *(d.com[:2] + d.com_velocity[:2] / omega)], rtol=1e-8, atol=1e-10)


def test_toward_moves_along_each_axis_by_itself() -> None:
    nominal = np.array([0.3, -0.1])
    for shift, moved in (((0.01, -0.005), (0.01, -0.005)), ((0.5, -0.005), (0.02, -0.005)), ((-0.5, 0.5), (-0.02, 0.02))):
        np.testing.assert_allclose(toward(nominal, nominal + np.array(shift), AUTHORITY), nominal + np.array(moved), atol=1e-15)
    np.testing.assert_array_equal(toward(nominal, nominal + 1.0, 0.0), nominal)


class Outcome(NamedTuple):
    """What `replan` gives."""

    duration: float
    foothold: Array
    zmp: Array
    aim: Array
    cost: float


def request(seed: int) -> dict[str, Any]:
    """A random call of replan: either stance, in double support or swinging, somewhere on a turned floor."""
    rng = np.random.default_rng(seed)
    stance, yaw = seed % 2, rng.uniform(-3.0, 3.0)
    side, swinging = 1.0 if stance == LEFT else -1.0, seed % 4 >= 2
    here, axes = rng.normal(0.0, 2.0, 2), plane_rotation(yaw)
    soles = np.empty((2, 3))
    soles[stance], soles[1 - stance] = [*here, 0.01], [*(here + axes @ np.array([-0.15, -0.24 * side])), 0.02]
    duration = rng.uniform(0.4, 0.5)
    return {
        "dcm": here + axes @ (np.array([0.05, -0.05 * side]) + rng.normal(0.0, 0.02, 2)),
        "soles": soles,
        "sole_yaw": yaw + rng.normal(0.0, 0.1, 2),
        "stance": stance,
        "time": duration - rng.uniform(0.02, 0.25) if swinging else 0.04,
        "double_support": 0.06,
        "step_duration": duration,
        "last_step": np.array([0.2, 0.24 * side]),
        "swinging": swinging,
        "swing": np.stack((soles[1 - stance] + [0.0, 0.0, 0.05], [*(axes @ np.array([0.8, 0.0])), 0.1], np.zeros(3))),
        "foothold": np.array([*(here + axes @ np.array([0.2, -0.24 * side])), yaw]),
        "lead": 0.02,
        "swing_shift": 0.004 * (seed % 3),
        "twist": rng.uniform([-0.3, -0.2, -0.4], [0.5, 0.2, 0.4]),
        "wanted_duration": 0.45,
        "width": 0.26,
        "omega": 3.98,
        "kappa": 0.11,
        "heading": yaw + rng.normal(0.0, 0.2),
        "intended_yaw": yaw,
        "shift": rng.uniform(-0.05, 0.05, 2),
        "advised": NONE,
        "turn_max": 0.3,
        "authority": AUTHORITY,
        "limit_numbers": np.array(LIMITS),
        "cop_box": COP_BOX,
        "adaptation_numbers": np.array(CONFIG),
    }


def replanned(r: dict[str, Any]) -> Outcome:
    flat = replan(*r.values())
    return Outcome(flat[0], flat[1:4], flat[4:6], flat[6:8], flat[8])


def touchdown(r: dict[str, Any]) -> tuple[Array, Array]:
    """The orbit's foothold and DCM offset, world frame."""
    side = 1.0 if r["stance"] == LEFT else -1.0
    in_air = dcm_of_swing(r["wanted_duration"] - r["double_support"], r["omega"], r["swing_shift"])[0]
    first, _, _, there = orbit_plan(r["twist"], r["wanted_duration"], r["width"], side, r["omega"], r["kappa"], in_air)
    return nominal_touchdown(first, there, side, r["soles"][r["stance"], :2], r["intended_yaw"], r["shift"])


def state(r: dict[str, Any]) -> StepState:
    """The step of a call, as the adaptation takes it; a foot that does not swing yet is where its sole is, at rest."""
    stance = r["stance"]
    position, velocity = (r["swing"][0], r["swing"][1]) if r["swinging"] else (r["soles"][1 - stance], np.zeros(3))
    clock = (1.0 if stance == LEFT else -1.0, r["time"], r["double_support"], r["step_duration"])
    where, ahead = (r["soles"][stance, :2], r["sole_yaw"][stance]), (r["foothold"], r["lead"], r["swing_shift"])
    return StepState(*where, *clock, r["last_step"], r["swinging"], position, velocity, *ahead)


def planned(r: dict[str, Any], foothold: Array, offset: Array) -> Outcome:
    """The adaptation itself around a foothold and an offset."""
    duration, where, zmp, cost = plan_step(
        r["dcm"], r["omega"], state(r), foothold, offset, r["wanted_duration"], LIMITS, r["cop_box"], CONFIG
    )
    if is_frozen(state(r), CONFIG):
        return Outcome(r["step_duration"], r["foothold"], zmp, foothold + offset, cost)
    yaw = r["sole_yaw"][r["stance"]]
    turn = r["heading"] + r["twist"][2] * (duration - r["time"] + 0.5 * r["wanted_duration"]) - yaw
    turn = np.clip((turn + np.pi) % (2 * np.pi) - np.pi, -r["turn_max"], r["turn_max"])
    return Outcome(duration, np.array([*where, yaw + turn]), zmp, foothold + offset, cost)


def assert_same(one: Outcome, other: Outcome) -> None:
    flat = [np.hstack([o.duration, o.foothold, o.zmp, o.aim, o.cost]) for o in (one, other)]
    np.testing.assert_allclose(flat[0], flat[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(16))
def test_without_advice_the_step_is_adapted_around_the_orbit(seed: int) -> None:
    r = request(seed)
    assert_same(replanned(r), planned(r, *touchdown(r)))


@pytest.mark.parametrize("seed", range(16))
def test_advice_moves_the_aim_by_no_more_than_its_authority(seed: int) -> None:
    r, rng = request(seed), np.random.default_rng(100 + seed)
    foothold, offset = touchdown(r)
    calm = replanned(r)
    near, far = rng.uniform(-AUTHORITY, AUTHORITY, (2, 2)), rng.choice([-0.3, 0.3], (2, 2))
    for change in (near, far):
        moved = np.clip(change, -AUTHORITY, AUTHORITY)
        told = replanned(r | {"advised": np.stack((foothold, offset)) + change})
        assert_same(told, planned(r, foothold + moved[0], offset + moved[1]))
        assert np.abs(told.aim - calm.aim).max() <= 2 * AUTHORITY + 1e-12  # the foothold's and the offset's
        if not is_frozen(state(r), CONFIG):
            assert np.abs(told.foothold - calm.foothold).max() > 1e-4
    assert_same(replanned(r | {"advised": np.stack((foothold, offset)) + far, "authority": 0.0}), calm)


def on_course(r: dict[str, Any]) -> Array:
    """The DCM (world frame) that a step of the wanted duration, the ZMP under the sole's centre, brings to the orbit's aim."""
    step, (foothold, offset) = state(r), touchdown(r)
    left = r["wanted_duration"] - step.time
    way, speed = dcm_of_swing(left, r["omega"], step.swing_shift)
    aim = foothold + offset - way * (foothold - step.swing_position[:2]) - speed * step.swing_velocity[:2]
    return np.asarray(step.sole + (aim - step.sole) * np.exp(-r["omega"] * left))


@pytest.mark.parametrize("seed", [2, 3, 6, 7, 10, 11])  # of feet that swing
def test_off_course_is_the_distance_from_the_nominal_step(seed: int) -> None:
    r = request(seed) | {"time": 0.2}
    assert replan(*(r | {"dcm": on_course(r)}).values())[9] == pytest.approx(0.0, abs=1e-12)
    for axis in range(2):
        off = plane_rotation(r["sole_yaw"][r["stance"]]) @ (0.05 * np.eye(2)[axis])
        counted = 0.05 / (1.0 + abs(r["twist"][axis]) * r["wanted_duration"] / STRIDE_M)
        assert replan(*(r | {"dcm": on_course(r) + off}).values())[9] == pytest.approx(counted, rel=1e-9)


@pytest.mark.parametrize("seed", [2, 3, 6, 7])
def test_a_turning_walk_turns_its_feet_as_the_orbit_does(seed: int) -> None:
    """A stance foot that points to the heading half-way through its step: so will the next one, a step's turn further."""
    r = request(seed) | {"time": 0.2, "shift": np.zeros(2)}
    yaw, rate, whole = r["sole_yaw"][r["stance"]], r["twist"][2], r["wanted_duration"]
    r = r | {"intended_yaw": yaw, "heading": yaw + rate * (r["time"] - 0.5 * whole)}
    r["dcm"] = on_course(r)
    made = replanned(r)
    late = made.duration - whole
    assert made.foothold[2] - yaw == pytest.approx(rate * (whole + late), abs=1e-9)
    assert abs(late) < 0.02
    spun = replanned(r | {"heading": yaw + 1.0})
    assert spun.foothold[2] - yaw == pytest.approx(r["turn_max"])
