"""The upper body over a proposal's knots: limits, speeds, self-collision and the centre of mass, in numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from poise.robots import RobotModel
from poise.robots.collision import CollisionModel, capsule_distances
from poise.robots.tree import Indices, Tree, centre_of_mass, place_links
from poise.robots.types import Array


class UpperBody:
    """The joints that proposals move, waist first: `upper` arrays are (k, m) rad in this order."""

    def __init__(self, robot: RobotModel, speed_limit: float) -> None:
        """Joint speeds are bounded by the smaller of `speed_limit` rad/s and the motors' own."""
        self.collision = CollisionModel(robot)
        self.joints: Indices = np.concatenate([robot.waist, robot.arms]).astype(np.int64)
        self.waist, self.arms = len(robot.waist), robot.arms
        self.lower, self.upper = robot.position_min[self.joints], robot.position_max[self.joints]
        self.speed = np.minimum(robot.velocity_limit[self.joints], speed_limit)
        self._attitude, self._sign = _attitude_of_waist(self.collision.tree, robot.waist)

    def path(self, torso_rpy: Array, arms: Array) -> Array:
        """Upper-body joints (k, m) rad for torso attitudes (k, 3) over an upright pelvis and arms (k, n_arms).

        Each waist joint takes the angle about its own axis: exact to second order in the tilt.
        """
        return np.ascontiguousarray(np.concatenate([torso_rpy[:, self._attitude] * self._sign, arms], axis=1))

    def clearance(self, posture: Array, start: Array, path: Array) -> tuple[float, Array]:
        """Least capsule distance (m) at knots and midpoints, and the knots' centre of mass (k, 3) m in the base frame.

        `posture` (n,) rad gives the joints that the path (k, m) does not move; `start` (m,) is where the path begins.
        """
        c, t, com = self.collision, self.collision.tree, np.empty((len(path), 3))
        least = sweep(
            posture, self.joints, start, path, t.parent, t.position, t.rotation, t.axis, t.slides, t.mass, t.lever,
            c.link, c.ends, c.radius, c.pairs, com,
        )  # fmt: skip
        return least, com

    def com(self, posture: Array) -> Array:
        """Centre of mass (3,) m in the base frame at joint positions (n,) rad."""
        tree = self.collision.tree
        rotation, position = tree.place(posture)
        return centre_of_mass(tree.mass, tree.lever, rotation, position)


def _attitude_of_waist(tree: Tree, waist: Indices) -> tuple[Indices, Array]:
    """Which of roll, pitch, yaw each waist joint makes, and with which sign, from its axis in the straight posture."""
    rotation, _ = tree.place(np.zeros(len(tree.parent)))
    axes = [rotation[i + 1] @ tree.axis[i] for i in waist]
    index = np.array([int(np.argmax(np.abs(axis))) for axis in axes], dtype=np.int64)
    return index, np.array([float(np.sign(axis[i])) for axis, i in zip(axes, index, strict=True)])


@njit(cache=True)
def all_finite(values: Array) -> bool:
    """Whether no number in an array is NaN or infinite."""
    for value in values.ravel():
        if not np.isfinite(value):
            return False
    return True


@njit(cache=True)
def limit_margin(path: Array, joints: int, lower: Array, upper: Array) -> float:
    """Distance in rad of a path (k, m) to the nearest position limit of its first joints; negative: beyond it."""
    margin = np.inf
    for k in range(path.shape[0]):
        for i in range(joints):
            margin = min(margin, path[k, i] - lower[i], upper[i] - path[k, i])
    return margin


@njit(cache=True)
def speed_margin(start: Array, path: Array, joints: int, period_s: float, limit: Array) -> float:
    """Speed in rad/s left to the first joints of a path (k, m) between knots, first from `start` (m,); negative: too fast."""
    margin = np.inf
    for i in range(joints):
        last = start[i]
        for k in range(path.shape[0]):
            margin = min(margin, limit[i] - abs(path[k, i] - last) / period_s)
            last = path[k, i]
    return margin


@njit(cache=True)
def sweep(
    posture: Array,
    joints: Indices,
    start: Array,
    path: Array,
    parent: Indices,
    offset: Array,
    turn: Array,
    axis: Array,
    slides: NDArray[np.bool_],
    mass: Array,
    lever: Array,
    link: Indices,
    ends: Array,
    radius: Array,
    pairs: Indices,
    com: Array,
) -> float:
    """Least capsule distance (m) at the midpoints and knots of a path; writes the knots' centre of mass (k, 3)."""
    rotation, position = np.empty((len(mass), 3, 3)), np.empty((len(mass), 3))
    placed, distance = np.empty(ends.shape), np.empty(len(pairs))
    q, least = posture.copy(), np.inf
    for k in range(path.shape[0]):
        for half in range(2):
            for i in range(len(joints)):
                before = path[k - 1, i] if k > 0 else start[i]
                q[joints[i]] = path[k, i] if half == 1 else 0.5 * (before + path[k, i])
            place_links(q, parent, offset, turn, axis, slides, rotation, position)
            capsule_distances(rotation, position, link, ends, radius, pairs, placed, distance)
            for d in distance:
                least = min(least, d)
        com[k] = centre_of_mass(mass, lever, rotation, position)
    return least
