"""The closed loop: read, decide, write, until the time is over or the robot has fallen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from poise.robots import Decision, Intent, RobotState

from .metrics import Meter, RunResult, fallen
from .mujoco_backend import MujocoBackend

Intents = Callable[[float, RobotState], Intent]
"""What is wanted at a time since the start of a run, s, and a state."""


class Steps(Protocol):
    """What the loop needs of a stack."""

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """Decide one control period."""
        ...


def constant(velocity: Sequence[float]) -> Intents:
    """Always the same vx, vy (m/s), wz (rad/s)."""
    vx, vy, wz = velocity
    intent = Intent(velocity=(vx, vy, wz))
    return lambda time_s, state: intent


def run(
    stack: Steps,
    backend: MujocoBackend,
    intents: Intents,
    seconds: float,
    on_tick: Callable[[Decision, RobotState], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> RunResult:
    """Run a stack on a plant from where both are; reset them before.

    Args:
        intents: what is wanted.
        on_tick: sees every decision and the state it was made on.
        stop: asked before every tick; the run ends early where it says so.
    """
    meter = Meter(backend.period_s)
    fell = fallen(backend)
    for tick in range(round(seconds / backend.period_s)):
        if fell or (stop is not None and stop()):
            break
        state = backend.read()
        meter.before(backend)
        decision = stack.step(state, intents(tick * backend.period_s, state))
        meter.decided(decision)
        backend.write(decision.command)
        if on_tick is not None:
            on_tick(decision, state)
        fell = fallen(backend)
    return meter.result(fell, backend)
