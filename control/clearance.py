"""Self-collision as a bound on acceleration: capsules of one robot may close in on each other only as fast as they can still stop.

With the distance d of a pair and its gradient g, ḋ = g·q̇ and d̈ = g·q̈ + ġ·q̇. A pair brakes as a joint does (`viability.py`), here by m/s²:
the closing speed that is left after a period may be at most what stops before the least distance. That is a control barrier
function of relative degree two (Nguyen & Sreenath, ACC 2016) whose class-K function is the braking distance's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from poise.robots import RobotModel
from poise.robots.collision import CollisionModel, nearest_on_segments, place_ends
from poise.robots.tree import Indices, Tree, build_tree
from poise.robots.types import Array

from .linalg import cross, dot
from .rooted import Motion, RootedTree, anchor_of, axis_of, packed, place, room_for, root_at, tree_in, tree_size
from .viability import RETURN, fastest

ROWS = 8  # pairs that are bounded in one tick, the nearest of those that could come too near
INTRUDED_M = 1e-3  # nearer than the least distance by more than that is no rounding
SLIDE = 1e-9  # m; capsules whose axes cross have no direction apart


class ClearanceConfig(NamedTuple):
    """How near capsules may come, and how they brake."""

    least_m: float = 0.015
    rate: float = 8.0  # m/s²
    decay: float = 25.0  # 1/s
    speed_change: float = 0.5  # m/s, more than rate/decay and than a closing speed changes by in a period: pairs further off are left out


class Capsules(NamedTuple):
    """A `CollisionModel` as arrays."""

    link: Indices
    ends: Array
    radius: Array
    half: Array  # (capsules,) m, half their length
    pairs: Indices
    moves: Array  # (n, n + 1) 1 where a joint moves a link against the base
    reach: Array  # (n, pairs) m/rad, how fast a joint changes a pair's distance at most: the way from its axis to the capsule it moves


Shape = tuple[int, int, int]  # joints, capsules, pairs


def capsules_of(robot: RobotModel) -> Capsules:
    """The overlay's capsules."""
    model, n = CollisionModel(robot), robot.n
    moves, reach = np.zeros((n, n + 1)), np.zeros((n, len(model.pairs)))
    for link in range(1, n + 1):
        moves[_joints_below(model.tree, link), link] = 1.0
    length = np.linalg.norm(model.tree.position, axis=1)
    length += np.where(model.tree.slides, np.maximum(np.abs(robot.position_min), np.abs(robot.position_max)), 0.0)
    for column, pair in zip(reach.T, model.pairs, strict=True):
        for capsule, other in (pair, pair[::-1]):
            way = float(np.linalg.norm(model.ends[capsule], axis=1).max())
            for joint in _joints_below(model.tree, int(model.link[capsule])):
                if not moves[joint, model.link[other]]:
                    column[joint] = 1.0 if model.tree.slides[joint] else way
                way += length[joint]
    half = 0.5 * np.linalg.norm(model.ends[:, 1] - model.ends[:, 0], axis=1)
    return Capsules(model.link, model.ends, model.radius, half, model.pairs, moves, reach)


def _joints_below(tree: Tree, link: int) -> list[int]:
    """The joints between a link and the base, from the link on."""
    joints = []
    while link:
        joints.append(link - 1)
        link = int(tree.parent[link - 1])
    return joints


@njit(cache=True)
def capsules_in(numbers: Array, indices: Indices, shape: Shape) -> Capsules:
    """The capsules that two packed blocks begin with, as views of them."""
    n, count, pairs = shape
    e = np.cumsum(np.array([6 * count, count, count, n * (n + 1), pairs * n]))
    return Capsules(
        link=indices[:count],
        ends=numbers[: e[0]].reshape(count, 2, 3),
        radius=numbers[e[0] : e[1]],
        half=numbers[e[1] : e[2]],
        pairs=indices[count : count + 2 * pairs].reshape(pairs, 2),
        moves=numbers[e[2] : e[3]].reshape(n, n + 1),
        reach=numbers[e[3] : e[4]].reshape(n, pairs),
    )


