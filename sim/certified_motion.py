"""Certified steps on the model: an adversary asks, the certifier answers, the model moves, and every bound is checked exactly."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poise.control.backup import HELD
from poise.control.safety import Certifier, SafetyConfig
from poise.control.support import Support
from poise.robots import Certificate, JointCommand, RobotModel
from poise.robots.collision import CollisionModel
from poise.robots.types import Array

from .adversaries import ADVERSARIES, known_adversary
from .model_motion import ModelMotion
from .realtime import no_collection

SUPPORTS = {support.name.lower(): support for support in (Support.BASE, Support.LEFT, Support.RIGHT, Support.BOTH)}
RELATIVE = 1e-6  # of a bound, up to which a number is rounding
LIKELY = ("clearance",)  # bounds that are kept nearly always; the others are promised
OVERLAP_M = 0.01  # that a pair's overlap is a share of
RESTART = 1000  # steps, after which another state and another adversary begin
SPREAD = {
    Support.BASE: 0.8,
    Support.LEFT: 0.1,
    Support.RIGHT: 0.1,
    Support.BOTH: 0.05,
}  # of the joints' ranges about the posture, at the start
BIN_US = 5  # of times of single calls, of which there are millions
TRIES = 50  # at a start from which the robot can be stopped


@dataclass
class Tally:
    """How often each bound was broken, and by how much at the worst, as a share of the bound; negative: kept by that much.

    `first` is the first time that one was broken which is promised.
    """

    joints: Sequence[str]
    count: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)
    first: dict[str, Any] | None = None

    def note(self, step: int, excess: Mapping[str, Array]) -> None:
        """Take the excess over each bound (n,), as a share of it, of one step."""
        for bound, over in excess.items():
            most = float(over.max())  # NaN where one is
            most = math.inf if math.isnan(most) else most
            self.worst[bound] = max(self.worst.get(bound, -np.inf), most)
            if most > RELATIVE:
                self.count[bound] += 1
                if bound not in LIKELY and self.first is None:
                    self.first = {"step": step, "bound": bound, "of": self.joints[int(np.argmax(over))], "excess": most}


@dataclass
class Watch:
    """What was sent one period before, against which a command is held; nothing at first."""

    torque: Array | None = None  # (n,) N·m
    target: Array | None = None  # (n,) rad

    def excesses(self, robot: RobotModel, command: JointCommand, q: Array, v: Array, config: SafetyConfig, dt: float) -> dict[str, Array]:
        """`excesses` of a command, with those of its change since the one before, which it then takes the place of."""
        out = excesses(robot, command, q, v)
        torque = command.torque(q, v)
        jump, drag = np.full(robot.n, -1.0), np.full(robot.n, -1.0)
        if self.torque is not None and self.target is not None:
            jump = np.abs(torque - self.torque) / (config.jump * robot.torque_limit) - 1.0
            drag = np.abs(command.q - self.target) / (robot.velocity_limit * dt) - 1.0
        self.torque, self.target = torque, command.q
        return out | {"torque jump": jump, "target drag": drag}


def excesses(robot: RobotModel, command: JointCommand, q: Array, v: Array) -> dict[str, Array]:
    """By how much a command is beyond its bounds at joints (q, v), (n,) each: its torque, unclipped, its power, its targets; as shares."""
    middle, half = robot.middle_and_half
    torque = command.tau + command.kp * (command.q - q) + command.kd * (command.v - v)
    return {
        "torque": np.abs(torque) / robot.torque_limit - 1.0,
        "power": np.abs(torque * v) / robot.power_limit - 1.0,
        "position target": np.abs(command.q - middle) / half - 1.0,
        "velocity target": np.abs(command.v) / robot.velocity_limit - 1.0,
    }


def state_excesses(robot: RobotModel, q: Array, v: Array, distances: Array) -> dict[str, Array]:
    """By how much joints are beyond their limits, as a share of half their range and of their speed, and pairs overlap, as one of 1 cm."""
    middle, half = robot.middle_and_half
    return {
        "position": np.abs(q - middle) / half - 1.0,
        "velocity": np.abs(v) / robot.velocity_limit - 1.0,
        "clearance": -distances / OVERLAP_M,
    }


@dataclass(frozen=True)
class CertifiedWork:
    """Runs one case: an adversary, a support and a seed, for so many steps. Picklable."""

    robot: RobotModel
    config: SafetyConfig
    period_s: float
    steps: int

    @no_collection()
    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Violations by bound, the first of them, how commands were answered, and thread CPU time of changed ones, µs.

        `unsolved`: nearest torques that were not found, by what was sent in their place.
        """
        support, seed = SUPPORTS[case["support"]], int(case["seed"])
        name, known = case["adversary"], list(ADVERSARIES)
        rng = np.random.default_rng([seed, int(support), known.index(name) if name in known else len(known)])
        motion, certifier = ModelMotion(self.robot, support, self.period_s), Certifier(self.robot, self.config, self.period_s)
        collision, methods, unsolved, times = CollisionModel(self.robot), Counter[str](), Counter[str](), list[float]()
        tally = Tally(self.robot.joint_names)
        d = motion.dynamics
        watch = Watch()
        for step, command, certificate, spent_us in self.answers(name, motion, certifier, rng):
            if step % RESTART == 0:
                watch = Watch()
            over = watch.excesses(self.robot, command, d.joint_position, d.joint_velocity, self.config, self.period_s)
            motion.step(command.torque(d.joint_position, d.joint_velocity))
            over |= state_excesses(self.robot, d.joint_position, d.joint_velocity, collision.distances(d.joint_position))
            tally.note(step, over)
            methods[certificate.method] += 1
            unsolved[certificate.method] += certifier.unsolved
            if certificate.changed:
                times.append(spent_us)
        violations = {bound: {"count": tally.count[bound], "worst_margin": -worst} for bound, worst in tally.worst.items()}
        found = {"violations": violations, "first": tally.first, "methods": dict(methods), "unsolved": dict(+unsolved)}
        return {**case, "steps": self.steps, **found, "changed_us": in_bins(times)}

    def answers(
        self, name: str, motion: ModelMotion, certifier: Certifier, rng: np.random.Generator
    ) -> Iterator[tuple[int, JointCommand, Certificate, float]]:
        """What is sent at each step, its certificate, and what that took, µs; the caller moves the model."""
        make = known_adversary(name)
        assert make is not None  # of a case that the command has made
        for step in range(self.steps):
            if step % RESTART == 0:
                start(motion, certifier, rng)
                adversary = make(self.robot, rng, self.period_s)
            d = motion.dynamics
            asked = adversary(d.joint_position, d.joint_velocity)
            begun = time.thread_time_ns()
            sent, certificate = certifier.certify(d, asked, motion.support, resting=True)
            yield step, sent, certificate, (time.thread_time_ns() - begun) * 1e-3


