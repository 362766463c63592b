"""A simulated robot on the loopback interface, for tests of both ends of the wire."""

from __future__ import annotations

import threading
from functools import cache

import mujoco
import numpy as np

from poise.hw.dds import LOW_CMD_TOPIC, LOW_STATE_TOPIC, Bus, Reader, Writer
from poise.hw.simulated import SimulatedRobot
from poise.hw.unitree import UnitreeBackend
from poise.hw.unitree_hg import LOW_CMD, LOW_STATE, Record, new, sealed
from poise.robots import RobotModel, load_robot
from poise.robots.plant import compile_plant
from poise.sim import NOISE, MujocoBackend

PATIENCE_S = 20.0
PERIOD_S = 0.002
# Unitree's numbers of a G1's 29 motors, from its developer guide.
G1_MOTORS = (
    "left_hip_pitch left_hip_roll left_hip_yaw left_knee left_ankle_pitch left_ankle_roll "
    "right_hip_pitch right_hip_roll right_hip_yaw right_knee right_ankle_pitch right_ankle_roll "
    "waist_yaw waist_roll waist_pitch "
    "left_shoulder_pitch left_shoulder_roll left_shoulder_yaw left_elbow left_wrist_roll left_wrist_pitch left_wrist_yaw "
    "right_shoulder_pitch right_shoulder_roll right_shoulder_yaw right_elbow right_wrist_roll right_wrist_pitch right_wrist_yaw"
).split()


@cache
def parts() -> tuple[RobotModel, mujoco.MjModel]:
    """The G1 and its plant, made once."""
    robot = load_robot("g1")
    return robot, compile_plant(robot.description)


def plant(floating: bool = False) -> MujocoBackend:
    """Without noise; floating: above the ground, and weightless."""
    robot, model = parts()
    backend = MujocoBackend(robot, model, noise=NOISE["none"])
    if floating:
        backend.model.opt.gravity[:] = 0.0
        backend.data.qpos[2] += 1.0
        mujoco.mj_forward(backend.model, backend.data)
    return backend


class Client:
    """Speaks Unitree's messages itself: nothing of the stack's own side of the wire is in it."""

    def __init__(self, bus: Bus, speaker: SimulatedRobot, plant: MujocoBackend) -> None:
        self.commands: Writer = bus.writer(LOW_CMD_TOPIC, LOW_CMD)
        self.states: Reader = bus.reader(LOW_STATE_TOPIC, LOW_STATE)
        self.speaker, self.plant = speaker, plant

    def command(self, kp: float = 40.0, **changed: float) -> Record:
        """Every motor held where the posture has it; those that are named, without `_joint`, elsewhere (rad)."""
        robot, _ = parts()
        record = new(LOW_CMD)
        record["mode_machine"] = 5
        motors = record["motor_cmd"]
        for i, name in enumerate(G1_MOTORS):
            motors["mode"][i], motors["kp"][i], motors["kd"][i] = 1, kp, 2.0
            motors["q"][i] = robot.posture[robot.joint_names.index(f"{name}_joint")] + changed.get(name, 0.0)
        return sealed(record)

    def say(self, record: Record) -> None:
        """Send it, and see that it has arrived."""
        self.commands.write(record)
        assert self.speaker.wait(PATIENCE_S)

    def steps(self, count: int, record: Record | None = None) -> list[Record]:
        """So many periods, each with the command where there is one; the states that came, one after another."""
        came = []
        for _ in range(count):
            if record is not None:
                self.say(record)
            self.speaker.step()
            came += self.states.take()
        return came


class Walked(UnitreeBackend):
    """The stack's side of the wire and, in a thread, a simulated robot that moves by a period each time it is commanded."""

    def __init__(self, bus: Bus, plant: MujocoBackend) -> None:
        robot, _ = parts()
        self.plant, self.speaker = plant, SimulatedRobot(robot, plant, bus, PERIOD_S, own_program="")
        self._found, self._silent, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        super().__init__(robot, bus, first_s=PATIENCE_S)
        self._found.set()
        self._silent.wait()  # from now on it speaks when it is commanded, and only then
        self.reset()

    def _serve(self) -> None:
        while not self._found.wait(0.01):
            self.speaker.speak()
        self._silent.set()
        while not self._ended.is_set():
            if self.speaker.wait(0.02):
                self.speaker.step()

    def close(self) -> None:
        super().close()
        self._ended.set()
        self._thread.join()


def joint(backend: MujocoBackend, name: str) -> float:
    """Truth: where the plant has a joint, rad."""
    return float(backend.data.joint(f"{name}_joint").qpos[0])


def all_joints(backend: MujocoBackend) -> np.ndarray:
    """Truth: where the plant has the joints of the motors, in Unitree's order, rad."""
    return np.array([joint(backend, name) for name in G1_MOTORS])
