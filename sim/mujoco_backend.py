"""A MuJoCo plant behind the Backend contract: noise, latency, disturbances, and snapshots that continue bit for bit."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from poise.control.rotation import matrix_from_quat, yaw_of
from poise.robots import JointCommand, PoiseError, RobotModel, RobotState
from poise.robots.commands import hold_command, sendable
from poise.robots.plant import compile_plant
from poise.robots.types import Array

from .disturbances import Disturbance, is_ground
from .faults import SensorFault
from .noise import NOISE, NoiseConfig, RunBias, add_noise, draw_bias
from .senses import actuate, plant_map, sense

START_SPREAD = 0.02  # rad, of the joints at reset


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A moment of a run: what `MujocoBackend.restore` needs to continue it bit for bit."""

    integration: Array  # MuJoCo's mjSTATE_INTEGRATION
    rng: Mapping[str, Any]
    bias: RunBias
    state: RobotState
    steps: int
    active: JointCommand
    queue: tuple[tuple[int, JointCommand], ...]


class MujocoBackend:
    """The robot on a plant; the plant is copied, so that disturbances and the physics period stay in this object.

    `model` and `data` are the simulator's truth: for figures, never for the controller.
    """

    def __init__(
        self,
        robot: RobotModel,
        plant: mujoco.MjModel | None = None,
        *,
        physics: float | None = None,
        period_s: float = 0.002,
        noise: NoiseConfig = NOISE["nominal"],
        disturbances: Sequence[Disturbance] = (),
        latency_s: float = 0.0,
        strength: float = 1.0,
        faults: Sequence[SensorFault] = (),
    ) -> None:
        """Put the robot on the plant (default: the one of its description) and reset it with seed 0.

        Args:
            physics: physics period, s; default the plant's own.
            latency_s: from reading to the command's effect, rounded to physics steps; the motors' PD stays local.
            strength: share of the torque asked of them that the motors give.

        Raises:
            PoiseError: the plant is not one of the robot, the periods do not fit each other, or a disturbance or fault cannot be applied.
        """
        self.robot = robot
        self.model = copy.copy(compile_plant(robot.description) if plant is None else plant)
        self.model.opt.timestep = self.model.opt.timestep if physics is None else physics
        # A diverged plant must be seen as one: MuJoCo would put it back at its start without a word.
        self.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self.period_s = period_s
        self.noise, self._strength = noise, strength
        self.disturbances = tuple(disturbances)
        for disturbance in self.disturbances:
            disturbance.edit(self.model, robot)
        self.faults = tuple(faults)
        for fault in self.faults:
            fault.check(robot)
        self.data = mujoco.MjData(self.model)
        self._plant = plant_map(self.model, robot)
        self._base = self._plant.orientation - 3
        self._substeps = _whole_steps("control period", period_s, self.model.opt.timestep)
        self._delay = round(latency_s / self.model.opt.timestep)
        if latency_s < 0.0:
            raise PoiseError(f"latency {latency_s} s: must not be negative")
        if not 0.0 < strength <= 2.0:
            raise PoiseError(f"strength {strength}: must be above 0, and at most 2")
        self._rng = np.random.default_rng(0)
        self.energy_j = self.positive_energy_j = 0.0  # truth: ∫Σ|τ·q̇|dt over the robot's joints, and of its positive part; for differences
        self.reset(0)

    def reset(self, seed: int | None = None) -> RobotState:
        """Stand the robot in its nominal posture, joints varied by the seed, soles on the ground; None draws on."""
        self._rng = self._rng if seed is None else np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self.data)
        joints = self.robot.posture + self._rng.uniform(-START_SPREAD, START_SPREAD, self.robot.n)
        self._stand(joints)
        self._bias = draw_bias(self.noise, self.robot.n, self._rng)
        self._active = hold_command(self.robot, joints)
        self._queue: deque[tuple[int, JointCommand]] = deque()
        self._steps = 0
        self._state = sense(self.model, self.data, self.robot)  # what a reading that is frozen from the first moment on stays at
        return self._sense()

    def read(self) -> RobotState:
        """The state as the noisy sensors read it after the last write; the same one until the next."""
        return self._state

    def write(self, command: JointCommand) -> JointCommand:
        """Take a command, advance one control period, return the command as it goes to the motors (after the latency)."""
        sent = sendable(self.robot, command, self._plant.torque_limit)
        self._queue.append((self._steps + self._delay, sent))
        for _ in range(self._substeps):
            self._step()
        self._sense()
        return sent

    def close(self) -> None:
        """Nothing to release."""

    def snapshot(self) -> Snapshot:
        """Everything that the rest of the run depends on."""
        integration = np.empty(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self.model, self.data, integration, mujoco.mjtState.mjSTATE_INTEGRATION)
        return Snapshot(integration, self._rng.bit_generator.state, self._bias, self._state, self._steps, self._active, tuple(self._queue))

    def restore(self, snapshot: Snapshot) -> RobotState:
        """Return to a moment of this plant and continue it bit for bit."""
        mujoco.mj_setState(self.model, self.data, snapshot.integration, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)  # contacts and poses for who looks at `data`; it moves the solver's warm start
        mujoco.mj_setState(self.model, self.data, snapshot.integration, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._rng = np.random.default_rng()
        self._rng.bit_generator.state = snapshot.rng
        self._bias, self._state, self._steps, self._active = snapshot.bias, snapshot.state, snapshot.steps, snapshot.active
        self._queue = deque(snapshot.queue)
        return self._state

    @property
    def base_position_world(self) -> Array:
        """Truth: position of the base, (3,) m."""
        return np.array(self.data.qpos[self._base : self._base + 3])

    @property
    def base_orientation_wxyz(self) -> Array:
        """Truth: orientation of the base, (4,)."""
        return np.array(self.data.qpos[self._base + 3 : self._base + 7])

    @property
    def yaw(self) -> float:
        """Truth: heading of the base, rad."""
        return float(yaw_of(matrix_from_quat(self.base_orientation_wxyz)))

    @property
    def tilt(self) -> float:
        """Truth: angle between the base's z axis and the vertical, rad."""
        return float(np.arccos(np.clip(matrix_from_quat(self.base_orientation_wxyz)[2, 2], -1.0, 1.0)))

    @property
    def pelvis_height(self) -> float:
        """Truth: height of the base above the ground under it, m; infinite where there is none."""
        position = self.base_position_world
        return float(position[2] - ground_height(self.model, self.data, position))

    @property
    def power_w(self) -> float:
        """Truth: Σ|τ·q̇| over the robot's joints now, W."""
        return float(np.abs(self._power()).sum())

    def _step(self) -> None:
        while self._queue and self._queue[0][0] <= self._steps:
            self._active = self._queue.popleft()[1]
        if self.disturbances:
            self.data.xfrc_applied[:] = 0.0
            for disturbance in self.disturbances:
                disturbance.apply(self.model, self.data)
        actuate(self.model, self.data, self.robot, self._active, self._strength)
        mujoco.mj_step(self.model, self.data)
        self._steps += 1
        work = self._power() * self.model.opt.timestep
        self.energy_j += float(np.abs(work).sum())
        self.positive_energy_j += float(np.maximum(work, 0.0).sum())

    def _power(self) -> Array:
        dof = self._plant.dof
        return np.asarray(self.data.qfrc_actuator[dof] * self.data.qvel[dof])

    def _sense(self) -> RobotState:
        truth = sense(self.model, self.data, self.robot)
        state = add_noise(truth, self.noise, self._bias, self._rng)  # drawn whatever fails: without the fault the rest of a run is the same
        for fault in self.faults:
            state = fault.read(self.robot, state, self._state)
        self._state = state
        return state

    def _stand(self, joints: Array) -> None:
        """Set the posture, then lift the robot out of the ground until its deepest point touches it."""
        start = self.robot.standing_configuration()
        base = self.data.qpos[self._base : self._base + 7]
        base[:] = [*start[:3], 1.0, 0.0, 0.0, 0.0]
        self.data.qpos[self._plant.qpos] = joints
        mujoco.mj_kinematics(self.model, self.data)
        height = ground_height(self.model, self.data, start[:3] + [0.0, 0.0, 1.0])
        base[2] += (height if np.isfinite(height) else 0.0) - 0.02
        mujoco.mj_forward(self.model, self.data)
        ground = is_ground(self.model)
        deepest = min((c.dist for c in self.data.contact if ground[c.geom1] or ground[c.geom2]), default=0.0)
        base[2] -= deepest
        mujoco.mj_forward(self.model, self.data)


def ground_height(model: mujoco.MjModel, data: mujoco.MjData, position_world: Array) -> float:
    """Height of the nearest surface fixed to the world under a point (3,), m; -inf where there is none."""
    start, down, geom = np.array(position_world), np.array([0.0, 0.0, -1.0]), np.zeros(1, np.int32)
    ground = is_ground(model)
    groups = np.zeros(mujoco.mjNGROUP, np.uint8)
    groups[np.clip(model.geom_group[ground], 0, mujoco.mjNGROUP - 1)] = 1  # spares the ray most of the robot's meshes
    while True:
        distance = mujoco.mj_ray(model, data, start, down, groups, 1, -1, geom)
        if distance < 0.0:
            return -np.inf
        start[2] -= distance
        if ground[geom[0]]:
            return float(start[2])
        start[2] -= 1e-4  # through the robot's own surface


def _whole_steps(what: str, period_s: float, physics: float) -> int:
    steps = round(period_s / physics)
    if steps < 1 or abs(steps * physics - period_s) > 1e-9:
        raise PoiseError(f"{what} {period_s} s: must be a whole number of physics steps of {physics} s")
    return steps
