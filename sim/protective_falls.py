"""Falls that cannot be saved: how hard each part of the robot hits the ground, limp, damped, and as the stack falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from poise.control import Stack
from poise.robots import Intent, JointCommand, PoiseError, RobotModel, RobotState
from poise.robots.commands import damping_command
from poise.robots.plant import compile_plant
from poise.robots.types import Array

from .disturbances import Push
from .mujoco_backend import MujocoBackend

PUSH_NS = (70.0, 100.0)  # at the torso, from any side: no stand and no walk survives it
LEAN_S = 3.0  # after the push, within which the robot must be falling
FALL_S = 3.5  # from there on, until it lies: after 2 s the stack damps it, and what held the trunk gives way
WALK_MPS = 0.5
PARTS = ("torso", "hands", "knees", "pelvis")
WAYS = ("limp", "damped", "descent")

MakeStack = Callable[[RobotModel, int], Stack]


@dataclass(frozen=True)
class FallWork:
    """Runs one fall, from the same state in every way. Picklable."""

    robot: RobotModel
    make_stack: MakeStack
    plant: Path | None = None

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Per way and part: peak force N, impulse N·s, greatest speed at which it met the ground m/s; fell: whether there was a fall."""
        stack = self.make_stack(self.robot, case["seed"])
        backend = self._pushed(stack, case["seed"])
        if not lean_over(stack, backend, Intent(velocity=(WALK_MPS if case["seed"] % 2 else 0.0, 0.0, 0.0))):
            return {**case, "fell": False, "ways": {}}
        begin, memory, ways = backend.snapshot(), stack.snapshot(), {}
        for way, command in self._ways(stack).items():
            backend.restore(begin)
            stack.restore(memory)
            ways[way] = fall(self.robot, backend, command)
        return {**case, "fell": True, "ways": ways}

    def _pushed(self, stack: Stack, seed: int) -> MujocoBackend:
        rng = np.random.default_rng(seed)
        way, impulse, at_s = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(*PUSH_NS), 2.0 + rng.uniform(0.0, 0.5)
        push = Push(self.robot.overlay.torso, (float(np.cos(way)), float(np.sin(way)), 0.0), impulse, at_s)
        model = compile_plant(self.robot.description if self.plant is None else self.plant)
        backend = MujocoBackend(self.robot, model, period_s=stack.period_s, disturbances=(push,))
        backend.reset(seed)
        stack.reset(seed)
        return backend

    def _ways(self, stack: Stack) -> dict[str, Callable[[RobotState], JointCommand]]:
        zero = np.zeros(self.robot.n)
        limp = JointCommand(self.robot.posture, zero, zero, zero, zero, self.robot.torque_limit)
        damped = damping_command(self.robot)
        return dict(zip(WAYS, (lambda _: limp, lambda _: damped, lambda state: stack.step(state, Intent()).command), strict=True))


def lean_over(stack: Stack, backend: MujocoBackend, intent: Intent) -> bool:
    """Run until the stack gives the robot up; whether it came to that."""
    while backend.data.time < 2.5 + LEAN_S:
        state = backend.read()
        before = stack.snapshot()
        decision = stack.step(state, intent)
        if decision.status == "safe":
            stack.restore(before)
            return True
        backend.write(decision.command)
    return False


def fall(robot: RobotModel, backend: MujocoBackend, command: Callable[[RobotState], JointCommand]) -> dict[str, dict[str, float]]:
    """What hits the ground, part by part, until the robot lies."""
    part_of = parts(robot, backend.model)
    found = {part: {"peak_n": 0.0, "impulse_ns": 0.0, "speed_mps": 0.0} for part in PARTS}
    touching: set[str] = set()
    for _ in range(round(FALL_S / backend.period_s)):
        before = {body: _velocity(backend, body) for body in part_of}
        backend.write(command(backend.read()))
        force, speed = dict.fromkeys(PARTS, 0.0), dict.fromkeys(PARTS, 0.0)
        for body, point, newton in ground_contacts(backend):
            part = part_of.get(body)
            if part is None:
                continue
            omega, velocity = before[body]
            force[part] += newton
            speed[part] = max(speed[part], -float((velocity + np.cross(omega, point - backend.data.xpos[body]))[2]))
        for part in PARTS:
            figures = found[part]
            figures["peak_n"] = max(figures["peak_n"], force[part])
            figures["impulse_ns"] += force[part] * backend.period_s
            if force[part] > 0.0 and part not in touching:
                figures["speed_mps"] = max(figures["speed_mps"], speed[part])
        touching = {part for part in PARTS if force[part] > 0.0}
    return found


def parts(robot: RobotModel, model: mujoco.MjModel) -> dict[int, str]:
    """Which body belongs to which part: torso with head, pelvis with hips, knees, and hands from the elbows on."""
    of: dict[int, str] = {model.body(robot.overlay.torso).id: "torso", model.body(robot.overlay.base).id: "pelvis"}
    legs, arms = np.split(robot.legs, 2), np.split(robot.arms, 2)
    for joints, part in ((np.concatenate([leg[:3] for leg in legs]), "pelvis"), ([leg[3] for leg in legs], "knees")):
        of |= {_body_of(robot, model, joint): part for joint in joints}
    return of | {_body_of(robot, model, joint): "hands" for arm in arms for joint in arm[3:]}


def ground_contacts(backend: MujocoBackend) -> list[tuple[int, Array, float]]:
    """Body, place (3,) m and normal force N of each contact with the world."""
    model, data, found, force = backend.model, backend.data, [], np.zeros(6)
    for i in range(data.ncon):
        contact = data.contact[i]
        bodies = [int(model.geom_bodyid[geom]) for geom in (contact.geom1, contact.geom2)]
        if (bodies[0] == 0) == (bodies[1] == 0):
            continue
        mujoco.mj_contactForce(model, data, i, force)
        found.append((max(bodies), np.array(contact.pos), abs(float(force[0]))))
    return found


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Falls, and per way and part the median of each figure, and that of descent as a share of limp.

    Raises:
        PoiseError: no robot fell.
    """
    fallen = [run["ways"] for run in runs if run["fell"]]
    if not fallen:
        raise PoiseError("no robot fell: give more seeds")
    figures = ("peak_n", "impulse_ns", "speed_mps")
    medians = {
        way: {part: {name: float(np.median([run[way][part][name] for run in fallen])) for name in figures} for part in PARTS}
        for way in WAYS
    }
    return {"falls": len(fallen), "runs": len(runs), "medians": medians}


def _body_of(robot: RobotModel, model: mujoco.MjModel, joint: int) -> int:
    return int(model.jnt_bodyid[model.joint(robot.joint_names[joint]).id])


def _velocity(backend: MujocoBackend, body: int) -> tuple[Array, Array]:
    """Angular and linear velocity of a body's origin in the world, (3,) each."""
    out = np.zeros(6)
    mujoco.mj_objectVelocity(backend.model, backend.data, mujoco.mjtObj.mjOBJ_BODY, body, out, 0)
    return out[:3], out[3:]