@njit(cache=True)
def capsules_size(shape: Shape) -> tuple[int, int]:
    """How many numbers and integers packed capsules have."""
    n, count, pairs = shape
    return 8 * count + n * (n + 1) + pairs * n, count + 2 * pairs


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
    t: RootedTree, c: Capsules, q: Array, v: Array, numbers: Array, seen: tuple[Array, Array], rows: Array, lower: Array, which: Indices
) -> int:
    """Write rows (ROWS, n) and least values (ROWS,) of rows·q̈ for the nearest of the pairs that could come too near; their number.

    Rows that are not needed are 0, and may have any value; where no pair could, none is written.
    q, v: joints, (n,) each; numbers: those of `ClearanceConfig`, and the period; seen: of each pair the distance (pairs,) m when it
    was last looked at, and the joints (n, pairs) then, written where it is looked at; which (ROWS,): the pairs.
    """
    least, rate, decay, change, dt = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    gaps, then = seen
    far, ahead, count = far_pairs(c, q, v, numbers, seen), np.empty(len(gaps)), 0
    if far.all():
        return 0
    placed, later, near, m = np.empty(c.ends.shape), np.empty(c.ends.shape), np.empty((2, 3)), room_for(q.size)
    place(t, q + dt * v, m)
    place_ends(m.rotation, m.position, c.link, c.ends, later)
    place(t, q, m)
    place_ends(m.rotation, m.position, c.link, c.ends, placed)
    for k in np.flatnonzero(~far):
        a, b = c.pairs[k, 0], c.pairs[k, 1]
        then[:, k], gaps[k], ahead[k] = q, _gap(c, placed, a, b, near), _gap(c, later, a, b, near)
        if change - (ahead[k] - gaps[k]) / dt < fastest(gaps[k] - least, decay, rate, dt):
            continue
        at = count if count < len(which) else _furthest(gaps, which)
        if count < len(which) or gaps[k] < gaps[which[at]]:
            which[at] = k
        count = min(count + 1, len(which))
    for i in range(count):
        k = which[i]
        _gap(c, placed, c.pairs[k, 0], c.pairs[k, 1], near)
        _gradient(t, c, m, c.pairs[k, 0], c.pairs[k, 1], near, rows[i])
        speed = dot(rows[i], v)
        free = 2.0 * (ahead[k] - gaps[k] - dt * speed) / (dt * dt)  # what the distance does of itself, ġ·q̇
        room = gaps[k] - least
        closing = fastest(room, decay, rate, dt) if room >= 0.0 else RETURN * room
        lower[i] = min((-closing - speed) / dt, rate) - free
    rows[count:], lower[count:] = 0.0, -np.inf
    return count


@njit(cache=True)
def _furthest(gaps: Array, which: Indices) -> int:
    """Which of some pairs is the furthest apart."""
    out = 0
    for i in range(1, len(which)):
        if gaps[which[i]] > gaps[which[out]]:
            out = i
    return out


@njit(cache=True)
def far_pairs(c: Capsules, q: Array, v: Array, numbers: Array, seen: tuple[Array, Array]) -> NDArray[np.bool_]:
    """Which pairs surely could not come too near, by what was seen of them: nothing is placed for these.

    q, v: joints, (n,) each; numbers, seen: as in `clearance_rows`.
    """
    gaps, then = seen
    least, rate, decay, change, dt = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    room, speed, far = gaps - least, np.full(len(gaps), change), np.empty(len(gaps), dtype=np.bool_)
    for j in range(v.size):
        pace = abs(v[j])
        for k in range(len(gaps)):
            room[k] -= c.reach[j, k] * abs(q[j] - then[j, k])
            speed[k] += c.reach[j, k] * pace
    for k in range(len(gaps)):
        far[k] = speed[k] < fastest(room[k], decay, rate, dt)
    return far


@njit(cache=True)
def _packed_rows(
    numbers: Array,
    indices: Indices,
    shape: Shape,
    q: Array,
    v: Array,
    config: Array,
    gaps: Array,
    then: Array,
    rows: Array,
    lower: Array,
    which: Indices,
) -> tuple[int, float]:
    """`clearance_rows` of a packed tree and capsules, and the least distance (m) of these pairs."""
    floats, integers = tree_size(shape[0])
    c, nearest = capsules_in(numbers[floats:], indices[integers:], shape), np.inf
    count = clearance_rows(tree_in(numbers, indices, shape[0]), c, q, v, config, (gaps, then), rows, lower, which)
    for k in which[:count]:
        nearest = min(nearest, gaps[k])
    return count, nearest


class Spacing:
    """The bounds of one tick on how the robot's capsules close in: `rows` (ROWS, n) times q̈ at least `least` (ROWS,) m/s²."""

    def __init__(self, robot: RobotModel, resting: ClearanceConfig, moving: ClearanceConfig, period_s: float) -> None:
        self.capsules = capsules_of(robot)
        self._names = [f"clearance {a} – {b}" for a, b in robot.overlay.collision_pairs]
        self._packed = packed((root_at(build_tree(robot.pinocchio), 0), self.capsules))
        self._shape = (robot.n, len(self.capsules.link), len(self.capsules.pairs))
        self._rests = resting
        self._numbers = np.array(((*moving, period_s), (*resting, period_s)))
        pairs = len(self.capsules.pairs)
        self._seen = np.full(pairs, -np.inf), np.zeros((robot.n, pairs))  # no distance is known: the first look is at every pair
        self._count, self._nearest = 0, np.inf
        self.rows, self.least, self._pair = np.zeros((ROWS, robot.n)), np.full(ROWS, -np.inf), np.zeros(ROWS, dtype=np.int64)

    def update(self, q: Array, v: Array, *, resting: bool) -> None:
        """Take the joints' positions and velocities, (n,) each, of a robot that rests, or moves on."""
        numbers = self._numbers[int(resting)]
        count, self._nearest = _packed_rows(*self._packed, self._shape, q, v, numbers, *self._seen, self.rows, self.least, self._pair)
        if not count:
            self.clear()
        self._count = count

    @property
    def intruded(self) -> bool:
        """Whether a pair is nearer than any that is on a way to rest in the model."""
        return self._count > 0 and self._nearest < self._rests.least_m - INTRUDED_M

    def clear(self) -> None:
        """Bound nothing."""
        if self._count:
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
