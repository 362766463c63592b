"""Unitree's messages, `unitree_hg`: their layout, the checksum of those that have one, and what of them goes over the wire.

A message is held as one record of a numpy type that lies in memory as Unitree's C struct does, since the checksum is over that struct. On
the wire (CDR, little-endian) the first motor follows the bytes before it without the struct's padding; everything else is the same.

Sources: the fields, LowCmd_, LowState_, IMUState_ and BmsState_ of unitree_hg in Unitree's unitree_sdk2; the checksum's parameters,
CRC-32/MPEG-2.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOTORS = 35  # places for motors in a message, of which a G1 uses 29 or 23

Record = np.ndarray  # of one of the types below, shape ()

_COMMAND = np.dtype(
    [("mode", "u1"), ("q", "<f4"), ("dq", "<f4"), ("tau", "<f4"), ("kp", "<f4"), ("kd", "<f4"), ("reserve", "<u4")], align=True
)
# An IMU: world from its body as a quaternion wxyz and as roll, pitch, yaw (rad), rad/s, m/s², °C.
IMU_STATE = np.dtype(
    [("quaternion", "<f4", 4), ("gyroscope", "<f4", 3), ("accelerometer", "<f4", 3), ("rpy", "<f4", 3), ("temperature", "<i2")], align=True
)
_MOTOR = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("ddq", "<f4"),
        ("tau_est", "<f4"),
        ("temperature", "<i2", 2),
        ("vol", "<f4"),
        ("sensor", "<u4", 2),
        ("motorstate", "<u4"),
        ("reserve", "<u4", 4),
    ],
    align=True,
)
# What is sent to the motors: targets q (rad), dq (rad/s), tau (N·m) and gains kp (N·m/rad), kd (N·m·s/rad) of each.
LOW_CMD = np.dtype(
    [("mode_pr", "u1"), ("mode_machine", "u1"), ("motor_cmd", _COMMAND, MOTORS), ("reserve", "<u4", 4), ("crc", "<u4")], align=True
)
# What the robot says: tick in ms, the IMU in the pelvis (quaternion wxyz, rad/s, m/s²), and each motor (rad, rad/s, rad/s², N·m, °C, V).
LOW_STATE = np.dtype(
    [
        ("version", "<u4", 2),
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("tick", "<u4"),
        ("imu_state", IMU_STATE),
        ("motor_state", _MOTOR, MOTORS),
        ("wireless_remote", "u1", 40),
        ("reserve", "<u4", 4),
        ("crc", "<u4"),
    ],
    align=True,
)

# The battery: mV of its cells and of itself, mA, charge and health (%), °C.
BMS_STATE = np.dtype(
    [
        ("version_high", "u1"),
        ("version_low", "u1"),
        ("fn", "u1"),
        ("cell_vol", "<u2", 40),
        ("bmsvoltage", "<u4", 3),
        ("current", "<i4"),
        ("soc", "u1"),
        ("soh", "u1"),
        ("temperature", "<i2", 12),
        ("cycle", "<u2"),
        ("manufacturer_date", "<u2"),
        ("bmsstate", "<u4", 5),
        ("reserve", "<u4", 3),
    ],
    align=True,
)

_HEADER = b"\x00\x01\x00\x00"  # of plain CDR, little-endian
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Layout(NamedTuple):
    """Where a message's struct and its bytes on the wire part."""

    head: int  # bytes before the first motor, or of all where there is none, without padding
    motor: int | None  # where it begins in the struct
    kept: NDArray[np.uint8]  # 255 for each byte of the struct that a field has, 0 for padding


def _leaves(dtype: np.dtype, start: int = 0) -> list[tuple[int, int]]:
    """(begin, end) of each field that has none of its own, bytes."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [leaf for i in range(int(np.prod(shape))) for leaf in _leaves(base, start + i * base.itemsize)]
    if dtype.fields is None:
        return [(start, start + dtype.itemsize)]
    return [leaf for field, offset, *_ in dtype.fields.values() for leaf in _leaves(field, start + offset)]


def _layout(dtype: np.dtype) -> _Layout:
    kept = np.zeros(dtype.itemsize, np.uint8)
    for begin, end in _leaves(dtype):
        kept[begin:end] = 255
    fields = (dtype.fields or {}).values()
    motor = next((offset for field, offset, *_ in fields if field.subdtype and field.subdtype[1] == (MOTORS,)), None)
    return _Layout(int(np.flatnonzero(kept[:motor])[-1]) + 1, motor, kept)


_LAYOUTS = {dtype: _layout(dtype) for dtype in (LOW_CMD, LOW_STATE, IMU_STATE, BMS_STATE)}


def new(dtype: np.dtype) -> Record:
    """A message of that type, all zero."""
    return np.zeros((), dtype)


def _struct(message: Record) -> NDArray[np.uint8]:
    """Its bytes, padding zero: in a copy of a record numpy leaves there what was in memory."""
    return np.frombuffer(message.tobytes(), np.uint8) & _LAYOUTS[message.dtype].kept


def checksum(message: Record) -> int:
    """CRC-32/MPEG-2 (polynomial 04C11DB7, from FFFFFFFF) of the struct's words but the last, the most significant byte of a word first.

    zlib's CRC-32 is the same one mirrored: each byte's bits, and those of the result.
    """
    words = _struct(message)[:-4].view("<u4").byteswap().tobytes()
    mirrored = zlib.crc32(words.translate(_MIRRORED)) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")


def sealed(message: Record) -> Record:
    """The message itself, with its checksum written into it."""
    message["crc"] = checksum(message)
    return message


def encode(message: Record) -> bytes:
    """What of a message goes over the wire, header included."""
    layout, struct = _LAYOUTS[message.dtype], _struct(message).tobytes()
    if layout.motor is None:
        return _HEADER + struct[: layout.head]
    first = struct[: layout.head] + struct[layout.motor : layout.motor + 1]
    return _HEADER + first + bytes(-len(first) % 4) + struct[layout.motor + 4 :]


def decode(data: bytes, dtype: np.dtype) -> Record | None:
    """The message of that type that came over the wire; None where it is not whole, not little-endian CDR, or its checksum is wrong.

    Padding, which the wire may fill with anything, is zero in it, as it is for the checksum.
    """
    layout = _LAYOUTS[dtype]
    if data[:2] != _HEADER[:2]:
        return None
    if layout.motor is None:
        return _unpacked(data, layout, dtype)
    begin = len(_HEADER) + layout.head
    after = begin + 1 + -(layout.head + 1) % 4
    if len(data) != after + dtype.itemsize - layout.motor - 4:
        return None
    struct = np.zeros(dtype.itemsize, np.uint8)
    struct[: layout.head] = np.frombuffer(data, np.uint8, layout.head, len(_HEADER))
    struct[layout.motor] = data[begin]
    struct[layout.motor + 4 :] = np.frombuffer(data, np.uint8, offset=after)
    struct &= layout.kept
    message = struct.view(dtype).reshape(())
    return message if checksum(message) == int(message["crc"]) else None


def _unpacked(data: bytes, layout: _Layout, dtype: np.dtype) -> Record | None:
    """A message without motors, which has no checksum either; what follows its last field is padding."""
    if not 0 <= len(data) - len(_HEADER) - layout.head < 4:
        return None
    struct = np.zeros(dtype.itemsize, np.uint8)
    struct[: layout.head] = np.frombuffer(data, np.uint8, layout.head, len(_HEADER))
    struct &= layout.kept
    return struct.view(dtype).reshape(())
