"""The linear inverted pendulum stepped ahead: footsteps adapted to the DCM, and how far it stays from what steps can catch.

All offsets are of the DCM from the stance sole in the stance foot's yaw frame, m. The ZMP's linear move from sole to sole
in double support acts like an instant shift by κ times the step (`control.lip`), so with λ = 1 − κ and E = e^{ωT} the
offset β with which single support effectively begins obeys  E (β − p) + p = λ u + R β'  for a ZMP p held under the sole,
a step u to the next sole, the turn R of that sole, and the next offset β'.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.control.footsteps import nominal_step
from poise.control.lip import natural_frequency, transfer_shift
from poise.control.polygon import margin_inside
from poise.control.rotation import turned
from poise.robots.overlay import Gait
from poise.robots.types import Array

STEPS = 3  # touchdowns looked at, at most
SETTLE = 12  # further nominal steps: the reference forgets its end by 1/E a step


def reach_box(gait: Gait) -> Array:
    """Reach as (4,) m: least and largest forward step, least and largest distance between the soles."""
    return np.array([-gait.reach_backward_m, gait.reach_forward_m, gait.reach_inward_m, gait.reach_outward_m])


def sole_box(polygon: tuple[tuple[float, float], ...]) -> Array:
    """Where the ZMP may be under one sole, as (3,) m: least x, largest x, half width (the polygon's narrowest)."""
    x, y = np.array(polygon).T
    return np.array([x.min(), x.max(), np.abs(y).min()])


@njit(cache=True)
def demanded_steps(twist: Array, step_s: float, width: float, stance_sign: float, offset: Array, reach: Array) -> Array:
    """The steps (STEPS, 3) x, y (m), turn (rad) that a proposal asks for, each in its stance foot's frame.

    Nominal steps that come too near the stance foot, as turning sideways steps do, are widened to the least distance.
    `offset` (2, 2) m shifts the first two forward and outward; stance_sign is +1 when the left foot stands now.
    """
    steps, sign = np.empty((STEPS, 3)), stance_sign
    for j in range(STEPS):
        steps[j] = nominal_step(twist, step_s, width, sign)
        steps[j, 1] = -sign * max(-sign * steps[j, 1], reach[2])
        if j < len(offset):
            steps[j, 0] += offset[j, 0]
            steps[j, 1] -= sign * offset[j, 1]
        sign = -sign
    return steps


@njit(cache=True)
def reach_margin(steps: Array, count: int, stance_sign: float, reach: Array) -> float:
    """Distance in m of the first `count` steps to the edge of the reach box; negative: beyond it."""
    margin, sign = np.inf, stance_sign
    for j in range(count):
        across = -sign * steps[j, 1]
        margin = min(margin, steps[j, 0] - reach[0], reach[1] - steps[j, 0], across - reach[2], reach[3] - across)
        sign = -sign
    return margin


@njit(cache=True)
def reference_offsets(
    steps: Array, twist: Array, step_s: float, width: float, stance_sign: float, growth: float, effective: float
) -> Array:
    """Offsets β (STEPS + 1, 2) at the start of this and the coming single supports for which the steps come out exactly.

    Backwards along the demanded steps from the nominal gait's periodic orbit; `growth` is E, `effective` is λ.
    """
    sign = stance_sign if (STEPS + SETTLE) % 2 == 0 else -stance_sign
    offsets, beta = np.empty((STEPS + 1, 2)), np.zeros(2)
    for j in range(STEPS + SETTLE, -1, -1):
        if j <= STEPS:
            offsets[j] = beta
        if j > 0:
            step = steps[j - 1] if j <= STEPS else nominal_step(twist, step_s, width, -sign)
            after = turned(step[2], beta)
            beta[0], beta[1] = (effective * step[0] + after[0]) / growth, (effective * step[1] + after[1]) / growth
            sign = -sign
    return offsets


@njit(cache=True)
def capture_margin(beta: Array, stance_sign: float, growth: float, effective: float, reach: Array, sole: Array) -> float:
    """How far inside the offsets that some endless sequence of steps within reach can catch, m; turning left out.

    Along: λ reach / (E − 1). Across, towards the next foot, c ends in c' = λ l − E c beyond the foot at distance l, so
    the bounds hold each other up: c_max = λ (E l_out − l_in) / (E² − 1), c_min = λ (E l_in − l_out) / (E² − 1).
    The ZMP's room under the sole adds to each. NaN when the offset is not finite.
    """
    if not np.isfinite(beta[0] + beta[1]):
        return np.nan
    across = -stance_sign * beta[1]
    along_min = effective * reach[0] / (growth - 1.0) + sole[0]
    along_max = effective * reach[1] / (growth - 1.0) + sole[1]
    pair = growth * growth - 1.0
    across_min = effective * (growth * reach[2] - reach[3]) / pair - sole[2]
    across_max = effective * (growth * reach[3] - reach[2]) / pair + sole[2]
    return float(min(beta[0] - along_min, along_max - beta[0], across - across_min, across_max - across))


@njit(cache=True)
def roll_out(
    dcm: Array,
    last_step: Array,
    stance_sign: float,
    elapsed_s: float,
    this_step_s: float,
    steps: Array,
    twist: Array,
    width: float,
    step_s: float,
    height_m: Array,
    horizon_s: float,
    double_support_s: float,
    reach: Array,
    sole: Array,
) -> tuple[float, float, float, float]:
    """Step ahead from a DCM offset (2,) m, `elapsed_s` after the touchdown that followed `last_step` (2,) m.

    This step lasts `this_step_s`, the coming `steps` last `step_s` each; the pendulum has the mean of `height_m` (k,).
    In each step the ZMP under the sole aims at the reference; the foot then lands where the DCM asks, within reach.
    Returns the least capture margin (m) over the touchdowns up to the first one past the horizon, and at the horizon
    the DCM x, y from the sole that stands then (m, in that foot's frame) and how far that foot has turned (rad).
    """
    omega = natural_frequency(height_m.mean())
    effective, growth = 1.0 - transfer_shift(omega, double_support_s), np.exp(omega * step_s)
    offsets = reference_offsets(steps, twist, step_s, width, stance_sign, growth, effective)
    beta = dcm + transfer_left(last_step, omega, elapsed_s, double_support_s)
    sign, clock, left, yaw = stance_sign, 0.0, max(this_step_s - elapsed_s, 0.0), 0.0
    margin, end, end_turn, ended = np.inf, beta, 0.0, False
    for j in range(STEPS):
        wanted, aim = turned(steps[j, 2], offsets[j + 1]), np.empty(2)
        for i in range(2):
            aim[i] = wanted[i] + effective * steps[j, i]
        zmp = best_zmp(beta, aim, np.exp(omega * left), sole)
        if not ended and horizon_s < clock + left:
            end, end_turn, ended = forward(beta, zmp, np.exp(omega * (horizon_s - clock))), yaw, True
        beta = land(forward(beta, zmp, np.exp(omega * left)), wanted, steps[j, 2], sign, effective, reach)
        clock, left, yaw, sign = clock + left, step_s, yaw + steps[j, 2], -sign
        caught = capture_margin(beta, sign, growth, effective, reach, sole)
        margin = min(caught, margin)  # in this order NaN stays
        if not margin >= 0.0 or clock >= horizon_s:
            break
    if not ended:
        end, end_turn = beta, yaw
    return margin, end[0], end[1], end_turn


@njit(cache=True)
def transfer_left(last_step: Array, omega: float, elapsed_s: float, double_support_s: float) -> Array:
    """What the rest of the ZMP's move to the stance sole still adds to the DCM, (2,) m."""
    left = min(max(double_support_s - elapsed_s, 0.0), double_support_s)
    if double_support_s <= 0.0:
        return np.zeros(2)
    return transfer_shift(omega, left) * (left / double_support_s) * last_step


@njit(cache=True)
def forward(dcm: Array, zmp: Array, growth: float) -> Array:
    """DCM (2,) after growing by `growth` = e^{ωt} away from a ZMP (2,) that stays."""
    out = np.empty(2)
    for i in range(2):
        out[i] = zmp[i] + (dcm[i] - zmp[i]) * growth
    return out


@njit(cache=True)
def best_zmp(dcm: Array, aim: Array, growth: float, sole: Array) -> Array:
    """The ZMP (2,) under the sole that brings the DCM to `aim`, or as near as the sole's box allows."""
    zmp = np.zeros(2)
    if growth > 1.0 + 1e-9:
        zmp[0] = min(max((dcm[0] * growth - aim[0]) / (growth - 1.0), sole[0]), sole[1])
        zmp[1] = min(max((dcm[1] * growth - aim[1]) / (growth - 1.0), -sole[2]), sole[2])
    return zmp


@njit(cache=True)
def land(dcm: Array, wanted: Array, angle: float, stance_sign: float, effective: float, reach: Array) -> Array:
    """Offset β (2,) in the new stance foot's frame after the step, within reach, that comes nearest to `wanted` (2,)."""
    x = min(max((dcm[0] - wanted[0]) / effective, reach[0]), reach[1])
    across = min(max(-stance_sign * (dcm[1] - wanted[1]) / effective, reach[2]), reach[3])
    left_over = np.empty(2)
    left_over[0], left_over[1] = dcm[0] - effective * x, dcm[1] + effective * stance_sign * across
    return turned(-angle, left_over)


@njit(cache=True)
def moved_dcm(dcm: Array, shift: Array, heading: float, sole: Array) -> Array:
    """The DCM (k + 1, 2) m, world, as it is and as shifts (k, 3) m of the centre of mass move it.

    `dcm` (2,) m is the offset from the sole at x, y, yaw (3,); shifts are in the base frame, turned by `heading` in it.
    """
    out = np.empty((len(shift) + 1, 2))
    out[0] = sole[:2] + turned(sole[2], dcm)
    for k in range(len(shift)):
        out[k + 1] = out[0] + turned(sole[2] + heading, shift[k, :2])
    return out


@njit(cache=True)
def support_margin(hull: Array, places: Array) -> float:
    """Least distance in m of places (k, 2) inside a counter-clockwise hull; negative outside, NaN when not finite."""
    if not np.isfinite(hull.sum() + places.sum()):
        return np.nan
    margin = np.inf
    for place in places:
        margin = min(margin, margin_inside(place, hull))
    return margin
