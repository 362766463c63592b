"""The locomotion protocol: tracking of commanded velocities, and the largest push that is survived, by seeded cases.

A case is a mapping of plain values: what tells one run from the others and stands in its result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from poise.robots import Intent, PoiseError, RobotModel, RobotState
from poise.robots.plant import compile_plant

from .disturbances import Friction, Push, contact_friction
from .metrics import RunResult
from .mujoco_backend import MujocoBackend
from .noise import NOISE
from .runner import Steps, run
from .stride import StrideWatch

Velocity = tuple[float, float, float]
Case = Mapping[str, Any]

TRACKED: tuple[Velocity, ...] = (
    *((vx, 0.0, 0.0) for vx in (-0.5, -0.3, 0.3, 0.5, 0.8, 1.0)),
    *((0.0, vy, 0.0) for vy in (-0.3, 0.3)),
    *((0.0, 0.0, wz) for wz in (-1.0, 1.0)),
    (0.0, 0.0, 0.0),
)
TRACKING_S = 15.0
PUSHED: tuple[Velocity, ...] = ((0.5, 0.0, 0.0), (0.0, 0.0, 0.0))
DIRECTIONS, TIMINGS = 8, 3
PUSH_STEP_NS = 5.0  # the scan goes upward by it
PUSH_MOST_NS = 120.0
SETTLE_S = 3.0  # of walking before the stride in which it is pushed
AFTER_S = 4.0  # alive so long after a push
STANDING_STRIDE_S = 0.84
STRIDE_WITHIN_S = 3.0  # two touchdowns of a stride of a second


class LocomotionStack(Steps, Protocol):
    """What the protocol needs of a controller."""

    @property
    def period_s(self) -> float:
        """Control period, s."""
        ...

    def reset(self, seed: int) -> None:
        """Start anew."""
        ...

    def snapshot(self) -> Any:
        """Everything that `step` changes."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        ...


@dataclass(frozen=True)
class LocomotionConfig:
    """What the cases of one run of the protocol have in common."""

    plant: Path | None = None  # MJCF of the robot; None: the one of its description
    noise: str = "nominal"
    mu: float = 0.8


@dataclass(frozen=True)
class LocomotionWork:
    """Runs one case; picklable."""

    robot: RobotModel
    make_stack: Callable[[RobotModel, int], LocomotionStack]
    config: LocomotionConfig

    def __call__(self, case: Case) -> dict[str, Any]:
        """The case, and what came of it."""
        stack = self.make_stack(self.robot, case["seed"])
        backend = self.backend(stack.period_s)
        backend.reset(case["seed"])
        stack.reset(case["seed"])
        contacts = contact_friction(backend.model, backend.data)
        mu = float(contacts.min()) if contacts.size else None  # read back from what really touches
        return {**case, **CASES[case["case"]](stack, backend, case), "mu": mu}

    def backend(self, period_s: float) -> MujocoBackend:
        """The plant of every case.

        Raises:
            PoiseError: it is not one of the robot, or cannot be read.
        """
        c = self.config
        plant = compile_plant(self.robot.description if c.plant is None else c.plant)
        return MujocoBackend(self.robot, plant, period_s=period_s, noise=NOISE[c.noise], disturbances=(Friction(c.mu),))


