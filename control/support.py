"""What holds the robot still, and how its joints then answer torques: q̈ = W (τ − h).

With the base on a stand, or one sole held by the ground, the base's acceleration follows the joints', q̈_b = B q̈_j + b: the joint
space mass matrix is Nᵀ M N with N = (B; 1), its bias Nᵀ (h + M (b; 0)). With nothing held, B and b are those of a base on which no
force acts. With both soles held the joints must close the loop, J_c q̈ + c = 0, by the forces that they put into it:
W ← W − W J_cᵀ (J_c W J_cᵀ)⁻¹ J_c W (Featherstone, Rigid Body Dynamics Algorithms, 2008, 8.4).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit

from poise.robots.types import LEFT, RIGHT, Array

from .dynamics import Terms, terms_of
from .linalg import backward, cholesky, cross, forward, rotated


class Support(IntEnum):
    """What stands still: a sole or both, nothing, or the base."""

    LEFT = LEFT
    RIGHT = RIGHT
    BOTH = 2
    NONE = 3
    BASE = 4


def support_of(contact: Array) -> Support:
    """The support of soles (2,) that stand where they are over ½."""
    left, right = contact[LEFT] > 0.5, contact[RIGHT] > 0.5
    if left and right:
        return Support.BOTH
    return Support.LEFT if left else Support.RIGHT if right else Support.NONE


@njit(cache=True)
def _base_follows(t: Terms, support: int) -> tuple[Array, Array]:
    """B (6, n) and b (6,) of q̈_b = B q̈_j + b."""
    n = t.v.size - 6
    if support == 4:
        return np.zeros((6, n)), np.zeros(6)
    if support == 3:
        both = np.linalg.solve(t.mass_matrix[:6, :6].copy(), np.column_stack((t.mass_matrix[:6, 6:], t.bias[:6].copy())))
    else:
        jacobian = t.sole_jacobian[1 if support == 1 else 0]
        drift = t.sole_drift[1 if support == 1 else 0]
        both = np.linalg.solve(jacobian[:, :6].copy(), np.column_stack((jacobian[:, 6:], drift.copy())))
    follow, start = np.empty((6, n)), np.empty(6)
    follow[:], start[:] = -both[:, :n], -both[:, n]
    return follow, start


@njit(cache=True)
def _reduced(t: Terms, support: int) -> tuple[bool, Array, Array, Array, Array]:
    """Whether the joint space mass matrix can be factored, its factor, minus its bias, and the loop's J_c (6, n) and c (6,)."""
    follow, start = _base_follows(t, support)
    base = np.ascontiguousarray(t.mass_matrix[:6, :6])
    joint = np.ascontiguousarray(t.mass_matrix[6:, :6])
    half = (joint + 0.5 * follow.T @ base) @ follow
    mass = t.mass_matrix[6:, 6:] + half + half.T
    bias = t.bias[6:] + follow.T @ t.bias[:6] + (joint + follow.T @ base) @ start
    sole = np.ascontiguousarray(t.sole_jacobian[1, :, :6])
    jacobian = np.ascontiguousarray(t.sole_jacobian[1, :, 6:]) + sole @ follow
    return cholesky(mass, bias.size), mass, -bias, jacobian, t.sole_drift[1] + sole @ start


@njit(cache=True)
def _solved(factor: Array, rows: Array) -> None:
    """Each row x ← (UᵀU)⁻¹ x, in place."""
    for i in range(len(rows)):
        forward(factor, rows[i], len(factor))
        backward(factor, rows[i], len(factor))


@njit(cache=True)
def _inverse(factor: Array) -> Array:
    """(UᵀU)⁻¹ = U⁻¹ U⁻ᵀ, with U⁻¹ by rows from the last."""
    n = len(factor)
    inverse = np.zeros((n, n))
    for i in range(n - 1, -1, -1):
        scale = 1.0 / factor[i, i]
        inverse[i, i] = scale
        for k in range(i + 1, n):
            f = -scale * factor[i, k]
            for j in range(k, n):
                inverse[i, j] += f * inverse[k, j]
    return inverse @ inverse.T


@njit(cache=True)
def _loop_gram(spread: Array, jacobian: Array) -> Array:
    """J_c W J_cᵀ; a straight leg makes the loop singular, and the small term guards it."""
    return spread @ jacobian.T + 1e-9 * np.eye(6)


@njit(cache=True)
def joint_accelerations(block: Array, nv: int, support: int, torques: Array) -> Array:
    """Acceleration (k, n), rad/s², of the joints by each of torques (k, n) N·m, in a block of `terms_of`; NaN without a positive mass."""
    sound, factor, minus_bias, jacobian, drift = _reduced(terms_of(block, nv), support)
    if not sound:
        return np.full(torques.shape, np.nan)
    out = torques + minus_bias
    _solved(factor, out)
    if support == 2:
        spread = jacobian.copy()
        _solved(factor, spread)
        excess = jacobian @ out.T + drift.reshape(-1, 1)
        out -= np.linalg.solve(_loop_gram(spread, jacobian), excess).T @ spread
    return out


@njit(cache=True)
def joint_acceleration(block: Array, nv: int, support: int, torque: Array) -> Array:
    """`joint_accelerations` of one torque (n,)."""
    return joint_accelerations(block, nv, support, torque.copy().reshape(1, -1))[0]


@njit(cache=True)
def response_and_bias(block: Array, nv: int, support: int) -> tuple[Array, Array]:
    """Joint acceleration per joint torque W (n, n), 1/(kg·m²), and the acceleration without torque (n,), rad/s²."""
    sound, factor, minus_bias, jacobian, drift = _reduced(terms_of(block, nv), support)
    if not sound:
        return np.full(factor.shape, np.nan), minus_bias * np.nan
    response = _inverse(factor)
    free = response @ minus_bias
    if support == 2:
        spread = jacobian @ response
        gram = _loop_gram(spread, jacobian)
        free -= spread.T @ np.linalg.solve(gram, jacobian @ free + drift)
        response -= spread.T @ np.linalg.solve(gram, spread)
    return response, free


@njit(cache=True)
def ground_wrench(block: Array, nv: int, support: int, torque: Array) -> Array:
    """Force, N, and moment, N·m about the world's origin, (6,), with which what stands still holds the robot while torques (n,) act.

    The six rows of the base of M q̈ + h, in which no motor stands; NaN where the model is not physical.
    """
    t = terms_of(block, nv)
    follow, start = _base_follows(t, support)
    joint = joint_acceleration(block, nv, support, torque)
    base = follow @ joint + start
    held = np.ascontiguousarray(t.mass_matrix[:6, :6]) @ base + np.ascontiguousarray(t.mass_matrix[:6, 6:]) @ joint + t.bias[:6]
    out, lever = np.empty(6), (t.q[0], t.q[1], t.q[2])
    force, moment = rotated(t.base_rotation, held[:3]), rotated(t.base_rotation, held[3:])
    about = cross(lever, force)
    for r in range(3):
        out[r], out[3 + r] = force[r], moment[r] + about[r]
    return out
