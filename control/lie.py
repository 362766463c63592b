"""Exponential maps for kernels: of rotations as unit quaternions wxyz, and of SE_k(3), a rotation and k vectors that turn with it."""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

from .linalg import Triple, Vector, cross

Quat = tuple[float, float, float, float]


@njit(cache=True)
def _series(square: float) -> tuple[float, float, float]:
    """sin(a)/a, (1 − cos a)/a² and (a − sin a)/a³ of a² (rad²)."""
    if square < 1e-6:
        return 1.0 - square / 6.0, 0.5 - square / 24.0, 1.0 / 6.0 - square / 120.0
    angle = np.sqrt(square)
    return np.sin(angle) / angle, (1.0 - np.cos(angle)) / square, (angle - np.sin(angle)) / (angle * square)


@njit(cache=True)
def exp_quat(turn: Vector) -> Quat:
    """Unit quaternion wxyz of a rotation vector (3,), rad."""
    square = turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2]
    half = 0.5 * _series(0.25 * square)[0]
    return np.cos(0.5 * np.sqrt(square)), half * turn[0], half * turn[1], half * turn[2]


@njit(cache=True)
def compose(a: Array | Quat, b: Array | Quat) -> Quat:
    """The unit quaternion wxyz of the rotation b (4,), then a (4,)."""
    w, x, y, z = a[0], a[1], a[2], a[3]
    return (
        w * b[0] - x * b[1] - y * b[2] - z * b[3],
        w * b[1] + x * b[0] + y * b[3] - z * b[2],
        w * b[2] - x * b[3] + y * b[0] + z * b[1],
        w * b[3] + x * b[2] - y * b[1] + z * b[0],
    )


@njit(cache=True)
def log_quat(quat: Array | Quat) -> Triple:
    """Rotation vector (3,) of a unit quaternion wxyz (4,), rad, of at most half a turn."""
    sine = np.sqrt(quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3])
    sign = 1.0 if quat[0] >= 0.0 else -1.0
    scale = 2.0 * sign if sine < 1e-9 else 2.0 * np.arctan2(sine, sign * quat[0]) / sine * sign
    return scale * quat[1], scale * quat[2], scale * quat[3]


@njit(cache=True)
def act_exp(turn: Vector, vectors: Array, shifts: Array) -> None:
    """vectors ← Exp(turn) vectors + J(turn) shifts, rows (k, 3), in place: the vector part of Exp(ξ) X on SE_k(3).

    turn (3,) rad; J is the left Jacobian of SO(3) (Barfoot, State Estimation for Robotics, 2017, eq. 7.77).
    """
    sine, half, third = _series(turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2])
    for k in range(vectors.shape[0]):
        x, s = vectors[k], shifts[k]
        once, shifted = cross(turn, x), cross(turn, s)
        twice, shifted_twice = cross(turn, once), cross(turn, shifted)
        for i in range(3):
            x[i] += sine * once[i] + half * twice[i] + s[i] + half * shifted[i] + third * shifted_twice[i]
