"""The recording of a run: an MCAP file that grows by compressed chunks and can be read up to the last whole one.

Topics: `/tick` every few ticks, `/pulse` (status, rung, certificate, times) every tick, `/truth` what only a simulator knows,
`/decision_explained` the whole decision as JSON wherever there is something to explain, `/note` what else happened.
Vectors are ROS 2 messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson
from mcap.records import Channel as McapChannel
from mcap.records import Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from .errors import RecordError
from .log_checks import check_decision, check_vectors
from .log_messages import EXPLAINED, NOTE, TICK, Channel, Entry, Packer
from .log_vectors import VectorLayout, parse_definition
from .model import RobotModel
from .plain import from_plain, json_schema, to_plain
from .reading import parse_json
from .types import Array, Decision, Intent, JointCommand, RobotState

SCHEMA = "poise.log/2"
CHUNK_BYTES = 65536  # about half a second of a 29-joint robot: what a crash can lose
WHOLE: dict[str, Any] = {"every": 1, "dtype": "float64"}  # how a recording is written that is to be replayed bit for bit: 1 MB a second


class LogWriter:
    """Writes one run (`log_messages.Packer` says what of it)."""

    def __init__(self, path: str | Path, robot: RobotModel, meta: Mapping[str, Any], every: int = 5, dtype: str = "float32") -> None:
        """Start a file.

        Args:
            path: new file; one that exists is not overwritten.
            robot: whose joint order the vectors have.
            meta: configuration, versions, seed: anything that JSON can hold, or dataclasses.
            every: ticks between two messages on /tick and /truth.
            dtype: "float32", or "float64" for a state stream that replays bit for bit (with every=1).

        Raises:
            RecordError: the file exists or cannot be made.
        """
        try:
            self._file = open(path, "xb")
        except OSError as error:
            raise RecordError(f"recording {path}: cannot be made ({error.strerror}); give a new file in a folder that exists") from error
        self._packer, self._channels = Packer(robot, every, dtype), dict[Channel, int]()
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.LZ4)
        self._writer.start(profile="ros2", library="poise")
        head = {"schema": SCHEMA, "robot": robot.name, "joint_names": json.dumps(robot.joint_names)}
        self._writer.add_metadata("poise", head | {"decision_schema": json.dumps(json_schema(Decision))})
        self._writer.add_metadata("run", {key: json.dumps(to_plain(value)) for key, value in meta.items()})
        for channel in (EXPLAINED, NOTE, TICK):
            self._number(channel)
        self._closed = False

    def write(self, state: RobotState, decision: Decision, truth: Mapping[str, Any] | None = None) -> None:
        """Record one tick.

        Args:
            state: what the stack was given.
            decision: what it answered.
            truth: what only a simulator knows: numbers or arrays by name (lower case, as `com_position_world`).
        """
        for entry in self._packer.tick(state, decision, truth):
            self.add(entry)

    def note(self, stamp_s: float, tick: int, content: Mapping[str, Any]) -> None:
        """Record something that happened at a tick: anything that JSON can hold, or dataclasses, by a name."""
        self.add(self._packer.note(stamp_s, tick, content))

    def add(self, entry: Entry) -> None:
        """Record a message that a `Packer` of the same robot, and of the same options, has made."""
        content = entry.content if isinstance(entry.content, bytes) else orjson.dumps(to_plain(entry.content))
        self._writer.add_message(self._number(entry.channel), entry.stamp_ns, content, entry.stamp_ns, entry.tick)
        if entry.channel == TICK:
            self._file.flush()  # so that a chunk, once it is full, is whole on the disk

    def flush(self) -> None:
        """Bring everything onto the disk, also a chunk that is not full; what is flushed often is compressed less."""
        self._writer.flush()  # type: ignore[no-untyped-call]

    def _number(self, channel: Channel) -> int:
        """Of a channel in the file, which has it from its first message on."""
        if channel not in self._channels:
            topic, layout = channel[0], self._packer.layout(channel)
            if layout is None:
                self._channels[channel] = self._writer.register_channel(topic, "json", schema_id=0)
            else:
                name = f"poise/msg/{topic[1:].capitalize()}{len(self._channels)}"
                schema = self._writer.register_schema(name, "ros2msg", layout.definition.encode())
                self._channels[channel] = self._writer.register_channel(topic, "cdr", schema)
        return self._channels[channel]

    def close(self) -> None:
        """Finish the file; safe to call twice."""
        if not self._closed:
            self._closed = True
            with self._file:
                self._writer.finish()  # type: ignore[no-untyped-call]

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, eq=False)
class Log:
    """A recording in memory; every mapping of arrays has `time_s` (k,) and `tick` (k,) beside its fields."""

    robot: str
    joint_names: tuple[str, ...]
    meta: Mapping[str, Any]
    tick: Mapping[str, Array]  # by field of `log_vectors.TICK_FIELDS`, NaN where unknown
    pulse: Mapping[str, Array]  # status, rung, certificate_changed, torque_change_nm, and the parts as NAME_us
    truth: Mapping[str, Array] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    notes: tuple[Any, ...] = ()  # what happened in the run, as `LogWriter.note` was told
    complete: bool = True  # False: the file ends in the middle, as after a crash
    dtype: str = "float64"  # of the numbers in `tick`, as they were written

    def states(self) -> Iterator[RobotState]:
        """The recorded states in order; what was unknown is None again."""
        names = [name.removeprefix("state_") for name in self.tick if name.startswith("state_") and name != "state_stamp_s"]
        for i, stamp in enumerate(self.tick.get("state_stamp_s", ())):
            rows = {name: self.tick[f"state_{name}"][i] for name in names}
            known: dict[str, Any] = {name: None if np.isnan(row).all() else row for name, row in rows.items()}
            yield RobotState(stamp_s=float(stamp), **known)

    def intents(self) -> Iterator[Intent]:
        """The recorded intents in order, without what was unusable in them; from before they were recorded whole: velocity and waypoint."""
        names = [name for name in self.tick if name.startswith("intent_")]
        for i in range(len(self.tick.get("tick", ()))):
            yield _intent({name.removeprefix("intent_"): self.tick[name][i] for name in names})

    def commands(self) -> Iterator[JointCommand]:
        """The recorded commands in order."""
        names = [field.name for field in fields(JointCommand)]
        for i in range(len(self.tick.get("tick", ()))):
            yield JointCommand(**{name: self.tick[f"command_{name}"][i] for name in names})

    @property
    def whole(self) -> bool:
        """Whether it holds every tick from the first on, in the numbers that were used: such a one replays bit for bit."""
        ticks = self.tick.get("tick", np.zeros(0))
        return self.dtype == "float64" and len(ticks) > 0 and bool(ticks[0] == 1.0 and (np.diff(ticks) == 1.0).all())

    def decision_at(self, time_s: float) -> Decision | None:
        """The explained decision in force at a time: the last one made until then, None before the first."""
        return next((d for d in reversed(self.decisions) if d.stamp_s <= time_s + 1e-9), None)


def _intent(rows: Mapping[str, Array]) -> Intent:
    known: dict[str, Any] = {name: row for name, row in rows.items() if not np.isnan(row).all()}
    known |= {name: tuple(known[name].tolist()) for name in ("velocity", "waypoint", "torso_rpy") if name in known}
    known |= {name: float(known[name]) for name in ("height_m", "stamp_s") if name in known}
    return Intent(**known | {"arms_external": bool(known.get("arms_external", False))})


def read_log(path: str | Path) -> Log:
    """Read a recording, up to its last whole chunk where the end is missing.

    Raises:
        RecordError: no such file, not a recording of ours, of an unknown version, or damaged beyond its head.
    """
    records, complete = _read_records(Path(path))
    metadata = {record.name: record.metadata for record in records if isinstance(record, Metadata)}
    head = metadata.get("poise", {})
    if head.get("schema") != SCHEMA:
        found = head.get("schema", "not a poise recording")
        raise RecordError(f'recording {path}: schema is {found}; this version reads "{SCHEMA}"')
    try:
        return _log(head, metadata.get("run", {}), records, complete)
    except Exception as error:  # a part that was changed behind its checksum is damaged in more ways than can be told apart
        said = str(error).removeprefix("recording: ") if isinstance(error, RecordError) else f"damaged ({error}); give another one"
        raise RecordError(f"recording {path}: {said}") from error


def _log(head: Mapping[str, str], run: Mapping[str, str], records: list[Any], complete: bool) -> Log:
    schemas = {record.id: record for record in records if isinstance(record, Schema)}
    channels = {record.id: record for record in records if isinstance(record, McapChannel)}
    messages: dict[int, list[Message]] = {}
    for record in records:
        if isinstance(record, Message):
            messages.setdefault(record.channel_id, []).append(record)
    topics = {topic: _read_topic(topic, schemas, channels, messages) for topic in ("/tick", "/pulse", "/truth")}
    explained, noted = (
        [m for id_, c in channels.items() if c.topic == topic for m in messages.get(id_, [])] for (topic,) in (EXPLAINED, NOTE)
    )
    joint_names = tuple(parse_json(head["joint_names"]))
    check_vectors(joint_names, topics["/tick"], topics["/pulse"])
    return Log(
        robot=head["robot"],
        joint_names=joint_names,
        meta={key: parse_json(value) for key, value in run.items()},
        tick=topics["/tick"],
        pulse=topics["/pulse"],
        truth=topics["/truth"],
        decisions=_decisions(explained),
        notes=tuple(parse_json(message.data) for message in noted),
        complete=complete,
        dtype=next((_layout(schemas, c).dtype.name for c in channels.values() if c.topic == "/tick"), "float64"),
    )


def _decisions(messages: list[Message]) -> tuple[Decision, ...]:
    """The explained decisions, without those that hold what is none: a proposer may have given anything.

    Raises:
        RecordError: there are some, and not one can be read.
        ValueError: the same.
    """
    read, fault = list[Decision](), None
    for message in messages:
        try:
            decision = from_plain(Decision, orjson.loads(message.data))
            check_decision(decision)
            read.append(decision)
        except (RecordError, ValueError) as error:
            fault = error
    if fault is not None and not read:
        raise fault
    return tuple(read)


def _read_records(path: Path) -> tuple[list[Any], bool]:
    """Every record of the file in order, and whether it ends as it should."""
    records: list[Any] = []
    try:
        with path.open("rb") as file:
            for record in StreamReader(file, validate_crcs=True).records:
                records.append(record)
    except OSError as error:
        raise RecordError(f"recording {path}: cannot be read ({error.strerror}); give the path of a log.mcap") from error
    except Exception as error:  # mcap, lz4 and struct raise errors of many kinds on damage
        if not records:
            raise RecordError(f"recording {path}: not an MCAP file; give the path of a log.mcap") from error
        return records, False
    return records, True


def _layout(schemas: Mapping[int, Schema], channel: McapChannel) -> VectorLayout:
    return parse_definition(schemas[channel.schema_id].data.decode())


def _read_topic(
    topic: str, schemas: Mapping[int, Schema], channels: Mapping[int, McapChannel], messages: Mapping[int, list[Message]]
) -> dict[str, Array]:
    """Fields of a topic over all its channels, in order of the ticks; NaN where a channel has not the field."""
    parts = [(_layout(schemas, c), messages[i]) for i, c in channels.items() if c.topic == topic and i in messages]
    if not parts:
        return {}
    tick = np.array([m.sequence for _, group in parts for m in group], dtype=float)
    order = np.argsort(tick, kind="stable")
    time_s = np.array([m.log_time for _, group in parts for m in group])[order] * 1e-9
    tables = [(layout.unpack([m.data for m in group]), len(group)) for layout, group in parts]
    shapes = {name: shape for layout, _ in parts for name, shape, _ in layout.entries}
    merged = {name: np.concatenate([t.get(name, np.full((k, *shape), np.nan)) for t, k in tables])[order] for name, shape in shapes.items()}
    return {"time_s": time_s, "tick": tick[order]} | merged
