"""Step timing and placement adapted together, every tick.

For each candidate step time T on a grid, and for each axis on its own, the best foothold u and CoP shift d solve a
two-variable box QP in closed form (in the spirit of Khadiv et al., Humanoids 2016, with T enumerated):
    min  w_u (u − u_nom)² + w_b (b − b_nom)² + w_d d²,   b = (ξ − d) e^{ω(T − t)} + d − u
where ξ is the DCM offset from the stance sole now and b its offset from the new sole at touchdown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from poise.robots.types import Array


@dataclass(frozen=True)
class AdaptationConfig:
    """Weights per m² and per s²; the swing foot's acceleration limit in m/s²."""

    weight_foothold: float = 1.0
    weight_offset: float = 50.0
    weight_cop: float = 0.05
    weight_time_nominal: float = 2.0
    weight_time_change: float = 1.0
    swing_acceleration: float = 35.0
    grid_s: float = 0.01
    freeze_s: float = 0.06  # the step is frozen this long before touchdown


@njit(cache=True)
def box_minimum(target: float, growth: float, dcm: float, u_nom: float, w_u: float, w_b: float, w_d: float, box: Array) -> tuple[float, float, float]:
    """Foothold u, CoP shift d and cost of one axis; box = (u_min, u_max, d_min, d_max), target = wanted b.

    The unconstrained minimum when it lies in the box, else the best of the four edges.
    """
    # b = growth·dcm − (growth − 1)·d − u; with r = growth·dcm − target: cost in (u, d) is quadratic.
    r, a = growth * dcm - target, growth - 1.0
    h_uu, h_ud, h_dd = w_u + w_b, w_b * a, w_d + w_b * a * a
    g_u, g_d = w_u * u_nom + w_b * r, w_b * a * r
    det = h_uu * h_dd - h_ud * h_ud
    u, d = (h_dd * g_u - h_ud * g_d) / det, (h_uu * g_d - h_ud * g_u) / det
    if not (box[0] <= u <= box[1] and box[2] <= d <= box[3]):
        best = np.inf
        best_u, best_d = box[0], box[2]
        for edge in range(4):
            if edge < 2:
                try_u = box[edge]
                try_d = min(box[3], max(box[2], (g_d - h_ud * try_u) / h_dd))
            else:
                try_d = box[edge]
                try_u = min(box[1], max(box[0], (g_u - h_ud * try_d) / h_uu))
            cost = 0.5 * (h_uu * try_u**2 + 2 * h_ud * try_u * try_d + h_dd * try_d**2) - g_u * try_u - g_d * try_d
            if cost < best:
                best, best_u, best_d = cost, try_u, try_d
        u, d = best_u, best_d
    b_error = r - a * d - u
    return u, d, w_u * (u - u_nom) ** 2 + w_b * b_error**2 + w_d * d**2


@njit(cache=True)
def adapt_step(
    dcm: Array,
    time_left_min: float,
    time_left_max: float,
    time_left_nominal: float,
    time_left_current: float,
    omega: float,
    foothold: Array,
    offset: Array,
    reach: Array,
    cop_box: Array,
    swing_position: Array,
    swing_velocity: Array,
    weights: Array,
    swing_acceleration: float,
    grid_s: float,
) -> tuple[float, Array, Array, float]:
    """Time left to touchdown (s), foothold (2,), CoP shift (2,) m and cost, all in the stance sole's frame.

    dcm (2,) m now; foothold and offset (2,) m nominal; reach (2, 2) and cop_box (2, 2) rows of (min, max) per axis;
    swing_position, swing_velocity (2,) bound what the foot can still reach; weights = (u, b, d, T nominal, T change).
    """
    best_cost, best_time = np.inf, time_left_current
    best_u, best_d = foothold.copy(), np.zeros(2)
    steps = int(max(0.0, np.ceil((time_left_max - time_left_min) / grid_s - 1e-9))) + 1
    box = np.empty(4)
    u, d = np.empty(2), np.empty(2)
    for i in range(steps):
        time_left = min(time_left_max, time_left_min + i * grid_s)
        growth = np.exp(omega * time_left)
        # A foot with bounded acceleration covers a_max T²/5.77 (minimum-jerk profile) beyond its drift.
        span = swing_acceleration * time_left * time_left / 5.77
        cost = weights[3] * (time_left - time_left_nominal) ** 2 + weights[4] * (time_left - time_left_current) ** 2
        for axis in range(2):
            centre = swing_position[axis] + 0.5 * swing_velocity[axis] * time_left
            low, high = max(reach[axis, 0], centre - span), min(reach[axis, 1], centre + span)
            if low > high:
                low = high = min(reach[axis, 1], max(reach[axis, 0], centre))
            box[0], box[1], box[2], box[3] = low, high, cop_box[axis, 0], cop_box[axis, 1]
            u[axis], d[axis], axis_cost = box_minimum(offset[axis], growth, dcm[axis], foothold[axis], weights[0], weights[1], weights[2], box)
            cost += axis_cost
        if cost < best_cost:
            best_cost, best_time = cost, time_left
            best_u[:], best_d[:] = u, d
    return best_time, best_u, best_d, best_cost
