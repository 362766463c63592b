"""Unitree's wireless remote: the 40 bytes of it in a LowState, and the operator that holds it.

Source: xRockerBtnDataStruct of Unitree's unitree_legged_sdk and unitree_sdk2: keys from the byte 2 on, sticks as 32-bit floats.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from poise.robots import Intent

from .operation import STILL, Buttons, Operated, Velocity, sticks

KEYS = ("R1", "L1", "start", "select", "R2", "L2", "F1", "F2", "A", "B", "X", "Y", "up", "right", "down", "left")  # from bit 0 on
SIZE = 40  # bytes
STOP = frozenset(("L2", "B"))  # together an emergency stop, as on the robot itself
LATEST_S = 0.2  # what was heard is older: nobody holds the remote any more
GONE = "nothing heard of the remote: velocity zero"

_LAYOUT = struct.Struct("<2xH3f4xf16x")  # keys; lx, rx, ry; ly


class Remote(NamedTuple):
    """What is pressed, and where the sticks are: each from -1 to 1, to the right and up."""

    keys: frozenset[str] = frozenset()  # of KEYS
    lx: float = 0.0
    rx: float = 0.0
    ry: float = 0.0
    ly: float = 0.0


def decode(data: bytes) -> Remote | None:
    """What the bytes say; None where they are not as many as they should be, or a stick's is no number."""
    if len(data) != SIZE:
        return None
    bits, *axes = _LAYOUT.unpack(data)
    if not all(math.isfinite(axis) for axis in axes):
        return None
    return Remote(_keys(bits), *axes)


def asks_for_stop(data: bytes) -> bool:
    """Whether the keys of an emergency stop are held, whatever else the bytes say."""
    return len(data) == SIZE and STOP <= _keys(_LAYOUT.unpack(data)[0])


def _keys(bits: int) -> frozenset[str]:
    return frozenset(key for bit, key in enumerate(KEYS) if bits >> bit & 1)


def encode(remote: Remote) -> bytes:
    """The bytes of a remote, for a robot that is simulated."""
    bits = sum(1 << KEYS.index(key) for key in remote.keys)
    return _LAYOUT.pack(bits, remote.lx, remote.rx, remote.ry, remote.ly)


class WirelessRemote:
    """The left stick walks, the right one turns. To be fed with the bytes of each LowState."""

    hint = "left stick: walk; right stick: turn; start: go on; select: safe stop; L2 and B: emergency stop"

    def __init__(self, most: Velocity) -> None:
        """With the largest velocity each way, m/s and rad/s."""
        self._most, self._buttons = most, Buttons()
        self._remote, self._heard_s = Remote(), -math.inf

    def feed(self, data: bytes, now_s: float) -> None:
        """Take the bytes that came at a time, s; what is not whole is left out."""
        remote = decode(data)
        if remote is None:
            return
        pressed, self._remote, self._heard_s = remote.keys - self._remote.keys, remote, now_s
        if asks_for_stop(data):
            self._buttons.stop()
        if "start" in pressed:
            self._buttons.go_on()
        if "select" in pressed:
            self._buttons.ask("safe stop")

    def poll(self, now_s: float) -> Operated:
        """What the remote says at a time, s."""
        if not now_s - self._heard_s <= LATEST_S:
            return self._buttons.told(Intent(velocity=STILL), GONE)
        remote = self._remote
        return self._buttons.told(Intent(velocity=sticks(remote.ly, -remote.lx, -remote.rx, self._most)))

    def release(self) -> None:
        """Forget an emergency stop."""
        self._buttons.release()

    def close(self) -> None:
        """It holds nothing."""
