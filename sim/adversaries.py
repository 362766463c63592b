"""Requests that no controller should make: what the certifier is tried with.

An adversary is asked once a period for the command of the coming one, given the joints' true positions and velocities. It may look at the
robot, and draws from its own generator: the same seed asks for the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np

from poise.learning.trace import ROW_S, load_trace, read_header
from poise.robots import JointCommand, PoiseError, RobotModel
from poise.robots.types import Array

from .adversary_file import read_trained

DATA = Path(str(files("poise.sim") / "adversary_data"))
WAVE_HZ = 1.5


class Adversary(Protocol):
    """Asks for a command at joint positions q and velocities v, (n,) each."""

    def __call__(self, q: Array, v: Array) -> JointCommand:
        """The command that is asked for."""
        ...


class _Base(ABC):
    """What they share: the robot, random numbers, the tick."""

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float) -> None:
        self.robot, self.rng, self.period_s, self.tick = robot, rng, period_s, -1

    def torques(self, tau: Array) -> JointCommand:
        """A command that is nothing but torques (n,) N·m."""
        zero = np.zeros(self.robot.n)
        return JointCommand(self.robot.posture, zero, zero, zero, tau, self.robot.torque_limit)

    def due(self, period_s: float) -> bool:
        """Whether something is to be drawn anew, every so many seconds and at the start."""
        return self.tick % max(1, round(period_s / self.period_s)) == 0

    def __call__(self, q: Array, v: Array) -> JointCommand:
        self.tick += 1
        return self.ask(q, v)

    @abstractmethod
    def ask(self, q: Array, v: Array) -> JointCommand:
        """The command of this tick."""


class White(_Base):
    """Torques drawn anew at every tick, up to half more than the motors have."""

    def ask(self, q: Array, v: Array) -> JointCommand:
        """White noise."""
        return self.torques(self.rng.uniform(-1.5, 1.5, q.size) * self.robot.torque_limit)


class Drifting(_Base):
    """Torques that wander: a push one way that lasts, a different one in each joint."""

    share: Array | None = None

    def ask(self, q: Array, v: Array) -> JointCommand:
        """A random walk with a pull back."""
        share = np.zeros(q.size) if self.share is None else self.share
        self.share = np.clip(0.99 * share + self.rng.normal(0.0, 0.15, q.size), -2.0, 2.0)
        return self.torques(self.share * self.robot.torque_limit)


class Saturated(_Base):
    """All motors at their limits, each either way, changed ten times a second."""

    def ask(self, q: Array, v: Array) -> JointCommand:
        """Full torque."""
        if self.due(0.1):
            self.way = self.rng.choice([-1.0, 1.0], q.size)
        return self.torques(self.way * self.robot.torque_limit)


class Pumping(_Base):
    """Full torque along each joint's velocity: it swings every joint up at the frequency that takes it furthest."""

    def ask(self, q: Array, v: Array) -> JointCommand:
        """Positive feedback, with some noise to begin with."""
        way = np.sign(v + self.rng.normal(0.0, 0.02, q.size))
        return self.torques(way * self.robot.torque_limit)


class Oscillating(_Base):
    """Sines of 0.2 to 8 Hz, a frequency for each joint, drawn anew every 4 s."""

    def ask(self, q: Array, v: Array) -> JointCommand:
        """A fifth beyond the motors."""
        if self.due(4.0):
            self.omega, self.phase = 2.0 * np.pi * self.rng.uniform(0.2, 8.0, q.size), self.rng.uniform(0.0, 2.0 * np.pi, q.size)
        return self.torques(1.2 * self.robot.torque_limit * np.sin(self.omega * self.tick * self.period_s + self.phase))


class Jumping(_Base):
    """A teleoperator whose posture jumps, tracked by stiff motors: beyond the joints' limits as often as not."""

    reach = 1.5  # of each joint's range

    def ask(self, q: Array, v: Array) -> JointCommand:
        """Position control of a new posture every 0.3 s."""
        robot = self.robot
        if self.due(0.3):
            middle, half = robot.middle_and_half
            self.target = middle + self.rng.uniform(-self.reach, self.reach, q.size) * half
        zero = np.zeros(q.size)
        return JointCommand(self.target, zero, 4.0 * robot.hold_kp, robot.hold_kd, zero, robot.torque_limit)


class Delayed(_Base):
    """A posture held by stiff motors on readings that are 60 ms old, and pushed about: it shakes itself up."""

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float) -> None:
        super().__init__(robot, rng, period_s)
        self.old: deque[tuple[Array, Array]] = deque(maxlen=max(1, round(0.06 / period_s)))

    def ask(self, q: Array, v: Array) -> JointCommand:
        """Torques of a controller that is late."""
        if self.due(1.0):
            self.target = self.robot.posture + self.rng.uniform(-0.3, 0.3, q.size)
        self.old.append((q.copy(), v.copy()))
        then, speed = self.old[0]
        return self.torques(4.0 * self.robot.hold_kp * (self.target - then) - 0.2 * self.robot.hold_kd * speed)


