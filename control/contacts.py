"""What the ground can give: contact wrench generators, and bounds of the forces."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array

from .dynamics import Terms

EDGES = 4  # friction pyramid edges a vertex
LIMIT_ROWS = 5  # total normal force, and yaw friction of both soles from both sides


class Contacts(NamedTuple):
    """What the ground can give."""

    vertices: Array  # (k, 2) m, sole polygon
    friction: float
    yaw_friction: float  # N·m/N
    force_max: float  # N, both feet
    newton: float  # N, unit of the multipliers


@njit(cache=True)
def friction_edges(vertices: Array, rotation: Array, friction: float, out: Array) -> None:
    """Wrench generators (6, EDGES·k) at the sole origin, world-aligned, of unit normal force on the pyramid edges.

    vertices (k, 2) m in the sole frame; the pyramid is inscribed in the cone of that friction coefficient.
    """
    side = friction / np.sqrt(2.0)
    for i in range(vertices.shape[0]):
        arm = vertices[i, 0] * rotation[:, 0] + vertices[i, 1] * rotation[:, 1]
        for e in range(EDGES):
            fx, fy = (side if e < 2 else -side), (side if e % 2 == 0 else -side)
            force = fx * rotation[:, 0] + fy * rotation[:, 1] + rotation[:, 2]
            column = EDGES * i + e
            out[0, column], out[1, column], out[2, column] = force[0], force[1], force[2]
            out[3, column] = arm[1] * force[2] - arm[2] * force[1]
            out[4, column] = arm[2] * force[0] - arm[0] * force[2]
            out[5, column] = arm[0] * force[1] - arm[1] * force[0]


@njit(cache=True)
def contact_wrenches(wrench_map: Array, t: Terms, contact: Array, contacts: Contacts) -> None:
    """Fill the map (12, nf) from the multipliers of the standing soles to both soles' wrenches."""
    width, column = EDGES * contacts.vertices.shape[0], 0
    for foot in range(2):
        if contact[foot] > 0.5:
            block = wrench_map[6 * foot : 6 * foot + 6, column : column + width]
            friction_edges(contacts.vertices, t.sole_rotation[foot], contacts.friction, block)
            wrench_map[6 - 6 * foot : 12 - 6 * foot, column : column + width] = 0.0
            column += width


@njit(cache=True)
def force_rows(wrench_map: Array, contacts: Contacts, rows: Array, lower: Array, upper: Array) -> None:
    """Rows (LIMIT_ROWS, nf) over λ, and the bounds (nf + LIMIT_ROWS,) of λ and of these rows: total force, yaw friction."""
    nf = wrench_map.shape[1]
    for i in range(nf):
        rows[0, i] = 1.0
        lower[i], upper[i] = 0.0, 1e30
    lower[nf], upper[nf] = -1e30, contacts.force_max / contacts.newton
    for foot in range(2):  # ±m_z − c·f_z ≤ 0, about the vertical: soles are flat on the ground where it matters
        for side in range(2):
            row = 1 + 2 * foot + side
            sign = 1.0 if side == 0 else -1.0
            for i in range(nf):
                rows[row, i] = sign * wrench_map[6 * foot + 5, i] - contacts.yaw_friction * wrench_map[6 * foot + 2, i]
            lower[nf + row], upper[nf + row] = -1e30, 0.0
