"""Self-collision as a bound on acceleration: capsules of one robot may close in on each other only as fast as they can still stop.

With the distance d of a pair and its gradient g, ḋ = g·q̇ and d̈ = g·q̈ + ġ·q̇. A pair brakes as a joint does (`viability.py`), here by m/s²:
the closing speed that is left after a period may be at most what stops before the least distance. That is a control barrier
function of relative degree two (Nguyen & Sreenath, ACC 2016) whose class-K function is the braking distance's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots import RobotModel
from poise.robots.collision import CollisionModel, nearest_on_segments, place_ends
from poise.robots.tree import Indices, build_tree
from poise.robots.types import Array

from .linalg import cross, dot
from .rooted import Motion, RootedTree, anchor_of, axis_of, place, room_for, root_at
from .viability import fastest

ROWS = 8  # pairs that are bounded in one tick, the nearest of those that could come too near
SLIDE = 1e-9  # m; capsules whose axes cross have no direction apart


class ClearanceConfig(NamedTuple):
    """How near capsules may come, and how they brake."""

    least_m: float = 0.01
    rate: float = 8.0  # m/s²
    decay: float = 25.0  # 1/s
    speed_change: float = 0.5  # m/s, more than which nothing changes a closing speed in one period: pairs further off are left out


class Capsules(NamedTuple):
    """A `CollisionModel` as arrays."""

    link: Indices
    ends: Array
    radius: Array
    half: Array  # (capsules,) m, half their length
    pairs: Indices
    moves: Array  # (n, n + 1) 1 where a joint moves a link against the base


def capsules_of(robot: RobotModel) -> Capsules:
    """The overlay's capsules."""
    model, n = CollisionModel(robot), robot.n
    moves = np.zeros((n, n + 1))
    for link in range(1, n + 1):
        joint = link - 1
        while joint >= 0:
            moves[joint, link] = 1.0
            joint = int(model.tree.parent[joint]) - 1
    half = 0.5 * np.linalg.norm(model.ends[:, 1] - model.ends[:, 0], axis=1)
    return Capsules(model.link, model.ends, model.radius, half, model.pairs, moves)


@njit(cache=True)
def _surely(c: Capsules, placed: Array, a: int, b: int) -> float:
    """A distance (m) that two capsules are at least apart: of the balls about them."""
    apart = 0.0
    for r in range(3):
        middle = 0.5 * (placed[a, 0, r] + placed[a, 1, r] - placed[b, 0, r] - placed[b, 1, r])
        apart += middle * middle
    return float(np.sqrt(apart)) - c.half[a] - c.half[b] - c.radius[a] - c.radius[b]


@njit(cache=True)
def _gap(c: Capsules, placed: Array, a: int, b: int, near: Array) -> float:
    """Distance (m) of two capsules, and the nearest points of their axes, near (2, 3)."""
    s, t = nearest_on_segments(placed[a], placed[b])
    square = 0.0
    for r in range(3):
        near[0, r] = placed[a, 0, r] + s * (placed[a, 1, r] - placed[a, 0, r])
        near[1, r] = placed[b, 0, r] + t * (placed[b, 1, r] - placed[b, 0, r])
        square += (near[0, r] - near[1, r]) ** 2
    return float(np.sqrt(square)) - c.radius[a] - c.radius[b]


@njit(cache=True)
def _pace(placed: Array, later: Array, dt: float) -> Array:
    """Speed (capsules,) m/s of each capsule's faster end."""
    out = np.zeros(len(placed))
    for i in range(len(placed)):
        for e in range(2):
            square = 0.0
            for r in range(3):
                square += (later[i, e, r] - placed[i, e, r]) ** 2
            out[i] = max(out[i], np.sqrt(square) / dt)
    return out


@njit(cache=True)
def is_clear(c: Capsules, m: Motion, placed: Array, least: float) -> bool:
    """Whether all pairs of placed links are at least so far (m) apart."""
    return nearest_gap(c, m, placed, least) >= least


@njit(cache=True)
def nearest_gap(c: Capsules, m: Motion, placed: Array, most: float) -> float:
    """Distance (m) of the pair of placed links that is nearest; `most` where all are further apart than that."""
    place_ends(m.rotation, m.position, c.link, c.ends, placed)
    near, least = np.empty((2, 3)), most
    for k in range(len(c.pairs)):
        a, b = c.pairs[k, 0], c.pairs[k, 1]
        if _surely(c, placed, a, b) < least:
            least = min(least, _gap(c, placed, a, b, near))
    return least


