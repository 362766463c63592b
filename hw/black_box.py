"""The last half minute of a robot on the wire, tick by tick, in memory that outlives the process that writes it."""

from __future__ import annotations

from ctypes import c_ubyte
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import RecordError

from .exchange import MODES, command_type, state_type
from .mailbox import Record

TICKS = 15_000  # 30 s


class BlackBox:
    """A ring: one process notes, any other that it was handed to can write down what is in it."""

    def __init__(self, context: BaseContext, joints: int, ticks: int = TICKS) -> None:
        self._dtype = np.dtype([("monotonic_s", "<f8"), ("state", state_type(joints)), ("sent", command_type(joints)), ("whole", "<u8")])
        self._raw: Any = context.RawArray(c_ubyte, ticks * self._dtype.itemsize)
        self._ring: np.ndarray | None = None
        self._count = 0

    def note(self, monotonic_s: float, state: Record, sent: Record) -> None:
        """Keep one tick, over the oldest; `sent` is NaN where nothing was."""
        ring = self._rows()
        row = ring[self._count % ring.size]
        self._count += 1
        row["whole"] = 0  # while it is being written
        row["monotonic_s"], row["state"], row["sent"] = monotonic_s, state, sent
        row["whole"] = self._count

    def ticks(self) -> np.ndarray:
        """What is kept, the oldest first: a copy of the records, without one that is being written."""
        rows = self._rows().copy()
        rows = rows[rows["whole"] > 0]
        return rows[np.argsort(rows["whole"])]

    def write(self, path: Path, names: tuple[str, ...]) -> None:
        """Write it down as arrays by name, `numpy.load` reads them: state_…, sent_…, monotonic_s, and the names of joints and modes.

        Raises:
            RecordError: it cannot be written.
        """
        rows = self.ticks()
        arrays: dict[str, Any] = {
            f"{part}_{field}": rows[part][field] for part in ("state", "sent") for field in rows[part].dtype.names or ()
        }
        try:
            np.savez_compressed(path, monotonic_s=rows["monotonic_s"], joint_names=np.array(names), modes=np.array(MODES), **arrays)
        except OSError as error:
            raise RecordError(f"{path}: cannot be written ({error.strerror}); make room, or give another folder") from error

    def __getstate__(self) -> tuple[Any, ...]:
        return self._dtype, self._raw

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._dtype, self._raw = state
        self._ring, self._count = None, 0

    def _rows(self) -> np.ndarray:
        if self._ring is None:
            self._ring = np.frombuffer(self._raw, self._dtype)
        return self._ring
