"""The robot seen from whatever link stands still: its tree rooted there, and the torques that a motion of its joints takes.

With one sole held by the ground, or the base by a stand, every joint motion is free and its torques follow by one recursive
Newton-Euler pass (Featherstone, Rigid Body Dynamics Algorithms, 2008, 5.3) from the link that stands still; joints between it
and the base are passed backwards. With both soles held, six numbers of a joint motion are given by the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.tree import Indices, Tree, place_links
from poise.robots.types import Array

from .linalg import Triple, Vector, cross, rotated, rotated_back


class RootedTree(NamedTuple):
    """A `Tree` as arrays, and how to walk it from the link at rest: step k crosses a joint from link `near` to link `far`."""

    parent: Indices
    offset: Array
    turn: Array
    axis: Array
    slides: Array
    mass: Array
    lever: Array
    inertia: Array
    armature: Array
    root: int  # the link at rest; 0 is the base
    joint: Indices  # (n,) crossed at each step
    near: Indices  # (n,)
    far: Indices  # (n,)
    way: Array  # (n,) 1 where the joint is crossed from parent to child, else -1


class Motion(NamedTuple):
    """Room for one posture and its motion: links (n + 1), in the base's frame of that instant, seen from the link at rest."""

    rotation: Array  # (n + 1, 3, 3)
    position: Array  # (n + 1, 3) m
    omega: Array  # (n + 1, 3) rad/s
    alpha: Array  # (n + 1, 3) rad/s²
    acceleration: Array  # (n + 1, 3) m/s², of the links' origins
    force: Array  # (n + 1, 3) N, of a link and all beyond it
    moment: Array  # (n + 1, 3) N·m about the frame's origin


def root_at(tree: Tree, link: int) -> RootedTree:
    """The tree as seen from a link at rest."""
    steps: list[tuple[int, int, int, float]] = []  # joint, near, far, way
    seen, front = {link}, [link]
    edges = [(int(parent), child) for child, parent in enumerate(tree.parent, start=1)]
    while front:
        here = front.pop(0)
        for parent, child in edges:
            other = child if here == parent else parent
            if here in (parent, child) and other not in seen:
                seen.add(other)
                front.append(other)
                steps.append((child - 1, here, other, 1.0 if other == child else -1.0))
    joint, near, far = (np.array([step[i] for step in steps], dtype=np.int64) for i in range(3))
    body = (tree.mass, tree.lever, tree.inertia, tree.armature)
    walk = (joint, near, far, np.array([step[3] for step in steps]))
    return RootedTree(tree.parent, tree.position, tree.rotation, tree.axis, tree.slides.astype(float), *body, link, *walk)


def packed(parts: Sequence[NamedTuple]) -> tuple[Array, Indices]:
    """All numbers of some named tuples of arrays and integers, one after another, and all integers.

    Kernels take these two and cut them up: handing over the arrays one by one costs more than many a kernel does.
    """
    values = [np.atleast_1d(value) for part in parts for value in part]
    numbers = [value.ravel() for value in values if value.dtype == float]
    indices = [value.ravel() for value in values if value.dtype != float]
    return np.concatenate(numbers), np.concatenate(indices)


@njit(cache=True)
def tree_in(numbers: Array, indices: Indices, n: int) -> RootedTree:
    """The tree of n joints that two packed blocks begin with, as views of them."""
    m = n + 1
    e = np.cumsum(np.array([3 * n, 9 * n, 3 * n, n, m, 3 * m, 9 * m, n, n]))
    return RootedTree(
        parent=indices[:n],
        offset=numbers[: e[0]].reshape(n, 3),
        turn=numbers[e[0] : e[1]].reshape(n, 3, 3),
        axis=numbers[e[1] : e[2]].reshape(n, 3),
        slides=numbers[e[2] : e[3]],
        mass=numbers[e[3] : e[4]],
        lever=numbers[e[4] : e[5]].reshape(m, 3),
        inertia=numbers[e[5] : e[6]].reshape(m, 3, 3),
        armature=numbers[e[6] : e[7]],
        root=indices[n],
        joint=indices[n + 1 : 2 * n + 1],
        near=indices[2 * n + 1 : 3 * n + 1],
        far=indices[3 * n + 1 : 4 * n + 1],
        way=numbers[e[7] : e[8]],
    )


@njit(cache=True)
def tree_size(n: int) -> tuple[int, int]:
    """How many numbers and integers a packed tree of n joints has."""
    return 31 * n + 13, 4 * n + 1


@njit(cache=True)
def room_for(n: int) -> Motion:
    """Empty room for a robot of n joints."""
    m = n + 1
    block = np.empty((9, m, 3))
    return Motion(block[:3].reshape(m, 3, 3), block[3], block[4], block[5], block[6], block[7], block[8])


