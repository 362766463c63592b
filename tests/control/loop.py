"""The closed loop of the G1 on its own plant, with the stack in model mode, for tests of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np

from poise.control import Proposer, Stack, StackConfig
from poise.control.dynamics import Dynamics
from poise.control.gait import Walker
from poise.control.references import GaitCommand
from poise.control.walker_config import WalkerConfig
from poise.learning.world_model import LipWorldModel
from poise.robots import Decision, Intent, RobotModel, RobotState, load_robot
from poise.robots.plant import compile_plant
from poise.robots.types import Array
from poise.sim import Disturbance, MujocoBackend, fallen

STAND = Intent(velocity=(0.0, 0.0, 0.0))
WALK = Intent(velocity=(0.4, 0.0, 0.0))

Spoil = Callable[[RobotState], RobotState]


@cache
def g1_parts() -> tuple[RobotModel, mujoco.MjModel, LipWorldModel]:
    """The G1, its plant and its world model, made once."""
    robot = load_robot("g1")
    return robot, compile_plant(robot.description), LipWorldModel(robot)


@dataclass
class Loop:
    """A stack on a plant, from standing, and everything that it has decided."""

    stack: Stack
    backend: MujocoBackend
    decisions: list[Decision]

    def run(self, seconds: float, intent: Intent = WALK, spoil: Spoil = lambda state: state) -> list[Decision]:
        """Decide and act for a while; `spoil` changes what the stack is told. Gives the decisions of that while."""
        start = len(self.decisions)
        for _ in range(round(seconds / self.stack.period_s)):
            self.decisions.append(self.stack.step(spoil(self.backend.read()), intent))
            self.backend.write(self.decisions[-1].command)
        return self.decisions[start:]

    @property
    def stands(self) -> bool:
        """Whether the robot has not fallen."""
        return not fallen(self.backend)


def make_loop(
    seed: int = 0, proposer: Proposer | None = None, disturbances: Sequence[Disturbance] = (), config: StackConfig | None = None
) -> Loop:
    """A loop at its start; without a proposer the scripted one acts."""
    robot, plant, world_model = g1_parts()
    stack, backend = Stack(robot, config, proposer, world_model), MujocoBackend(robot, plant, disturbances=disturbances)
    backend.reset(seed)
    stack.reset(seed)
    return Loop(stack, backend, [])


def statuses(decisions: Sequence[Decision]) -> list[str]:
    """Status of each decision."""
    return [decision.status for decision in decisions]


def torques(decisions: Sequence[Decision]) -> Array:
    """Torques sent, (ticks, n) N·m."""
    return np.array([decision.command.tau for decision in decisions])


def standing_walker(twist: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Walker:
    """A walker that has stood over the nominal posture for as long as it takes to settle, with a command."""
    robot = g1_parts()[0]
    walker, d = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, WalkerConfig(), 0.002), Dynamics(robot)
    d.update(robot.standing_configuration(), np.zeros(d.nv))
    while walker.time <= WalkerConfig().settle_s and walker.phase == "stand":
        walker.update(d, np.ones(2), GaitCommand(np.array(twist), 0.42, 0.62, np.zeros((2, 2))))
    return walker
