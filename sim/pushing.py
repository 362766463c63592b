"""Pushes on the torso in eight directions at three timings of the stride: the largest that is survived, scanned upward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from poise.robots import PoiseError

from .batch import Case
from .disturbances import Push
from .mujoco_backend import MujocoBackend
from .runner import Steps, constant, run
from .stride import StrideWatch
from .tracking import STANDING_STRIDE_S, Velocity

PUSHED: Mapping[str, Velocity] = {"walking": (0.5, 0.0, 0.0), "standing": (0.0, 0.0, 0.0)}
DIRECTIONS, TIMINGS = 8, 3
PUSH_STEP_NS = 5.0  # the scan goes upward by it
PUSH_MOST_NS = 120.0
SETTLE_S = 3.0  # of walking before the stride in which it is pushed
AFTER_S = 4.0  # alive so long after a push
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


def push_cases(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each direction and timing, walking and standing, with each seed."""
    return [
        {"case": "push", "command": list(command), "direction": direction, "timing": timing, "seed": seed}
        for command in PUSHED.values()
        for direction in range(DIRECTIONS)
        for timing in range(TIMINGS)
        for seed in seeds
    ]


def push(stack: LocomotionStack, backend: MujocoBackend, case: Case) -> dict[str, Any]:
    """Scan pushes at one direction and timing upward to the first that is not survived; a case may name the `first_ns`.

    Returns:
        strict_ns: the last before it, N·s, 0 where the first fells it; felled_by_ns: that one, None where none did;
        fell: before any push.
    """
    intents = constant(case["command"])
    fell = until_push(stack, backend, case)
    controller, plant = stack.snapshot(), backend.snapshot()
    floor, felled_by, impulse = backend.disturbances, None, case.get("first_ns", PUSH_STEP_NS)
    while not fell and felled_by is None and impulse <= PUSH_MOST_NS:
        stack.restore(controller)
        backend.restore(plant)
        shove = case_push({**case, "first_ns": impulse}, backend.robot.overlay.torso, float(backend.data.time))
        backend.disturbances = (*floor, shove)
        if run(stack, backend, intents, shove.duration_s + AFTER_S).fell:
            felled_by = impulse
        else:
            impulse += PUSH_STEP_NS
    return {"fell": fell, "strict_ns": 0.0 if fell else impulse - PUSH_STEP_NS, "felled_by_ns": felled_by}


def until_push(stack: Steps, backend: MujocoBackend, case: Case) -> bool:
    """Go on to the moment of a case's push; whether it fell on the way."""
    return run(stack, backend, constant(case["command"]), SETTLE_S).fell or _to_timing(stack, backend, case)


def case_push(case: Case, body: str, start_s: float) -> Push:
    """The push of `first_ns` of a case, on a body, that begins at a time, s."""
    angle = 2.0 * np.pi * case["direction"] / DIRECTIONS
    return Push(body, (float(np.cos(angle)), float(np.sin(angle)), 0.0), case["first_ns"], start_s, frame="heading")


def push_summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By how it stands or walks: runs, falls before any push, least and median over directions, timings and seeds, and by direction."""
    summary = {}
    for name, command in PUSHED.items():
        of = [run for run in runs if tuple(run["command"]) == command]
        if of:
            falls = sum(run["fell"] for run in of)
            summary[name] = {"command": list(command), "runs": len(of), "falls": falls, **_survived(of), "directions": _directions(of)}
    return summary


def _directions(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By the direction that it is pushed towards, counter-clockwise from forward."""
    return [
        {"angle_deg": 360.0 * direction / DIRECTIONS, **_survived([run for run in runs if run["direction"] == direction])}
        for direction in sorted({run["direction"] for run in runs})
    ]


def _survived(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    strict = [run["strict_ns"] for run in runs]
    return {"min_newton_second": min(strict), "median_newton_second": float(np.median(strict))}


def _to_timing(stack: Steps, backend: MujocoBackend, case: Case) -> bool:
    """Go on to a third of the stride that begins when the left foot's stance does; whether it fell on the way."""
    intents, share = constant(case["command"]), case["timing"] / TIMINGS
    if not any(case["command"]):
        return run(stack, backend, intents, share * STANDING_STRIDE_S).fell
    strides = StrideWatch(backend)
    if run(stack, backend, intents, STRIDE_WITHIN_S, strides, strides.begun).fell:
        return True
    if strides.stride_s is None:
        sentence = f"push at velocity {case['command']}: no step begins within {STRIDE_WITHIN_S:g} s"
        raise PoiseError(f"{sentence}; give a velocity at which it walks")
    return run(stack, backend, intents, share * strides.stride_s).fell
