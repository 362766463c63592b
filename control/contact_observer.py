"""Contact from leg torques, and the force from outside that the feet do not explain.

The residual r = M q̈ + h − τ of each leg's rows is the torque Jᵀf of its foot's contact force. With q̈ from differences and
a first-order low-pass it equals the momentum observer of De Luca & Mattone (ICRA 2005) up to Ṁ.
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
    force_off: float = 20.0  # contact probability 0 below
    force_on: float = 80.0  # and 1 above


@njit(cache=True)
def observe_contact(
    mass: Array,
    bias: Array,
    v: Array,
    v_last: Array,
    torque: Array,
    legs: NDArray[np.intp],
    jacobian: Array,
    dt: float,
    config: ObserverConfig,
    residual: Array,
    force: Array,
    contact: Array,
) -> None:
    """Update leg residuals (2, 6) N·m, vertical sole forces (2,) N and contact probabilities (2,) in place."""
    change = (v - v_last) / dt
    blend = min(1.0, config.observer_rate * dt)
    gram, wrench = np.empty((6, 6)), np.empty(6)
    for foot in range(2):
        wrench[:], gram[:] = 0.0, 0.0
        for i in range(6):
            dof = legs[foot, i]
            seen = dot(mass[dof], change) + bias[dof] - torque[dof - 6]
            residual[foot, i] += blend * (seen - residual[foot, i])
            for j in range(6):
                wrench[j] += jacobian[foot, j, dof] * residual[foot, i]
                for k in range(j, 6):
                    gram[j, k] += jacobian[foot, j, dof] * jacobian[foot, k, dof]
        for i in range(6):
            gram[i, i] += 1e-4  # damped, so that a straight knee does not turn noise into force
        if not cholesky(gram, 6):  # not finite: what the solver of the whole body makes of it says so
            continue
        forward(gram, wrench, 6)
        backward(gram, wrench, 6)
        force[foot] = wrench[2]
        contact[foot] = min(1.0, max(0.0, (wrench[2] - config.force_off) / (config.force_on - config.force_off)))
