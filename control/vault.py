"""Vaulting: the centre of mass rises over the stance foot and falls towards the next one, which spares the knees.

Over a stiff leg of length ℓ a body that goes d forward in a step is ℓ − √(ℓ² − d²/4) ≈ d²/(8 ℓ) higher in the middle than at both
ends. A legged pendulum kept level has to bend and stretch its knee by that much instead. A cosine of the step's period,
    z = −A cos(2π t/T − φ),   A = share · d²/(16 ℓ),
takes the share of it that pays; φ puts its lowest point after touchdown, where people have it (Inman, Ralston & Todd 1981).
A is bounded so that the body never accelerates by more than MOST: what is hurried stays level, and the ground can give it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

MOST = 2.6  # m/s²


@njit(cache=True)
def vault(way_m: float, time_s: float, duration_s: float, height_m: float, share: float, lag_rad: float) -> Array:
    """Height over the mean (m), its rate (m/s) and acceleration (m/s²), (3,), `time_s` into a step that leads `way_m` forward.

    Rate and acceleration are those at a fixed duration. A step that takes longer than its duration stays where it ends, still.
    """
    rate, out = 2.0 * np.pi / duration_s, np.zeros(3)
    size = min(share * way_m * way_m / (16.0 * height_m), MOST / (rate * rate))
    angle = rate * min(time_s, duration_s) - lag_rad
    out[0] = -size * np.cos(angle)
    if time_s < duration_s:
        out[1], out[2] = size * rate * np.sin(angle), size * rate * rate * np.cos(angle)
    return out
