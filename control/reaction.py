"""The swing leg's reaction on the pendulum: a foot that is thrown forward pushes the centre of mass forward.

A swing foot that accelerates by a (m/s²) changes the angular momentum about the centre of mass by k a about the
horizontal axis across a, with k (kg·m) of the leg alone. Where neither trunk nor arms take that up, the balance of moments
    c̈ = ω² (c − p + s a),   s = k / (m g)
moves the pendulum as if its ZMP p were s a further back. Over a swing from rest to rest the move of the centre of mass is
small, that of the DCM is not: about ω² s e^{ωT/2} per metre of swing, 0.2 m at 1 m/s of a G1.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots import RobotModel
from poise.robots.types import Array

from .dynamics import Dynamics

TIME_LEAST_S = 0.03  # as in the swing foot's own law (swing.py)
TAKEN_UP = 0.5  # of the reaction by trunk and arms, where the robot has to be caught


def left_to_the_body(urgency: float) -> float:
    """The share of the reaction that the centre of mass gets, of an urgency from 0 to 1."""
    return 1.0 - TAKEN_UP * urgency


@njit(cache=True)
def dcm_of_swing(time_s: float, omega: float, shift: float) -> tuple[float, float]:
    """What the swing foot's way to its foothold in `time_s` adds to the DCM at touchdown: per m of way and per m/s of velocity now.

    Along the move of least acceleration, a(t) = a₀ + (a₁ − a₀) t/T with a₀ = 6 e/T² − 4 v/T and a₁ = −6 e/T² + 2 v/T, the DCM
    ends ω s ∫₀ᵀ e^{ω(T−t)} a(t) dt further; shift is s, s². The first is in m/m, the second in s.
    """
    t = max(time_s, TIME_LEAST_S)
    growth = np.exp(omega * t)
    constant, linear = (growth - 1.0) / omega, (growth - 1.0 - omega * t) / (omega * omega)
    scale = omega * shift
    return scale * 6.0 / (t * t) * (constant - 2.0 * linear / t), scale * (6.0 * linear / (t * t) - 4.0 * constant / t)


def momentum_as_shift(momentum: Array, weight_n: float) -> Array:
    """λ = (L_y, −L_x)/(m g), (2,) m·s, of an angular momentum (2,) about the centre of mass; its rate acts like a shift of the ZMP."""
    return np.array([momentum[1], -momentum[0]]) / weight_n


def legs_momentum_as_shift(swing_velocity: Array, com_velocity: Array, shift: float, shift_now: float) -> Array:
    """λ (2,) m·s of both legs over a stance foot at rest: −s times the velocities of both feet from the centre of mass, v − ċ and −ċ.

    shift is s of the legs, shift_now, s², what of it the plan gives the swing foot; velocities (2,) m/s.
    """
    return 2.0 * shift * com_velocity - shift_now * swing_velocity


def leg_momentum(robot: RobotModel) -> float:
    """k of a leg, kg·m: angular momentum about the centre of mass per m/s of a foot that moves level, the pelvis at rest.

    The mean over both legs and both horizontal axes.
    """
    d, legs = Dynamics(robot), robot.legs.reshape(2, -1) + 6
    d.update(robot.standing_configuration(), np.zeros(d.nv))
    momenta = []
    for foot, leg in enumerate(legs):
        rates: Array = np.linalg.pinv(d.sole_jacobian[foot][:, leg])
        momentum = d.centroidal_map[3:5, leg] @ rates[:, :2]
        momenta += [-momentum[1, 0], momentum[0, 1]]
    return float(np.mean(momenta))
