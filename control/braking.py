"""The braking manoeuvre: from any state that is let through, every joint comes to rest inside its limits and is held there.

It is what the certifier falls back on, and what it asks of a request: that from the state one period later this manoeuvre still
takes no more torque and power than the motors have, all the way to rest (a backup in the sense of Gurriet et al., ICRA 2018, on
a path given beforehand, so that inverse dynamics at a few times of it verify it). A joint brakes by
    q̈ = −min(b, λ|q̇|) sign q̇:   at a constant rate b while it is faster than s = b/λ, then fading, without a jump that would shake
the others. From a speed v it still goes (v² + s²)/2b where v > s, else v/λ.
With both soles on the ground the legs' motion is projected, from one time to the next, onto what closes their loop, and the force
inside the loop is the one that loads the motors least.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.tree import Indices
from poise.robots.types import Array

from .bounds import SLOW
from .clearance import Capsules, Shape, capsules_in, capsules_size, is_clear, nearest_gap
from .linalg import Triple, backward, cholesky, cross, forward, rotated, rotated_back
from .lip import GRAVITY
from .rooted import Motion, RootedTree, anchor_of, axis_of, between, move, place, room_for, swept, torques, tree_in, tree_size

LOOKS = (11, 9)  # on the way to rest, the last at its end: of a free one, and of one that a loop bends, where each costs more
NEARER_M = 1e-4  # rounding of a distance
STILL = 0.02  # rad/s, slower than which a joint goes nowhere that matters
HARDER = 2.0  # times its rate, by which a joint brakes at most that would not stop within its range
RETURN = 150.0  # 1/s, at which a joint comes back from beyond its range: hard enough, a hundredth beyond, for joints that stick
FADED = 2.5  # time constants of the fading brake, by which a joint has all but come to rest
HELD, TOO_FAR, TOO_FAST, TOO_STRONG, OPEN_LOOP, TOO_NEAR, TOO_SUDDEN = range(7)


class Brake(NamedTuple):
    """How each joint brakes, and what its motor and its range, less a margin, allow, (n,) each."""

    decay: Array  # λ, 1/s
    rate: Array  # b, rad/s²
    position_min: Array  # rad
    position_max: Array  # rad
    velocity: Array  # rad/s
    torque: Array  # N·m
    power: Array  # W


class Loop(NamedTuple):
    """The second sole on the ground: its link, its place in it, and the joints between the two soles; no joints: it is free."""

    link: int
    origin: Array  # (3,) m
    joints: Indices
    way: Array  # of each, as in `RootedTree`


class Manoeuvre(NamedTuple):
    """The robot under one support, and how it brakes."""

    tree: RootedTree
    capsules: Capsules
    loop: Loop
    brake: Brake


@njit(cache=True)
def manoeuvre_in(numbers: Array, indices: Indices, shape: Shape, looped: int) -> Manoeuvre:
    """The parts of a packed `Manoeuvre`, as views of its blocks, with so many joints in the loop."""
    n = shape[0]
    (x, i), (more, further) = tree_size(n), capsules_size(shape)
    y, k = x + more, i + further
    loop = Loop(indices[k], numbers[y : y + 3], indices[k + 1 : k + 1 + looped], numbers[y + 3 : y + 3 + looped])
    parts = numbers[y + 3 + looped :].reshape(7, n)
    brake = Brake(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6])
    return Manoeuvre(tree_in(numbers, indices, n), capsules_in(numbers[x:], indices[i:], shape), loop, brake)


class Stance(NamedTuple):
    """How what stands still stands, as the link at rest sees it."""

    gravity: Array  # (3,) m/s²
    place: Triple  # m, of the second sole's link
    turn: Array  # (3, 3) of it


@njit(cache=True)
def way_to_rest(speed: float, rate: float, decay: float, dt: float) -> float:
    """How far a joint still goes that brakes from a speed, in whole periods dt."""
    slow = rate / decay
    hard, begin = max(0.0, speed - slow) / rate, min(speed, slow)
    return (0.5 * (speed + begin) - 0.5 * rate * dt) * hard + begin * (1.0 - decay * dt) / decay


@njit(cache=True)
def coasted(b: Brake, q: Array, v: Array, time_s: float, dt: float, to: tuple[Array, Array, Array]) -> None:
    """Where the joints of a state q, v are after some time of braking, with their velocity and acceleration, without the loop.

    In whole periods dt, at the end of each of which a joint has moved on by its new velocity: over half a second that is a centimetre
    of the centre of mass less than in continuous time, and a leaning robot has none to spare. A joint that would not stop within its range
    brakes harder, and one beyond it comes back: no joint on its way from a state that is let into, but those of another plant.
    """
    for j in range(q.size):
        sign, speed, slow = np.sign(v[j]), np.abs(v[j]), b.rate[j] / b.decay[j]
        hard = max(0.0, speed - slow) / b.rate[j]  # s, at the constant rate
        if time_s < hard:
            left = speed - b.rate[j] * time_s
            way, gain = (0.5 * (speed + left) - 0.5 * b.rate[j] * dt) * time_s, b.rate[j]
        else:
            begin, keeps = min(speed, slow), 1.0 - b.decay[j] * dt
            left = begin * keeps ** ((time_s - hard) / dt)
            way, gain = (0.5 * (speed + begin) - 0.5 * b.rate[j] * dt) * hard + (begin - left) * keeps / b.decay[j], b.decay[j] * left
        to[0][j], to[1][j], to[2][j] = q[j] + sign * way, sign * left, -sign * gain
        room = b.position_max[j] - to[0][j] if sign > 0.0 else to[0][j] - b.position_min[j]
        need = way_to_rest(left, b.rate[j], b.decay[j], dt)
        if need > room > 0.0:
            to[2][j] *= min(need / room, HARDER * b.rate[j] / gain)
        over = max(0.0, to[0][j] - b.position_max[j]) - max(0.0, b.position_min[j] - to[0][j])
        if over != 0.0:
            back = 0.25 * RETURN * RETURN * over + RETURN * to[1][j]
            to[2][j] = -min(max(back, -HARDER * b.rate[j]), HARDER * b.rate[j])


@njit(cache=True)
def _loop_columns(t: RootedTree, loop: Loop, m: Motion, jacobian: Array) -> Triple:
    """Jacobian (6, k) of the second sole by the loop's joints, in the base's axes, and the sole's arm from its link's origin."""
    arm = rotated(m.rotation[loop.link], loop.origin)
    x, y, z = m.position[loop.link, 0] + arm[0], m.position[loop.link, 1] + arm[1], m.position[loop.link, 2] + arm[2]
    for k in range(len(loop.joints)):
        w, anchor = axis_of(t, m, loop.joints[k]), anchor_of(t, m, loop.joints[k])
        lever = cross(w, (x - anchor[0], y - anchor[1], z - anchor[2]))
        for r in range(3):
            jacobian[r, k], jacobian[3 + r, k] = loop.way[k] * lever[r], loop.way[k] * w[r]
    return arm


@njit(cache=True)
def _gram(jacobian: Array, weight: Array, gram: Array) -> bool:
    """Factor J D Jᵀ (6, 6); False where the loop is singular."""
    for i in range(6):
        for j in range(i, 6):
            gram[i, j] = 1e-10 if i == j else 0.0
            for k in range(weight.size):
                gram[i, j] += jacobian[i, k] * weight[k] * jacobian[j, k]
    return cholesky(gram, 6)


@njit(cache=True)
def _shift(loop: Loop, jacobian: Array, gram: Array, wanted: Array, joints: Array) -> None:
    """Change the loop's joints the least, by Jᵀ (J Jᵀ)⁻¹ wanted; `wanted` (6,) is overwritten."""
    forward(gram, wanted, 6)
    backward(gram, wanted, 6)
    for k in range(len(loop.joints)):
        for r in range(6):
            joints[loop.joints[k]] += jacobian[r, k] * wanted[r]