class Misordered(_Base):
    """A sound posture controller whose joints are in another order than the robot's."""

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float) -> None:
        super().__init__(robot, rng, period_s)
        self.order = rng.permutation(robot.n)

    def ask(self, q: Array, v: Array) -> JointCommand:
        """Gains and targets of one joint at another."""
        robot, order, zero = self.robot, self.order, np.zeros(q.size)
        return JointCommand(robot.posture[order], zero, robot.hold_kp[order], robot.hold_kd[order], zero, robot.torque_limit)


class NotFinite(Drifting):
    """Drifting torques, of which every other command holds a NaN or an infinity somewhere."""

    def ask(self, q: Array, v: Array) -> JointCommand:
        """Now and then no number."""
        command = super().ask(q, v)
        if self.rng.random() < 0.5:
            return command
        values = {"q": command.q.copy(), "tau": command.tau}
        part = values[self.rng.choice(list(values))]
        part[self.rng.integers(q.size)] = self.rng.choice([np.nan, np.inf, -np.inf])
        return replace(command, **values)


class Teleoperated(_Base):
    """An operator's recorded motion over a bad link, held by stiff motors: it jumps from one moment to any other, and stops for a while.

    Recorded by `poise demos generate --episodes 1 --seconds 10 --seed 7`.
    """

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float) -> None:
        super().__init__(robot, rng, period_s)
        self.path, self.at, self.arrives = _recorded(robot.joint_names, tuple(robot.posture)), 0.0, True

    def ask(self, q: Array, v: Array) -> JointCommand:
        """The posture of a moment, between two that were recorded."""
        robot, last, zero = self.robot, len(self.path) - 1, np.zeros(q.size)
        if self.due(0.4):
            self.at, self.arrives = self.rng.uniform(0.0, last), self.rng.random() < 0.8
        if self.arrives:
            self.at = min(self.at + self.period_s / ROW_S, last - 1e-9)
        row, part = int(self.at), self.at % 1.0
        target = (1.0 - part) * self.path[row] + part * self.path[row + 1]
        return JointCommand(target, zero, 2.0 * robot.hold_kp, robot.hold_kd, zero, robot.torque_limit)


class Trained(_Base):
    """Each joint's torque by its own place and speed and a wave, with gains that `poise train adversary` found against the certifier."""

    most = 0.2  # of each motor: for more the certifier only brakes

    def __init__(self, robot: RobotModel, rng: np.random.Generator, period_s: float, gains: Array | None = None) -> None:
        """`gains` (4, n): None: those that are packaged."""
        super().__init__(robot, rng, period_s)
        self.gains = trained_gains(DATA / "trained.json", robot.joint_names) if gains is None else gains
        self.middle, self.half = robot.middle_and_half

    def ask(self, q: Array, v: Array) -> JointCommand:
        """What it has learned to."""
        wave = np.full(q.size, np.sin(2.0 * np.pi * WAVE_HZ * self.tick * self.period_s))
        seen = np.stack([np.ones(q.size), (q - self.middle) / self.half, v / self.robot.velocity_limit, wave])
        return self.torques(self.most * np.tanh((self.gains * seen).sum(axis=0)) * self.robot.torque_limit)


@lru_cache
def _recorded(joints: tuple[str, ...], posture: tuple[float, ...]) -> Array:
    """Joint positions (rows, n) rad of the recording, ROW_S apart; joints that it has not stay in the posture."""
    file = DATA / "teleoperation.npz"
    known, found = read_header(file)["joints"], np.array([situation.joint_position for situation in load_trace(file).situations])
    path = np.tile(np.array(posture), (len(found), 1))
    for i, joint in enumerate(joints):
        if joint in known:
            path[:, i] = found[:, known.index(joint)]
    return path


@lru_cache
def trained_gains(file: Path, joints: tuple[str, ...]) -> Array:
    """Gains (4, n) from a file of `poise train adversary`; joints that were not trained have none.

    Raises:
        PoiseError: it is none.
    """
    try:
        return read_trained(file).of(joints)
    except ValueError as error:
        raise PoiseError(f"adversary {file}: {error}; give a file that `poise train adversary` has written") from error


Make = Callable[[RobotModel, np.random.Generator, float], Adversary]

ADVERSARIES: dict[str, Make] = {
    "white": White,
    "drifting": Drifting,
    "saturated": Saturated,
    "pumping": Pumping,
    "oscillating": Oscillating,
    "jumping": Jumping,
    "delayed": Delayed,
    "misordered": Misordered,
    "not_finite": NotFinite,
    "teleoperated": Teleoperated,
    "trained": Trained,
}
"""Every adversary by its name; another one is a class and a line here."""


def known_adversary(name: str) -> Make | None:
    """The adversary of a name, or of a file of `poise train adversary`, which ends in .json; None: there is none."""
    if name.endswith(".json"):
        return lambda robot, rng, period_s: Trained(robot, rng, period_s, trained_gains(Path(name), robot.joint_names))
    return ADVERSARIES.get(name)
