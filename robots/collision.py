"""Self-collision as capsules: signed distances between pairs of them, with the base held still (it does not matter)."""

from __future__ import annotations

import numpy as np
from numba import njit

from .model import RobotModel
from .tree import Indices, build_tree, place_links
from .types import Array


class CollisionModel:
    """The overlay's capsules on the links of one robot, and the pairs of them that are held apart."""

    def __init__(self, robot: RobotModel) -> None:
        """Fix the capsules to the links that carry their bodies."""
        model, capsules = robot.pinocchio, robot.overlay.capsules
        names = [capsule.name for capsule in capsules]
        frames = [model.frames[model.getFrameId(capsule.body)] for capsule in capsules]
        ends = [[frame.placement.act(np.array(end)) for end in (c.start, c.end)] for c, frame in zip(capsules, frames, strict=True)]
        self.tree = build_tree(model)
        self.names = robot.overlay.collision_pairs
        self.link: Indices = np.array([frame.parentJoint - 1 for frame in frames], dtype=np.int64)
        self.ends: Array = np.array(ends).reshape(-1, 2, 3)  # (capsules, 2, 3) m, in the link
        self.radius: Array = np.array([capsule.radius for capsule in capsules])
        self.pairs: Indices = np.array([[names.index(a), names.index(b)] for a, b in self.names], dtype=np.int64).reshape(-1, 2)

    def distances(self, q_joint: Array) -> Array:
        """Signed distances (pairs,) m for joint positions (n,) rad; negative: the capsules overlap by so much."""
        tree = self.tree
        rotation, position = np.empty((len(tree.mass), 3, 3)), np.empty((len(tree.mass), 3))
        placed, out = np.empty(self.ends.shape), np.empty(len(self.pairs))
        place_links(q_joint, tree.parent, tree.position, tree.rotation, tree.axis, tree.slides, rotation, position)
        capsule_distances(rotation, position, self.link, self.ends, self.radius, self.pairs, placed, out)
        return out


@njit(cache=True)
def place_ends(rotation: Array, position: Array, link: Indices, ends: Array, placed: Array) -> None:
    """Write where the capsules' ends (capsules, 2, 3) m are in the base frame."""
    for i in range(len(link)):
        j = link[i]
        for e in range(2):
            x, y, z = ends[i, e, 0], ends[i, e, 1], ends[i, e, 2]
            for r in range(3):
                placed[i, e, r] = position[j, r] + rotation[j, r, 0] * x + rotation[j, r, 1] * y + rotation[j, r, 2] * z


@njit(cache=True)
def capsule_distances(
    rotation: Array, position: Array, link: Indices, ends: Array, radius: Array, pairs: Indices, placed: Array, out: Array
) -> None:
    """Write the signed distance of each pair (pairs,) m; `placed` (capsules, 2, 3) is room for the ends in the base frame."""
    place_ends(rotation, position, link, ends, placed)
    for k in range(len(pairs)):
        a, b = pairs[k, 0], pairs[k, 1]
        out[k] = segment_distance(placed[a], placed[b]) - radius[a] - radius[b]


@njit(cache=True)
def nearest_on_segments(a: Array, b: Array) -> tuple[float, float]:
    """Where two segments given by their ends, (2, 3) m each, are nearest: shares of their lengths.

    Ericson, Real-Time Collision Detection, 5.1.9.
    """
    aa = ab = bb = ar = br = 0.0
    for i in range(3):
        u, v, r = a[1, i] - a[0, i], b[1, i] - b[0, i], a[0, i] - b[0, i]
        aa += u * u
        ab += u * v
        bb += v * v
        ar += u * r
        br += v * r
    # Segments shorter than a micrometre are points: their direction says nothing.
    long_a, long_b = aa > 1e-12, bb > 1e-12
    denominator = aa * bb - ab * ab
    s = 0.0
    if long_a and denominator > 1e-12 * aa * bb:
        s = _unit((ab * br - ar * bb) / denominator)
    t = _unit((ab * s + br) / bb) if long_b else 0.0
    if long_a:
        s = _unit((ab * t - ar) / aa)
    return s, t


@njit(cache=True)
def segment_distance(a: Array, b: Array) -> float:
    """Distance between two segments given by their ends, (2, 3) m each."""
    s, t = nearest_on_segments(a, b)
    gap = 0.0
    for i in range(3):
        d = a[0, i] + s * (a[1, i] - a[0, i]) - b[0, i] - t * (b[1, i] - b[0, i])
        gap += d * d
    return float(np.sqrt(gap))


@njit(cache=True)
def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)
