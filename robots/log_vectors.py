"""Flat float vectors in a recording: ROS 2 messages with little-endian floats only, which any MCAP tool can plot.

A message of one float type has no padding in CDR, so that packing it is one copy of a buffer behind a 4-byte header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import RecordError
from .types import RUNGS, Array

CDR_HEADER = b"\x00\x01\x00\x00"  # little-endian
JOINTS, ARMS = -1, -2  # in a shape: the number of joints, and of those of the arms

_LINE = re.compile(r"(float32|float64)(?:\[(\d+)\])? (\w+)  # \(([\d, ]*)\)")


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a vector: where it comes from, its shape (JOINTS stands for n, ARMS for n_arms) and its unit."""

    source: str
    name: str
    shape: tuple[int, ...] = ()
    unit: str = ""

    @property
    def key(self) -> str:
        """Its name in the recording."""
        return f"{self.source}_{self.name}" if self.source else self.name

    def shape_of(self, joints: int, arms: int) -> tuple[int, ...]:
        """Its shape for a robot of so many joints."""
        return tuple({JOINTS: joints, ARMS: arms}.get(side, side) for side in self.shape)


TICK_FIELDS = (
    Field("state", "stamp_s", (), "s"),
    Field("state", "joint_position", (JOINTS,), "rad"),
    Field("state", "joint_velocity", (JOINTS,), "rad/s"),
    Field("state", "joint_torque", (JOINTS,), "N·m"),
    Field("state", "base_orientation_wxyz", (4,), "world from base"),
    Field("state", "gyro_imu", (3,), "rad/s"),
    Field("state", "accelerometer_imu", (3,), "m/s²"),
    Field("state", "foot_force_n", (2,), "N"),
    Field("state", "motor_fault", (JOINTS,), "not 0: off, too hot or in error"),
    Field("intent", "velocity", (3,), "m/s, m/s, rad/s, heading frame"),
    Field("intent", "waypoint", (3,), "m, m, rad, world"),
    Field("intent", "height_m", (), "m"),
    Field("intent", "torso_rpy", (3,), "rad, heading frame"),
    Field("intent", "arms", (ARMS,), "rad"),
    Field("intent", "arms_external", (), "0 or 1"),
    Field("intent", "stamp_s", (), "s"),
    Field("belief", "base_position_world", (3,), "m"),
    Field("belief", "base_orientation_wxyz", (4,), "world from base"),
    Field("belief", "base_velocity_world", (3,), "m/s"),
    Field("belief", "base_angular_velocity_base", (3,), "rad/s"),
    Field("belief", "com_position_world", (3,), "m"),
    Field("belief", "com_velocity_world", (3,), "m/s"),
    Field("belief", "dcm_world", (2,), "m"),
    Field("belief", "sole_position_world", (2, 3), "m, left and right"),
    Field("belief", "sole_yaw", (2,), "rad"),
    Field("belief", "contact", (2,), "probability"),
    Field("belief", "foot_force_n", (2,), "N"),
    Field("belief", "position_std_m", (3,), "m"),
    Field("belief", "velocity_std_mps", (3,), "m/s"),
    Field("belief", "external_force_world", (3,), "N, that neither gravity nor the feet explain"),
    Field("belief", "planned_contact", (2,), "0 or 1, left and right"),
    Field("belief", "updates", (), "states since the estimator began"),
    Field("plan", "zmp_world", (2,), "m, reference"),
    Field("plan", "dcm_reference_world", (2,), "m"),
    Field("plan", "height_m", (), "m"),
    Field("plan", "time_in_phase_s", (), "s"),
    Field("plan", "step_duration_s", (), "s"),
    Field("plan", "mpc_age_s", (), "s"),
    Field("plan", "stance", (), "0 left, 1 right"),
    Field("plan", "phase", (), "0 stand, 1 shift, 2 step"),
    Field("command", "q", (JOINTS,), "rad"),
    Field("command", "v", (JOINTS,), "rad/s"),
    Field("command", "kp", (JOINTS,), "N·m/rad"),
    Field("command", "kd", (JOINTS,), "N·m·s/rad"),
    Field("command", "tau", (JOINTS,), "N·m"),
    Field("command", "torque_limit", (JOINTS,), "N·m"),
    Field("decision", "proposal_age_s", (), "s"),
)
# What recordings from before they were there lack.
LATER = frozenset(f"intent_{name}" for name in ("height_m", "torso_rpy", "arms", "arms_external", "stamp_s")) | {
    "belief_planned_contact",
    "belief_updates",
}
_PLACES = tuple((field.source, field.name) for field in TICK_FIELDS)
_PHASE = _PLACES.index(("plan", "phase"))
CODES: dict[str, dict[str, float]] = {
    "plan_phase": {"stand": 0.0, "shift": 1.0, "step": 2.0},
    "pulse_status": {"ok": 0.0, "degraded": 1.0, "safe": 2.0},
    "pulse_rung": {rung: float(code) for code, rung in enumerate(RUNGS)},
}


