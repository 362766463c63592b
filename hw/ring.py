"""Messages in memory that two processes share, in order: one process puts them in, another takes them out, and neither waits."""

from __future__ import annotations

import zlib
from ctypes import c_ubyte, c_uint64
from multiprocessing.context import BaseContext
from typing import Any

_HEAD = 8  # bytes before a message: its length and its checksum


class Ring:
    """Handed to the other process as an argument of its function.

    A message counts once all of it is there. The checksum tells, on a processor that shows memory in another order than it was written,
    what is not there yet.
    """

    def __init__(self, context: BaseContext, size: int) -> None:
        """Of so many bytes."""
        self._raw: Any = context.RawArray(c_ubyte, size)
        self._written: Any = context.RawValue(c_uint64, 0)  # bytes ever put in and taken out
        self._taken: Any = context.RawValue(c_uint64, 0)
        self._size = size

    def put(self, message: bytes) -> bool:
        """Put a message in; False where there is no room for it."""
        begin, end = self._written.value, self._written.value + _HEAD + len(message)
        if end - self._taken.value > self._size:
            return False
        self._copy_in(begin, len(message).to_bytes(4, "little") + zlib.crc32(message).to_bytes(4, "little"))
        self._copy_in(begin + _HEAD, message)
        self._written.value = end
        return True

    def take(self) -> bytes | None:
        """Take the oldest message out; None where there is none."""
        begin = self._taken.value
        if begin == self._written.value:
            return None
        head = self._copy_out(begin, _HEAD)
        length = int.from_bytes(head[:4], "little")
        message = self._copy_out(begin + _HEAD, min(length, self._size))
        if zlib.crc32(message) != int.from_bytes(head[4:], "little"):
            return None
        self._taken.value = begin + _HEAD + length
        return message

    def _copy_in(self, at: int, data: bytes) -> None:
        memory, place = memoryview(self._raw).cast("B"), at % self._size
        room = self._size - place
        memory[place : place + len(data)] = data[:room]
        if len(data) > room:
            memory[: len(data) - room] = data[room:]

    def _copy_out(self, at: int, length: int) -> bytes:
        memory, place = memoryview(self._raw).cast("B"), at % self._size
        return bytes(memory[place : place + length]) + bytes(memory[: max(0, length - (self._size - place))])
