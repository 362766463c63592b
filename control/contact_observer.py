"""Contact from leg torques, and what acts on the robot beside its feet.

The residual r = M q̈ + h − τ of each leg's rows is the torque Jᵀf of its foot's contact force; that of the base's rows is
Σ Jᵀf of both and of anything else that touches the robot. With q̈ from differences and a first-order low-pass it equals the
momentum observer of De Luca & Mattone (ICRA 2005) up to Ṁ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from poise.robots.types import Array

from .linalg import backward, cholesky, dot, forward


class ObserverConfig(NamedTuple):
    """Rate in 1/s, forces in N."""

    observer_rate: float = 80.0
    force_off: float = 10.0  # contact probability 0 below
    force_on: float = 30.0  # and 1 above


@njit(cache=True)
def observe_contact(
    mass: Array,
    bias: Array,
    acceleration: Array,
    torque: Array,
    legs: NDArray[np.intp],
    jacobian: Array,
    dt: float,
    config: ObserverConfig,
    residual: Array,
    wrench: Array,
    contact: Array,
) -> None:
    """Update residuals, wrenches and contact probabilities (2,) in place, with q̈ = `acceleration` (nv,).

    residual (18,): of the left and the right leg's joints, N·m, and of the base, N and N·m in its frame. wrench (3, 6), N and
    N·m: of the ground on the soles, world axes, and of whatever else acts, brought to the base and in its frame.
    """
    blend = min(1.0, config.observer_rate * dt)
    gram = np.empty((6, 6))
    for i in range(6):
        residual[12 + i] += blend * (dot(mass[i], acceleration) + bias[i] - residual[12 + i])
        wrench[2, i] = residual[12 + i]
    for foot in range(2):
        found = wrench[foot]
        found[:], gram[:] = 0.0, 0.0
        for i in range(6):
            dof, r = legs[foot, i], 6 * foot + i
            residual[r] += blend * (dot(mass[dof], acceleration) + bias[dof] - torque[dof - 6] - residual[r])
            for j in range(6):
                found[j] += jacobian[foot, j, dof] * residual[r]
                for k in range(j, 6):
                    gram[j, k] += jacobian[foot, j, dof] * jacobian[foot, k, dof]
        for i in range(6):
            gram[i, i] += 1e-4  # damped, so that a straight knee does not turn noise into force
        if not cholesky(gram, 6):  # not finite: what the solver of the whole body makes of it says so
            continue
        forward(gram, found, 6)
        backward(gram, found, 6)
        contact[foot] = min(1.0, max(0.0, (found[2] - config.force_off) / (config.force_on - config.force_off)))
        for i in range(6):
            for j in range(6):
                wrench[2, i] -= jacobian[foot, j, i] * found[j]
