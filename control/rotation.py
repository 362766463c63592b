"""Rotations in numba: quaternions wxyz, roll-pitch-yaw as R = Rz(yaw) Ry(pitch) Rx(roll)."""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

from .linalg import Triple, cross


@njit(cache=True)
def matrix_from_quat(quat: Array) -> Array:
    """Rotation matrix (3, 3) of a unit quaternion wxyz (4,)."""
    w, x, y, z = quat[0], quat[1], quat[2], quat[3]
    out = np.empty((3, 3))
    out[0, 0], out[0, 1], out[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    out[1, 0], out[1, 1], out[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    out[2, 0], out[2, 1], out[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    return out


@njit(cache=True)
def matrix_from_rpy(roll: float, pitch: float, yaw: float) -> Array:
    """Rotation matrix (3, 3) of roll, pitch, yaw in rad."""
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    out = np.empty((3, 3))
    out[0, 0], out[0, 1], out[0, 2] = cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr
    out[1, 0], out[1, 1], out[1, 2] = sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr
    out[2, 0], out[2, 1], out[2, 2] = -sp, cp * sr, cp * cr
    return out


@njit(cache=True)
def yaw_of(rotation: Array) -> float:
    """Yaw, rad, of a rotation matrix (3, 3)."""
    return np.arctan2(rotation[1, 0], rotation[0, 0])


@njit(cache=True)
def rotation_error(wanted: Array, actual: Array) -> Triple:
    """Rotation vector (3,) in the world frame, rad, that turns `actual` (3, 3) into `wanted` (3, 3)."""
    trace, x, y, z = 0.0, 0.0, 0.0, 0.0  # of wanted actualᵀ, and twice its antisymmetric part
    for k in range(3):
        a, w = actual[:, k], wanted[:, k]
        trace += a[0] * w[0] + a[1] * w[1] + a[2] * w[2]
        dx, dy, dz = cross(a, w)
        x, y, z = x + dx, y + dy, z + dz
    angle = np.arccos(min(1.0, max(-1.0, 0.5 * (trace - 1.0))))
    # Near a half turn the antisymmetric part vanishes; no reference of a standing robot comes close.
    scale = 0.5 if angle < 1e-6 else angle / (2.0 * max(np.sin(angle), 1e-6))
    return scale * x, scale * y, scale * z


@njit(cache=True)
def wrap_angle(angle: float) -> float:
    """The same angle in (−π, π], rad."""
    return np.arctan2(np.sin(angle), np.cos(angle))


@njit(cache=True)
def turned(angle: float, vector: Array) -> Array:
    """A plane vector (2,) turned by an angle, rad."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])
