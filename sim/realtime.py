"""How long a tick takes: thread CPU time of the stack and its parts on one pinned core, garbage collection held off."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poise.robots import Decision, Intent, RobotState

from .disturbances import Push
from .mujoco_backend import MujocoBackend
from .runner import Steps, run

QUANTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
PUSH_EVERY_S = 1.5
PUSH_IMPULSE = 10.0  # N·s


@dataclass
class TimedStack:
    """A stack that notes what each of its steps cost."""

    stack: Steps
    step_us: list[float] = field(default_factory=list)  # thread CPU of whole steps, slow parts and the record included
    cpu_s: float = 0.0  # of all threads of the process, during steps
    parts: dict[str, list[float]] = field(default_factory=dict)  # µs, by part, only of steps in which it ran

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """The stack's own step."""
        process, thread = time.process_time_ns(), time.thread_time_ns()
        decision = self.stack.step(state, intent)
        self.step_us.append((time.thread_time_ns() - thread) * 1e-3)
        self.cpu_s += (time.process_time_ns() - process) * 1e-9
        for part, us in decision.timings_us.items():
            self.parts.setdefault(part, []).append(us)
        return decision


@contextmanager
def no_collection() -> Iterator[None]:
    """Garbage collection held off, as in a loop of a robot."""
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()


@contextmanager
def quiet_core() -> Iterator[int | None]:
    """This thread alone on one core, and no garbage collection; gives the core, or None where a thread cannot be pinned."""
    allowed, core = None, None
    try:
        allowed = os.sched_getaffinity(0)
        core = max(allowed)  # the first ones serve most interrupts
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError):  # not on this system, or not allowed
        core = None
    try:
        with no_collection():
            yield core
    finally:
        if core is not None and allowed is not None:
            os.sched_setaffinity(0, allowed)


def measure(stack: Steps, backend: MujocoBackend, intent: Intent, seconds: float, warmup_s: float = 2.0) -> dict[str, Any]:
    """Run a stack on a plant from where both are, and time its steps.

    Args:
        intent: what is wanted throughout.
        seconds: how long, simulated; it ends earlier where the robot falls.
        warmup_s: how long before that, not counted: compilation, caches, gait initiation.

    Returns:
        tick_us {p50, p99, p999, max}: without the slow parts, which have a thread of their own on a robot;
        parts_us {part: {p50, p99}}: of each part of a step, slow parts over the steps in which they ran;
        step_us: of whole steps; overruns: how many ticks took more CPU than the period;
        real_time_factor: simulated seconds per second of wall time;
        cpu_s_per_s {stack, all}: process CPU of all threads per simulated second; core, fell, seconds.
    """
    with quiet_core() as core:
        fell = run(stack, backend, lambda t, state: intent, warmup_s).fell
        timed = TimedStack(stack)
        wall, cpu = time.perf_counter(), time.process_time()
        result = run(timed, backend, lambda t, state: intent, 0.0 if fell else seconds)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ticks = timed.parts.pop("tick", [])
    per_second = 1.0 / max(result.seconds, backend.period_s)
    return {
        "tick_us": quantiles(ticks),
        "parts_us": {part: quantiles(values, ("p50", "p99")) for part, values in timed.parts.items()},
        "step_us": quantiles(timed.step_us),
        "overruns": sum(us > 1e6 * backend.period_s for us in ticks),
        "real_time_factor": result.seconds / wall,
        "cpu_s_per_s": {"stack": timed.cpu_s * per_second, "all": cpu * per_second},
        "core": core,
        "fell": fell or result.fell,
        "seconds": result.seconds,
    }


def quantiles(values: Sequence[float], names: Sequence[str] = tuple(QUANTILES)) -> dict[str, float | None]:
    """Quantiles by name; None where there are no values."""
    return {name: float(np.percentile(values, QUANTILES[name])) if len(values) else None for name in names}


def pushes(body: str, seconds: float, seed: int) -> tuple[Push, ...]:
    """A push of PUSH_IMPULSE every PUSH_EVERY_S in a random horizontal direction, for a measurement of that length."""
    angles = np.random.default_rng(seed).uniform(-np.pi, np.pi, int(seconds / PUSH_EVERY_S))
    return tuple(Push(body, (float(np.cos(a)), float(np.sin(a)), 0.0), PUSH_IMPULSE, (k + 1) * PUSH_EVERY_S) for k, a in enumerate(angles))
