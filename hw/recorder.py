"""The recording of a real loop: written by a thread of its own, so that no disk holds up a tick."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from poise.robots import Decision, RecordError, RobotModel, RobotState
from poise.robots.record import WHOLE, LogWriter

from .process import give_way

MOST_WAITING = 1000  # ticks: 2 s at 500 Hz, 10 MB
POLL_S = 0.02  # between two looks at what waits
FLUSH_S = 1.0  # how old what is not on the disk may become: what a crash can lose
CLOSE_S = 5.0  # that a disk is given for the rest


class Recorder:
    """Takes ticks without ever blocking or raising; when the disk fails it stops recording, and the loop goes on.

    A tick's arrays are written later: whoever hands them in must not change them any more.

    Attributes:
        remark: why it has stopped, in a sentence; empty while it records.
        dropped: ticks that were not recorded, since too many waited or they cannot be written.
    """

    def __init__(self, path: str | Path, robot: RobotModel, meta: Mapping[str, Any], most: int = MOST_WAITING) -> None:
        """Start a file and the thread.

        Args:
            path: new file.
            robot: whose joint order the vectors have.
            meta: configuration, versions, seed.
            most: ticks that may wait.

        Raises:
            RecordError: the file exists or cannot be made.
        """
        self._path, self._most = Path(path), most
        self._writer = LogWriter(path, robot, meta, **WHOLE)
        self._waiting = deque[tuple[RobotState, Decision | None]]()  # no lock: a thread that is put to sleep in one would hold up the loop
        self._ended = threading.Event()
        self._states = 0
        self.remark, self.dropped = "", 0
        self._thread = threading.Thread(target=self._record, name="recorder", daemon=True)
        self._thread.start()

    def write(self, state: RobotState, decision: Decision | None = None) -> None:
        """Take one tick: what the sensors read, and what was decided on it, where somebody decides."""
        if len(self._waiting) < self._most:
            self._waiting.append((state, decision))
        else:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, and finish the file; safe to call twice."""
        self._ended.set()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self.remark = f"recording {self._path}: not finished, the disk does not take it"

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _record(self) -> None:
        """Until the end, or until the disk fails; then what comes is thrown away."""
        give_way()
        try:
            self._write_until_ended()
            self._writer.close()
        except (OSError, RecordError) as error:
            self.remark = f"recording {self._path}: stopped ({getattr(error, 'strerror', None) or error}); the loop goes on without it"
            self._most = 0
            self._waiting.clear()

    def _write_until_ended(self) -> None:
        flushed_s = time.monotonic()
        ended = False
        while not ended:
            ended = self._ended.wait(POLL_S)
            while self._waiting:
                self._write(*self._waiting.popleft())
                time.sleep(0.0)  # lets go of the interpreter: the loop would wait for 5 ms
            if time.monotonic() - flushed_s >= FLUSH_S:
                flushed_s = time.monotonic()
                self._flush()

    def _flush(self) -> None:
        self._writer.flush()
        if not self._path.exists():
            raise RecordError("its file is gone")

    def _write(self, state: RobotState, decision: Decision | None) -> None:
        try:
            if decision is None:
                self._states += 1
                self._writer.write_state(state, self._states)
            else:
                self._writer.write(state, decision)
        except OSError:
            raise
        except Exception:  # a driver or a proposer may have handed in anything
            self.dropped += 1
