from __future__ import annotations

import numpy as np
import pytest

from poise.control.grip import Grip, GripConfig
from poise.control.rotation import matrix_from_rpy
from poise.robots.types import Array

CONFIG, MOST, WEIGHT, DT = GripConfig(), 0.6, 330.0, 0.002
UP, UPRIGHT = np.array([[0.0, 0.0, 1.0]]), np.zeros(2)
LEFT_ONLY, BOTH = np.array([1.0, 0.0]), np.ones(2)
LEVEL = np.stack((np.eye(3), np.eye(3)))


def walk(
    grip: Grip,
    seconds: float,
    velocity: tuple[float, ...] = (0.0,) * 6,
    stands: Array = LEFT_ONLY,
    force: tuple[float, float, float] = (0.0, 0.0, WEIGHT),
    rotation: Array = LEVEL,
    lands: bool = False,
) -> Grip:
    """On a left sole that moves so."""
    velocities, wrench = np.zeros((2, 6)), np.zeros((3, 6))
    if lands:
        grip.update(stands, rotation, velocities, wrench, DT)
    velocities[0], wrench[0, :3] = velocity, force
    for _ in range(round(seconds / DT)):
        grip.ask(0.0, UP, UPRIGHT)
        grip.update(stands, rotation, velocities, wrench, DT)
    return grip


def new() -> Grip:
    return Grip(CONFIG, MOST, WEIGHT)


def test_a_calm_walk_begins_with_little_and_asks_for_more_while_nothing_slides() -> None:
    grip = new()
    assert grip.ask(0.0, UP, UPRIGHT) == CONFIG.calm and grip.ask(1.0, UP, UPRIGHT) == pytest.approx(MOST)
    walk(grip, CONFIG.patience_s + 0.5 * CONFIG.trust_s)
    assert grip.trusted == pytest.approx(CONFIG.calm * np.exp(0.5), rel=0.01)
    assert walk(grip, 3.0 * CONFIG.trust_s).trusted == pytest.approx(MOST)


def test_standing_on_both_feet_proves_nothing() -> None:
    assert walk(new(), 20.0, stands=BOTH).trusted == CONFIG.calm


def test_what_is_asked_lies_between_a_calm_walk_and_one_to_be_caught_and_takes_the_slope_along() -> None:
    grip = new()
    assert grip.ask(0.5, UP, UPRIGHT) == pytest.approx(np.sqrt(CONFIG.calm * MOST))
    on_slope = matrix_from_rpy(0.0, 0.2, 0.5)[:, 2][None]
    assert grip.ask(0.0, on_slope, UPRIGHT) == pytest.approx(CONFIG.calm + np.tan(0.2))
    assert grip.ask(0.0, np.concatenate((UP, on_slope)), UPRIGHT) == pytest.approx(CONFIG.calm + np.tan(0.2))
    assert grip.ask(0.0, np.array([[1.0, 0.0, 0.0]]), UPRIGHT) == pytest.approx(MOST)
    assert grip.ask(0.0, np.zeros((0, 3)), UPRIGHT) == CONFIG.calm


def test_the_plans_own_force_is_always_asked_for() -> None:
    assert new().ask(0.0, UP, np.array([0.18, 0.24])) == pytest.approx(CONFIG.leaning * 0.3)
    assert new().ask(0.0, UP, np.array([0.03, 0.04])) == CONFIG.calm


@pytest.mark.parametrize("velocity", [(0.2, 0, 0, 0, 0, 0), (0, -0.2, 0, 0, 0, 0), (0, 0, 0, 0, 0, 4.0)])
def test_a_sole_that_slides_or_spins_ends_trust(velocity: tuple[float, ...]) -> None:
    grip = walk(new(), 20.0)
    walk(grip, CONFIG.standing_s + 2.0 * CONFIG.filter_s, velocity)
    assert grip.trusted == CONFIG.calm
    assert walk(grip, 0.9 * CONFIG.wary_s).trusted == CONFIG.calm
    assert walk(grip, 0.1 * CONFIG.wary_s + CONFIG.patience_s + CONFIG.trust_s).trusted > CONFIG.calm