class VectorLayout:
    """Where each field of a vector lies; packs values into a message and unpacks messages into arrays."""

    def __init__(self, entries: Iterable[tuple[str, tuple[int, ...], str]], dtype: str) -> None:
        """Lay out entries (name, shape, unit) one after the other; dtype is "float32" or "float64"."""
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.entries = tuple(entries)
        sizes = [int(np.prod(shape)) for _, shape, _ in self.entries]
        ends = np.cumsum(sizes)
        self._slices = [slice(int(end) - size, int(end)) for size, end in zip(sizes, ends, strict=True)]
        self._buffer = np.full(int(ends[-1]), np.nan, dtype=self.dtype)
        self._views = [self._buffer[part].reshape(shape) for (_, shape, _), part in zip(self.entries, self._slices, strict=True)]

    @property
    def definition(self) -> str:
        """The ROS 2 message definition; the comment of a line holds the shape and the unit."""
        lines = []
        for (name, shape, unit), part in zip(self.entries, self._slices, strict=True):
            size = f"[{part.stop - part.start}]" if shape else ""
            lines.append(f"{np.dtype(self.dtype).name}{size} {name}  # ({', '.join(map(str, shape))}) {unit}".rstrip())
        return "\n".join(lines) + "\n"

    def pack(self, values: Iterable[Any]) -> bytes:
        """One message of values in the order of the entries; None is written as NaN."""
        for view, value in zip(self._views, values, strict=True):
            view[...] = np.nan if value is None else value
        return CDR_HEADER + self._buffer.tobytes()

    def unpack(self, messages: list[bytes]) -> dict[str, Array]:
        """Arrays (number of messages, *shape) by name."""
        size = self._buffer.nbytes
        if any(len(message) != size + len(CDR_HEADER) for message in messages):
            raise RecordError("recording: a message has not the size of its definition; the file is damaged")
        rows = np.frombuffer(b"".join(message[len(CDR_HEADER) :] for message in messages), dtype=self.dtype)
        table = rows.reshape(len(messages), -1).astype(float, copy=False)
        return {name: table[:, part].reshape(-1, *shape) for (name, shape, _), part in zip(self.entries, self._slices, strict=True)}


def parse_definition(text: str) -> VectorLayout:
    """The layout that a message definition describes.

    Raises:
        RecordError: a line is not one that `VectorLayout.definition` writes.
    """
    entries, dtype = [], "float32"
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            raise RecordError(f"recording: cannot read the field {line!r} of its message definition; it is damaged or from another tool")
        dtype = found[1]
        shape = tuple(int(size) for size in found[4].split(",") if size.strip())
        entries.append((found[3], shape, line[found.end() :].strip()))
    return VectorLayout(entries, dtype)


def tick_layout(joints: int, arms: int, dtype: str) -> VectorLayout:
    """The layout of /tick for a robot with that many joints, and that many of them in its arms."""
    return VectorLayout(((f.key, f.shape_of(joints, arms), f.unit) for f in TICK_FIELDS), dtype)


def tick_values(sources: Mapping[str, Any]) -> list[Any]:
    """Values of `TICK_FIELDS` from their sources; everything of a source that is None or absent is None."""
    values: list[Any] = [getattr(sources.get(source), name, None) for source, name in _PLACES]
    values[_PHASE] = CODES["plan_phase"].get(values[_PHASE])
    return values


class TickTable:
    """Ticks of a run in memory, in the form in which `Log.tick` has those of a recording."""

    def __init__(self, joints: int, arms: int) -> None:
        self._layout = tick_layout(joints, arms, "float64")
        self._ticks, self._rows = list[int](), list[bytes]()

    def add(self, tick: int, sources: Mapping[str, Any]) -> None:
        """Take a tick: its messages by the names of `Field.source`."""
        self._ticks.append(tick)
        self._rows.append(self._layout.pack(tick_values(sources)))

    def fields(self) -> dict[str, Array]:
        """`tick` (k,) and every field (k, ...); NaN where a source was absent."""
        return {"tick": np.array(self._ticks, dtype=float)} | self._layout.unpack(self._rows)