@njit(cache=True)
def relative_pose(t: RootedTree, loop: Loop, m: Motion, rotation: Array) -> Triple:
    """Place (3,) m and `rotation` (3, 3) of the loop's link as the root sees them."""
    for i in range(3):
        column = rotated_back(m.rotation[t.root], m.rotation[loop.link][:, i])
        rotation[0, i], rotation[1, i], rotation[2, i] = column
    gap = m.position[loop.link] - m.position[t.root]
    return rotated_back(m.rotation[t.root], gap)


@njit(cache=True)
def _close(t: RootedTree, loop: Loop, stance: Stance, q: Array, v: Array, a: Array, m: Motion, jacobian: Array) -> bool:
    """Move the loop's joints the least so that the second sole stands where it stood, and rests; q is placed at the end."""
    ones, wanted, turned, gram = np.ones(len(loop.joints)), np.empty(6), np.empty((3, 3)), np.empty((6, 6))
    place(t, q, m)
    arm = _loop_columns(t, loop, m, jacobian)
    if not _gram(jacobian, ones, gram):
        return False
    here = relative_pose(t, loop, m, turned)
    # One Newton step. Rotation that is left, in the root's axes: the antisymmetric part of R* Rᵀ, good to second order.
    skew = stance.turn @ turned.T
    turn = rotated(m.rotation[t.root], (0.5 * (skew[2, 1] - skew[1, 2]), 0.5 * (skew[0, 2] - skew[2, 0]), 0.5 * (skew[1, 0] - skew[0, 1])))
    gap, swing = rotated(m.rotation[t.root], between(here, stance.place)), cross(turn, arm)
    for r in range(3):
        wanted[r], wanted[3 + r] = gap[r] + swing[r], turn[r]
    _shift(loop, jacobian, gram, wanted, q)
    place(t, q, m)
    arm = _loop_columns(t, loop, m, jacobian)
    if not _gram(jacobian, ones, gram):
        return False
    wanted[:] = 0.0
    for r in range(6):
        for k in range(ones.size):
            wanted[r] -= jacobian[r, k] * v[loop.joints[k]]
    _shift(loop, jacobian, gram, wanted, v)
    move(t, v, a, m)
    omega, alpha = m.omega[loop.link], m.alpha[loop.link]
    extra = swept(omega, alpha, arm)
    for r in range(3):
        wanted[r], wanted[3 + r] = -(m.acceleration[loop.link, r] + extra[r]), -alpha[r]
    _shift(loop, jacobian, gram, wanted, a)
    return True


