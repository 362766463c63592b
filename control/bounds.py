"""Bounds of what one period asks of the motors and joints, each with its equation, and one look at all of them.

torque    |τ| ≤ τ_max                              N·m; the overlay names the source
power     |τ q̇| ≤ P, so |τ| ≤ P/|q̇|                 W; at the measured velocity, driving and braking alike
jump      |τ − τ_before| ≤ J τ_max                 N·m; against what was sent one period before, so that no motor is thrown about
target    q_min ≤ q* ≤ q_max, |q̇*| ≤ q̇_max         rad, rad/s; of the command, whatever its gains
drag      |q* − q*_before| ≤ q̇_max T               rad; a position target moves on no faster than the joint could
clearance d̈ ≥ d̈_min                                m/s², from `clearance.py`: capsules of the robot stay apart
motion    q̈_min ≤ q̈ ≤ q̈_max                        rad/s², from `viability.py`: position and velocity limits for ever
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit

from poise.robots.types import Array

from .linalg import dot
from .viability import viable_acceleration

UNBOUNDED = 1e30
MEASURED_MAX = 1e6  # rad, rad/s: beyond it the terms of the dynamics overflow, and nothing is known either
GAIN_MAX = 1e5  # N·m/rad, N·m·s/rad; a stiffer motor is none, and a negative gain drives it away
SLOW = 1e-9  # rad/s; slower than this every torque is inside the power bound
ROUNDING = 1.0 + 1e-9  # of a target that is moved on by as much as it may be


class Look(IntEnum):
    """What a first look at a command finds: finite numbers, all bounds kept as predicted, or what is not finite."""

    SOUND = 0
    KEPT = 1
    COMMAND_NOT_FINITE = 2
    MEASUREMENT_NOT_FINITE = 3


@njit(cache=True)
def motor_box(v: Array, torque: Array, power: Array, before: Array, jump: float, least: Array, most: Array) -> None:
    """Least and greatest torque (n,) N·m that torque and power limits leave at joint velocity v, and the torque one period before.

    before (n,) N·m: NaN where it is not known; jump: of the torque limit, 1 at least, so that no torque at all is always inside.
    """
    for i in range(v.size):
        high = min(torque[i], power[i] / max(abs(v[i]), SLOW))
        low, change = -high, jump * torque[i]
        if before[i] + change < high:  # NaN is not
            high = before[i] + change
        if before[i] - change > low:
            low = before[i] - change
        least[i], most[i] = low, high


@njit(cache=True)
def worst_excess(value: Array, lower: Array, upper: Array) -> float:
    """By how much a value is beyond its bounds at most; NaN counts as infinite."""
    worst = 0.0
    for i in range(value.size):
        if np.isnan(value[i]):
            return np.inf
        worst = max(worst, value[i] - upper[i], lower[i] - value[i])
    return worst


@njit(cache=True)
def target_kept(wanted: Array, rate: Array, q_min: Array, q_max: Array, v_max: Array, before: Array, dt: float) -> bool:
    """Whether position and velocity targets are inside the joints' limits, and no further from those one period before than a joint goes.

    before (n,) rad: NaN where they are not known.
    """
    for i in range(wanted.size):
        if not (q_min[i] <= wanted[i] <= q_max[i] and abs(rate[i]) <= v_max[i]) or abs(wanted[i] - before[i]) > v_max[i] * dt * ROUNDING:
            return False
    return True


@njit(cache=True)
def sound_target(wanted: Array, rate: Array, limits: Array, before: Array, dt: float) -> tuple[Array, Array]:
    """The nearest position and velocity targets (n,) that `target_kept` lets pass; limits: as in `look`."""
    q, v = np.empty(wanted.size), np.empty(wanted.size)
    for i in range(wanted.size):
        far = limits[2, i] * dt
        q[i], v[i] = min(max(wanted[i], limits[0, i]), limits[1, i]), min(max(rate[i], -limits[2, i]), limits[2, i])
        if q[i] < before[i] - far:  # than NaN nothing is
            q[i] = before[i] - far
        elif q[i] > before[i] + far:
            q[i] = before[i] + far
    return q, v


@njit(cache=True)
def narrowed(asked: Array, torque: Array, distance: Array, least: Array, most: Array) -> tuple[Array, Array, Array]:
    """Least and greatest torque (n,), tightened to a distance (n,) from a torque (n,) where that is between them.

    First the torque asked for, clipped as the bounds were and as they are now, (2, n).
    """
    low, high, clipped = least.copy(), most.copy(), np.empty((2, asked.size))
    for i in range(asked.size):
        if least[i] <= torque[i] <= most[i]:
            low[i], high[i] = max(low[i], torque[i] - distance[i]), min(high[i], torque[i] + distance[i])
        clipped[0, i] = min(max(asked[i], least[i]), most[i])
        clipped[1, i] = min(max(clipped[0, i], low[i]), high[i])
    return clipped, low, high


@njit(cache=True)
def nearest_problem(
    asked: Array,
    box: tuple[Array, Array],
    scale: Array,
    response: Array,
    free: Array,
    lower: Array,
    upper: Array,
    further: Array,
    least: Array,
    able: Array,
) -> tuple[Array, Array, Array, Array, Array]:
    """The nearest torque in shares x = τ/scale: gradient, rows, lower and upper bound of min ½ ‖x − x_req‖², each row's size.

    box: least and greatest torque (n,) N·m.
    Rows are the joints' accelerations, then further (k, n) combinations of them with a least value (k,), for which only joints that are
    `able` (n,), 1 or 0, are turned to. They are divided by their largest entry: their unit is that much of an acceleration, or of a pair's.
    """
    n, k = asked.size, least.size
    rows, size = np.empty((n + k, n)), np.full(n + k, 1e-6)
    low, high = np.empty(2 * n + k), np.empty(2 * n + k)
    for i in range(n + k):
        left = 0.0 if i < n else least[i - n] - dot(further[i - n], free)
        for j in range(n):
            rows[i, j] = response[i, j] * scale[j] if i < n else dot(further[i - n], response[j]) * scale[j]  # W is symmetric
            if i >= n and able[j] < 0.5:
                left -= rows[i, j] * asked[j] / scale[j]
                rows[i, j] = 0.0
            size[i] = max(size[i], abs(rows[i, j]))
        for j in range(n):
            rows[i, j] /= size[i]
        if i < n:
            low[i], high[i] = box[0][i] / scale[i], box[1][i] / scale[i]
            low[n + i], high[n + i] = (lower[i] - free[i]) / size[i], (upper[i] - free[i]) / size[i]
        else:
            low[n + i], high[n + i] = max(left / size[i], -UNBOUNDED), UNBOUNDED
    return -asked / scale, rows, low, high, size


@njit(cache=True)
def look(
    q: Array,
    v: Array,
    wanted: Array,
    rate: Array,
    kp: Array,
    kd: Array,
    tau: Array,
    predicted: Array,
    limits: Array,
    braking: Array,
    numbers: Array,
    before: Array,
    asked: Array,
    least: Array,
    most: Array,
    lower: Array,
    upper: Array,
) -> int:
    """A `Look` at a command for a robot that moves on.

    Args:
        q: joint position measured, v: velocity; wanted, rate, kp, kd, tau: the command; all (n,).
        predicted: the acceleration (n,) that is expected of it; empty: none.
        limits: least and greatest position, speed, torque, power, (5, n).
        braking: decay and rate, (2, n).
        numbers: period, tolerance, jump, (3,).
        before: torque and position target of one period before, (2, n); NaN where they are not known.
        asked, least, most, lower, upper: the torque that the command asks for, the least and greatest that the motors may give, and the
            acceleration's bounds, (n,) each; written.
    """
    n = q.size
    measured, gains, total = True, True, 0.0
    for i in range(n):
        measured = measured and abs(q[i]) <= MEASURED_MAX and abs(v[i]) <= MEASURED_MAX  # NaN is not
        gains = gains and 0.0 <= kp[i] <= GAIN_MAX and 0.0 <= kd[i] <= GAIN_MAX
        asked[i] = tau[i] + kp[i] * (wanted[i] - q[i]) + kd[i] * (rate[i] - v[i])
        total += asked[i]  # not finite when any number of the command is not: 0·∞ is NaN
    if not measured:
        return 3
    motor_box(v, limits[3], limits[4], before[0], numbers[2], least, most)
    viable_acceleration(q, v, limits[0], limits[1], limits[2], braking[0], braking[1], numbers[0], lower, upper)
    if not np.isfinite(total):
        return 2
    if predicted.size != n or worst_excess(asked, least, most) > 0.0 or not worst_excess(predicted, lower, upper) <= numbers[1]:
        return 0
    return 1 if gains and target_kept(wanted, rate, limits[0], limits[1], limits[2], before[1], numbers[0]) else 0


@njit(cache=True)
def broken(
    asked: Array, box: tuple[Array, Array], v: Array, limits: Array, acceleration: Array, lower: Array, upper: Array, slack: float
) -> Array:
    """1 where a request breaks torque, power, jump, motion, (4, n): the first three of its own, motion by an acceleration (n,).

    v: joint velocity (n,); limits: as in `look`.
    """
    out = np.zeros((4, asked.size))
    for i in range(asked.size):
        beyond, strong = abs(asked[i]), abs(asked[i]) > limits[3, i]
        out[0, i] = strong
        out[1, i] = beyond * abs(v[i]) > limits[4, i]
        out[2, i] = not box[0][i] <= asked[i] <= box[1][i] and not strong and out[1, i] == 0.0
        out[3, i] = not lower[i] - slack <= acceleration[i] <= upper[i] + slack
    return out
