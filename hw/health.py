"""What a Unitree robot says of itself beside its motion: is it fit to be armed, and does its remote ask for a stop?"""

from __future__ import annotations

import math
import time
from collections import deque

import numpy as np

from poise.control.rotation import matrix_from_quat
from poise.robots import RobotModel

from .dds import BATTERY_TOPIC, Bus
from .unitree import UnitreeBackend
from .unitree_g1 import Wiring
from .unitree_hg import BMS_STATE
from .wireless_remote import asks_for_stop

RATE_HZ, RATE_STATES = 400.0, 100  # the least rate, over so many states
LEAN_RAD = 0.6  # of a pelvis that is upright enough
BEYOND_RAD = 0.1  # of a joint's limits: encoders' zeros are not exact
HOT_C = 85.0
BATTERY_LEAST = 20.0  # %


class UnitreeHealth:
    """Looks at the newest messages of a backend and of the battery's topic."""

    def __init__(self, robot: RobotModel, backend: UnitreeBackend, bus: Bus) -> None:
        self._robot, self._backend, self._wiring = robot, backend, Wiring(robot)
        self._batteries = bus.reader(BATTERY_TOPIC, BMS_STATE)
        self._arrivals: deque[float] = deque(maxlen=RATE_STATES)
        self.battery = math.nan

    def look(self) -> None:
        """Once a period: note when the newest state came, and what the battery says."""
        if not self._arrivals or self._backend.arrived_s != self._arrivals[-1]:
            self._arrivals.append(self._backend.arrived_s)
        for record in self._batteries.take():
            self.battery = float(record["soc"])

    @property
    def remote(self) -> bytes:
        """The bytes of the wireless remote."""
        return self._backend.low_state["wireless_remote"].tobytes()

    def stops(self) -> str:
        """Who on the robot's side asks for an emergency stop; empty: nobody."""
        return "wireless remote" if asks_for_stop(self.remote) else ""

    def unfit(self) -> str:
        """Every reason against arming it, each with what to do; empty where nothing speaks against it."""
        return "; ".join(filter(None, (self._rate(), self._upright(), self._joints(), self._motors(), self._charge())))

    def _rate(self) -> str:
        span = (
            time.monotonic() - self._arrivals[0] if len(self._arrivals) == RATE_STATES else math.inf
        )  # until now: it may have fallen silent
        rate = RATE_STATES / span
        return "" if rate >= RATE_HZ else f"states come {rate:.0f} times a second, not {RATE_HZ:.0f}: wait, or look at the network"

    def _upright(self) -> str:
        quaternion = self._backend.low_state["imu_state"]["quaternion"].astype(float)
        if not abs(float(np.linalg.norm(quaternion)) - 1.0) < 1e-2:
            return "the IMU's orientation is none: switch the robot off and on"
        lean = math.acos(min(1.0, max(-1.0, float(matrix_from_quat(quaternion)[2, 2]))))
        return "" if lean <= LEAN_RAD else f"the pelvis leans by {math.degrees(lean):.0f}°: put the robot upright"

    def _joints(self) -> str:
        robot, q = self._robot, self._backend.read().joint_position
        sound = (q >= robot.position_min - BEYOND_RAD) & (q <= robot.position_max + BEYOND_RAD)  # NaN is not
        return f"not within its limits: {self._names(~sound)}: see to encoders and motor map" if not sound.all() else ""

    def _motors(self) -> str:
        motor = self._backend.low_state["motor_state"][self._wiring.motors]
        faulty, hot = motor["motorstate"] != 0, motor["temperature"].max(axis=1) > HOT_C
        said = [f"motor in error: {self._names(faulty)}" if faulty.any() else ""]
        said.append(f"motor above {HOT_C:.0f} °C: {self._names(hot)}: let it cool" if hot.any() else "")
        return "; ".join(filter(None, said))

    def _charge(self) -> str:
        return f"the battery has {self.battery:.0f} %: charge it" if self.battery < BATTERY_LEAST else ""

    def _names(self, marked: np.ndarray) -> str:
        return ", ".join(self._robot.joint_names[i] for i in np.flatnonzero(marked))