@njit(cache=True)
def _relieve(loop: Loop, jacobian: Array, limit: Array, torque: Array) -> bool:
    """Put that force into the loop which makes Σ (τ/τ_max)² of its joints least."""
    weight, force, gram = np.empty(len(loop.joints)), np.zeros(6), np.empty((6, 6))
    for k in range(weight.size):
        j = loop.joints[k]
        weight[k] = 1e4 / limit[j] ** 2
        for r in range(6):
            force[r] += jacobian[r, k] * weight[k] * torque[j]
    if not _gram(jacobian, weight, gram):
        return False
    forward(gram, force, 6)
    backward(gram, force, 6)
    for k in range(weight.size):
        for r in range(6):
            torque[loop.joints[k]] -= jacobian[r, k] * force[r]
    return True


@njit(cache=True)
def stance_of(t: RootedTree, loop: Loop, base_rotation: Array, q: Array, m: Motion) -> Stance:
    """The stance of a robot with base attitude `base_rotation` (3, 3) in the world and joints q (n,)."""
    place(t, q, m)
    turn, gravity = np.empty((3, 3)), np.empty(3)
    down = rotated_back(base_rotation, (0.0, 0.0, -GRAVITY))
    gravity[0], gravity[1], gravity[2] = rotated_back(m.rotation[t.root], down)
    return Stance(gravity, relative_pose(t, loop, m, turn), turn)


@njit(cache=True)
def braking_at(
    t: RootedTree,
    loop: Loop,
    b: Brake,
    stance: Stance,
    start: tuple[Array, Array],
    time_s: float,
    dt: float,
    to: tuple[Array, Array, Array],
    m: Motion,
    torque: Array,
) -> bool:
    """Motion `to` and torque (n,) N·m after some time of braking from a state (q, v); False where the legs' loop is singular."""
    coasted(b, start[0], start[1], time_s, dt, to)
    q, v, a = to
    jacobian = np.empty((6, len(loop.joints)))
    if len(loop.joints) == 0:
        place(t, q, m)
    elif not _close(t, loop, stance, q, v, a, m, jacobian):
        return False
    move(t, v, a, m)
    torques(t, a, rotated(m.rotation[t.root], stance.gravity), m, torque)
    return len(loop.joints) == 0 or _relieve(loop, jacobian, b.torque, torque)


