from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from poise.control import Proposer, Stack
from poise.control.proposals import GivenArms
from poise.launch import build_stack
from poise.launch.environment import agent_stack
from poise.robots import RobotModel
from poise.sim import NOISE
from poise.sim.env import ActionProposer, WalkEnv, decode


@pytest.mark.filterwarnings("ignore:.*A Box observation space")
def test_it_is_made_by_name_without_arguments() -> None:
    env = gymnasium.make("poise/G1-Walk-v0")
    assert env.spec is not None and env.spec.max_episode_steps == 150  # of 0.1 s
    assert EnvSpec.from_json(env.spec.to_json()).id == "poise/G1-Walk-v0"
    inner = env.unwrapped
    assert isinstance(inner, WalkEnv)
    check_env(inner, skip_render_check=True)
    env.reset(seed=1, options={"velocity": (0.3, 0.0, 0.0)})
    action = np.zeros(22, np.float32)
    action[0] = 0.3  # of 1 m/s
    for _ in range(20):
        _, _, terminated, truncated, info = env.step(action)
    assert (terminated, truncated, info["status"], info["rejected"]) == (False, False, "ok", [])
    assert inner.backend.base_position_world[0] > 0.2  # of 0.6 m, less the start


def test_an_action_that_breaks_a_constraint_is_told() -> None:
    env = gymnasium.make("poise/G1-Walk-v0")
    env.reset(seed=0, options={"velocity": (0.0, 0.0, 0.0)})
    action = np.zeros(22, np.float32)
    action[7:21] = 1.0  # half a radian of every arm joint within a tenth of a second
    _, _, terminated, _, info = env.step(action)
    assert not terminated and info["rejected"] == ["joint_speed"]


def test_another_stack_may_be_given() -> None:
    given: list[Stack] = []

    def make(robot: RobotModel, proposer: Proposer) -> Stack:
        given.append(build_stack(robot, "model", proposer))
        return given[0]

    env = gymnasium.make("poise/G1-Walk-v0", make_stack=make, noise=NOISE["none"])
    assert isinstance(env.unwrapped, WalkEnv) and env.unwrapped._stack is given[0]
    assert env.unwrapped.backend.noise is NOISE["none"]


def test_the_stack_asks_the_agent(g1: RobotModel) -> None:
    agent = ActionProposer(decode(np.zeros(22, np.float32), g1))
    proposer = agent_stack(g1, agent)._choices._proposer
    assert isinstance(proposer, GivenArms) and proposer._proposer is agent


def test_importing_the_composition_root_registers_it_and_loads_no_simulator() -> None:
    heavy = ("mujoco", "pinocchio", "numba", "poise.sim")
    program = f"import sys, poise.launch, gymnasium; print([m for m in {heavy} if m in sys.modules], gymnasium.spec('poise/G1-Walk-v0').id)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[] poise/G1-Walk-v0"
