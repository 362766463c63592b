"""The safety suite in MuJoCo: somebody else takes over the motors of a robot whose plant is not the model, with the certifier and without.

Bounds are counted on what was asked for, on what was sent, both at the state that the certifier was told, and on what truly happened
before a fall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import mujoco
import numpy as np

from poise.control import Stack
from poise.control.dynamics import Dynamics, fill_frames
from poise.control.safety import Certifier, SafetyConfig
from poise.control.soundness import SoundnessMonitor
from poise.control.support import Support
from poise.robots import Intent, JointCommand, RobotModel, RobotState
from poise.robots.collision import CollisionModel
from poise.robots.types import Array

from .certified_motion import RELATIVE, Watch, excesses, state_excesses
from .disturbances import Disturbance, Friction, is_ground
from .faults import STATE, SensorFault
from .metrics import fallen
from .mujoco_backend import MujocoBackend
from .noise import NOISE
from .requesters import MakeRequester
from .safety_scenario import SafetyScenario
from .senses import plant_map

HEAVY = 1e7  # kg, kg·m² that the base on the stand has more
PERIOD_S = 0.002


@dataclass(frozen=True)
class Stand:
    """Holds the base, and takes the ground away."""

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Make the base too heavy to move by anything."""
        dof = model.body_dofadr[model.body(robot.overlay.base).id]
        model.dof_armature[dof : dof + 6] = HEAVY
        model.geom_contype[is_ground(model)] = model.geom_conaffinity[is_ground(model)] = 0

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The model carries it."""


@dataclass(frozen=True)
class Bodies:
    """Every body heavier or lighter by the same share."""

    share: float

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Scale masses and inertias."""
        model.body_mass *= self.share
        model.body_inertia *= self.share
        mujoco.mj_setConst(model, mujoco.MjData(model))

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The model carries it."""


@dataclass(frozen=True)
class Weak:
    """A motor that gives no more than a share of its torque."""

    joint: str
    share: float

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Tighten what acts on the joint."""
        joint, most = model.joint(self.joint).id, self.share * robot.torque_limit[robot.joint_names.index(self.joint)]
        model.jnt_actfrclimited[joint], model.jnt_actfrcrange[joint] = 1, (-most, most)

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The model carries it."""


class Answer(NamedTuple):
    """The command that is sent, the rung it is on, the certifier's method, and whether a nearest torque was looked for and not found."""

    command: JointCommand
    rung: str
    method: str
    unsolved: bool = False


class Controller(Protocol):
    """What answers a request."""

    dynamics: Dynamics

    def __call__(self, state: RobotState, request: JointCommand | None) -> Answer:
        """One tick."""
        ...


class OnFeet:
    """The whole stack, behind whose gate requests come."""

    def __init__(self, stack: Stack, intent: Intent) -> None:
        self._stack, self._intent, self.dynamics = stack, intent, stack.dynamics

    def __call__(self, state: RobotState, request: JointCommand | None) -> Answer:
        """One tick."""
        decision = self._stack.step(state, self._intent, request)
        changed = decision.certificate.changed  # in a tick that is bridged the certifier is not asked
        return Answer(decision.command, decision.rung, decision.certificate.method, changed and self._stack.certifier.unsolved)


class OnStand:
    """The certifier alone, on what is measured; without a usable state every joint is damped."""

    def __init__(self, robot: RobotModel, config: SafetyConfig) -> None:
        self.dynamics, self._certifier = Dynamics(robot), Certifier(robot, config, PERIOD_S)
        self._monitor = SoundnessMonitor(robot, hold_ticks=10)

    def __call__(self, state: RobotState, request: JointCommand | None) -> Answer:
        """One tick; there is always a request."""
        assert request is not None
        d, problem = self.dynamics, self._monitor.check(state, Intent())[0]
        if problem and self._monitor.bridged:
            return Answer(self._monitor.last_command, "nominal", "unchanged")
        if problem:
            return Answer(self._certifier.damping(self._monitor.last_position), "damping", "damping")
        seen = self._monitor.state
        assert seen.base_orientation_wxyz is not None and seen.gyro_imu is not None
        d.run(seen.base_orientation_wxyz, seen.gyro_imu, seen.joint_position, seen.joint_velocity)
        fill_frames(d.source, d.frames, d.terms)
        command, certificate = self._certifier.certify(d, request, Support.BASE, resting=True)
        self._monitor.sent(command)
        return Answer(command, "filtered" if certificate.changed else "nominal", certificate.method, self._certifier.unsolved)


