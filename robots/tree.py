"""The kinematic tree as plain arrays, for numba kernels that place thousands of postures a second with the base held still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from numba import njit
from numpy.typing import NDArray

from .errors import RobotDescriptionError
from .types import Array

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tree:
    """One-degree joints in the order of Pinocchio's v[6:]; link 0 is the base, link i + 1 moves with joint i."""

    parent: Indices  # (n,) link that carries the joint
    position: Array  # (n, 3) m, joint in its parent link at joint position 0
    rotation: Array  # (n, 3, 3)
    axis: Array  # (n, 3) of turning, or of sliding
    slides: NDArray[np.bool_]  # (n,)
    mass: Array  # (n + 1,) kg, of the links
    lever: Array  # (n + 1, 3) m, centre of mass in the link
    inertia: Array  # (n + 1, 3, 3) kg·m² of the links about their centres of mass, link axes
    armature: Array  # (n,) kg·m², or kg, of the rotors as the joints feel them

    def place(self, q: Array) -> tuple[Array, Array]:
        """Link rotations (n + 1, 3, 3) and positions (n + 1, 3) m in the base frame, for joint positions q (n,)."""
        rotation, position = np.empty((len(self.mass), 3, 3)), np.empty((len(self.mass), 3))
        place_links(q, self.parent, self.position, self.rotation, self.axis, self.slides, rotation, position)
        return rotation, position


def build_tree(model: pin.Model) -> Tree:
    """Read the tree of a floating-base model whose other joints have one degree of freedom each.

    Raises:
        RobotDescriptionError: a joint after the base has more than one degree of freedom.
    """
    if any(joint.nv != 1 for joint in list(model.joints)[2:]):
        raise RobotDescriptionError(f"model {model.name!r}: only hinges and slides may follow the free joint; split the others")
    subspace = np.array([_subspace(joint) for joint in list(model.joints)[2:]])  # (n, 6), linear part first
    slides = np.linalg.norm(subspace[:, :3], axis=1) > 0.5
    return Tree(
        parent=np.array(list(model.parents)[2:], dtype=np.int64) - 1,
        position=np.array([placement.translation for placement in list(model.jointPlacements)[2:]]),
        rotation=np.array([placement.rotation for placement in list(model.jointPlacements)[2:]]),
        axis=np.where(slides[:, None], subspace[:, :3], subspace[:, 3:]),
        slides=slides,
        mass=np.array([inertia.mass for inertia in list(model.inertias)[1:]]),
        lever=np.array([inertia.lever for inertia in list(model.inertias)[1:]]),
        inertia=np.array([inertia.inertia for inertia in list(model.inertias)[1:]]),
        armature=np.array(model.armature[6:]),
    )


def _subspace(joint: pin.JointModel) -> Array:
    data = joint.createData()
    joint.calc(data, np.zeros(joint.idx_q + joint.nq))
    return np.asarray(data.S).reshape(6)


@njit(cache=True)
def place_links(
    q: Array,
    parent: Indices,
    offset: Array,
    turn: Array,
    axis: Array,
    slides: NDArray[np.bool_],
    rotation: Array,
    position: Array,
) -> None:
    """Write link rotations (n + 1, 3, 3) and positions (n + 1, 3) in the base frame; the base is link 0."""
    for r in range(3):
        position[0, r] = 0.0
        for c in range(3):
            rotation[0, r, c] = 1.0 if r == c else 0.0
    for i in range(len(q)):
        p, x, y, z = parent[i], axis[i, 0], axis[i, 1], axis[i, 2]
        angle = 0.0 if slides[i] else q[i]
        slide = q[i] if slides[i] else 0.0
        # Rodrigues' formula: the rotation by an angle about a unit axis.
        s, c = np.sin(angle), np.cos(angle)
        vx, vy, vz = (1.0 - c) * x, (1.0 - c) * y, (1.0 - c) * z
        for r in range(3):
            u0, u1, u2 = rotation[p, r, 0], rotation[p, r, 1], rotation[p, r, 2]
            f0 = u0 * turn[i, 0, 0] + u1 * turn[i, 1, 0] + u2 * turn[i, 2, 0]
            f1 = u0 * turn[i, 0, 1] + u1 * turn[i, 1, 1] + u2 * turn[i, 2, 1]
            f2 = u0 * turn[i, 0, 2] + u1 * turn[i, 1, 2] + u2 * turn[i, 2, 2]
            along = f0 * x + f1 * y + f2 * z
            position[i + 1, r] = position[p, r] + u0 * offset[i, 0] + u1 * offset[i, 1] + u2 * offset[i, 2] + slide * along
            rotation[i + 1, r, 0] = f0 * (c + vx * x) + f1 * (vx * y + s * z) + f2 * (vx * z - s * y)
            rotation[i + 1, r, 1] = f0 * (vx * y - s * z) + f1 * (c + vy * y) + f2 * (vy * z + s * x)
            rotation[i + 1, r, 2] = f0 * (vx * z + s * y) + f1 * (vy * z - s * x) + f2 * (c + vz * z)


@njit(cache=True)
def centre_of_mass(mass: Array, lever: Array, rotation: Array, position: Array) -> Array:
    """Centre of mass (3,) m in the base frame of links placed by `place_links`."""
    total, weighted = 0.0, np.zeros(3)
    for i in range(len(mass)):
        total += mass[i]
        for r in range(3):
            arm = rotation[i, r, 0] * lever[i, 0] + rotation[i, r, 1] * lever[i, 1] + rotation[i, r, 2] * lever[i, 2]
            weighted[r] += mass[i] * (position[i, r] + arm)
    return weighted / total
