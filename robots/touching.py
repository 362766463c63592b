"""Which bodies of a robot touch each other somewhere in its joints' range, by sampling: what a choice of capsule pairs is held against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import mujoco
import numpy as np

from .collision import CollisionModel
from .model import RobotModel
from .plant import compile_plant

ALWAYS = 0.98  # share of postures, from which on two bodies are built into each other
NEAR_M = 0.015  # nearer than which capsules speak of a touch


@dataclass(frozen=True)
class Touch:
    """Two bodies that touch in some postures."""

    first: str
    second: str
    touch: float  # share of postures in which they do,
    unseen: float  # and in which no capsules that stand for them are near


def touching(robot: RobotModel, postures: int, seed: int) -> list[Touch]:
    """The pairs of bodies whose geoms touch, those that capsules see least first, in postures drawn evenly from the joints' ranges.

    Geoms that are only drawn count, by their convex hulls. Bodies that are joined, or built into each other, are left out. A pair of
    capsules that the overlay holds apart stands for two bodies when each is on one of them, or on a body that is joined to it.
    """
    mj, capsules = compile_plant(robot.description), CollisionModel(robot)
    mj.geom_contype[:] = mj.geom_conaffinity[:] = mj.geom_bodyid > 0
    on = {capsule.name: int(mj.body(capsule.body).id) for capsule in robot.overlay.capsules}
    held_apart = [(on[a], on[b]) for a, b in robot.overlay.collision_pairs]
    data, rng = mujoco.MjData(mj), np.random.default_rng(seed)
    touch, unseen = Counter[frozenset[int]](), Counter[frozenset[int]]()
    where = [int(mj.jnt_qposadr[mj.joint(name).id]) for name in robot.joint_names]
    for _ in range(postures):
        data.qpos[where] = q = rng.uniform(robot.position_min, robot.position_max)
        mujoco.mj_fwdPosition(mj, data)
        found = {frozenset(map(int, pair)) for pair in mj.geom_bodyid[data.contact.geom[data.contact.dist <= 0.0]]}
        touch.update(found)
        near = [held_apart[k] for k in np.flatnonzero(capsules.distances(q) <= NEAR_M)]
        unseen.update(pair for pair in found if not any(_stand_for(mj, capsule_pair, pair) for capsule_pair in near))
    pairs = [pair for pair, times in touch.items() if times < ALWAYS * postures]
    pairs.sort(key=lambda pair: (-unseen[pair], -touch[pair]))
    names = {pair: sorted(mj.body(body).name for body in pair) for pair in pairs}
    return [Touch(names[pair][0], names[pair][1], touch[pair] / postures, unseen[pair] / postures) for pair in pairs]


def _stand_for(mj: mujoco.MjModel, capsules: tuple[int, int], bodies: frozenset[int]) -> bool:
    """Whether capsules on two bodies stand for a pair of bodies."""
    (a, b), (c, d) = capsules, tuple(bodies)
    return (_joined(mj, a, c) and _joined(mj, b, d)) or (_joined(mj, a, d) and _joined(mj, b, c))


def _joined(mj: mujoco.MjModel, a: int, b: int) -> bool:
    return bool(a == b or mj.body_parentid[a] == b or mj.body_parentid[b] == a)
