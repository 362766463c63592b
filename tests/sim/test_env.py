from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from holder import G1, Holder, belief_at, g1_plant

from poise.control.protocols import Proposer
from poise.control.stack import Stack
from poise.robots import Intent, RobotModel
from poise.sim.env import WalkEnv, decode, observe

Faller = partial(Holder, gain=0.3)


def make(**keywords: object) -> WalkEnv:
    return WalkEnv(make_stack=Holder, plant=g1_plant(), **keywords)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*A Box observation space")
def test_it_is_a_gymnasium_environment() -> None:
    check_env(make(), skip_render_check=True)


def real_stack(robot: RobotModel, proposer: Proposer) -> Stack:
    return Stack(robot, proposer=proposer)


@pytest.mark.filterwarnings("ignore:.*A Box observation space")
def test_the_real_stack_walks_the_actions_in_it() -> None:
    env = WalkEnv(make_stack=real_stack, plant=g1_plant())
    check_env(env, skip_render_check=True)
    env.reset(seed=0, options={"velocity": (0.4, 0.0, 0.0)})
    action = np.zeros(22, np.float32)
    action[0] = 0.4  # of 1 m/s
    for _ in range(25):
        _, _, terminated, _, info = env.step(action)
    assert not terminated
    assert info["status"] == "ok"
    assert env.backend.base_position_world[0] > 0.4  # of 1 m, less the start


def test_actions_decode_within_the_limits_of_the_robot() -> None:
    rng, gait = np.random.default_rng(0), G1.overlay.gait
    nominal = decode(np.zeros(22, np.float32), G1)
    assert not nominal.twist.any() and not nominal.torso_rpy.any()
    np.testing.assert_allclose(nominal.height_m, gait.com_height_m)
    np.testing.assert_allclose(nominal.arm_position, np.tile(G1.posture[G1.arms], (10, 1)))
    assert nominal.step_duration_s == gait.step_duration_s
    assert nominal.duration_s == pytest.approx(1.0)
    for _ in range(100):
        motion = decode(rng.uniform(-3.0, 3.0, 22).astype(np.float32), G1)
        assert (np.abs(motion.twist) <= gait.velocity_max).all()
        assert (motion.height_m >= gait.height_range_m[0]).all() and (motion.height_m <= gait.height_range_m[1]).all()
        assert (motion.arm_position >= G1.position_min[G1.arms]).all() and (motion.arm_position <= G1.position_max[G1.arms]).all()
        assert gait.step_duration_min_s <= motion.step_duration_s <= gait.step_duration_max_s


def test_every_part_of_the_action_arrives_where_it_belongs() -> None:
    gait = G1.overlay.gait
    moved = [decode(row, G1) for row in np.eye(22, dtype=np.float32)]
    np.testing.assert_allclose([m.twist for m in moved[:3]], np.diag(gait.velocity_max))
    assert moved[3].height_m[0] == gait.height_range_m[1]
    np.testing.assert_allclose([m.torso_rpy[-1] for m in moved[4:7]], 0.3 * np.eye(3))
    shift = np.array([m.arm_position[0] for m in moved[7:21]]) - G1.posture[G1.arms]
    np.testing.assert_allclose(shift, np.diag(np.diag(shift)), atol=1e-12)
    assert (np.diag(shift) > 0.2).all()
    assert moved[21].step_duration_s == gait.step_duration_max_s


def test_the_stack_is_given_the_action_and_nothing_else() -> None:
    env = make()
    env.reset(seed=0)
    action = np.linspace(-1.0, 1.0, 22, dtype=np.float32)
    env.step(action)
    assert isinstance(env._stack, Holder) and env._stack.proposer is not None
    assert env._stack.ticks == 100  # 0.1 s at the reset, 0.1 s of the step
    (proposal,) = env._stack.proposer.propose(None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(proposal.twist, decode(action, G1).twist)
    assert env.backend.data.time == pytest.approx(0.2)


def test_the_reward_is_tracking_less_effort() -> None:
    env = make()
    env.reset(seed=0, options={"velocity": (0.0, 0.0, 0.0)})
    for _ in range(20):
        _, reward, terminated, _, info = env.step(np.zeros(22, np.float32))
    assert not terminated
    assert info["tracking"] == pytest.approx(1.0, abs=0.01)  # it stands, as it was told
    assert reward == pytest.approx(info["tracking"] - 1e-3 * info["power_w"])
    env.reset(seed=0, options={"velocity": (0.5, 0.0, 0.0)})
    for _ in range(20):
        _, _, _, _, info = env.step(np.zeros(22, np.float32))
    assert info["tracking"] == pytest.approx(0.5 + 0.5 * np.exp(-4.0), abs=0.01)  # it stands: 0.5 m/s off, turning rate right


def test_a_fall_terminates() -> None:
    env = WalkEnv(make_stack=Faller, plant=g1_plant())
    env.reset(seed=0)
    for _ in range(100):
        observation, _, terminated, _, _ = env.step(np.zeros(22, np.float32))
        if terminated:
            break
    assert terminated
    assert np.isfinite(observation).all()


def test_observation_is_what_the_stack_believes() -> None:
    yaw, n = 0.7, G1.n
    turned = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    sole = np.array([2.0, 1.0, 0.1])
    belief = replace(
        belief_at(np.array([2.0, 1.0, 0.85]), yaw),
        base_velocity_world=turned @ np.array([0.4, -0.1, 0.05]),
        base_angular_velocity_base=np.array([0.1, 0.2, 0.3]),
        sole_position_world=np.array([[0.0, 0.0, 0.0], sole]),
        dcm_world=sole[:2] + turned[:2, :2] @ np.array([0.03, -0.02]),
    )
    env = make()
    env.reset(seed=0)
    state = env.backend.read()
    decision = Holder().step(state, Intent(velocity=(0.5, 0.1, -0.2)))
    assert decision.plan is not None
    plan = replace(decision.plan, phase="step", stance=1, time_in_phase_s=0.1, step_duration_s=0.4)
    seen = observe(replace(decision, plan=plan), belief, state, G1)
    assert seen.shape == env.observation_space.shape
    expected = [0.75, 0.0, 0.0, 1.0, 0.1, 0.2, 0.3, 0.4, -0.1, 0.05, 0.03, -0.02, 0.0, 0.0, 1.0, 1.0, 0.25, 0.5, 0.1, -0.2]
    np.testing.assert_allclose(seen[:20], expected, atol=1e-6)
    np.testing.assert_allclose(seen[20 : 20 + n], state.joint_position - G1.posture, atol=1e-6)
    np.testing.assert_allclose(seen[20 + n :], state.joint_velocity, atol=1e-6)


def test_without_a_belief_the_last_observation_stands() -> None:
    env = make()
    first, _ = env.reset(seed=0)
    assert isinstance(env._stack, Holder)
    env._stack.belief = None
    again, *_ = env.step(np.zeros(22, np.float32))
    np.testing.assert_array_equal(first, again)
