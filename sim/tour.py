"""The waypoint tour of the public teleop-walking-benchmark: our own runner on its draws, at the stack's own tick.

The draws (waypoints, arm motion, punches) and the way from a waypoint to a velocity command are the package
`gaitkeeper`'s, which reproduces the benchmark's random streams: seed n here is its run n. Its stages add up: the robot
moves its own arms; a harness holds them; the harness moves them at random; and it is punched on a random link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from poise.control.ladder import Rung
from poise.robots import Intent, JointCommand, PoiseError, RobotModel
from poise.robots.plant import compile_plant
from poise.robots.record import Log
from poise.robots.types import Array

from .batch import Case
from .disturbances import Disturbance, Friction, body_id, contact_friction
from .falls import Comparison, Tape
from .intervals import wilson
from .mujoco_backend import MujocoBackend
from .noise import NOISE
from .punches import Punch, by_throw, judged, thrown_by
from .pushing import LocomotionStack
from .senses import plant_map

SCHEMA = "poise.tour/1"  # of a run's setup and a fall's recording
STAGES = ("own", "arms_hold", "arms_walk", "punches")
PHYSICS_S = 0.002
COMMAND_S = 0.02  # the harness's own period
FALL_KEPT_S = 10.0  # of a run that ends in a fall: two waypoints and two punches
TURN_MAX = 1.0  # rad/s; with the benchmark's 0.2 even a perfect follower ends 42° off


@dataclass(frozen=True)
class TourConfig:
    """A tour: 90 s are 18 waypoints of 5 s; plant: an MJCF of the robot, default its description; mu: friction of the feet.

    Raises:
        PoiseError: a length that is not whole waypoints, or more than there are.
    """

    seconds: float = 90.0
    plant: Path | None = None
    mu: float = 0.8
    noise: str = "nominal"

    def __post_init__(self) -> None:
        if self.seconds not in np.arange(5.0, 91.0, 5.0):
            raise PoiseError(f"tour of {self.seconds:g} s: a waypoint takes 5 s and there are 18; give a multiple of 5 from 5 to 90")


@dataclass(frozen=True)
class Crane:
    """Holds a free body level over the origin, with its own origin at a height, until it lets go."""

    body: str
    height_m: float
    until_s: float

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Nothing to change."""

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Put the body back before every step."""
        if data.time < self.until_s - 1e-9:
            joint = model.body_jntadr[body_id(model, self.body)]
            position, velocity = model.jnt_qposadr[joint], model.jnt_dofadr[joint]
            data.qpos[position : position + 7] = [0.0, 0.0, self.height_m, 1.0, 0.0, 0.0, 0.0]
            data.qvel[velocity : velocity + 6] = 0.0


@dataclass(frozen=True)
class TourWork:
    """Does one run of a batch, a case being {"stage": …, "seed": …}; picklable where `make_stack` is."""

    robot: RobotModel
    make_stack: Callable[[RobotModel, int], LocomotionStack]
    config: TourConfig
    falls: Path | None = None  # folder in which each fall leaves a folder; None: none does
    head: Mapping[str, Any] = field(default_factory=dict)  # what a fall's recording says of how it was run, beside its case

    def __call__(self, case: Case) -> dict[str, Any]:
        """The result of the case's run."""
        tape = Tape(self.make_stack(self.robot, case["seed"]), FALL_KEPT_S)
        result = run_tour(tape, self.robot, case["stage"], case["seed"], self.config)
        if self.falls is not None and not result["complete"]:
            tape.write(self.falls / f"{case['stage']}-seed{case['seed']}", self.robot, {**self.head, "case": case, "seed": case["seed"]})
        return result

    def replay(self, log: Log) -> Comparison:
        """Run the case of a fall's recording again, held against it from where that begins."""
        case = log.meta["case"]
        comparison = Comparison(self.make_stack(self.robot, case["seed"]), log)
        run_tour(comparison, self.robot, case["stage"], case["seed"], self.config)
        return comparison