def tracking_cases(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each commanded velocity with each seed."""
    return [{"case": "tracking", "command": list(command), "seed": seed} for command in TRACKED for seed in seeds]


def push_cases(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each direction and timing, walking and standing, with each seed."""
    return [
        {"case": "push", "command": list(command), "direction": direction, "timing": timing, "seed": seed}
        for command in PUSHED
        for direction in range(DIRECTIONS)
        for timing in range(TIMINGS)
        for seed in seeds
    ]


def track(stack: LocomotionStack, backend: MujocoBackend, case: Case) -> dict[str, Any]:
    """Follow a command for TRACKING_S.

    Returns:
        fell, survival_s; mean_velocity (3,) over the last two thirds, heading frame; drift_m: of the pelvis in the plane;
        cost_of_transport: ∫Σ|τ·q̇|dt / (m g d), None where it hardly moved; tick_us.
    """
    start = backend.base_position_world.copy()
    result = run(stack, backend, _constant(case["command"]), TRACKING_S)
    return {
        "fell": result.fell,
        "survival_s": result.seconds,
        "mean_velocity": list(result.mean_velocity),
        "drift_m": float(np.linalg.norm((backend.base_position_world - start)[:2])),
        "cost_of_transport": _cost_of_transport(result, backend),
        "tick_us": result.tick_us,
    }


def push(stack: LocomotionStack, backend: MujocoBackend, case: Case) -> dict[str, Any]:
    """Scan pushes at one direction and timing upward to the first that is not survived.

    Returns:
        strict_ns: the last before it, N·s, 0 where the first fells it; fell: before any push.
    """
    intents = _constant(case["command"])
    fell = run(stack, backend, intents, SETTLE_S).fell or _to_timing(stack, backend, case)
    controller, plant = stack.snapshot(), backend.snapshot()
    angle, strict, floor = 2.0 * np.pi * case["direction"] / DIRECTIONS, 0.0, backend.disturbances
    direction = (float(np.cos(angle)), float(np.sin(angle)), 0.0)
    while not fell and strict < PUSH_MOST_NS:
        shove = Push(backend.robot.overlay.torso, direction, strict + PUSH_STEP_NS, float(backend.data.time), frame="heading")
        backend.disturbances = (*floor, shove)
        if run(stack, backend, intents, shove.duration_s + AFTER_S).fell:
            break
        strict += PUSH_STEP_NS
        stack.restore(controller)
        backend.restore(plant)
    return {"fell": fell, "strict_ns": strict}


CASES: Mapping[str, Callable[[LocomotionStack, MujocoBackend, Case], dict[str, Any]]] = {"tracking": track, "push": push}


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a command of each case: tracking with mean, worst error and falls; pushes with min and median over directions and timings."""
    rows = []
    for case, commands in (("tracking", TRACKED), ("push", PUSHED)):
        for command in commands:
            of = [r for r in runs if r["case"] == case and tuple(r["command"]) == command]
            if of:
                rows.append({"case": case, "command": list(command), "runs": len(of), **_SUMMARIES[case](of, command)})
    return rows


def _tracking_row(runs: Sequence[Mapping[str, Any]], command: Velocity) -> dict[str, Any]:
    axis = int(np.argmax(np.abs(command)))
    means, costs = np.array([r["mean_velocity"] for r in runs]), [r["cost_of_transport"] for r in runs]
    known = [cost for cost in costs if cost is not None]
    return {
        "falls": sum(r["fell"] for r in runs),
        "mean_velocity": float(means[:, axis].mean()),
        "worst_error": float(np.abs(means[:, axis] - command[axis]).max()),
        "cost_of_transport": float(np.mean(known)) if known and any(command[:2]) else None,
        "drift_m": float(max(r["drift_m"] for r in runs)) if not any(command) else None,
    }


def _push_row(runs: Sequence[Mapping[str, Any]], command: Velocity) -> dict[str, Any]:
    strict = [r["strict_ns"] for r in runs]
    return {"falls": sum(r["fell"] for r in runs), "strict_min_ns": min(strict), "strict_median_ns": float(np.median(strict))}


_SUMMARIES = {"tracking": _tracking_row, "push": _push_row}


def _constant(command: Sequence[float]) -> Callable[[float, RobotState], Intent]:
    vx, vy, wz = command
    intent = Intent(velocity=(vx, vy, wz))
    return lambda time_s, state: intent


def _to_timing(stack: LocomotionStack, backend: MujocoBackend, case: Case) -> bool:
    """Go on to a third of the stride that begins when the left foot's stance does; whether it fell on the way."""
    intents, share = _constant(case["command"]), case["timing"] / TIMINGS
    if not any(case["command"]):
        return run(stack, backend, intents, share * STANDING_STRIDE_S).fell
    strides = StrideWatch(backend)
    if run(stack, backend, intents, STRIDE_WITHIN_S, strides, strides.begun).fell:
        return True
    if strides.stride_s is None:
        sentence = f"push at velocity {case['command']}: no step begins within {STRIDE_WITHIN_S:g} s"
        raise PoiseError(f"{sentence}; give a velocity at which it walks")
    return run(stack, backend, intents, share * strides.stride_s).fell


def _cost_of_transport(result: RunResult, backend: MujocoBackend) -> float | None:
    weight = float(backend.model.body_subtreemass[0]) * float(-backend.model.opt.gravity[2])
    return result.energy_j / (weight * result.distance_m) if result.distance_m > 0.5 else None
