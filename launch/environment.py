"""The environment that `gymnasium.make("poise/G1-Walk-v0")` makes, with the stack put together here."""

from __future__ import annotations

from typing import Any

from poise.control import Proposer, Stack
from poise.robots import RobotModel
from poise.sim.env import MakeStack, WalkEnv

from .compose import build_stack


def walk_env(make_stack: MakeStack | None = None, **options: Any) -> WalkEnv:
    """A `WalkEnv` around `make_stack` (default: the stack in which the agent proposes), with the other arguments of `WalkEnv`."""
    return WalkEnv(make_stack or agent_stack, **options)


def agent_stack(robot: RobotModel, proposer: Proposer) -> Stack:
    """The agent's proposals are imagined; where they are rejected the scripted ones act."""
    return build_stack(robot, mode="model", proposer=proposer)
