"""A Unitree G1 as a Backend: LowCmd out, LowState in, over DDS."""

from __future__ import annotations

import time

from poise.robots import JointCommand, PoiseError, RobotModel, RobotState
from poise.robots.commands import sendable

from .dds import LOW_CMD_TOPIC, LOW_STATE_TOPIC, Bus, Reader
from .unitree_g1 import Wiring
from .unitree_hg import LOW_CMD, LOW_STATE, Record

FIRST_S = 5.0  # how long a robot may take to be found
NEXT_S = 0.004  # two periods: how long a write waits for the state that follows it


def first_state(reader: Reader, patience_s: float = FIRST_S) -> Record:
    """The newest state of a robot, once it speaks.

    Raises:
        PoiseError: it does not within so long.
    """
    end = time.monotonic() + patience_s
    while (left := end - time.monotonic()) > 0.0:
        reader.wait(left)
        if records := reader.take():
            return records[-1]
    raise PoiseError(
        f"no robot speaks on {LOW_STATE_TOPIC} within {patience_s:g} s; switch it on, name the interface it is on, or "
        "start a simulated one with `poise simulate --robot g1 --dds`"
    )


class UnitreeBackend:
    """A robot on a bus. The robot's own clock paces: a write sends, and returns when the next state has come, or none did in time.

    Attributes:
        low_state: the newest LowState, a record of `unitree_hg.LOW_STATE`.
        arrived_s: when it came, by this machine's monotonic clock, s.
    """

    def __init__(self, robot: RobotModel, bus: Bus, *, read_only: bool = False, first_s: float = FIRST_S) -> None:
        """Find the robot; nothing is sent yet.

        Args:
            robot: its model; each joint must be one that a G1 has a motor for.
            bus: where it speaks.
            read_only: never send anything.
            first_s: how long to wait for its first state, s.

        Raises:
            PoiseError: no robot speaks on the bus, or it has not the model's joints.
        """
        self._robot, self._wiring, self._read_only = robot, Wiring(robot), read_only
        self._reader = bus.reader(LOW_STATE_TOPIC, LOW_STATE)
        self._writer = None if read_only else bus.writer(LOW_CMD_TOPIC, LOW_CMD)
        self.low_state, self.arrived_s = first_state(self._reader, first_s), time.monotonic()
        self._state = self._wiring.state(self.low_state)

    @property
    def refused(self) -> int:
        """How many states were not whole, or had a wrong checksum."""
        return self._reader.refused

    def reset(self, seed: int | None = None) -> RobotState:
        """The newest state: a robot is where it is."""
        self._take(0.0)
        return self._state

    def read(self) -> RobotState:
        """The newest state that the last write waited for."""
        return self._state

    def write(self, command: JointCommand) -> JointCommand:
        """Send a command, wait for the next state, and return what was sent: what motors cannot take becomes damping."""
        sent = sendable(self._robot, command, self._robot.torque_limit)
        if self._writer is not None:
            self._writer.write(self._wiring.low_cmd(sent, int(self.low_state["mode_machine"])))
        self.idle()
        return sent

    def idle(self) -> None:
        """Send nothing, and wait for the next state."""
        self._take(NEXT_S)

    def close(self) -> None:
        """Say nothing more; the bus is its maker's to close. A robot that hears nothing damps its motors."""
        self._writer = None

    def _take(self, wait_s: float) -> None:
        """Keep the newest of what has come in; wait for it where nothing has yet."""
        records = self._reader.take()
        if not records and wait_s > 0.0:
            self._reader.wait(wait_s)
            records = self._reader.take()
        if records:
            self.low_state, self.arrived_s = records[-1], time.monotonic()
            self._state = self._wiring.state(self.low_state)
