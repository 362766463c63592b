from __future__ import annotations

import json
import math
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from poise.hw.operation import STILL, Operated
from poise.hw.pose_stream import FRESH_S, GONE, HOLD_S, SCHEMA, SIZE, PoseStream, parse
from poise.hw.retarget import SPEED_RADPS
from poise.robots import PoiseError, RobotModel

PORT = 18390
HAND = [0.3, 0.2, -0.1, 1.0, 0.0, 0.0, 0.0]
UNIT = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def text(**entries: Any) -> bytes:
    return json.dumps({"schema": SCHEMA, "stamp_s": 1.0} | entries).encode()


@pytest.fixture
def stream(g1: RobotModel) -> Iterator[PoseStream]:
    stream = PoseStream(g1, PORT)
    yield stream
    stream.close()


def send(data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, ("127.0.0.1", PORT))


def heard(stream: PoseStream, now_s: float, data: bytes) -> Operated:
    """What is said once a datagram has come in: on loopback it is there when it was sent."""
    before = stream.taken + stream.refused
    send(data)
    said = stream.poll(now_s)
    assert stream.taken + stream.refused == before + 1
    return said


def test_a_message_in_full() -> None:
    message = parse(text(stamp_s=7, head=UNIT, left_hand=HAND, right_hand=None, velocity=[0.1, -0.2, 0.3], emergency_stop=True))
    left, right = message.hands
    assert left is not None and right is None and message.head is not None
    assert np.allclose(left.position, HAND[:3]) and np.allclose(left.wxyz, HAND[3:])
    assert (message.stamp_s, message.velocity, message.emergency_stop) == (7.0, (0.1, -0.2, 0.3), True)


def test_a_message_in_short_asks_for_nothing() -> None:
    message = parse(text())
    assert (message.head, message.hands, message.velocity, message.emergency_stop) == (None, (None, None), STILL, False)


