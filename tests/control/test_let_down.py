"""A robot that is let go of above the ground holds its posture until it stands, and one that stands never does."""

from __future__ import annotations

import numpy as np
import pytest
from loop import STAND, Loop, g1_parts, make_loop, statuses

from poise.control.dynamics import Dynamics
from poise.control.let_down import LetDown, LetDownConfig
from poise.control.lip import GRAVITY

CONFIG, WEIGHT_N, PERIOD_S = LetDownConfig(), 300.0, 0.002
LOADED, EMPTY = 1.1 * CONFIG.carried * WEIGHT_N, 0.9 * CONFIG.carried * WEIGHT_N


def standing() -> Dynamics:
    """The G1 in its nominal posture."""
    robot = g1_parts()[0]
    d = Dynamics(robot)
    d.update(robot.standing_configuration(), np.zeros(d.nv))
    return d


def begun() -> LetDown:
    watch = LetDown(CONFIG, WEIGHT_N, PERIOD_S)
    watch.begin(standing())
    return watch


def after(
    watch: LetDown, seconds: float, share_of_g: float, load_n: float = EMPTY, lowered: tuple[float, float] = (0.0, 0.0)
) -> list[bool]:
    """What it says in each tick of a while in which that much is felt, with soles lowered by so much, m, against the base."""
    d = standing()
    d.sole_position[:, 2] -= lowered
    return [watch(d, share_of_g * GRAVITY * d.base_rotation[2], load_n) for _ in range(round(seconds / PERIOD_S))]


def test_a_free_fall_is_known_when_it_has_sunk_that_far_and_the_first_posture_is_held() -> None:
    watch, known_s = begun(), np.sqrt(2.0 * CONFIG.sunk / GRAVITY)
    after(watch, known_s - 2.0 * PERIOD_S, 0.0)
    assert watch.posture is None
    assert not any(after(watch, 3.0 * PERIOD_S, 0.0))
    assert watch.posture is not None
    np.testing.assert_array_equal(watch.posture, standing().joint_position)


def test_a_base_that_sinks_over_its_feet_stands() -> None:
    watch = begun()
    after(watch, 0.04, 0.5, lowered=(-0.01, -0.01))  # half of g for 40 ms: 4 mm, and the legs have bent by more
    assert watch.posture is None


def test_one_sole_that_sinks_is_no_fall_and_both_are() -> None:
    sunk = 1.1 * CONFIG.sunk
    watch = begun()
    after(watch, 0.02, 1.0, lowered=(sunk, 0.0))
    assert watch.posture is None
    after(watch, 0.02, 1.0, lowered=(sunk, sunk))
    assert watch.posture is not None


def test_what_falls_later_was_not_let_go_of() -> None:
    watch = begun()
    after(watch, CONFIG.watched_s, 1.0)
    after(watch, 1.0, 0.0)
    assert watch.posture is None


def test_it_stands_once_its_feet_have_carried_it_without_a_break() -> None:
    watch = begun()
    after(watch, 0.06, 0.0)
    assert not any(after(watch, 5.0, 1.0))
    assert not any(after(watch, CONFIG.carried_s - PERIOD_S, 1.0, LOADED))
    assert not any(after(watch, PERIOD_S, 1.0, EMPTY)), "it has bounced"
    assert not any(after(watch, CONFIG.carried_s - PERIOD_S, 1.0, LOADED))
    assert after(watch, PERIOD_S, 1.0, LOADED) == [True]
    assert watch.posture is None
    assert not any(after(watch, 1.0, 1.0, LOADED)), "once"


def let_go(height_m: float, seed: int = 0) -> Loop:
    """A loop whose robot begins that high above the ground."""
    loop = make_loop(seed)
    loop.backend.data.qpos[2] += height_m
    return loop


@pytest.mark.parametrize("height_m", [0.02, 0.06])
def test_a_robot_that_is_let_go_of_above_the_ground_lands_and_walks(height_m: float) -> None:
    loop = let_go(height_m)
    posture = loop.backend.read().joint_position
    falling = loop.run(np.sqrt(2.0 * height_m / GRAVITY))
    aloft = [decision for decision in falling if decision.status == "degraded"]
    assert falling[-1] is aloft[-1]
    assert "until the feet carry" in aloft[-1].reason
    np.testing.assert_allclose(aloft[-1].command.q, posture, atol=0.02)
    loop.run(0.3, STAND)
    speed = loop.backend.data.qvel[:3].copy()
    belief = loop.decisions[-1].belief
    assert belief is not None
    np.testing.assert_allclose(belief.base_velocity_world, speed, atol=0.05)
    assert set(statuses(loop.run(1.5))) == {"ok"}
    assert loop.stands
    assert loop.backend.base_position_world[0] > 0.2


def test_a_restored_fall_continues_bit_for_bit() -> None:
    loop = let_go(0.06)
    loop.run(0.06, STAND)
    stack, plant = loop.stack.snapshot(), loop.backend.snapshot()
    first = [decision.command.q + decision.command.tau for decision in loop.run(0.3, STAND)]
    loop.stack.restore(stack)
    loop.backend.restore(plant)
    np.testing.assert_array_equal([decision.command.q + decision.command.tau for decision in loop.run(0.3, STAND)], first)


def test_a_robot_that_begins_on_its_feet_never_holds_its_posture() -> None:
    for seed in range(3):
        assert set(statuses(make_loop(seed).run(0.2, STAND))) == {"ok"}
