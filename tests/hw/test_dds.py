from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from poise.hw.dds import KEPT, LOW_CMD_TOPIC, LOW_STATE_TOPIC, Bus, Reader, idl_struct
from poise.hw.unitree_hg import BMS_STATE, IMU_STATE, LOW_CMD, LOW_STATE, Record, decode, encode, new, sealed
from poise.robots import PoiseError

pytestmark = pytest.mark.realtime

DOMAIN = 47  # not that of a robot
PATIENCE_S = 5.0


@pytest.fixture
def bus() -> Iterator[Bus]:
    with Bus("lo", DOMAIN) as joined:
        yield joined


def fill(record: Any, numbers: Iterator[int]) -> Any:
    """Each number another one than its neighbours."""
    for name in record.dtype.names:
        part = record[name]
        if part.dtype.names is not None:
            for each in part.reshape(-1) if part.shape else [part]:
                fill(each, numbers)
        else:
            record[name] = [next(numbers) % 100 for _ in range(part.size)] if part.shape else next(numbers) % 100
    return record


def stock(kind: Any, record: Any) -> Any:
    """The same message as Cyclone DDS itself holds it."""
    values = {}
    for name, annotation in kind.__annotations__.items():
        part = record[name]
        if part.dtype.names is None:
            values[name] = part.tolist()
        elif part.shape:
            values[name] = [stock(annotation.__metadata__[0].subtype, each) for each in part]
        else:
            values[name] = stock(annotation, part)
    return kind(**values)


def until(holds: Callable[[], bool], act: Callable[[], object]) -> None:
    """Act every 2 ms until it holds."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "nothing came through"
        act()
        time.sleep(0.002)


@pytest.mark.parametrize("dtype", [LOW_CMD, LOW_STATE, IMU_STATE, BMS_STATE])
def test_the_bytes_are_those_of_cyclones_own_serialiser(dtype: np.dtype) -> None:
    name = {LOW_CMD: "LowCmd_", LOW_STATE: "LowState_", IMU_STATE: "IMUState_", BMS_STATE: "BmsState_"}[dtype]
    record = fill(new(dtype), iter(range(1, 10_000)))
    record = sealed(record) if "crc" in (dtype.names or ()) else record
    assert stock(idl_struct(name, dtype), record).serialize() == encode(record)
    back = decode(encode(record), dtype)
    assert back is not None and encode(back) == encode(record)


@pytest.mark.parametrize(("topic", "dtype"), [(LOW_CMD_TOPIC, LOW_CMD), (LOW_STATE_TOPIC, LOW_STATE)])
def test_what_is_written_is_read(bus: Bus, topic: str, dtype: np.dtype) -> None:
    writer, reader = bus.writer(topic, dtype), bus.reader(topic, dtype)
    record, taken = sealed(fill(new(dtype), iter(range(1, 10_000)))), list[Record]()

    def act() -> None:
        writer.write(record)
        taken.extend(reader.take())

    until(lambda: len(taken) >= 3, act)
    assert all(encode(each) == encode(record) for each in taken)
    assert reader.refused == 0


def test_the_newest_are_kept_in_order(bus: Bus) -> None:
    writer, reader = bus.writer(LOW_STATE_TOPIC, LOW_STATE), bus.reader(LOW_STATE_TOPIC, LOW_STATE)
    record = sealed(new(LOW_STATE))
    until(lambda: bool(reader.take()), lambda: writer.write(record))
    for tick in range(3 * KEPT):
        record["tick"] = tick
        writer.write(sealed(record))
    time.sleep(0.1)
    assert [int(each["tick"]) for each in reader.take()] == list(range(2 * KEPT, 3 * KEPT))
    assert reader.take() == []


def test_a_wrong_checksum_is_refused_and_counted(bus: Bus) -> None:
    writer, reader = bus.writer(LOW_CMD_TOPIC, LOW_CMD), bus.reader(LOW_CMD_TOPIC, LOW_CMD)
    good, bad = sealed(new(LOW_CMD)), new(LOW_CMD)
    until(lambda: bool(reader.take()), lambda: writer.write(good))
    writer.write(bad)
    until(lambda: count(reader) > 0, lambda: None)
    assert reader.refused == 1


def count(reader: Reader) -> int:
    assert reader.take() == []
    return reader.refused


def test_a_writer_that_leaves_is_no_message(bus: Bus) -> None:
    reader, writers = bus.reader(LOW_CMD_TOPIC, LOW_CMD), [bus.writer(LOW_CMD_TOPIC, LOW_CMD)]
    until(lambda: bool(reader.take()), lambda: writers[0].write(sealed(new(LOW_CMD))))
    writers.clear()
    for _ in range(20):
        assert reader.take() == []
        time.sleep(0.005)
    assert reader.refused == 0


def test_an_interface_that_is_not_there_is_said() -> None:
    with pytest.raises(PoiseError, match="network interface 'nowhere0'"):
        Bus("nowhere0", DOMAIN + 1)