def draws() -> Any:
    """The package's module that draws the tour.

    Raises:
        PoiseError: it is not installed.
    """
    try:
        return import_module("gaitkeeper.tour")
    except ImportError as error:
        raise PoiseError(f"the tour's draws need gaitkeeper ({error}): in the checkout, .venv/bin/pip install -e '.[bench]'") from error


class Harness:
    """The benchmark's side of a run: crane, arms, punches, and commands from the true pose."""

    def __init__(self, robot: RobotModel, stage: str, seed: int, config: TourConfig, period_s: float) -> None:
        """Set up the plant and draw the tour.

        Raises:
            PoiseError: an unknown stage, a control period that does not divide the harness's, a robot that is not a G1, a plant that is
                not the robot's, or no gaitkeeper.
        """
        if stage not in STAGES:
            raise PoiseError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
        if abs(round(COMMAND_S / period_s) * period_s - COMMAND_S) > 1e-9:
            sentence = f"tour: commands come every {COMMAND_S} s, a control period of {period_s:g} s does not divide that"
            raise PoiseError(f"{sentence}; give a controller of 50 Hz, or a multiple of it")
        self._draws = g = draws()
        if sorted(g.BENCH_MOTORS) != sorted(robot.joint_names):
            raise PoiseError(f"the tour is one of the G1 with 29 joints; the robot {robot.name!r} has others")
        path = config.plant or robot.description
        plant = compile_plant(path)
        self.release_s: float = g.BENCH_INIT_S
        self.fall_height_m: float = g.BENCH_FALL_PELVIS_Z
        drawn = g.bench_punches(seed, g.bench_motor_links(plant)) if stage == "punches" else ()
        self.punches = [Punch(p.body, p.point, p.vector, p.frame, self.release_s + p.t, p.duration) for p in drawn]
        disturbances: list[Disturbance] = [Friction(config.mu), Crane(robot.overlay.base, g.BENCH_CRANE_HEIGHT_M, self.release_s)]
        disturbances += self.punches
        self.backend = MujocoBackend(
            robot, plant, physics=PHYSICS_S, period_s=period_s, noise=NOISE[config.noise], disturbances=disturbances
        )
        self.tour = g.WaypointTour(g.bench_waypoints(seed)[: round(config.seconds / g.BENCH_POINT_S)], wz_abs=TURN_MAX)
        stance = dict(zip(g.BENCH_MOTORS, g.BENCH_STANCE, strict=True))
        self._stance = np.array([stance[name] for name in robot.joint_names])
        gains = g.armature_gains(self.backend.model, list(robot.joint_names))
        self._kp, self._kd = (np.array([gain[name] for name in robot.joint_names]) for gain in gains)
        self._robot, self._seed, self._seconds, self._path = robot, seed, config.seconds, path
        self._held = np.isin(robot.joint_names, g.BENCH_ARMS) & (stage != "own")
        self._poses = self._arm_walk() if stage in ("arms_walk", "punches") else self._stance[None]

    def hang(self) -> None:
        """Put the robot on the crane at the stance and let it go after `release_s`."""
        backend, robot = self.backend, self._robot
        backend.reset(self._seed)
        zero = np.zeros(robot.n)
        backend.data.qpos[plant_map(backend.model, robot).qpos] = self._stance
        for _ in range(round(self.release_s / backend.period_s)):
            backend.write(JointCommand(self._stance, zero, self._kp, self._kd, zero, robot.torque_limit))

    def velocity(self, elapsed_s: float) -> tuple[float, float, float]:
        """The command of this moment, from the true pose."""
        pose = np.concatenate((self.backend.base_position_world, self.backend.base_orientation_wxyz))
        vx, vy, wz = (float(value) for value in self.tour(elapsed_s, pose))
        return vx, vy, wz

    def with_arms(self, command: JointCommand, step: int) -> JointCommand:
        """A command with the arms that the harness moves taken over, at its control step."""
        if not self._held.any():
            return command
        held, pose, zero = self._held, self._poses[min(step, len(self._poses) - 1)], np.zeros(self._robot.n)
        return replace(
            command,
            q=np.where(held, pose, command.q),
            v=np.where(held, zero, command.v),
            kp=np.where(held, self._kp, command.kp),
            kd=np.where(held, self._kd, command.kd),
            tau=np.where(held, zero, command.tau),
            torque_limit=np.where(held, self._robot.torque_limit, command.torque_limit),
        )

    def _arm_walk(self) -> Array:
        """Joint positions (steps, n), the arms' drawn, at the harness's control steps."""
        g, model = self._draws, self.backend.model
        limits = {name: tuple(model.joint(name).range) for name in g.BENCH_ARMS}
        hands = g.BenchHands.from_mjcf(model, self._path)
        if hands is None:
            raise PoiseError(f"plant {self._path}: lacks the hand and head meshes that the arms' draws need; give an MJCF with them")
        walk = g.bench_arm_walk(self._seed, self._seconds, limits, hands)
        poses = np.tile(self._stance, (len(walk[g.BENCH_ARMS[0]]), 1))
        for name in g.BENCH_ARMS:
            poses[:, self._robot.joint_names.index(name)] = [value for _, value in walk[name]]
        return poses


