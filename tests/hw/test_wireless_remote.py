from __future__ import annotations

import struct

import numpy as np
import pytest

from poise.hw.operation import STILL
from poise.hw.unitree_hg import LOW_STATE, new
from poise.hw.wireless_remote import GONE, KEYS, LATEST_S, SIZE, Remote, WirelessRemote, decode, encode

MOST = (1.0, 0.4, 1.2)


def by_hand(bits: int = 0, lx: float = 0.0, rx: float = 0.0, ry: float = 0.0, ly: float = 0.0) -> bytes:
    """The bytes as they are documented, put together one by one."""
    data = bytearray(SIZE)
    struct.pack_into("<H", data, 2, bits)
    for offset, value in ((4, lx), (8, rx), (12, ry), (20, ly)):
        struct.pack_into("<f", data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("bit", "key"),
    [
        (0, "R1"),
        (1, "L1"),
        (2, "start"),
        (3, "select"),
        (4, "R2"),
        (5, "L2"),
        (8, "A"),
        (9, "B"),
        (10, "X"),
        (11, "Y"),
        (12, "up"),
        (15, "left"),
    ],
)
def test_each_key_has_its_bit(bit: int, key: str) -> None:
    assert decode(by_hand(1 << bit)) == Remote(frozenset({key}))


def test_sticks_are_where_they_are_said_to_be() -> None:
    assert decode(by_hand(0, 0.25, -0.5, 0.75, -1.0)) == Remote(frozenset(), 0.25, -0.5, 0.75, -1.0)


def test_what_is_encoded_comes_back_and_fits_the_robots_message() -> None:
    remote = Remote(frozenset(KEYS), 0.5, -0.25, 1.0, -0.125)
    record = new(LOW_STATE)
    record["wireless_remote"] = np.frombuffer(encode(remote), np.uint8)
    assert decode(record["wireless_remote"].tobytes()) == remote


@pytest.mark.parametrize("data", [b"", bytes(39), bytes(41), by_hand(0, float("nan")), by_hand(0, 0.0, float("inf"))])
def test_what_is_not_whole_is_none_and_changes_nothing(data: bytes) -> None:
    assert decode(data) is None
    held = WirelessRemote(MOST)
    held.feed(by_hand(ly=1.0), 0.0)
    held.feed(data, 0.1)
    assert held.poll(0.1).intent.velocity == (1.0, 0.0, 0.0)


def test_the_left_stick_walks_and_the_right_one_turns() -> None:
    held = WirelessRemote(MOST)
    held.feed(by_hand(0, lx=-1.0, rx=1.0, ry=1.0, ly=1.0), 0.0)
    assert held.poll(0.0).intent.velocity == (1.0, 0.4, -1.2), "to the left is positive"


def test_l2_and_b_together_are_the_emergency_stop() -> None:
    held = WirelessRemote(MOST)
    for keys in (1 << 5, 1 << 9):
        held.feed(by_hand(keys, ly=1.0), 0.0)
        assert not held.poll(0.0).emergency_stop
    held.feed(by_hand(1 << 5 | 1 << 9, ly=1.0), 0.0)
    held.feed(by_hand(0, ly=1.0), 0.0)
    said = held.poll(0.0)
    assert said.emergency_stop and said.intent.velocity == STILL, "also when it is let go of again"
    held.release()
    assert not held.poll(0.0).emergency_stop


def test_start_goes_on_and_select_stops_once_however_long_they_are_held() -> None:
    held = WirelessRemote(MOST)
    for keys, said in ((1 << 2, (True, "")), (1 << 2, (False, "")), (0, (False, "")), (1 << 2 | 1 << 3, (True, "safe stop"))):
        held.feed(by_hand(keys), 0.0)
        polled = held.poll(0.0)
        assert (polled.next, polled.request) == said


def test_a_remote_that_is_not_heard_of_wants_velocity_zero() -> None:
    held = WirelessRemote(MOST)
    assert held.poll(0.0).remark == GONE, "never heard of"
    held.feed(by_hand(ly=1.0), 1.0)
    assert held.poll(1.0 + 0.9 * LATEST_S).intent.velocity == (1.0, 0.0, 0.0)
    said = held.poll(1.0 + 1.1 * LATEST_S)
    assert said.intent.velocity == STILL and said.remark == GONE
