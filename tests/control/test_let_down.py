"""A robot that is let go of above the ground holds its posture until it stands, and one that stands never does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from loop import STAND, WALK, Loop, Spoil, g1_parts, make_loop, statuses

from poise.control import Stack
from poise.control.dynamics import Dynamics
from poise.control.let_down import LetDown, LetDownConfig
from poise.control.lip import GRAVITY
from poise.robots import Intent, RobotState
from poise.sim import MujocoBackend
from poise.sim.noise import NOISE

CONFIG, WEIGHT_N, PERIOD_S = LetDownConfig(), 300.0, 0.002
LOADED, EMPTY = 1.1 * CONFIG.carried_share * WEIGHT_N, 0.9 * CONFIG.carried_share * WEIGHT_N


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
    watch: LetDown, seconds: float, share_of_g: float, load_n: float | None = EMPTY, lowered: tuple[float, float] = (0.0, 0.0)
) -> list[bool]:
    """What it says in each tick of a while in which that much is felt, with soles lowered by so much, m, against the base."""
    d = standing()
    d.sole_position[:, 2] -= lowered
    return [watch(d, share_of_g * GRAVITY * d.base_rotation[2], load_n) for _ in range(round(seconds / PERIOD_S))]


def test_a_free_fall_is_known_when_it_has_sunk_that_far_and_the_first_posture_is_held() -> None:
    watch, known_s = begun(), np.sqrt(2.0 * CONFIG.sunk_m / GRAVITY)
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
    sunk = 1.1 * CONFIG.sunk_m
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


@pytest.mark.parametrize(("share_of_g", "stands"), [(1.1 * CONFIG.carried_share, True), (0.9 * CONFIG.carried_share, False)])
def test_without_joint_torques_what_holds_it_is_felt(share_of_g: float, stands: bool) -> None:
    watch = begun()
    after(watch, 0.06, 0.0, None)
    assert any(after(watch, 2.0 * CONFIG.carried_s, share_of_g, None)) is stands


def let_go(height_m: float, seed: int = 0) -> Loop:
    """A loop whose robot begins that high above the ground."""
    loop = make_loop(seed)
    loop.backend.data.qpos[2] += height_m
    return loop


def without_torque(state: RobotState) -> RobotState:
    return replace(state, joint_torque=None)


@pytest.mark.parametrize(("height_m", "spoil"), [(0.03, None), (0.06, None), (0.1, without_torque)])
def test_a_robot_that_is_let_go_of_above_the_ground_lands_and_walks(height_m: float, spoil: Spoil | None) -> None:
    loop, spoil = let_go(height_m), spoil or (lambda state: state)
    posture = loop.backend.data.qpos[7:].copy()
    falling = loop.run(np.sqrt(2.0 * height_m / GRAVITY), WALK, spoil)
    known = statuses(falling).index("degraded")
    assert known * loop.stack.period_s < 0.06
    for decision in falling[known:]:
        assert decision.status == "degraded" and "until the feet carry" in decision.reason
        assert decision.plan is None and decision.belief is not None and not decision.certificate.changed
        np.testing.assert_array_equal(decision.command.q, falling[known].command.q)
        np.testing.assert_array_equal(decision.command.kp, g1_parts()[0].hold_kp)
    np.testing.assert_allclose(falling[known].command.q, posture, atol=0.005)
    loop.run(0.3, STAND, spoil)
    speed, belief = loop.backend.data.qvel[:3].copy(), loop.decisions[-1].belief
    assert belief is not None
    np.testing.assert_allclose(belief.base_velocity_world, speed, atol=0.05)
    assert set(statuses(loop.run(1.5, WALK, spoil))) == {"ok"}
    assert loop.stands
    assert loop.backend.base_position_world[0] > 0.2


def test_in_the_air_arms_that_something_else_moves_are_let_go() -> None:
    loop, arms = let_go(0.1), g1_parts()[0].arms
    loop.run(0.1, Intent(arms_external=True))
    state = loop.backend.read()
    command = loop.stack.step(state, Intent(arms_external=True)).command
    assert loop.decisions[-1].plan is None
    np.testing.assert_array_equal(command.q[arms], state.joint_position[arms])


def test_states_that_are_lost_in_the_air_are_bridged_and_a_reset_begins_anew() -> None:
    loop = let_go(0.1)
    held = loop.run(0.08, STAND)[-1]
    lost = loop.run(0.01, STAND, lambda state: replace(state, gyro_imu=None))[-1]
    assert held.plan is None and lost.command is held.command
    loop.stack.reset()
    assert loop.run(0.002, STAND)[-1].status == "ok"


def test_a_restored_fall_continues_bit_for_bit() -> None:
    loop = let_go(0.06)
    assert loop.run(0.08, STAND)[-1].plan is None
    stack, plant = loop.stack.snapshot(), loop.backend.snapshot()
    first = [decision.command.q + decision.command.tau for decision in loop.run(0.3, STAND)]
    loop.stack.restore(stack)
    loop.backend.restore(plant)
    np.testing.assert_array_equal([decision.command.q + decision.command.tau for decision in loop.run(0.3, STAND)], first)


@pytest.mark.parametrize("noise", ["nominal", "hard"])
def test_a_robot_that_begins_on_its_feet_never_holds_its_posture(noise: str) -> None:
    """Seeds of which some begin with one foot up to 6 mm above the ground; 34 sinks the deepest, by 9 mm."""
    robot, plant, world_model = g1_parts()
    stack, backend = Stack(robot, None, None, world_model), MujocoBackend(robot, plant, noise=NOISE[noise])
    loop = Loop(stack, backend, [])
    for seed in (*range(8), 34):
        backend.reset(seed)
        stack.reset(seed)
        assert set(statuses(loop.run(0.1, STAND))) == {"ok"}, seed


@pytest.mark.parametrize("intent", [STAND, WALK])
def test_a_robot_that_is_lifted_holds_its_posture_and_stands_when_it_is_put_down(intent: Intent) -> None:
    loop = make_loop()
    loop.run(0.6, intent)
    data, force = loop.backend.data, loop.backend.data.xfrc_applied[loop.backend.model.body("torso_link").id]
    upright = data.qpos[3:7].copy()
    force[2] = 1.2 * loop.stack.robot.mass * GRAVITY
    lifted = loop.run(0.3, intent)
    force[2] = 0.0
    for _ in range(500):
        if loop.decisions[-1].rung != "safe stop":
            break
        data.qpos[3:7], data.qvel[:6] = upright, (0.0, 0.0, -0.3, 0.0, 0.0, 0.0)  # put down by a crane
        lifted += loop.run(PERIOD_S, intent)
    known = [decision.rung for decision in lifted].index("safe stop")
    for decision in lifted[known:-1]:
        assert (decision.status, decision.rung) == ("degraded", "safe stop") and decision.reason.startswith("in the air")
    held = [decision.command.q for decision in lifted[known + 25 : -1]]  # targets go there in a few ticks
    np.testing.assert_array_equal(held, [held[0]] * len(held))
    assert loop.run(2.5, STAND)[-1].rung == "nominal" and loop.stands


def test_feet_that_carry_nothing_for_a_moment_are_on_the_ground() -> None:
    watch, d = begun(), standing()
    for unloaded in (True, False, True):
        for _ in range(round(CONFIG.unloaded_s / PERIOD_S) - 1):
            watch(d, GRAVITY * d.base_rotation[2], None, unloaded)
        assert watch.posture is None
    for _ in range(3):
        watch(d, GRAVITY * d.base_rotation[2], None, True)
    assert watch.posture is not None