MALFORMED = {
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "nested": b"[" * 4000,
    "no table": b"[1, 2]",
    "no schema": b'{"stamp_s": 1.0}',
    "another schema": text(schema="poise.poses/2"),
    "no stamp": json.dumps({"schema": SCHEMA}).encode(),
    "a stamp in words": text(stamp_s="now"),
    "NaN": text(stamp_s=math.nan),
    "infinity": text(velocity=[math.inf, 0.0, 0.0]),
    "a number beyond all": text(stamp_s=10**400),
    "six numbers": text(left_hand=HAND[:6]),
    "a word among them": text(left_hand=[*HAND[:6], "x"]),
    "a truth among them": text(left_hand=[*HAND[:6], True]),
    "no unit quaternion": text(left_hand=[*HAND[:3], 0.0, 0.0, 0.0, 0.0]),
    "a hand far away": text(left_hand=[9.0, *HAND[1:]]),
    "a misspelt hand": text(lefthand=HAND),
    "a stop that is no truth": text(emergency_stop="no"),
    "too long": text() + b" " * SIZE,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_malformed_is_refused_and_counted(stream: PoseStream, data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data)
    said = heard(stream, 0.0, data)
    assert stream.refused == 1 and stream.taken == 0 and said.intent.arms is None and not said.emergency_stop


def test_random_bytes_raise_nothing_but_what_is_said() -> None:
    rng, sound = np.random.default_rng(0), text(left_hand=HAND, velocity=[0.1, 0.0, 0.0])
    for _ in range(3000):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        try:
            message = parse(bytes(data))
        except ValueError:
            continue
        assert all(math.isfinite(value) for value in (message.stamp_s, *message.velocity))


def test_hands_move_the_arms_and_the_head_the_torso(stream: PoseStream, g1: RobotModel) -> None:
    before = g1.posture[g1.arms]
    assert stream.poll(0.0).intent.arms is None
    for k in range(1, 100):
        head = [0.0, 0.0, 0.2, math.cos(0.1), 0.0, 0.0, math.sin(0.1)]
        intent = heard(stream, 0.02 * k, text(stamp_s=k, left_hand=HAND, head=head, velocity=[5.0, 0.0, 0.0])).intent
        assert intent.arms is not None and np.abs(intent.arms - before).max() <= 0.02 * SPEED_RADPS + 1e-9
        before = intent.arms
    assert np.linalg.norm(stream._retarget.hands[0].position - HAND[:3]) < 0.002
    assert intent.torso_rpy == pytest.approx((0.0, 0.0, 0.2)) and intent.velocity == (g1.overlay.gait.velocity_max[0], 0.0, 0.0)


def test_without_poses_the_arms_hold_and_then_come_home(stream: PoseStream, g1: RobotModel) -> None:
    stream.poll(0.0)
    for k in range(1, 60):
        held = heard(stream, 0.02 * k, text(stamp_s=k, left_hand=HAND, velocity=[0.3, 0.0, 0.0])).intent.arms
    came = 0.02 * 59
    said = stream.poll(came + FRESH_S + 0.01)
    later = stream.poll(came + HOLD_S - 0.01)
    assert said.remark == GONE and said.intent.velocity == STILL
    for arms in (said.intent.arms, later.intent.arms):
        assert arms is not None and held is not None and np.array_equal(arms, held)
    now, arms = came + HOLD_S, held
    while arms is not None:
        now += 0.02
        arms = stream.poll(now).intent.arms
    assert 1.0 < now - came - HOLD_S < 5.0, "slowly"
    assert heard(stream, now + 0.1, text(stamp_s=0.0)).remark == "", "a sender whose clock began anew is heard again"


def test_what_is_older_than_what_came_before_is_refused(stream: PoseStream) -> None:
    heard(stream, 0.0, text(stamp_s=5.0, velocity=[0.3, 0.0, 0.0]))
    for stamp in (5.0, 4.9):
        assert heard(stream, 0.01, text(stamp_s=stamp, velocity=[0.9, 0.0, 0.0])).intent.velocity == (0.3, 0.0, 0.0)
    assert (stream.taken, stream.refused) == (1, 2)
    assert heard(stream, 0.02, text(stamp_s=1.0, emergency_stop=True)).emergency_stop, "an emergency stop counts whatever its age"
    assert stream.poll(9.0).emergency_stop
    stream.release()
    assert not stream.poll(9.0).emergency_stop


def test_the_same_over_a_websocket(stream: PoseStream) -> None:
    with connect(f"ws://127.0.0.1:{PORT}") as socket:
        socket.send(text(velocity=[0.2, 0.0, 0.0]).decode())
        assert said_in_time(stream) == (0.2, 0.0, 0.0)
    with connect(f"ws://127.0.0.1:{PORT}", origin="http://localhost:8000") as socket:  # type: ignore[arg-type]
        socket.send(text(stamp_s=2.0, velocity=[0.4, 0.0, 0.0]))
        assert said_in_time(stream, taken=2) == (0.4, 0.0, 0.0)


def said_in_time(stream: PoseStream, taken: int = 1) -> Any:
    """The velocity once so many messages were taken: a connection has a thread of its own."""
    end = time.monotonic() + 30.0
    while stream.taken < taken and time.monotonic() < end:
        stream.poll(0.0)
    return stream.poll(0.0).intent.velocity


def test_a_page_from_elsewhere_is_not_let_in(stream: PoseStream) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{PORT}", origin="https://example.org")  # type: ignore[arg-type]


def test_it_listens_on_this_machine_only_and_says_who_is_there_already(stream: PoseStream, g1: RobotModel) -> None:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.2", PORT))
    with pytest.raises(PoiseError, match=f"cannot listen on 127.0.0.1:{PORT}"):
        PoseStream(g1, PORT)


def test_it_can_be_opened_again_once_it_is_closed(g1: RobotModel) -> None:
    for _ in range(2):
        PoseStream(g1, PORT + 1).close()


class Topics:
    """As much of ROS 2 as the bridge needs: what it subscribes to can be called with messages."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}
        self.now_ns = 1_000_000_000
        topics, clock = self, SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now_ns))

        class Node:
            def __init__(self, name: str) -> None:
                self.get_clock = lambda: clock

            def create_subscription(self, kind: Any, name: str, callback: Any, depth: int) -> None:
                topics.heard[name] = callback

        self.modules = {
            "rclpy": SimpleNamespace(init=lambda: None, spin=lambda node: None),
            "rclpy.node": SimpleNamespace(Node=Node),
            "geometry_msgs": SimpleNamespace(),
            "geometry_msgs.msg": SimpleNamespace(PoseStamped=None, Twist=None),
        }


def test_the_bridge_of_the_page_sends_what_is_understood(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "teleop.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    topics = Topics()
    for name, module in topics.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    stream = PoseStream(g1, 8090)
    exec(compile(script, "bridge", "exec"), {})
    point, turn = SimpleNamespace(x=0.3, y=0.2, z=-0.1), SimpleNamespace(w=0.6, x=0.0, y=0.8, z=0.0)
    topics.heard["left_hand"](SimpleNamespace(pose=SimpleNamespace(position=point, orientation=turn)))
    topics.now_ns += 100_000_000
    topics.heard["cmd_vel"](SimpleNamespace(linear=SimpleNamespace(x=0.3, y=0.1), angular=SimpleNamespace(z=-0.2)))
    assert stream.poll(0.0).intent.velocity == (0.3, 0.1, -0.2)
    left, right = stream._message.hands
    assert left is not None and right is None
    assert np.allclose(left.position, [0.3, 0.2, -0.1]) and np.allclose(left.wxyz, [0.6, 0.0, 0.8, 0.0])
    topics.now_ns += 200_000_000
    topics.heard["right_hand"](SimpleNamespace(pose=SimpleNamespace(position=point, orientation=turn)))
    assert stream.poll(0.1).intent.velocity == (0.3, 0.1, -0.2)
    left, right = stream._message.hands
    assert left is None and right is not None, "the left hand's topic has been silent for 0.3 s"
    assert (stream.taken, stream.refused) == (3, 0)
    stream.close()


def test_the_message_of_the_page_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "teleop.md").read_text(encoding="utf-8")
    (message,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert parse(message.encode()).velocity == (0.2, 0.0, 0.0)