@njit(cache=True)
def _gradient(t: RootedTree, c: Capsules, m: Motion, a: int, b: int, near: Array, row: Array) -> None:
    """∂d/∂q (n,) m/rad of two capsules."""
    apart = near[0] - near[1]
    length = np.sqrt(dot(apart, apart))
    for j in range(row.size):
        on_a, on_b = c.moves[j, c.link[a]], c.moves[j, c.link[b]]
        row[j] = 0.0
        if on_a == on_b or length < SLIDE:  # moved by both alike
            continue
        way, point = (1.0, near[0]) if on_a > on_b else (-1.0, near[1])
        w, anchor = axis_of(t, m, j), anchor_of(t, m, j)
        if t.slides[j] > 0.5:
            pushed = w
        else:
            pushed = cross(w, (point[0] - anchor[0], point[1] - anchor[1], point[2] - anchor[2]))
        for r in range(3):
            row[j] += way * apart[r] / length * pushed[r]


@njit(cache=True)
def clearance_rows(
    t: RootedTree, c: Capsules, q: Array, v: Array, numbers: Array, m: Motion, rows: Array, lower: Array, which: Indices
) -> int:
    """Write rows (ROWS, n) and least values (ROWS,) of rows·q̈ for the nearest of the pairs that could come too near; their number.

    Rows that are not needed are 0, and may have any value.
    q, v: joints, (n,) each; numbers: those of `ClearanceConfig`, and the period; which (ROWS,): the pairs.
    """
    least, rate, decay, change, dt = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    placed, later, near, row = np.empty(c.ends.shape), np.empty(c.ends.shape), np.empty((2, 3)), np.empty(q.size)
    place(t, q + dt * v, m)
    place_ends(m.rotation, m.position, c.link, c.ends, later)
    place(t, q, m)
    place_ends(m.rotation, m.position, c.link, c.ends, placed)
    pace = _pace(placed, later, dt)
    count, gaps = 0, np.full(len(which), np.inf)
    for k in range(len(c.pairs)):
        a, b = c.pairs[k, 0], c.pairs[k, 1]
        if pace[a] + pace[b] + change < fastest(_surely(c, placed, a, b) - least, decay, rate, dt):
            continue
        gap = _gap(c, placed, a, b, near)
        _gradient(t, c, m, a, b, near, row)
        speed = dot(row, v)
        if change - speed < fastest(gap - least, decay, rate, dt):
            continue
        at = count if count < len(which) else int(np.argmax(gaps))
        if count == len(which) and gap >= gaps[at]:
            continue
        count = min(count + 1, len(which))
        free = 2.0 * (_gap(c, later, a, b, near) - gap - dt * speed) / (dt * dt)
        rows[at], gaps[at], which[at] = row, gap, k
        lower[at] = min((-fastest(gap - least, decay, rate, dt) - speed) / dt, rate) - free
    rows[count:], lower[count:] = 0.0, -np.inf
    return count


class Spacing:
    """The bounds of one tick on how the robot's capsules close in: `rows` (ROWS, n) times q̈ at least `least` (ROWS,) m/s²."""

    def __init__(self, robot: RobotModel, resting: ClearanceConfig, moving: ClearanceConfig, period_s: float) -> None:
        self.capsules = capsules_of(robot)
        self._names = [f"clearance {a} – {b}" for a, b in robot.overlay.collision_pairs]
        self._tree, self._room = root_at(build_tree(robot.pinocchio), 0), room_for(robot.n)
        self._numbers = np.array(((*moving, period_s), (*resting, period_s)))
        self._count = 0
        self.rows, self.least, self._pair = np.zeros((ROWS, robot.n)), np.empty(ROWS), np.zeros(ROWS, dtype=np.int64)

    def update(self, q: Array, v: Array, *, resting: bool) -> None:
        """Take the joints' positions and velocities, (n,) each, of a robot that rests, or moves on."""
        numbers = self._numbers[int(resting)]
        self._count = clearance_rows(self._tree, self.capsules, q, v, numbers, self._room, self.rows, self.least, self._pair)

    def clear(self) -> None:
        """Bound nothing."""
        self._count, self.rows[:], self.least[:] = 0, 0.0, -np.inf

    def closing(self, acceleration: Array, slack: float) -> list[str]:
        """The pairs that a joint acceleration (n,) brings too near, by more than a slack, m/s²."""
        if not self._count:
            return []
        below = self.rows @ acceleration < self.least - slack
        return [self.name(i) for i in np.flatnonzero(below).tolist()] if below.any() else []

    def name(self, row: int) -> str:
        """Of the bound of a row."""
        return self._names[self._pair[row]]