def test_who_is_pushed_off_ground_that_gives_all_it_is_asked_for_keeps_trust() -> None:
    grip = walk(new(), 20.0)
    velocities, wrench = np.zeros((2, 6)), np.zeros((3, 6))
    velocities[0, 0], wrench[0, 2] = 0.3, WEIGHT
    for _ in range(100):
        grip.ask(1.0, UP, UPRIGHT)
        grip.update(LEFT_ONLY, LEVEL, velocities, wrench, DT)
    assert grip.trusted == pytest.approx(MOST)


def test_ground_that_slides_under_little_is_asked_for_little_more_by_a_robot_to_be_caught() -> None:
    assert walk(new(), 0.3, (0.2, 0, 0, 0, 0, 0)).ask(1.0, UP, UPRIGHT) == pytest.approx(CONFIG.urgent, abs=1e-3)


def test_what_is_possible_is_forgotten_slowly() -> None:
    grip = walk(new(), 0.3, (0.2, 0, 0, 0, 0, 0))
    low = grip.possible
    assert walk(grip, 30.0, stands=BOTH).possible == pytest.approx(low + (MOST - low) * (1.0 - np.exp(-30.0 / CONFIG.forget_s)), rel=1e-3)


@pytest.mark.parametrize(
    ("velocity", "force"),
    [
        ((0.05, 0, 0, 0, 0, 0), (0.0, 0.0, WEIGHT)),  # as slow as the estimate of one that stands
        ((0.0, 0, 0.3, 0, 0, 0), (0.0, 0.0, WEIGHT)),  # off the ground
        ((0.2, 0, 0, 0, 1.0, 0), (0.0, 0.0, WEIGHT)),  # over its edge
        ((0.2, 0, 0, 0, 0, 0), (0.0, 0.0, 0.3 * WEIGHT)),  # hardly loaded
    ],
)
def test_what_does_not_slide_ends_nothing(velocity: tuple[float, ...], force: tuple[float, float, float]) -> None:
    grip = walk(new(), 20.0)
    assert walk(grip, 0.5, velocity, force=force).trusted == pytest.approx(MOST)


def test_a_touchdown_is_no_slide() -> None:
    assert walk(walk(new(), 20.0), CONFIG.standing_s, (0.5, 0, 0, 0, 0, 0), stands=LEFT_ONLY, lands=True).trusted == pytest.approx(MOST)


def test_sliding_is_told_along_the_sole() -> None:
    """Rolling up and down with ground of 15° is none; down along it is."""
    lying = np.stack((matrix_from_rpy(0.0, 0.26, 0.0), np.eye(3)))
    for way, slides in ((lying[0] @ (0.0, 0.0, 0.3), False), (lying[0] @ (0.15, 0.0, 0.0), True)):
        grip = walk(walk(new(), 20.0), 0.3, (*way, 0, 0, 0), rotation=lying)
        assert (grip.trusted == CONFIG.calm) == slides


def test_noise_is_no_slide_and_what_is_not_finite_says_nothing() -> None:
    grip, rng = walk(new(), 20.0), np.random.default_rng(0)
    velocities, wrench = np.zeros((2, 6)), np.zeros((3, 6))
    wrench[0, 2] = WEIGHT
    for _ in range(2000):
        velocities[0, :2] = rng.normal(0.0, 0.12, 2)
        grip.update(LEFT_ONLY, LEVEL, velocities, wrench, DT)
    assert grip.trusted == pytest.approx(MOST)
    walk(grip, 0.2, (np.nan, 0, 0, 0, 0, np.inf))
    walk(grip, 0.2, force=(0.0, np.inf, np.nan))
    assert np.isfinite([grip.trusted, grip.possible]).all()
    walk(grip, 0.3, (0.2, 0, 0, 0, 0, 0))
    assert grip.trusted == CONFIG.calm, "and what comes after it counts"


def test_a_copy_goes_on_alone_and_reset_forgets() -> None:
    grip = walk(new(), 20.0)
    other = grip.copy()
    walk(other, 0.3, (0.2, 0, 0, 0, 0, 0))
    assert grip.trusted == pytest.approx(MOST) and other.trusted == CONFIG.calm
    walk(grip, 1.0)
    assert grip.trusted == pytest.approx(MOST)
    grip.reset()
    assert (grip.trusted, grip.possible) == (CONFIG.calm, MOST)
