"""A recorded run once more on a plant: its commands as they were sent, or its intents through a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from poise.robots import Decision, Intent, RobotState
from poise.robots.log_differences import Table
from poise.robots.log_vectors import TickTable
from poise.robots.record import Log
from poise.robots.types import Array

from .metrics import displacement, truth
from .mujoco_backend import MujocoBackend
from .runner import Steps, run

Show = Callable[[Decision | None], object]
"""Is told that a tick is done, and its decision where there is one."""


PARTS = {"position_world": (3,), "orientation_wxyz": (4,)}  # of a pose


class _Tape:
    """Ticks of a run, and what was true at them."""

    def __init__(self, backend: MujocoBackend, show: Show | None) -> None:
        self._backend, self._show = backend, show
        self._ticks = TickTable(backend.robot.n, len(backend.robot.arms))
        self._truths: list[Mapping[str, Array]] = []

    def add(self, tick: int, sources: Mapping[str, Any]) -> None:
        """Take a tick, after its command was written."""
        self._ticks.add(tick, sources)
        self._truths.append(truth(self._backend))
        if self._show is not None:
            self._show(sources.get("decision"))

    def table(self) -> dict[str, Array]:
        """What was taken, as `with_truth` has a recording."""
        true = {f"truth_{name}": np.array([row[name] for row in self._truths]) for name in self._truths[0]} if self._truths else {}
        return self._ticks.fields() | true


def with_truth(log: Log) -> dict[str, Array]:
    """The ticks of a recording, and what was true at them under `truth_` and its name."""
    same = np.array_equal(log.truth.get("tick", ()), log.tick["tick"])
    return {**log.tick} | {f"truth_{name}": log.truth[name] for name in log.truth if same and name not in ("time_s", "tick")}


def open_loop(backend: MujocoBackend, log: Log, ticks: int, show: Show | None = None) -> dict[str, Array]:
    """Send the first recorded commands to a plant that was reset as the recorded one: what its sensors read, and what was true."""
    tape = _Tape(backend, show)
    for tick, command in zip(range(1, ticks + 1), log.commands(), strict=False):
        state = backend.read()
        backend.write(command)
        tape.add(tick, {"state": state})
    return tape.table()


def closed_loop(
    stack: Steps, backend: MujocoBackend, intent: Callable[[int], Intent], ticks: int, show: Show | None = None
) -> tuple[dict[str, Array], bool]:
    """Let a stack follow the intent of each tick, from the first on: everything that a recording holds of a tick, and whether it fell."""
    tape, tick = _Tape(backend, show), 0

    def wanted(time_s: float, state: RobotState) -> Intent:
        """What is wanted in the coming tick."""
        return intent(tick + 1)

    def on_tick(decision: Decision, state: RobotState) -> None:
        """Keep a tick."""
        nonlocal tick
        tick += 1
        sources = {name: getattr(decision, name) for name in ("intent", "belief", "plan", "command")}
        tape.add(tick, sources | {"state": state, "decision": decision})

    fell = run(stack, backend, wanted, ticks * backend.period_s, on_tick).fell
    return tape.table(), fell


def held(log: Log) -> Callable[[int], Intent]:
    """The recorded intents by tick; one that was not recorded is the one before.

    Raises:
        ValueError: an intent is none.
    """
    intents, first = list(log.intents()), log.tick["tick"]
    return lambda tick: intents[max(int(np.searchsorted(first, tick, side="right")) - 1, 0)]


def poses(table: Table, source: str) -> Array:
    """x, y (m) and yaw (rad) of the base at each tick, (k, 3), NaN where unknown; source is one of `poses_known`."""
    w, x, y, z = table[f"{source}_base_orientation_wxyz"].T
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return np.column_stack((table[f"{source}_base_position_world"][:, :2], yaw))


def poses_known(table: Table) -> tuple[str, ...]:
    """Of which of "truth" and "belief" a table has poses, in this order."""
    shapes = {source: [np.shape(table.get(f"{source}_base_{part}", ()))[1:] for part in PARTS] for source in ("truth", "belief")}
    return tuple(source for source, found in shapes.items() if found == list(PARTS.values()))


def apart(a: Array, b: Array) -> Array:
    """Distance, m, and difference in heading, rad, of two rows of poses (k, 3), each seen from its first known one, (k, 2)."""
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    if not known.any():
        return np.full((len(a), 2), np.nan)
    start = int(np.flatnonzero(known)[0])
    away = displacement(a[start], a) - displacement(b[start], b)
    return np.column_stack((np.linalg.norm(away[:, :2], axis=1), np.abs(np.arctan2(np.sin(away[:, 2]), np.cos(away[:, 2])))))