@dataclass
class Count:
    """How often each bound was broken, by how much at the worst as a share of it (negative: kept), and first when and where."""

    joints: Sequence[str]
    ticks: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, time_s: float, excess: Mapping[str, Array]) -> None:
        """Take the excess over each bound (n,) or (pairs,) of one tick."""
        for bound, over in excess.items():
            values = np.nan_to_num(over, nan=1e9, posinf=1e9, neginf=1e9)
            most = float(values.max())
            if most > self.worst.get(bound, -np.inf):
                self.worst[bound] = most
            if most > RELATIVE:
                self.ticks[bound] += 1
                at = int(values.argmax())
                self.first.setdefault(bound, {"time_s": round(time_s, 3), "of": self.joints[at] if bound != "clearance" else f"pair {at}"})

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {bound: {"ticks": self.ticks[bound], "worst": worst, **self.first.get(bound, {})} for bound, worst in self.worst.items()}


@dataclass(frozen=True)
class TrialWork:
    """Runs one case: a scenario, a requester, a seed, certified or not. Picklable."""

    robot: RobotModel
    scenarios: Mapping[str, SafetyScenario]
    make_stack: Callable[[RobotModel, int], Stack]
    config: SafetyConfig
    requesters: Mapping[str, MakeRequester]

    @np.errstate(invalid="ignore", over="ignore")  # of requests that are no numbers
    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Ticks after the takeover, whether it fell and when; asked, sent, happened: a `Count` each; rungs and methods by ticks.

        `unsolved`: by rung, ticks on which a nearest torque was looked for and not found.
        """
        scenario, seed = self.scenarios[case["scenario"]], int(case["seed"])
        backend, requester = self.backend(scenario, seed), self.requesters[case["requester"]](self.robot, seed, PERIOD_S)
        intent = Intent(velocity=scenario.velocity)
        controller, collision, plant = (
            self._controller(scenario, intent, seed),
            CollisionModel(self.robot),
            plant_map(backend.model, self.robot),
        )
        asked, sent, happened = (Count(self.robot.joint_names) for _ in range(3))
        rungs, methods, unsolved, watch, fell_s = Counter[str](), Counter[str](), Counter[str](), Watch(), None
        for tick in range(round(scenario.seconds / PERIOD_S)):
            state, time_s = backend.read(), tick * PERIOD_S
            request = requester(state, intent) if time_s >= scenario.from_s else None
            if request is None or case["certified"]:
                answer = controller(state, request)
            else:
                answer = Answer(request, "nominal", "unchanged")
            if request is not None:
                d = controller.dynamics
                q, v = (d.joint_position, d.joint_velocity) if case["certified"] else (state.joint_position, state.joint_velocity)
                asked.note(time_s, excesses(self.robot, request, np.array(q), np.array(v)))
                over = watch.excesses(self.robot, answer.command, np.array(q), np.array(v), self.config, PERIOD_S)
                sent.note(time_s, over if answer.method != "damping" else {})
                rungs[answer.rung] += 1
                methods[answer.method] += 1
                unsolved[answer.rung] += answer.unsolved
            backend.write(answer.command)
            if request is not None:
                joints, speed = np.array(backend.data.qpos[plant.qpos]), np.array(backend.data.qvel[plant.dof])
                happened.note(time_s, state_excesses(self.robot, joints, speed, collision.distances(joints)))
            if scenario.start == "floor" and fallen(backend):
                fell_s = time_s
                break
        return {
            **case,
            "ticks": sum(rungs.values()),
            "fell_s": fell_s,
            "asked": asked.to_dict(),
            "sent": sent.to_dict(),
            "happened": happened.to_dict(),
            "rungs": dict(rungs),
            "methods": dict(methods),
            "unsolved": dict(+unsolved),
        }

    def backend(self, scenario: SafetyScenario, seed: int) -> MujocoBackend:
        """The plant of a scenario, with its errors, at the start of a run."""
        plant, joints = scenario.plant, self.robot.joint_names
        disturbances: list[Disturbance] = [Friction(plant.friction), *(Weak(joint, share) for joint, share in plant.weak.items())]
        disturbances += [Bodies(plant.mass)] if plant.mass != 1.0 else []
        disturbances += [Stand()] if scenario.start == "rig" else []
        ticks, rng = round(scenario.seconds / PERIOD_S), np.random.default_rng([seed, len(joints)])
        lost = np.flatnonzero(rng.random(ticks) < plant.dropped)
        faults = [SensorFault(STATE, "frozen", float(tick) * PERIOD_S, PERIOD_S) for tick in lost if tick * PERIOD_S > scenario.from_s]
        faults += [SensorFault("joint_position", "frozen", scenario.from_s, scenario.seconds, joint) for joint in plant.dead]
        backend = MujocoBackend(
            self.robot, noise=NOISE[plant.noise], disturbances=disturbances, latency_s=plant.latency_s, faults=faults, period_s=PERIOD_S
        )
        backend.reset(seed)
        return backend

    def _controller(self, scenario: SafetyScenario, intent: Intent, seed: int) -> Controller:
        if scenario.start == "rig":
            return OnStand(self.robot, self.config)
        return OnFeet(self.make_stack(self.robot, seed), intent)
