"""Support polygons in the plane: convex hull, signed margin and projection, in numba."""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array


@njit(cache=True)
def convex_hull(points: Array) -> Array:
    """Counter-clockwise hull (k, 2) of points (m, 2), by Andrew's monotone chain."""
    order = np.argsort(points[:, 0] + 1e-9 * points[:, 1])
    m = points.shape[0]
    chain = np.empty((2 * m, 2))
    k = 0
    for i in range(m):
        p = points[order[i]]
        while k >= 2 and _cross(chain[k - 2], chain[k - 1], p) <= 0.0:
            k -= 1
        chain[k] = p
        k += 1
    low = k + 1
    for i in range(m - 2, -1, -1):
        p = points[order[i]]
        while k >= low and _cross(chain[k - 2], chain[k - 1], p) <= 0.0:
            k -= 1
        chain[k] = p
        k += 1
    return chain[: k - 1].copy()


@njit(cache=True)
def _cross(a: Array, b: Array, p: Array) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


@njit(cache=True)
def margin_inside(point: Array, hull: Array) -> float:
    """Distance, m, from a point (2,) to the nearest edge line of a counter-clockwise hull: positive inside."""
    k = hull.shape[0]
    least = np.inf
    for i in range(k):
        a, b = hull[i], hull[(i + 1) % k]
        length = np.hypot(b[0] - a[0], b[1] - a[1])
        if length > 1e-9:
            least = min(least, _cross(a, b, point) / length)
    return least


@njit(cache=True)
def clamp_inside(point: Array, hull: Array, inset: float) -> Array:
    """The point (2,), moved inside the hull by `inset` m where it is not, by repeated projection on broken edges."""
    k = hull.shape[0]
    out = point.copy()
    for _ in range(8):
        moved = False
        for i in range(k):
            a, b = hull[i], hull[(i + 1) % k]
            ex, ey = b[0] - a[0], b[1] - a[1]
            length = np.hypot(ex, ey)
            if length < 1e-9:
                continue
            gap = inset - _cross(a, b, out) / length
            if gap > 1e-9:
                out[0] -= gap * ey / length
                out[1] += gap * ex / length
                moved = True
        if not moved:
            break
    return out


@njit(cache=True)
def support_hull(soles: Array, yaws: Array, polygon: Array) -> Array:
    """Hull (k, 2) of both soles' polygons (m, 2) at positions (2, ≥ 2) and yaws (2,)."""
    m = polygon.shape[0]
    points = np.empty((2 * m, 2))
    for foot in range(2):
        c, s = np.cos(yaws[foot]), np.sin(yaws[foot])
        for i in range(m):
            points[foot * m + i, 0] = soles[foot, 0] + c * polygon[i, 0] - s * polygon[i, 1]
            points[foot * m + i, 1] = soles[foot, 1] + s * polygon[i, 0] + c * polygon[i, 1]
    return convex_hull(points)
