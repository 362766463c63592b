"""Poses of an operator's head and hands, from a headset or motion capture, over UDP and WebSocket.

A message is a JSON text, one a datagram or frame, as docs/teleop.md says. It is trusted no further than its format: what is malformed,
older than what came before or out of all proportion is refused and counted.
"""

from __future__ import annotations

import math
import re
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from poise.robots import Intent, PoiseError, RobotModel
from poise.robots.reading import parse_json, shown

from .operation import STILL, Buttons, Operated, Velocity, bounded
from .retarget import HANDS, Pose, Retarget, torso_of

try:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import ServerConnection, serve
except ImportError as error:
    raise PoiseError("the stream of poses needs websockets: in the checkout, .venv/bin/pip install -e '.[teleop]'") from error

SCHEMA = "poise.poses/1"
FRESH_S = 0.25  # the newest message is older: velocity zero, the arms hold
HOLD_S = 2.0  # and older than that: they come home
FAR_M = 3.0  # no head or hand is further from the chest
SIZE = 4096  # bytes of a message, at most
WAITING = 64  # messages that are kept until the next poll: the newest
OPTIONAL = ("head", *HANDS, "velocity", "emergency_stop")
GONE = "no poses: velocity zero, the arms hold"

# A browser says which page speaks. Only those that this machine or the named host serves are heard, and what is no browser.
_ORIGIN = r"https?://(localhost|127\.0\.0\.1|{host})(:\d+)?"


@dataclass(frozen=True, eq=False)
class Message:
    """What one message says."""

    stamp_s: float  # by the sender's clock
    head: Pose | None = None
    hands: tuple[Pose | None, Pose | None] = (None, None)  # left and right
    velocity: Velocity = STILL
    emergency_stop: bool = False


def parse(data: bytes) -> Message:
    """The message in a datagram or frame.

    Raises:
        ValueError: it is none.
    """
    if len(data) > SIZE:
        raise ValueError(f"longer than {SIZE} bytes")
    raw = parse_json(data)
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise ValueError(f'no message of "{SCHEMA}"')
    unknown = raw.keys() - {"schema", "stamp_s", *OPTIONAL}
    if unknown:
        raise ValueError(f"unknown {shown(sorted(unknown))}")
    stop = raw.get("emergency_stop", False)
    if not isinstance(stop, bool):
        raise ValueError(f"emergency_stop is {shown(stop)}; give true or false")
    (stamp_s,) = _numbers([raw.get("stamp_s")], 1, math.inf)
    vx, vy, wz = _numbers(raw.get("velocity", STILL), 3, math.inf)
    left, right = (_pose(raw, hand) for hand in HANDS)
    return Message(stamp_s, _pose(raw, "head"), (left, right), (vx, vy, wz), stop)


def _pose(raw: Mapping[str, Any], name: str) -> Pose | None:
    """x, y, z (m), then w, x, y, z of a unit quaternion."""
    if raw.get(name) is None:
        return None
    numbers = np.array(_numbers(raw[name], 7, FAR_M))
    length = float(np.linalg.norm(numbers[3:]))
    if not 0.9 < length < 1.1:
        raise ValueError(f"{name}: its quaternion has the length {length:.3g}")
    return Pose(numbers[:3], numbers[3:] / length)


def _numbers(values: Any, count: int, most: float) -> list[float]:
    if not isinstance(values, Sequence) or len(values) != count:
        raise ValueError(f"{shown(values)} are not {count} numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most or abs(value) >= 1e12:
            raise ValueError(f"{shown(value)} is no number, or too large")
    return [float(value) for value in values]


class PoseStream:
    """An operator whose hands move the robot's, whose head turns its torso, and whose velocity, where it is sent, walks it.

    Attributes:
        refused: how many messages were none, or older than what had come before.
        taken: how many were taken.
    """

    def __init__(self, robot: RobotModel, port: int, host: str = "127.0.0.1") -> None:
        """Listen on a port of one address, for datagrams and for WebSocket connections.

        Raises:
            PoiseError: nobody can listen there, or the robot has not two arms.
        """
        self._retarget, self._most = Retarget(robot), robot.overlay.gait.velocity_max
        self._buttons = Buttons()
        self._frames: deque[bytes] = deque(maxlen=WAITING)
        self._message, self._came_s, self._polled_s = Message(-math.inf), -math.inf, math.nan
        self.refused = self.taken = 0
        origins = [None, re.compile(_ORIGIN.format(host=re.escape(host)))]
        try:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((host, port))
            self._server = serve(self._hear, host, port, max_size=SIZE, origins=origins, compression=None)
        except OSError as error:
            self._socket.close()
            raise PoiseError(f"poses: cannot listen on {host}:{port} ({error.strerror}); give another port or address") from error
        self._socket.setblocking(False)
        threading.Thread(target=self._server.serve_forever, name="poses", daemon=True).start()
        self.hint = f"poses: udp://{host}:{port} and ws://{host}:{port}, as docs/teleop.md says"

    def poll(self, now_s: float) -> Operated:
        """What the newest poses ask for at a time, s."""
        dt, self._polled_s = now_s - self._polled_s, now_s
        for data in self._waiting():
            self._take(data, now_s)
        age_s, message = now_s - self._came_s, self._message
        dt = max(dt, 0.0)
        if age_s <= FRESH_S:
            arms = self._retarget.toward(message.hands, dt) if any(message.hands) else self._retarget.homeward(dt)
            torso = None if message.head is None else torso_of(message.head)
            return self._buttons.told(Intent(velocity=bounded(message.velocity, self._most), torso_rpy=torso, arms=arms))
        arms = self._retarget.arms if age_s <= HOLD_S else self._retarget.homeward(dt)
        return self._buttons.told(Intent(velocity=STILL, arms=arms), GONE if self.taken else "")

    def release(self) -> None:
        """Forget an emergency stop."""
        self._buttons.release()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._socket.close()

    def _hear(self, connection: ServerConnection) -> None:
        """Keep what one connection sends, in a thread of its own."""
        with suppress(ConnectionClosed):
            for frame in connection:
                self._frames.append(frame.encode() if isinstance(frame, str) else bytes(frame))

    def _waiting(self) -> Iterator[bytes]:
        """What has come in, no more than WAITING of each kind."""
        for _ in range(WAITING):
            try:
                yield self._socket.recv(SIZE + 1)
            except OSError:  # none is left
                break
        for _ in range(len(self._frames)):
            yield self._frames.popleft()

    def _take(self, data: bytes, now_s: float) -> None:
        try:
            message = parse(data)
        except ValueError:
            self.refused += 1
            return
        if message.emergency_stop:  # whatever its age
            self._buttons.stop()
        restarted = now_s - self._came_s > FRESH_S  # the sender's clock may have begun anew
        if message.stamp_s <= self._message.stamp_s and not restarted:
            self.refused += 1
            return
        self._message, self._came_s = message, now_s
        self.taken += 1
