"""Wire a `control.Stack` with a proposer and a world model."""

from __future__ import annotations

from poise.control import Proposer, Stack, StackConfig, WorldModel
from poise.control.safety import Certifier, Uncertified
from poise.control.warmup import warm_up
from poise.learning.proposer import LearnedProposer
from poise.learning.world_model import LipWorldModel
from poise.robots import PoiseError, RobotModel

MODES = ("hybrid", "model")


def build_stack(
    robot: RobotModel,
    mode: str = "hybrid",
    proposer: Proposer | None = None,
    world_model: WorldModel | None = None,
    config: StackConfig | None = None,
    seed: int = 0,
    certified: bool = True,
) -> Stack:
    """A stack for a robot: "hybrid" takes learned proposals, "model" the scripted ones; both are imagined first. Its kernels are warm.

    `proposer` and `world_model` replace the mode's own. Not `certified`, it sends whatever its controller asks for: to compare with, in
    simulation only.

    Raises:
        PoiseError: unknown mode, or (hybrid) weights that do not fit the robot.
    """
    if mode not in MODES:
        raise PoiseError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if proposer is None and mode == "hybrid":
        proposer = LearnedProposer(robot)
    stack = Stack(robot, config, proposer, world_model or LipWorldModel(robot), Certifier if certified else Uncertified)
    warm_up(stack)
    stack.reset(seed)
    return stack