def run_tour(stack: LocomotionStack, robot: RobotModel, stage: str, seed: int, config: TourConfig) -> dict[str, Any]:
    """One tour.

    Returns:
        stage, seed; complete; survival_s; targets: waypoints whose time was up before a fall; reached: how many of them;
        pos_err_cm and yaw_err_deg: means over them, None without one; energy_kj: ∫Σ|τ·q̇|dt over all joints; mu: read
        back from the contacts, None in the air; punches: what `thrown_by` says of each, and whether the robot fell before
        the next.
    """
    harness = Harness(robot, stage, seed, config, stack.period_s)
    backend = harness.backend
    harness.hang()
    stack.reset(seed)
    period, every, external = stack.period_s, round(COMMAND_S / stack.period_s), stage != "own"
    energy, fell_at, mu = backend.energy_j, None, None
    coming, punches = list(harness.punches), list[dict[str, Any]]()
    for tick in range(round(config.seconds / period)):
        if tick % every == 0:
            intent = Intent(velocity=harness.velocity(tick * period), arms_external=external)
        decision = stack.step(backend.read(), intent)
        if coming and coming[0].begins_before(backend.data.time + period):
            punches.append(thrown_by(coming.pop(0), backend.model, backend.data))
        backend.write(harness.with_arms(decision.command, tick // every))
        if mu is None and (contacts := contact_friction(backend.model, backend.data)).size:
            mu = float(contacts.min())
        # A robot that gives up its balance may come to rest on its knees, above the benchmark's height: it has fallen all the same.
        if decision.rung == Rung.DESCENT.words or not backend.base_position_world[2] >= harness.fall_height_m:
            fell_at = (tick + 1) * period
            break
    report = harness.tour.report(fell_at)
    return {
        "stage": stage,
        "seed": seed,
        "complete": fell_at is None,
        "survival_s": config.seconds if fell_at is None else fell_at,
        "targets": report["targets"],
        "reached": report["reached"],
        "pos_err_cm": _known(report["pos_err_cm"]),
        "yaw_err_deg": _known(report["yaw_err_deg"]),
        "energy_kj": (backend.energy_j - energy) / 1000.0,
        "mu": mu,
        "punches": judged(punches, fell_at is not None),
    }


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Means by stage; errors over the runs that finished a waypoint, energy over complete runs; a Wilson interval at 95 %."""
    summary = {}
    for stage in STAGES:
        of = [run for run in runs if run["stage"] == stage]
        if not of:
            continue
        complete = [run for run in of if run["complete"]]
        summary[stage] = {
            "mean_survival_s": _mean([run["survival_s"] for run in of]),
            "complete": len(complete),
            "runs": len(of),
            "complete_interval": wilson(len(complete), len(of)),
            "pos_err_cm": _mean([run["pos_err_cm"] for run in of]),
            "yaw_err_deg": _mean([run["yaw_err_deg"] for run in of]),
            "energy_kj": _mean([run["energy_kj"] for run in complete]),
            "by_throw": by_throw([punch for run in of for punch in run.get("punches", ())]),  # folders begun earlier have none
        }
    return summary


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