@njit(cache=True)
def stopping_torque(t: RootedTree, loop: Loop, b: Brake, base_rotation: Array, q: Array, v: Array, dt: float, torque: Array) -> bool:
    """Torque (n,) N·m of the manoeuvre in a state (q, v); False where the legs' loop is singular."""
    m = room_for(q.size)
    to = (np.empty(q.size), np.empty(q.size), np.empty(q.size))
    return braking_at(t, loop, b, stance_of(t, loop, base_rotation, q, m), (q, v), 0.0, dt, to, m, torque)


@njit(cache=True)
def is_too_strong(b: Brake, j: int, speed: float, torque: float, share: float) -> bool:
    """Whether a torque (N·m) at a speed (rad/s) is more than a share of what the motor of joint j has."""
    return not np.abs(torque) <= share * min(b.torque[j], b.power[j] / max(np.abs(speed), SLOW))


@njit(cache=True)
def can_brake(
    t: RootedTree,
    loop: Loop,
    b: Brake,
    c: Capsules,
    base_rotation: Array,
    now: Array,
    q: Array,
    v: Array,
    before: Array,
    least: float,
    share: float,
    jump: float,
    dt: float,
    looks: int,
) -> tuple[int, int]:
    """Whether the manoeuvre from (q, v) keeps to every joint's range and speed, and to a share of torque and power.

    It begins within a jump, a share of torque, of the torque `before` (n,) N·m; where that is NaN, with any.
    base_rotation (3, 3), now (n,): attitude and joints that say how the robot stands. Its capsules stay `least` (m) apart, or as
    far as they are by then; where that is −∞, they are not looked at.
    looks: at how many times: its beginning, from 2 on its end, others between. HELD, or what is not kept, and the joint.
    """
    n = q.size
    m, to, torque = room_for(n), (np.empty(n), np.empty(n), np.empty(n)), np.empty(n)
    for j in range(n):
        if not np.abs(v[j]) <= b.velocity[j]:
            return TOO_FAST, j
    here = room_for(n)
    stance, placed = stance_of(t, loop, base_rotation, now, here), np.empty(c.ends.shape)
    looped, at, speed, spent = len(loop.joints) > 0, q.copy(), v.copy(), 0.0
    longest = 0.0
    for j in range(n):
        if np.abs(v[j]) > STILL:
            longest = max(longest, max(0.0, np.abs(v[j]) - b.rate[j] / b.decay[j]) / b.rate[j] + FADED / b.decay[j])
    last = looks - 1
    for k in range(looks):
        i = k if looped or k == 0 else looks - k  # most that fail do so at the beginning, else at the end, which is known of a free way
        time_s = 0.0 if i == 0 else longest * (i / (last - 1)) ** 2 if i < last else np.inf  # closer together while joints are fast
        if not braking_at(t, loop, b, stance, (at, speed), time_s - spent, dt, to, m, torque):
            return OPEN_LOOP, 0
        for j in range(n):
            if not b.position_min[j] <= to[0][j] <= b.position_max[j]:
                return TOO_FAR, j
            if not np.abs(to[1][j]) <= b.velocity[j]:
                return TOO_FAST, j
            if is_too_strong(b, j, to[1][j], torque[j], share):
                return TOO_STRONG, j
            if i == 0 and np.abs(torque[j] - before[j]) > jump * b.torque[j]:
                return TOO_SUDDEN, j
        if least > -np.inf:
            if i == 0:  # nearer than they are by now they must not come
                least = nearest_gap(c, here, placed, least)
            if not is_clear(c, m, placed, least - NEARER_M):
                return TOO_NEAR, 0
        if looped:  # the loop bends the way to rest: it is followed piece by piece
            at[:], speed[:], spent = to[0], to[1], time_s
    return HELD, 0
