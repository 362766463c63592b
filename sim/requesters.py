"""Who asks for joint commands in the safety suite: the adversaries, a foreign policy, or a class of the user's own."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from poise.control.gate import taken
from poise.learning.policy import PolicyController
from poise.robots import Intent, JointCommand, PoiseError, RobotModel, RobotState

from .adversaries import ADVERSARIES, Adversary, known_adversary


class Requester(Protocol):
    """Asks for the command of the coming period in a state as it is read."""

    def __call__(self, state: RobotState, intent: Intent) -> JointCommand:
        """The command that is asked for."""
        ...


@dataclass
class Blind:
    """An adversary, which sees joints and nothing else."""

    adversary: Adversary
    name: str
    n: int

    def __call__(self, state: RobotState, intent: Intent) -> JointCommand:
        """Ask the adversary.

        Raises:
            PoiseError: it fails, or gives no command for the robot.
        """
        try:
            given = self.adversary(np.array(state.joint_position), np.array(state.joint_velocity))
        except (Exception, SystemExit) as error:  # somebody else's class
            raise PoiseError(f"{self.name!r} failed when it was asked for a command ({error!r:.80}, {_where(error)}); mend it") from error
        if (command := taken(given, self.n)) is None:
            raise PoiseError(f"{self.name!r} gave no command for {self.n} joints: return a JointCommand of float arrays ({self.n},)")
        return command


def _where(error: BaseException) -> str:
    """File and line that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


class Policy:
    """A foreign policy at its own rate: between its steps it asks for the same."""

    def __init__(self, controller: PolicyController, period_s: float) -> None:
        self._controller, self._every, self._tick = controller, max(1, round(controller.period_s / period_s)), 0

    def __call__(self, state: RobotState, intent: Intent) -> JointCommand:
        """Step the policy where a step is due."""
        if self._tick % self._every == 0:
            self._command = self._controller.step(state, intent).command
        self._tick += 1
        return self._command


@dataclass(frozen=True)
class MakeRequester:
    """Builds a requester of a name: an adversary's, `policy` for an ONNX file with its contract, or `module:Class`. Picklable.

    The class is called with the robot, a generator of random numbers and the period, s, as adversaries are.
    """

    name: str
    policy: str | None = None
    contract: str | None = None

    def __call__(self, robot: RobotModel, seed: int, period_s: float) -> Requester:
        """The requester of a run.

        Raises:
            PoiseError: there is none of that name, or the policy does not fit the robot.
        """
        rng = np.random.default_rng([seed, sum(map(ord, self.name))])
        if self.policy is not None and self.contract is not None:
            return Policy(PolicyController(robot, self.policy, self.contract), period_s)
        make = known_adversary(self.name) or _imported(self.name)
        try:
            return Blind(make(_copied(robot), rng, period_s), self.name, robot.n)
        except PoiseError:
            raise
        except (Exception, SystemExit) as error:  # somebody else's class
            raise PoiseError(f"{self.name!r} cannot be called with robot, generator and period ({error!r:.80}); mend it") from error


def _copied(robot: RobotModel) -> RobotModel:
    """With arrays of its own: what somebody else writes into them nobody is judged by."""
    values = {entry.name: getattr(robot, entry.name) for entry in fields(robot)}
    copies: dict[str, Any] = {name: value.copy() for name, value in values.items() if isinstance(value, np.ndarray)}
    return replace(robot, **copies)


def _imported(name: str) -> Callable[[RobotModel, np.random.Generator, float], Adversary]:
    module, _, attribute = name.partition(":")
    known = f"give one of {', '.join(ADVERSARIES)}, FILE.json of `poise train adversary`, or module:Class"
    if not (module and attribute):
        raise PoiseError(f"{name!r} asks for nothing that is known: {known}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # where a command is run, as `python` itself has it
    try:
        found: Callable[[RobotModel, np.random.Generator, float], Adversary] = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # somebody else's module
        raise PoiseError(f"{name!r} cannot be imported ({error!r:.80}): {known}") from error
    return found