def start(motion: ModelMotion, certifier: Certifier, rng: np.random.Generator) -> None:
    """A random state from which the robot can be stopped; the posture at rest where none is found."""
    robot, support, collision = motion.robot, motion.support, CollisionModel(motion.robot)
    low, high = robot.position_min - robot.posture, robot.position_max - robot.posture
    certifier.reset()
    for k in range(TRIES):
        shrink = 0.9**k
        q = robot.posture + SPREAD[support] * shrink * rng.uniform(low, high)
        motion.set(q, 0.3 * shrink * rng.uniform(-1.0, 1.0, robot.n) * robot.velocity_limit)
        d = motion.dynamics
        open_ = certifier.backup.open_from(d, support, d.joint_position, d.joint_velocity)[0] == HELD
        if open_ and collision.distances(d.joint_position).min() > OVERLAP_M:
            return
    motion.set(robot.posture, np.zeros(robot.n))


def in_bins(times_us: Sequence[float]) -> dict[str, int]:
    """How many times fall into each bin of BIN_US, by the bin's upper edge."""
    return dict(Counter(str(BIN_US * math.ceil(time_us / BIN_US)) for time_us in times_us))


def quantile(bins: Mapping[str, int], share: float) -> int:
    """The upper edge of the bin of `in_bins` in which a share of all times is reached, µs."""
    edges = sorted(bins, key=int)
    counts = np.cumsum([bins[edge] for edge in edges])
    return int(edges[int(np.searchsorted(counts, share * counts[-1]))])


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Steps, violations by bound, answers, and cost of changed ones: over all of them, and the worst run's p99."""
    bounds = {bound: None for run in runs for bound in run["violations"]}
    methods, unsolved, times = Counter[str](), Counter[str](), Counter[str]()
    for run in runs:
        methods.update(run["methods"])
        unsolved.update(run["unsolved"])
        times.update(run["changed_us"])
    worst = max((quantile(run["changed_us"], 0.99) for run in runs if run["changed_us"]), default=None)
    return {
        "steps": sum(run["steps"] for run in runs),
        "violations": {
            bound: {
                "count": sum(run["violations"][bound]["count"] for run in runs),
                "worst_margin": min(run["violations"][bound]["worst_margin"] for run in runs),
            }
            for bound in bounds
        },
        "methods": dict(methods.most_common()),
        "unsolved": {"in_all": unsolved.total(), **dict(unsolved.most_common())},
        "changed_us": {"p50": quantile(times, 0.5), "p99": quantile(times, 0.99), "p99_worst_run": worst} if times else None,
    }