@njit(cache=True)
def place(t: RootedTree, q: Array, m: Motion) -> None:
    """Place the links for joint positions q (n,)."""
    place_links(q, t.parent, t.offset, t.turn, t.axis, t.slides > 0.5, m.rotation, m.position)


@njit(cache=True)
def axis_of(t: RootedTree, m: Motion, joint: int) -> Triple:
    """Direction of a joint's axis."""
    return rotated(m.rotation[joint + 1], t.axis[joint])


@njit(cache=True)
def anchor_of(t: RootedTree, m: Motion, joint: int) -> Triple:
    """A point (m) on a hinge's axis, which is at rest in both its links."""
    return m.position[joint + 1, 0], m.position[joint + 1, 1], m.position[joint + 1, 2]


@njit(cache=True)
def swept(omega: Vector, alpha: Vector, arm: Vector) -> Triple:
    """α × r + ω × (ω × r): what a point of a link accelerates more than its origin."""
    turned, bent = cross(alpha, arm), cross(omega, cross(omega, arm))
    return turned[0] + bent[0], turned[1] + bent[1], turned[2] + bent[2]


@njit(cache=True)
def between(a: Vector, b: Vector) -> Triple:
    """b − a."""
    return b[0] - a[0], b[1] - a[1], b[2] - a[2]


@njit(cache=True)
def move(t: RootedTree, v: Array, a: Array, m: Motion) -> None:
    """Angular velocity and acceleration, and acceleration of the placed links, for joint velocity v and acceleration a (n,)."""
    m.omega[t.root], m.alpha[t.root], m.acceleration[t.root] = 0.0, 0.0, 0.0
    for k in range(len(t.joint)):
        j, near, far = t.joint[k], t.near[k], t.far[k]
        rate, gain = t.way[k] * v[j], t.way[k] * a[j]
        w, omega = axis_of(t, m, j), m.omega[near]
        carried = cross(omega, w)  # the axis turns with the link
        if t.slides[j] > 0.5:
            m.omega[far], m.alpha[far] = omega, m.alpha[near]
            extra = swept(omega, m.alpha[near], between(m.position[near], m.position[far]))
            for i in range(3):
                m.acceleration[far, i] = m.acceleration[near, i] + extra[i] + 2.0 * rate * carried[i] + gain * w[i]
            continue
        for i in range(3):
            m.omega[far, i] = omega[i] + rate * w[i]
            m.alpha[far, i] = m.alpha[near, i] + gain * w[i] + rate * carried[i]
        anchor = anchor_of(t, m, j)
        there = swept(omega, m.alpha[near], between(m.position[near], anchor))
        back = swept(m.omega[far], m.alpha[far], between(anchor, m.position[far]))
        for i in range(3):
            m.acceleration[far, i] = m.acceleration[near, i] + there[i] + back[i]


@njit(cache=True)
def torques(t: RootedTree, a: Array, gravity: Vector, m: Motion, out: Array) -> None:
    """Joint torques (n,) N·m of the motion in `m`; gravity (3,) m/s² in the base's frame. The root's row of m is what holds it."""
    for i in range(len(t.mass)):
        arm = rotated(m.rotation[i], t.lever[i])
        extra = swept(m.omega[i], m.alpha[i], arm)
        spin, gain = rotated_back(m.rotation[i], m.omega[i]), rotated_back(m.rotation[i], m.alpha[i])
        angular, turning = rotated(t.inertia[i], spin), rotated(t.inertia[i], gain)
        bent = cross(spin, angular)
        moment = rotated(m.rotation[i], (turning[0] + bent[0], turning[1] + bent[1], turning[2] + bent[2]))
        for r in range(3):
            m.force[i, r] = t.mass[i] * (m.acceleration[i, r] + extra[r] - gravity[r])
        lever = cross((m.position[i, 0] + arm[0], m.position[i, 1] + arm[1], m.position[i, 2] + arm[2]), m.force[i])
        for r in range(3):
            m.moment[i, r] = moment[r] + lever[r]
    for k in range(len(t.joint) - 1, -1, -1):
        j, near, far = t.joint[k], t.near[k], t.far[k]
        w, force = axis_of(t, m, j), m.force[far]
        lever = cross(anchor_of(t, m, j), force)
        along = 0.0
        for r in range(3):
            along += w[r] * (force[r] if t.slides[j] > 0.5 else m.moment[far, r] - lever[r])
            m.force[near, r] += force[r]
            m.moment[near, r] += m.moment[far, r]
        out[j] = t.way[k] * along + t.armature[j] * a[j]


@njit(cache=True)
def inverse_dynamics(t: RootedTree, q: Array, v: Array, a: Array, gravity_root: Array, m: Motion, out: Array) -> None:
    """Joint torques (n,) N·m for a motion q, v, a (n,), with gravity (3,) m/s² given in the axes of the link at rest."""
    place(t, q, m)
    move(t, v, a, m)
    torques(t, a, rotated(m.rotation[t.root], gravity_root), m, out)
