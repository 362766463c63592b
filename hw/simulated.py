"""A Unitree G1 that is simulated: it speaks the robot's topics around any Backend, checks what it hears, and fails as it is told to."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from poise.robots import Backend, JointCommand, RobotModel
from poise.robots.commands import damping_command, hold_command
from poise.robots.types import Array

from .dds import BATTERY_TOPIC, LOW_CMD_TOPIC, LOW_STATE_TOPIC, TORSO_IMU_TOPIC, Bus
from .motion_switcher import MotionSwitcher
from .unitree_g1 import Wiring, imu_record
from .unitree_hg import BMS_STATE, IMU_STATE, LOW_CMD, LOW_STATE, Record, encode, new, sealed
from .wire_faults import WireFaults

MACHINE = {29: 5, 23: 4}  # mode_machine by the number of joints
OWN_PROGRAM = "ai"  # that has the motors of a robot that was just switched on
NO_TORQUE = 1  # in motorstate
HOT_C = 100.0
CHANGES = 64
Imu = tuple[Array, Array, Array]  # orientation wxyz (4,), rate (3,) rad/s, specific force (3,) m/s²


@dataclass(frozen=True)
class SimulatedConfig:
    """How the robot behaves that is not in its mechanics."""

    timeout_s: float = 0.05  # without a sound command, then the motors are damped
    battery_every: int = 250  # states between two of the battery's
    torso_every: int = 2  # and of the torso's IMU
    ambient_c: float = 30.0
    heating_c: float = 60.0  # above ambient of a motor that gives its most torque for good
    warming_s: float = 120.0  # time constant of that


class SimulatedRobot:
    """`step` is one period: it takes the newest sound command, moves, and speaks.

    Attributes:
        faults: what is wrong with it now.
        remote: the bytes of its wireless remote.
        heard: sound commands that it took.
        commanded: what the motors are asked for: "torque", "stiffness", "damping" or "nothing".
        changes: when that changed, by this machine's monotonic clock (s), and to what: the last few.
    """

    def __init__(
        self,
        robot: RobotModel,
        backend: Backend,
        bus: Bus,
        period_s: float,
        own_program: str = OWN_PROGRAM,
        seed: int = 0,
        torso_imu: Callable[[], Imu] | None = None,
    ) -> None:
        """Stand where the backend stands, which moves by `period_s` a write, on a bus; `torso_imu` reads the IMU in its torso, if any."""
        self._period_s = period_s
        self._robot, self._backend, self._wiring, self._config = robot, backend, Wiring(robot), SimulatedConfig()
        self._commands, self._states = bus.reader(LOW_CMD_TOPIC, LOW_CMD), bus.writer(LOW_STATE_TOPIC, LOW_STATE)
        self._batteries, self._torsos = bus.writer(BATTERY_TOPIC, BMS_STATE), bus.writer(TORSO_IMU_TOPIC, IMU_STATE)
        self._torso_imu = torso_imu
        self._switcher = MotionSwitcher(bus, own_program)
        self._rng = np.random.default_rng(seed)
        self.faults, self.remote, self.heard = WireFaults(), bytes(40), 0
        self._temperature = np.full(robot.n, self._config.ambient_c)
        self._held, self._damped = hold_command(robot, robot.posture), damping_command(robot)
        self._command: JointCommand | None = None
        self._heard_s, self._steps = -np.inf, 0
        self._late: deque[tuple[float, bytes]] = deque()
        self.state = self._stuck = backend.read()
        self.commanded = "nothing"
        self.changes: deque[tuple[float, str]] = deque(maxlen=CHANGES)

    @property
    def refused(self) -> int:
        """Commands that were not whole, or had a wrong checksum."""
        return self._commands.refused

    @property
    def driven(self) -> bool:
        """Whether somebody's commands move its joints."""
        return self._command is not None and bool(self._command.kp.any() or self._command.tau.any())

    def wait(self, seconds: float) -> bool:
        """Wait for a command at most so long; returns whether there is one."""
        return self._commands.wait(seconds)

    def step(self) -> None:
        """One control period of the backend."""
        self._switcher.serve()
        self._listen()
        self._backend.write(self._wanted())
        self.state = self._backend.read()
        self._warm()
        self._steps += 1
        self.speak()

    def speak(self) -> None:
        """Say where it is, with what is wrong with that, and now and then what the battery has."""
        faults, now_s = self.faults, self.state.stamp_s
        data = self._message()
        if now_s < faults.silent_until_s:
            return
        if self._rng.random() >= faults.drop:
            self._late.append((now_s + faults.late_s, data))
        while self._late and self._late[0][0] <= now_s:
            self._states.write_bytes(self._late.popleft()[1])
        if now_s < faults.garbage_until_s:
            garbage = self._rng.bytes(int(self._rng.integers(len(data), 2 * len(data))))  # Cyclone DDS itself sends nothing shorter
            self._states.write_bytes(data[:4] + garbage)
        if self._steps % self._config.battery_every == 0:
            self._batteries.write(self._battery())
        if self._torso_imu is not None and self._steps % self._config.torso_every == 0:
            self._torsos.write(imu_record(*self._torso_imu()))

    def _listen(self) -> None:
        now_s = self.state.stamp_s
        records = self._commands.take()
        if records and not self._switcher.mode and now_s >= self.faults.silent_until_s:
            self._command, self._heard_s = self._wiring.command(records[-1]), now_s
            self.heard += len(records)
        elif now_s - self._heard_s > self._config.timeout_s:
            self._command = None
        if (commanded := _kind(self._command)) != self.commanded:
            self.commanded = commanded
            self.changes.append((time.monotonic(), commanded))

    def _wanted(self) -> JointCommand:
        """Of the motors: what is commanded, what the robot's own program holds, or damping."""
        wanted, dead = self._command or (self._held if self._switcher.mode else self._damped), self.faults.dead
        return replace(wanted, torque_limit=np.where(self._marked(dead), 0.0, wanted.torque_limit)) if dead else wanted

    def _warm(self) -> None:
        cfg, torque = self._config, self.state.joint_torque
        assert torque is not None  # what goes over the wire has one
        goal = cfg.ambient_c + cfg.heating_c * np.square(torque / self._robot.torque_limit)
        self._temperature += (goal - self._temperature) * self._period_s / cfg.warming_s

    def _message(self) -> bytes:
        """The newest state on the wire, with what is wrong with it."""
        faults, state = self.faults, self.state
        if faults.stuck:
            stuck = self._marked(faults.stuck)
            position = np.where(stuck, self._stuck.joint_position, state.joint_position)
            state = replace(state, joint_position=position, joint_velocity=np.where(stuck, 0.0, state.joint_velocity))
        self._stuck = state
        record = self._wiring.low_state(state, MACHINE.get(self._robot.n, 0))
        motor, motors = record["motor_state"], self._wiring.motors
        motor["motorstate"][motors[list(faults.dead)]] = NO_TORQUE
        motor["temperature"][motors] = np.round(self._temperature)[:, None]
        motor["temperature"][motors[list(faults.hot)]] = HOT_C
        record["wireless_remote"] = np.frombuffer(self.remote, np.uint8)
        if state.stamp_s < faults.nan_until_s:
            motor["q"][int(self._rng.integers(29))] = np.nan
        data = encode(sealed(record))
        return self._corrupted(data) if self._rng.random() < faults.corrupt else data

    def _corrupted(self, data: bytes) -> bytes:
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        bits[int(self._rng.integers(32, bits.size))] ^= 1  # the first bytes say what the rest is
        return np.packbits(bits).tobytes()

    def _battery(self) -> Record:
        battery = new(BMS_STATE)
        battery["soc"], battery["soh"] = round(self.faults.battery), 100
        return battery

    def _marked(self, joints: set[int]) -> Array:
        marked = np.zeros(self._robot.n, bool)
        marked[list(joints)] = True
        return marked


def _kind(command: JointCommand | None) -> str:
    if command is None:
        return "nothing"
    return "stiffness" if command.kp.any() else "damping" if command.kd.any() else "torque"
