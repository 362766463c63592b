"""A simulated robot on the wire, with whoever stands beside it: hoist, pushes, remote, faults, by lines of words."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from poise.hw.simulated import SimulatedRobot
from poise.hw.wire_faults import HELP as FAULTS
from poise.hw.wireless_remote import KEYS, Remote, encode
from poise.robots import PoiseError, RobotModel
from poise.sim import MujocoBackend, Push
from poise.sim.hoist import Hoist

from .posed import pose_type

ORDERS = {
    "lower": "let the robot down to the ground",
    "raise": "pull it up again",
    "push": "NEWTON_SECONDS DEGREES: at the torso, from forward to the left",
    "remote": "KEYS: hold keys of the wireless remote, as L2+B; `remote none` lets go",
    "fault": f"KIND VALUE: {', '.join(FAULTS)}",
    "hang": "put it back on the hoist, as it was switched on",
    "status": "print what it does, as JSON",
    "quit": "end",
}
HANGING_M, HOIST_MPS = 0.12, 0.1  # how high the soles hang, and how fast the hoist moves
HELD_S = 4.0  # with --hoist auto: so long after somebody's commands hold the joints it is lowered


class Simulation:
    """Advances the robot a period at a time and does what it is told in between.

    Attributes:
        ended: it was told to end.
    """

    def __init__(self, robot: RobotModel, backend: MujocoBackend, speaker: SimulatedRobot, hanging: bool, by_itself: bool) -> None:
        """Stand it on the ground, or hang it up; by itself, the hoist lowers a robot whose joints have been held for a while."""
        self._backend, self._speaker, self._by_itself = backend, speaker, by_itself and hanging
        self._torso, self._held_s, self.ended = robot.overlay.torso, 0.0, False
        self._stands_m = float(backend.data.body(self._torso).xpos[2])
        self._hoist = Hoist(self._torso, 0.0, 0.0)
        self._pushes: list[Push] = []
        if hanging:
            self._hang_up()

    def step(self) -> None:
        """One period."""
        if self._by_itself:
            self._held_s = self._held_s + self._backend.period_s if self._speaker.driven else 0.0
            if self._held_s > HELD_S:
                self._by_itself = False
                self.order("lower")
        self._speaker.step()

    def status(self) -> dict[str, Any]:
        """What it does: what its motors are asked for and when that changed, how it stands, and what it has heard."""
        backend, speaker = self._backend, self._speaker
        return {
            "monotonic_s": time.monotonic(),
            "commanded": speaker.commanded,
            "changes": list(speaker.changes),
            "pelvis_height_m": backend.pelvis_height,
            "tilt_rad": backend.tilt,
            "position_m": backend.base_position_world.tolist(),
            "heard": speaker.heard,
            "refused": speaker.refused,
        }

    def pose(self) -> np.ndarray:
        """The plant's configuration, a record of `posed.pose_type`."""
        record = np.zeros((), pose_type(self._backend.model))
        record["qpos"] = self._backend.data.qpos
        return record

    def order(self, line: str) -> str:
        """Do what a line says, and say what is wrong with it, or nothing."""
        words = line.split()
        if not words:
            return ""
        try:
            self._orders(words[0])(words[1:])
        except PoiseError as error:
            return str(error)
        return ""

    def _orders(self, name: str) -> Callable[[list[str]], None]:
        known: dict[str, Callable[[list[str]], None]] = {
            "lower": lambda words: self._move_hoist(0.0),
            "raise": lambda words: self._move_hoist(self._stands_m + HANGING_M),
            "push": self._push,
            "remote": self._remote,
            "fault": lambda words: self._speaker.faults.order(words, self._backend.robot, self._speaker.state.stamp_s),
            "hang": lambda words: self._hang_up(),
            "status": lambda words: print(json.dumps(self.status()), flush=True),
            "quit": lambda words: setattr(self, "ended", True),
        }
        if name not in known:
            told = "; ".join(f"{order}: {what}" for order, what in ORDERS.items())
            raise PoiseError(f"{name}: not an order; there are {told}")
        return known[name]

    def _move_hoist(self, to_m: float) -> None:
        data = self._backend.data
        now, x, y, z = float(data.time), *map(float, data.body(self._torso).xpos)
        from_m = min(self._hoist.height_m(now), z)  # a slack rope is taken up first
        self._hoist = Hoist(self._torso, from_m, to_m, now, now + abs(to_m - from_m) / HOIST_MPS, (x, y))
        self._hang()

    def _hang_up(self) -> None:
        backend, time_s = self._backend, self._backend.data.time
        backend.reset()
        backend.data.time = time_s  # the robot's clock goes on
        backend.data.qpos[2] += HANGING_M
        mujoco.mj_forward(backend.model, backend.data)
        height_m = self._stands_m + HANGING_M
        self._hoist, self._pushes = Hoist(self._torso, height_m, height_m), []
        self._hang()

    def _push(self, words: list[str]) -> None:
        impulse, degrees = math.nan, math.nan
        with contextlib.suppress(ValueError, IndexError):
            impulse, degrees = float(words[0]), float(words[1])
        if not (0.0 < impulse <= 200.0 and abs(degrees) <= 360.0):
            raise PoiseError(f"push {' '.join(words)}: give N·s from above 0 to 200 and degrees, as push 20 90")
        angle = math.radians(degrees)
        way = (math.cos(angle), math.sin(angle), 0.0)
        self._pushes = [Push(self._torso, way, impulse, float(self._backend.data.time), frame="heading")]
        self._hang()

    def _remote(self, words: list[str]) -> None:
        keys = set() if words == ["none"] else set("+".join(words).split("+"))
        if not words or not keys <= set(KEYS):
            raise PoiseError(f"remote {' '.join(words)}: give keys as L2+B, of {', '.join(KEYS)}, or none")
        self._speaker.remote = encode(Remote(frozenset(keys)))

    def _hang(self) -> None:
        self._backend.disturbances = (self._hoist, *self._pushes)
