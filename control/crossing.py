"""Steps across the stance foot: where the swing foot may land beyond the stance sole, and the way it takes there.

In the stance sole's frame, `outward` is the lateral distance to the swing foot's own side. Soles that are less than
`inward` apart sideways must be `apart` in front of or behind each other, or the feet meet.
"""

from __future__ import annotations

from numba import njit

from poise.robots.types import Array

from .rotation import turned

SLACK_M = 0.03  # of `apart`: a foot this much closer has as good as passed
LINE_M = 0.03  # a foot less than this to its own side is in the stance foot's line
TOLERANCE_M = 0.01  # by which the estimate of the soles may move a foothold on the inward limit
BESIDE, AHEAD, BEHIND = range(3)  # the ways to a foothold: beside the stance foot, or across it
WAYS = 3


@njit(cache=True)
def way_of(foothold: Array, side: float, inward: float) -> int:
    """Which way leads to a foothold (2,) m in the stance sole's frame; side +1 when the left foot stands."""
    if -side * foothold[1] >= inward - TOLERANCE_M:
        return BESIDE
    return AHEAD if foothold[0] > 0.0 else BEHIND


@njit(cache=True)
def reach_of_way(reach: Array, way: int, side: float, across: float, apart: float, out: Array) -> None:
    """Reach (2, 2), rows of (min, max) by axis in the stance sole's frame, of a foot that takes a way, into `out`.

    Across the stance foot it gets `across` m beyond that sole, where it is `apart` m ahead or behind.
    """
    out[:] = reach
    if way == AHEAD:
        out[0, 0] = apart
    elif way == BEHIND:
        out[0, 1] = -apart
    if way != BESIDE and side > 0.0:
        out[1, 0], out[1, 1] = reach[1, 1], across
    elif way != BESIDE:
        out[1, 0], out[1, 1] = -across, reach[1, 0]


@njit(cache=True)
def late_share(start: float, end: float, apart: float) -> float:
    """A lower bound on the share of time that is left of a minimum-jerk move (m along the stance sole) once the feet are apart.

    With a share s of its time left such a move has s³(10 − 15 s + 6 s²), at most 10 s³, of its way left. 1 where they are apart already.
    """
    sign = 1.0 if end > 0.0 else -1.0
    before = (apart - SLACK_M) - sign * start
    if before <= 0.0:
        return 1.0
    whole = max(sign * (end - start), 1e-6)
    return min(1.0, ((whole - before) / whole / 10.0) ** (1.0 / 3.0))


@njit(cache=True)
def way_round(position: Array, foothold: Array, side: float, inward: float, apart: float) -> Array:
    """Where a swing foot at `position` (2,) has to head for now, to land on `foothold` (2,) without meeting the stance foot.

    Both in the stance sole's frame, m; side +1 when the left foot stands. A foot that crosses first goes past the stance
    sole, then inward; one that comes back first goes outward, then past.
    """
    target = foothold.copy()
    near = apart - SLACK_M
    goal_sign = 1.0 if foothold[0] > 0.0 else -1.0
    if -side * foothold[1] < inward and goal_sign * position[0] < near:
        target[1] = -side * inward
    foot_sign = 1.0 if position[0] > 0.0 else -1.0
    if -side * position[1] < LINE_M and foot_sign * foothold[0] < near:
        target[0] = foot_sign * max(near, min(foot_sign * position[0], apart))
    return target


@njit(cache=True)
def waypoint(position: Array, foothold: Array, sole: Array, yaw: float, side: float, inward: float, apart: float) -> Array:
    """Where a swing foot at `position` heads for on its way to `foothold`, both x, y (m) and more: x, y and the foothold's yaw, (3,).

    `way_round` in the world frame, for a stance sole (3,) that points to yaw (rad).
    """
    out = foothold.copy()
    local, goal = turned(-yaw, position[:2] - sole[:2]), turned(-yaw, foothold[:2] - sole[:2])
    out[:2] = sole[:2] + turned(yaw, way_round(local, goal, side, inward, apart))
    return out
