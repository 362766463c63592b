"""The recording of a real loop: written by a process of its own, so that neither a disk nor the interpreter's lock holds up a tick."""

from __future__ import annotations

import multiprocessing
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from poise.robots import Decision, RecordError, RobotModel, RobotState
from poise.robots.log_messages import Entry, Packer
from poise.robots.record import WHOLE, LogWriter

from .mailbox import Flag, Mailbox
from .process import abandoned, leave_signals
from .ring import Ring

WAITING_BYTES = 16 << 20  # that may wait to be written: 6 s at 500 Hz
POLL_S = 0.02  # between two looks at what waits
FLUSH_S = 1.0  # how old what is not on the disk may become: what a crash can lose
READY_S, CLOSE_S = 60.0, 5.0  # that the process is given to begin, and a disk for the rest
SAID = np.dtype([("ready", "?"), ("dropped", "<u8"), ("remark", "S400")])


class Recorder:
    """Takes ticks without ever blocking or raising; when the disk fails it stops recording, and the loop goes on.

    When the loop's process dies, what it handed in is still written.

    Attributes:
        remark: why it has stopped, in a sentence; empty while it records.
        dropped: ticks that were not recorded, since too many waited or they cannot be written.
    """

    def __init__(self, path: str | Path, robot: RobotModel, meta: Mapping[str, Any], waiting_bytes: int = WAITING_BYTES) -> None:
        """Start the process, and the file; before the loop's process is made a real-time one, which what it starts would be as well.

        Args:
            path: new file.
            robot: whose joint order the vectors have.
            meta: configuration, versions, seed.
            waiting_bytes: how much may wait.

        Raises:
            RecordError: the file exists or cannot be made.
        """
        context = multiprocessing.get_context("spawn")
        self._path, self._packer, self._states = Path(path), Packer(robot, **WHOLE), 0
        self._shared = _Shared.of(context, waiting_bytes)
        self._process = context.Process(target=_record, args=(self._path, robot, dict(meta), self._shared), name="recorder", daemon=True)
        self._process.start()
        self._lost = self._unwritten = 0
        self._remark = ""
        Finalize(self, self._shared.ended.set, exitpriority=10)  # at an exit without `close` its process would be waited for
        try:
            self._begin(time.monotonic() + READY_S)
        except BaseException:
            self._process.kill()
            raise

    @property
    def pid(self) -> int | None:
        """Of the process that writes."""
        return self._process.pid

    @property
    def remark(self) -> str:
        """Why it has stopped."""
        alive = self._process.is_alive()  # looked at first: its last word comes before its end
        self._heard()
        if not (self._remark or alive or self._shared.ended.is_set()):
            self._remark = f"recording {self._path}: stopped (its process has died); the loop goes on without it"
        return self._remark

    @property
    def dropped(self) -> int:
        """Ticks that were not recorded."""
        self._heard()
        return self._lost + self._unwritten

    def write(self, state: RobotState, decision: Decision | None = None) -> None:
        """Take one tick: what the sensors read, and what was decided on it, where somebody decides."""
        try:
            if decision is None:
                self._states += 1
                entries = [self._packer.state(state, self._states)]
            else:
                entries = self._packer.tick(state, decision)
            taken = not self._remark and self._shared.ring.put(pickle.dumps(entries))
        except Exception:  # a driver or a proposer may have handed in anything
            taken = False
        self._lost += not taken

    def close(self) -> None:
        """Write what waits, and finish the file; safe to call twice."""
        self._shared.ended.set()
        self._process.join(CLOSE_S)
        self._heard()
        if self._process.is_alive():
            self._process.kill()
            self._remark = f"recording {self._path}: not finished, the disk does not take it"

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self, end_s: float) -> None:
        while True:
            alive = self._process.is_alive()
            if self._heard():
                return
            if self._remark or not alive or time.monotonic() > end_s:
                raise RecordError(self._remark or f"recording {self._path}: the process that writes it did not start")
            time.sleep(POLL_S)

    def _heard(self) -> bool:
        """Take what the process has to say; whether that was that it is ready."""
        said = self._shared.said.get()
        if said is None:
            return False
        self._unwritten, self._remark = int(said["dropped"]), said["remark"].item().decode(errors="replace")
        return bool(said["ready"])


@dataclass(frozen=True)
class _Shared:
    """What both processes have."""

    ring: Ring
    said: Mailbox
    ended: Flag

    @classmethod
    def of(cls, context: SpawnContext, waiting_bytes: int) -> _Shared:
        return cls(Ring(context, waiting_bytes), Mailbox(context, SAID), Flag(context))


def _record(path: Path, robot: RobotModel, meta: Mapping[str, Any], shared: _Shared) -> None:
    """The process that writes: until the end, until the loop's process has died, or until the disk fails."""
    leave_signals()  # those who hand in say when it ends
    dropped = 0
    try:
        with LogWriter(path, robot, meta, **WHOLE) as writer:
            _say(shared, dropped, "")
            flushed_s = time.monotonic()
            ended = False
            while not ended:
                ended = shared.ended.is_set() or abandoned()
                while (data := shared.ring.take()) is not None:
                    if not _written(writer, pickle.loads(data)):
                        dropped += 1
                        _say(shared, dropped, "")
                if time.monotonic() - flushed_s >= FLUSH_S:
                    flushed_s = time.monotonic()
                    writer.flush()
                    if not path.exists():
                        raise RecordError(f"recording {path}: stopped (its file is gone); the loop goes on without it")
                if not ended:
                    time.sleep(POLL_S)
    except RecordError as error:
        _say(shared, dropped, str(error))
    except OSError as error:
        _say(shared, dropped, f"recording {path}: stopped ({error.strerror or error}); the loop goes on without it")


def _say(shared: _Shared, dropped: int, remark: str) -> None:
    said = np.zeros((), SAID)
    said["ready"], said["dropped"], said["remark"] = not remark, dropped, remark.encode()
    shared.said.put(said)


def _written(writer: LogWriter, entries: list[Entry]) -> bool:
    """Whether all of a tick could be written; a proposer may have made what is no JSON."""
    try:
        for entry in entries:
            writer.add(entry)
    except OSError:
        raise
    except Exception:
        return False
    return True
