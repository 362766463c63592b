"""A record in memory that processes share: one writes, others read the newest; nobody waits, nobody takes half of one for whole."""

from __future__ import annotations

import zlib
from ctypes import c_ubyte
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np

Record = np.ndarray  # of a mailbox's type, shape ()


class Flag:
    """Set once, seen by all processes. There is no lock in it, which a process that is killed could leave locked."""

    def __init__(self, context: BaseContext) -> None:
        self._raw: Any = context.RawValue(c_ubyte, 0)

    def set(self) -> None:
        """From now on it is set."""
        self._raw.value = 1

    def is_set(self) -> bool:
        """Whether anybody has set it."""
        return bool(self._raw.value)


class Mailbox:
    """Holds the newest record of one numpy type; handed to another process as an argument of its function.

    Beside the record lie its number and a checksum over both, which tell on any processor what is read while it is being written, or
    was left half written by a process that died.
    """

    def __init__(self, context: BaseContext, dtype: np.dtype) -> None:
        self._dtype = np.dtype([("number", "<u8"), ("record", dtype)])
        self._raw: Any = context.RawArray(c_ubyte, self._dtype.itemsize + 4)
        self._number = self._read = 0

    def put(self, record: Record) -> None:
        """Replace what is there; only one process may ever do so."""
        self._number += 1
        whole = np.zeros((), self._dtype)
        whole["number"], whole["record"] = self._number, record
        data = whole.tobytes()
        memoryview(self._raw).cast("B")[:] = data + zlib.crc32(data).to_bytes(4, "little")

    def get(self) -> Record | None:
        """The record, if it is whole and another one than the last that this process got; else None."""
        memory = memoryview(self._raw).cast("B")
        if int.from_bytes(memory[:8], "little") in (0, self._read):
            return None
        data = bytes(memory)
        if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            return None
        whole = np.frombuffer(data, self._dtype, 1)[0]
        self._read = int(whole["number"])
        return np.array(whole["record"])
