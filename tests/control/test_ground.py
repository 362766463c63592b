from __future__ import annotations

import numpy as np
import pytest

from poise.control.ground import Ground, GroundConfig, common
from poise.robots.types import Array

CONFIG = GroundConfig()
STEPS = np.array([[0.22 * i, 0.08 * (-1) ** i] for i in range(12)])
LEVEL = np.array([0.0, 0.0, 1.0])


def normal_of(slope: Array) -> Array:
    normal = np.array([-slope[0], -slope[1], 1.0])
    return normal / float(np.linalg.norm(normal))


def walked(ground: Ground, slope: Array) -> Ground:
    """Soles come down on a plane, one after the other, and lie on it."""
    for x, y in STEPS:
        ground.lies(normal_of(slope), np.array([x, y, slope @ [x, y]]))
    return ground


@pytest.mark.parametrize("slope", [(0.176, 0.0), (-0.268, 0.0), (0.1, 0.12)])
def test_a_slope_is_learned_from_soles_that_lie_on_it(slope: tuple[float, float]) -> None:
    ground = walked(Ground(CONFIG), np.array(slope))
    np.testing.assert_allclose(ground.slope, slope, atol=2e-3)
    assert ground.lift_m < 0.03 and not ground.high
    height = ground.height_at(np.array([1.0, 2.0]), np.array([0.5, 0.0, 0.3]))
    assert height == pytest.approx(0.3 + 0.5 * slope[0] + 2.0 * slope[1], abs=5e-3)


def test_what_is_nearly_level_counts_as_level() -> None:
    ground = walked(Ground(CONFIG), np.array([0.02, -0.01]))
    np.testing.assert_array_equal(ground.slope, 0.0)
    assert not ground.heeds(urgency=0.9) and ground.heeds(urgency=0.0)


def test_neither_a_step_nor_a_stone_is_a_slope() -> None:
    """Level soles 10 cm apart in height; one tilted sole at the height of the others."""
    step, stone = Ground(CONFIG), Ground(CONFIG)
    for i, (x, y) in enumerate(STEPS):
        step.lies(LEVEL, np.array([x, y, 0.1 if i > 5 else 0.0]))
        stone.lies(normal_of(np.array([0.3, 0.0])) if i == 5 else LEVEL, np.array([x, y, 0.0]))
    np.testing.assert_array_equal(step.slope, 0.0)
    np.testing.assert_array_equal(stone.slope, 0.0)


@pytest.mark.parametrize(("rise", "most"), [(0.1, CONFIG.lift_max), (-0.1, CONFIG.lift_lower), (0.02, 2.5 * 0.014), (0.005, 0.0)])
def test_a_sole_that_lies_elsewhere_than_expected_lifts_the_next_and_is_forgotten(rise: float, most: float) -> None:
    ground = Ground(CONFIG)
    ground.lies(LEVEL, np.zeros(3))
    ground.lies(LEVEL, np.array([0.2, 0.15, rise]))
    assert ground.lift_m == pytest.approx(most)
    for k in range(3):
        ground.lies(LEVEL, np.array([0.2 * (k + 2), 0.0, rise]))
    assert ground.lift_m == pytest.approx(most * CONFIG.lift_kept**3)


def test_after_a_strike_feet_go_high_for_some_steps() -> None:
    ground = Ground(CONFIG)
    assert not ground.high and not ground.heeds(urgency=1.0)
    ground.struck()
    assert ground.lift_m == CONFIG.lift_struck and ground.high and ground.heeds(urgency=1.0)
    walked(ground, np.zeros(2))
    assert not ground.high
    ground.reset()
    assert ground.lift_m == 0.0


def test_the_body_follows_the_ground_without_a_jump() -> None:
    """Onto a sole 10 cm higher: 1 − 1/e of the way in `follow_s`; lower by the crouch on a slope."""
    ground, dt = Ground(CONFIG), 0.002
    ground.stand(np.zeros((2, 3)))
    high = np.array([0.2, 0.0, 0.1])
    floors = [ground.floor(np.zeros(2), high, dt) for _ in range(round(CONFIG.follow_s / dt))]
    assert floors[0] < 0.003 and floors[-1] == pytest.approx(0.1 * (1.0 - np.exp(-1.0)), rel=0.01)
    nearly = np.array([0.0, 0.0, floors[-1] + 0.005])
    assert ground.floor(np.zeros(2), nearly, dt) == nearly[2]  # at once where it is as good as even
    walked(ground, np.array([0.2, 0.0]))
    for _ in range(1000):
        floor = ground.floor(np.array([0.3, 0.0]), high, dt)
    below = CONFIG.crouch_slope * ground.slope[0] + CONFIG.crouch_lift * ground.lift_m
    assert floor == pytest.approx(0.1 + 0.1 * ground.slope[0] - below, abs=1e-4)


def test_a_copy_learns_nothing_from_the_other() -> None:
    ground = walked(Ground(CONFIG), np.array([0.2, 0.0]))
    other = ground.copy()
    before = ground.slope.copy()
    walked(other, np.array([-0.2, 0.1])).struck()
    np.testing.assert_array_equal(ground.slope, before)
    assert ground.lift_m < other.lift_m


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_says_nothing(bad: float) -> None:
    ground = walked(Ground(CONFIG), np.array([0.2, 0.0]))
    slope, lift = ground.slope.copy(), ground.lift_m
    ground.lies(np.full(3, bad), np.zeros(3))
    ground.lies(LEVEL, np.full(3, bad))
    np.testing.assert_array_equal(ground.slope, slope)
    assert ground.lift_m == lift
    assert np.isnan(ground.floor(np.full(2, np.nan), np.zeros(3), 0.002)) and np.isfinite(ground.floor(np.zeros(2), np.zeros(3), 0.002))


def test_common_is_the_smaller_of_what_points_one_way() -> None:
    assert [common(0.2, 0.1), common(-0.1, -0.3), common(0.1, -0.1), common(0.0, 1.0)] == [0.1, -0.1, 0.0, 0.0]
