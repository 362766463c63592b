"""Wire a `control.Stack` with a proposer and a world model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from poise.control import Proposer, Stack, StackConfig, WorldModel
from poise.control.advice import Advises, Advisor, advisor_of
from poise.control.deliberation import Elsewhere
from poise.control.proposals import Choice, choose
from poise.control.protocols import Situation
from poise.control.safety import Certifier, Uncertified
from poise.control.scripted import ScriptedProposer
from poise.control.stopwatch import Stopwatch
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
    elsewhere: Elsewhere | None = None,
    advises: Advises | None = None,
) -> Stack:
    """A stack for a robot: "hybrid" takes learned proposals, "model" the scripted ones; both are imagined first. Its kernels are warm.

    `proposer` and `world_model` replace the mode's own; `elsewhere` proposes and imagines out of the tick in place of both, and
    `advises` solves the MPC. Not `certified`, it sends whatever its controller asks for: to compare with, in simulation only.

    Raises:
        PoiseError: unknown mode, or (hybrid) weights that do not fit the robot.
    """
    if elsewhere is None:
        proposer, world_model = _parts(robot, mode, proposer, world_model)
    stack = Stack(robot, config, proposer, world_model, Certifier if certified else Uncertified, elsewhere, advises)
    if elsewhere is not None:
        warm_up(Stack(robot, config))  # which gets to walk: from elsewhere nothing comes in made-up time
    warm_up(stack)
    stack.reset(seed)
    return stack


def build_chooser(robot: RobotModel, mode: str = "hybrid", seed: int = 0) -> Callable[[Situation], Choice]:
    """What proposes and imagines for a situation, for a process of its own.

    Raises:
        PoiseError: as `build_stack`.
    """
    proposer, world_model = _parts(robot, mode, None, None)
    scripted = ScriptedProposer(robot)
    proposer = proposer or scripted
    proposer.reset(seed)

    def chosen(situation: Situation) -> Choice:
        return choose(proposer, world_model, scripted, situation, 0, len(robot.arms), Stopwatch())

    return chosen


def build_advisor(robot: RobotModel, config: StackConfig | None = None) -> Advisor:
    """What solves the MPC of a stack of that configuration, for a process of its own."""
    return advisor_of(robot.overlay.gait, np.array(robot.overlay.sole_polygon), (config or StackConfig()).walker)


def _parts(robot: RobotModel, mode: str, proposer: Proposer | None, world_model: WorldModel | None) -> tuple[Proposer | None, WorldModel]:
    """The mode's proposer and world model where none is given."""
    if mode not in MODES:
        raise PoiseError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if proposer is None and mode == "hybrid":
        proposer = LearnedProposer(robot)
    return proposer, world_model or LipWorldModel(robot)
