"""The 40 bytes of Unitree's wireless remote in a LowState: keys and sticks.

Source: the layout, xRockerBtnDataStruct of Unitree's unitree_sdk2.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

KEYS = ("R1", "L1", "start", "select", "R2", "L2", "F1", "F2", "A", "B", "X", "Y", "up", "right", "down", "left")  # from bit 0
BYTES, KEYS_AT = 40, 2
STOP_KEYS = {"L2", "B"}  # together: Unitree's own damping


def keys_of(data: bytes) -> set[str]:
    """Which keys are held; none where the bytes are not as many as a remote has."""
    if len(data) != BYTES:
        return set()
    (bits,) = struct.unpack_from("<H", data, KEYS_AT)
    return {name for i, name in enumerate(KEYS) if bits >> i & 1}


def remote_bytes(keys: Collection[str]) -> bytes:
    """What a remote says on which these keys are held."""
    data = bytearray(BYTES)
    struct.pack_into("<H", data, KEYS_AT, sum(1 << KEYS.index(key) for key in keys))
    return bytes(data)


def asks_for_stop(data: bytes) -> bool:
    """Whether it asks for an emergency stop."""
    return STOP_KEYS <= keys_of(data)
