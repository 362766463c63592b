"""Falls of a benchmark: kept as recordings of every tick, and held bit for bit against the same case run again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import Decision, Intent, RecordError, RobotModel, RobotState
from poise.robots.log_vectors import TICK_FIELDS, tick_values
from poise.robots.plain import to_plain
from poise.robots.record import WHOLE, Log, LogWriter, read_log

from .pushing import LocomotionStack

LOG = "log.mcap"


class Watched(ABC):
    """A controller of which every tick is noted."""

    def __init__(self, stack: LocomotionStack) -> None:
        self._stack = stack

    @property
    def period_s(self) -> float:
        """Control period, s."""
        return self._stack.period_s

    def reset(self, seed: int) -> None:
        """Start anew."""
        self._stack.reset(seed)

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """Decide one control period."""
        decision = self._stack.step(state, intent)
        self.note(state, decision)
        return decision

    def snapshot(self) -> Any:
        """Everything that `step` changes."""
        return self._stack.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        self._stack.restore(snapshot)

    @abstractmethod
    def note(self, state: RobotState, decision: Decision) -> None:
        """Take a tick."""


class Tape(Watched):
    """Holds the ticks since the last reset or restore, the latest `keep_s` of them; 15 s of a 29-joint robot are about 50 MB."""

    def __init__(self, stack: LocomotionStack, keep_s: float | None = None) -> None:
        super().__init__(stack)
        self.ticks: deque[tuple[RobotState, Decision]] = deque(maxlen=None if keep_s is None else round(keep_s / stack.period_s))

    def reset(self, seed: int) -> None:
        """Start anew."""
        super().reset(seed)
        self.ticks.clear()

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        super().restore(snapshot)
        self.ticks.clear()

    def note(self, state: RobotState, decision: Decision) -> None:
        """Keep a tick."""
        self.ticks.append((state, decision))

    def write(self, folder: Path, robot: RobotModel, head: Mapping[str, Any]) -> None:
        """Write config.json (the head) and log.mcap (head and ticks, about 1 MB a second at 500 Hz); older ones are replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOG).unlink(missing_ok=True)
        (folder / "config.json").write_text(json.dumps(to_plain(head), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with LogWriter(folder / LOG, robot, head, **WHOLE) as writer:
            for state, decision in self.ticks:
                writer.write(state, decision)


@dataclass(frozen=True)
class Difference:
    """Where a run first differs from its recording."""

    tick: int
    field: str  # of `log_vectors.TICK_FIELDS`; "end" where one goes on and the other does not
    recorded: float  # the first entry of the field that differs, NaN where it is unknown
    replayed: float


class Comparison(Watched):
    """Holds the recorded ticks of a run against those of the same numbers in a run; the others pass."""

    def __init__(self, stack: LocomotionStack, log: Log) -> None:
        super().__init__(stack)
        self._tick, self._dtype = log.tick, np.dtype(log.dtype)
        self._rows = {int(tick): row for row, tick in enumerate(log.tick["tick"])}
        self._first, self._last = min(self._rows), max(self._rows)
        self.found: Difference | None = None  # up to now
        self.ticks = 0  # compared

    def note(self, state: RobotState, decision: Decision) -> None:
        """Compare a tick, up to the first that differs."""
        row = self._rows.get(decision.tick)
        beyond = decision.tick > self._last
        if self.found is not None or (row is None and not beyond):
            return
        self.ticks += 1
        self.found = self._end(decision.tick) if row is None else self._compared(row, state, decision)

    def difference(self) -> Difference | None:
        """The first one, when the run is over; None where there is none."""
        if self.found is None and self.ticks < len(self._rows):
            return self._end(int(self._tick["tick"][self.ticks]))
        return self.found

    def _compared(self, row: int, state: RobotState, decision: Decision) -> Difference | None:
        sources = {"state": state, "intent": decision.intent, "belief": decision.belief, "plan": decision.plan}
        values = tick_values(sources | {"command": decision.command, "decision": decision})
        for field, value in zip(TICK_FIELDS, values, strict=True):
            if field.key not in self._tick:  # recorded before there was such a field
                continue
            recorded = self._tick[field.key][row].astype(self._dtype)
            replayed = np.broadcast_to(np.asarray(np.nan if value is None else value, dtype=self._dtype), recorded.shape)
            if recorded.tobytes() != replayed.tobytes():
                bits = np.dtype(f"i{self._dtype.itemsize}")
                entry = np.flatnonzero(recorded.view(bits) != np.ascontiguousarray(replayed).view(bits))[0]
                return Difference(decision.tick, field.key, float(recorded.flat[entry]), float(replayed.flat[entry]))
        return None

    def _end(self, tick: int) -> Difference:
        return Difference(tick, "end", np.nan, np.nan)


def read_fall(folder: str | Path) -> Log:
    """The recording of a fall; its `meta` holds the case and how it was run.

    Raises:
        RecordError: there is none, it is of something else, or not whole.
    """
    if not (Path(folder) / LOG).is_file():
        raise RecordError(f"{folder}: no fall of a benchmark there; give one of its folders, as runs/tour-…/falls/…")
    log = read_log(Path(folder) / LOG)
    if "case" not in log.meta:
        raise RecordError(f"{folder}: not the fall of a benchmark; give one of its folders, as runs/tour-…/falls/…")
    ticks = log.tick.get("tick", np.zeros(0))
    if not log.complete or not len(ticks) or (np.diff(ticks) != 1.0).any():
        raise RecordError(f"{folder}: the recording is not whole; run its case again to have another")
    return log
