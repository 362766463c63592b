"""Small linear algebra for kernels: plain loops, which for a handful of numbers cost less than a call into BLAS."""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

Triple = tuple[float, float, float]
Vector = Array | Triple


@njit(cache=True)
def cross(a: Vector, b: Vector) -> Triple:
    """a × b."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(cache=True)
def rotated(rotation: Array, x: Vector) -> Triple:
    """R x of a matrix (3, 3)."""
    r = rotation
    return (
        r[0, 0] * x[0] + r[0, 1] * x[1] + r[0, 2] * x[2],
        r[1, 0] * x[0] + r[1, 1] * x[1] + r[1, 2] * x[2],
        r[2, 0] * x[0] + r[2, 1] * x[1] + r[2, 2] * x[2],
    )


@njit(cache=True)
def rotated_back(rotation: Array, x: Vector) -> Triple:
    """Rᵀ x of a matrix (3, 3)."""
    return rotated(rotation.T, x)


@njit(cache=True)
def multiply(a: Array, b: Array, out: Array) -> None:
    """out ← A B of matrices (3, 3)."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@njit(cache=True, fastmath={"reassoc", "contract"})
def dot(a: Array, b: Array) -> float:
    """aᵀb; the order of the sum is the compiler's."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True)
def add_scaled(out: Array, factor: float, x: Array) -> None:
    """out ← out + factor x."""
    for i in range(out.size):
        out[i] += factor * x[i]


@njit(cache=True, fastmath={"reassoc", "contract"})
def cholesky(matrix: Array, n: int) -> bool:
    """Factor the leading (n, n) block into UᵀU, U in its upper triangle, in place; False where it is not positive definite.

    Two rows of U at a time, so that what is left is gone through half as often.
    """
    for k in range(0, n - 1, 2):
        if not _scale_row(matrix, k, n):
            return False
        f = matrix[k, k + 1]
        for j in range(k + 1, n):
            matrix[k + 1, j] -= f * matrix[k, j]
        if not _scale_row(matrix, k + 1, n):
            return False
        for i in range(k + 2, n):
            f, g = matrix[k, i], matrix[k + 1, i]
            for j in range(i, n):
                matrix[i, j] -= f * matrix[k, j] + g * matrix[k + 1, j]
    return n % 2 == 0 or _scale_row(matrix, n - 1, n)


@njit(cache=True)
def _scale_row(matrix: Array, k: int, n: int) -> bool:
    if not matrix[k, k] > 0.0:
        return False
    scale = 1.0 / np.sqrt(matrix[k, k])
    for j in range(k, n):
        matrix[k, j] *= scale
    return True


@njit(cache=True)
def forward(factor: Array, x: Array, n: int) -> None:
    """x ← U⁻ᵀ x in place."""
    for k in range(n):
        x[k] /= factor[k, k]
        f = x[k]
        for j in range(k + 1, n):
            x[j] -= f * factor[k, j]


@njit(cache=True)
def backward(factor: Array, x: Array, n: int) -> None:
    """x ← U⁻¹ x in place."""
    for k in range(n - 1, -1, -1):
        x[k] = (x[k] - dot(factor[k, k + 1 : n], x[k + 1 : n])) / factor[k, k]
