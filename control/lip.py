"""Linear inverted pendulum: the divergent component of motion (DCM) and its two-step periodic orbit.

ω = √(g / height), ξ = c + ċ/ω, c̈ = ω²(c − p), ξ̇ = ω(ξ − p), with the ZMP p (Englsberger et al., T-RO 2015).
At touchdown the ZMP moves linearly from the old sole to the new one during the double support of t_ds; with u the
displacement from the old sole to the new one, that acts on the DCM offset b like an instant shift by κ·u.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

GRAVITY = 9.81


@njit(cache=True)
def natural_frequency(height_m: float) -> float:
    """ω in 1/s of a pendulum of that height."""
    return np.sqrt(GRAVITY / height_m)


@njit(cache=True)
def dcm_after(dcm: Array, zmp: Array, omega: float, duration_s: float) -> Array:
    """DCM (k,) m after `duration_s` over a constant ZMP (k,) m."""
    return zmp + (dcm - zmp) * np.exp(omega * duration_s)


@njit(cache=True)
def transfer_shift(omega: float, double_support_s: float) -> float:
    """κ: what a linear ZMP transfer over the double support adds to the DCM offset, per metre of step.

    κ = ω ∫₀^t_ds e^{−ωs}(1 − s/t_ds) ds = 1 − (1 − e^{−ω t_ds}) / (ω t_ds).
    """
    x = omega * double_support_s
    if x < 1e-6:
        return 0.5 * x
    return 1.0 - (1.0 - np.exp(-x)) / x


@njit(cache=True)
def dcm_in_double_support(
    dcm: Array, last_step: Array, omega: float, elapsed_s: float, double_support_s: float, duration_s: float
) -> Array:
    """DCM offset (2,) from the new sole after `duration_s` within the transfer that began `elapsed_s` ago.

    The ZMP is −last_step (1 − t/t_ds) from the new sole, last_step (2,) m from the old sole to the new one.
    """
    # Particular solution of ξ̇ = ω(ξ − p) for p = p₀ + ṗ t is p + ṗ/ω.
    rate = last_step / double_support_s
    zmp = -last_step * (1.0 - elapsed_s / double_support_s)
    zmp_end = zmp + rate * duration_s
    return zmp_end + rate / omega + (dcm - zmp - rate / omega) * np.exp(omega * duration_s)


@njit(cache=True)
def periodic_offset(
    step_first: Array,
    turn_first: float,
    step_second: Array,
    turn_second: float,
    omega: float,
    step_s: float,
    kappa: float,
    swing: float = 0.0,
) -> Array:
    """DCM offset (2,) m at touchdown of the current stance foot, in its frame, on the two-step periodic orbit.

    step_first (2,) m leads from this foot to the next one in this foot's frame, which is turned by turn_first rad;
    step_second leads back to this foot's successor, in the next foot's frame. The orbit satisfies, with E = e^{ωT},
    b' the offset at the next touchdown and w = `swing`, what the swing foot's way adds to the DCM per metre (reaction.py):
    E (b + κ R₂ᵀ step_second) + w (step_first + R₂ᵀ step_second) = step_first + R₁ b', and the same one step on.
    """
    growth = np.exp(omega * step_s)
    c1, s1, c2, s2 = np.cos(turn_first), np.sin(turn_first), np.cos(turn_second), np.sin(turn_second)
    # Without b':  (E − R₁R₂/E) b = (1 − w − κ − w/E) step_first + (1 − w) R₁ step_second / E − (E κ + w) R₂ᵀ step_second
    share, next_share, delay = 1.0 - swing - kappa - swing / growth, (1.0 - swing) / growth, growth * kappa + swing
    x = (
        share * step_first[0]
        + next_share * (c1 * step_second[0] - s1 * step_second[1])
        - delay * (c2 * step_second[0] + s2 * step_second[1])
    )
    y = (
        share * step_first[1]
        + next_share * (s1 * step_second[0] + c1 * step_second[1])
        - delay * (c2 * step_second[1] - s2 * step_second[0])
    )
    a, b = growth - np.cos(turn_first + turn_second) / growth, np.sin(turn_first + turn_second) / growth
    scale = 1.0 / (a * a + b * b)
    return scale * np.array([a * x - b * y, b * x + a * y])
