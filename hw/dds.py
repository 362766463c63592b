"""Unitree's topics over DDS: a bus is one domain on one network interface, with writers and readers of records.

Needs the extra `dds` (Eclipse Cyclone DDS). Its own serialiser takes 0.3 to 0.4 ms a message; here the message types say what is on
the wire for the sake of discovery, and `unitree_hg` makes the bytes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Self
from xml.sax.saxutils import quoteattr

import numpy as np

from poise.robots import PoiseError

from .unitree_hg import BMS_STATE, IMU_STATE, LOW_CMD, LOW_STATE, Record, decode, encode

try:
    from cyclonedds.core import DDSException, InstanceState, ReadCondition, SampleState, ViewState, WaitSet
    from cyclonedds.domain import Domain, DomainParticipant
    from cyclonedds.idl import IdlStruct, make_idl_struct, types
    from cyclonedds.pub import DataWriter
    from cyclonedds.qos import Policy, Qos
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic
except ImportError as error:
    raise PoiseError(f"DDS needs Cyclone DDS ({error}): in the checkout, .venv/bin/pip install -e '.[dds]'") from error

LOW_CMD_TOPIC, LOW_STATE_TOPIC = "rt/lowcmd", "rt/lowstate"
TORSO_IMU_TOPIC, BATTERY_TOPIC = "rt/secondary_imu", "rt/lf/bmsstate"
KEPT = 16  # messages that a reader keeps until they are taken: the newest

_NAMES = {LOW_CMD: "LowCmd_", LOW_STATE: "LowState_", IMU_STATE: "IMUState_", BMS_STATE: "BmsState_"}
_PARTS = {"motor_cmd": "MotorCmd_", "imu_state": "IMUState_", "motor_state": "MotorState_"}
# An 8-bit number is an octet, as in Unitree's own IDL.
_NUMBERS: dict[str, Any] = {
    "|u1": types.byte,
    "<u2": types.uint16,
    "<u4": types.uint32,
    "<i4": types.int32,
    "<i2": types.int16,
    "<f4": types.float32,
}
_ARRAY: Any = types.array
# Loopback has no multicast: participants find each other by asking each of the first ports.
_LOOPBACK = """<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>
<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex><Peers><Peer address="127.0.0.1"/></Peers></Discovery>"""
_NETWORK = "</General>"


def idl_struct(name: str, dtype: np.dtype) -> type[IdlStruct]:
    """The IDL type of that name that has the fields of a record's type."""
    fields: dict[str, Any] = {}
    for field, (kind, *_) in (dtype.fields or {}).items():
        base, shape = kind.subdtype or (kind, ())
        part = _NUMBERS[base.str] if base.fields is None else idl_struct(_PARTS[field], base)
        fields[field] = _ARRAY[part, shape[0]] if shape else part
    return make_idl_struct(name, f"unitree_hg.msg.dds_.{name}", fields)


@cache
def _sample_type(dtype: np.dtype) -> type[Any]:
    """The IDL type of a record's type whose samples hold bytes when written, and when read a record, None for one that was refused."""
    kind: Any = idl_struct(_NAMES[dtype], dtype)

    def serialize(self: Any, **_: Any) -> bytes:
        return bytes(self.data)

    def deserialize(cls: Any, data: bytes, /, **_: Any) -> Any:
        sample: Any = object.__new__(cls)
        sample.record = decode(bytes(data), dtype)
        return sample

    kind.serialize, kind.deserialize = serialize, classmethod(deserialize)
    return kind


class Bus:
    """A domain on a network interface, while it is open."""

    def __init__(self, interface: str, domain: int = 0) -> None:
        """Join it.

        Args:
            interface: name of the network interface, `lo` for this machine alone. There is no default: nothing is sent where nobody said.
            domain: DDS domain; robots are on 0.

        Raises:
            PoiseError: there is no such interface, or it cannot be joined.
        """
        rest = _LOOPBACK if interface == "lo" else _NETWORK
        names = f"<Interfaces><NetworkInterface name={quoteattr(interface)}/></Interfaces>"
        config = f'<CycloneDDS><Domain Id="any"><General>{names}{rest}</Domain></CycloneDDS>'
        try:
            self._domain = Domain(domain, config)
            self._participant = DomainParticipant(domain)
        except DDSException as error:
            raise PoiseError(
                f"DDS cannot join domain {domain} on the network interface {interface!r}: {error.msg}; `ip link` lists them"
            ) from error

    def writer(self, topic: str, dtype: np.dtype) -> Writer:
        """Writes records of that type to a topic."""
        kind = _sample_type(dtype)
        return Writer(DataWriter(self._participant, Topic(self._participant, topic, kind)), kind)

    def reader(self, topic: str, dtype: np.dtype) -> Reader:
        """Reads records of that type from a topic."""
        qos = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(KEPT))
        return Reader(DataReader(self._participant, Topic(self._participant, topic, _sample_type(dtype)), qos=qos), self._participant)

    @property
    def participant(self) -> DomainParticipant:
        """For topics of other types."""
        return self._participant

    def close(self) -> None:
        """Leave the domain; writers and readers are of no more use."""
        del self._participant, self._domain

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Writer:
    """Sends records, sealed where their type has a checksum."""

    def __init__(self, writer: DataWriter[Any], kind: type[Any]) -> None:
        self._writer, self._kind = writer, kind

    def write(self, record: Record) -> None:
        """Send a record as it is: `unitree_hg.sealed` puts its checksum in."""
        self.write_bytes(encode(record))

    def write_bytes(self, data: bytes) -> None:
        """Send bytes as they are, a message or not."""
        sample: Any = object.__new__(self._kind)
        sample.data = data
        self._writer.write(sample)


class Reader:
    """Takes what has come in.

    Attributes:
        refused: how many messages were not whole, or had a wrong checksum.
    """

    def __init__(self, reader: DataReader[Any], participant: DomainParticipant) -> None:
        self._reader, self.refused = reader, 0
        self._waiting = WaitSet(participant)
        self._new = ReadCondition(reader, SampleState.NotRead | ViewState.Any | InstanceState.Any)
        self._waiting.attach(self._new)

    def wait(self, seconds: float) -> bool:
        """Wait until a message has come in, at most so long; returns whether one has."""
        return self._waiting.wait(round(1e9 * seconds)) > 0

    def take(self) -> list[Record]:
        """All records that came in since the last time, the oldest first; no more than the KEPT newest."""
        samples = [sample for sample in self._reader.take(KEPT) if sample.sample_info.valid_data]
        records = [sample.record for sample in samples if sample.record is not None]
        self.refused += len(samples) - len(records)
        return records
