"""Step timing and placement adapted together, every tick.

For each candidate step time T on a grid, and for each axis on its own, the best foothold u and CoP shift d solve a
two-variable box QP in closed form (in the spirit of Khadiv et al., Humanoids 2016, with T enumerated):
    min  w_u (u − u_nom)² + w_b (b − b_nom)² + w_d d²,   b = (ξ − d) e^{ω(T − t)} + d − u + g (u − x) + h ẋ
where ξ is the DCM offset from the stance sole now and b its offset from the new sole at touchdown; g and h are the reaction
of the swing foot, now at x (reaction.py). A foothold that asks much of the swing foot costs more. Where the stance foot is in
the way, a step across it is tried as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.overlay import Gait
from poise.robots.types import Array

from .crossing import BESIDE, WAYS, late_share, reach_of_way, way_of
from .lip import dcm_in_double_support
from .reaction import dcm_of_swing
from .rotation import turned

UNREACHED = 1e3  # cost of a foothold that the swing foot cannot be at in time: taken only where there is no other
PEAK = 10.0 / np.sqrt(3.0)  # acceleration of a minimum-jerk move, in units of its length over its time squared
ALONG_LEAST = 0.3  # share of the reach along the heading that a foot has even as far out as it can be


class AdaptationConfig(NamedTuple):
    """Weights per m² and per s²; times in s; the swing foot's acceleration limit in m/s²."""

    weight_foothold: float = 1.0
    weight_offset: float = 50.0
    weight_cop: float = 0.05
    weight_time_nominal: float = 2.0
    weight_time_change: float = 1.0
    weight_swing: float = 3e-5  # per (m/s²)² of the swing foot's peak acceleration beyond an easy one
    swing_easy: float = 20.0  # m/s²
    change_of_way: float = 1.15  # times the cost of a step that goes round the stance foot otherwise than the step so far
    swing_acceleration: float = 50.0
    grid_s: float = 0.01
    freeze_s: float = 0.06  # foothold and timing are kept this long before touchdown


@njit(cache=True)
def box_minimum(
    target: float, growth: float, dcm: float, u_nom: float, w_u: float, w_b: float, w_d: float, box: Array, effect: float
) -> tuple[float, float, float]:
    """Foothold u, CoP shift d and cost of one axis; box = (u_min, u_max, d_min, d_max), target = wanted b, −effect = db/du.

    The unconstrained minimum when it lies in the box, else the best of the four edges.
    """
    # b = growth·dcm − (growth − 1)·d − effect·u; with r = growth·dcm − target: cost in (u, d) is quadratic.
    r, a = growth * dcm - target, growth - 1.0
    h_uu, h_ud, h_dd = w_u + w_b * effect * effect, w_b * a * effect, w_d + w_b * a * a
    g_u, g_d = w_u * u_nom + w_b * effect * r, w_b * a * r
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
    b_error = r - a * d - effect * u
    return u, d, w_u * (u - u_nom) ** 2 + w_b * b_error**2 + w_d * d**2


@njit(cache=True)
def lead_of(lead: float, duration: float, least: float, wanted: float) -> float:
    """How much earlier than a step of that duration ends the swing foot's reference lands, s: less in the hurried half of durations.

    In a hurried step the body falls towards the swing foot, which then meets the ground no later than its reference does.
    """
    share = 2.0 * (duration - least) / max(wanted - least, 1e-3)
    return lead * min(1.0, max(0.0, share))


@njit(cache=True)
def axis_step(
    target: float,
    growth: float,
    dcm: float,
    nominal: float,
    reach: Array,
    cop: Array,
    position: float,
    velocity: float,
    time: float,
    acceleration: float,
    reaction: tuple[float, float],
    config: AdaptationConfig,
    box: Array,
) -> tuple[float, float, float, bool]:
    """Foothold u (m), CoP shift d (m), cost, and whether the swing foot can be within its reach in `time` s, along one axis.

    A foot with bounded acceleration a covers a T²/PEAK beyond its drift (minimum jerk). Of the peak acceleration that u takes,
    what is beyond `swing_easy` costs its square, a parabola in u. reaction: what its way and its velocity add to the DCM (dcm_of_swing).
    reach, cop (2,): min and max; box (4,): scratch.
    """
    effect, target = 1.0 - reaction[0], target + reaction[0] * position - reaction[1] * velocity
    centre, unit = position + 0.5 * velocity * time, time * time / PEAK
    span, easy = acceleration * unit, config.swing_easy * unit
    box[0], box[1], box[2], box[3] = max(reach[0], centre - span), min(reach[1], centre + span), cop[0], cop[1]
    reached = box[0] <= box[1]
    if not reached:
        box[0] = box[1] = min(reach[1], max(reach[0], centre))
    w_u, w_b, w_d = config.weight_foothold, config.weight_offset, config.weight_cop
    u, d, cost = box_minimum(target, growth, dcm, nominal, w_u, w_b, w_d, box, effect)
    if abs(u - centre) > easy:
        free = centre + easy if u > centre else centre - easy
        effort = config.weight_swing / max(unit * unit, 1e-8)
        wanted = (w_u * nominal + effort * free) / (w_u + effort)
        u, d, cost = box_minimum(target, growth, dcm, wanted, w_u + effort, w_b, w_d, box, effect)
        cost += w_u * effort / (w_u + effort) * (nominal - free) ** 2
    return u, d, cost, reached


@njit(cache=True)
def share_along(lateral: float, outward: float) -> float:
    """Share of its reach along the heading that a foot has as far to the side as `lateral`, `outward` m being the most: an ellipse's."""
    far = lateral / outward
    return float(np.sqrt(max(1.0 - far * far, ALONG_LEAST * ALONG_LEAST)))


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
    outward: float,
    cop_box: Array,
    swing_position: Array,
    swing_velocity: Array,
    swing_acceleration: float,
    swing_shift: float,
    lead: float,
    elapsed: float,
    duration_min: float,
    side: float,
    across: float,
    apart: float,
    way_now: int,
    config: AdaptationConfig,
) -> tuple[float, Array, Array, float]:
    """Time left to touchdown (s), foothold (2,), CoP shift (2,) m and cost, all in the stance sole's frame.

    dcm (2,) m now; foothold and offset (2,) m nominal; reach (2, 2) and cop_box (2, 2) rows of (min, max) per axis, the reach along
    the heading less (share_along) as the foothold nears `outward` m to the side;
    swing_position, swing_velocity (2,), its acceleration limit, m/s², what its reaction shifts the ZMP by, s², and the
    lead, s, by which it has to be there before touchdown, bound what the foot can still reach;
    the step is `elapsed` s old at the moment of these, and its least duration (s) tells how much of the lead counts. A foothold
    that presses against the inward limit may go across the stance foot instead (crossing.py): side, across and apart are
    those of `reach_of_way`, way_now is the way of the step so far.
    """
    best_cost, best_time = np.inf, time_left_current
    best_u, best_d = foothold.copy(), np.zeros(2)
    steps = int(max(0.0, np.ceil((time_left_max - time_left_min) / config.grid_s - 1e-9))) + 1
    inward = -side * reach[1, 1 if side > 0.0 else 0]
    box, allowed, u, d = np.empty(4), np.empty((2, 2)), np.empty(2), np.empty(2)
    for i in range(steps):
        time_left = min(time_left_max, time_left_min + i * config.grid_s)
        growth = np.exp(omega * time_left)
        swing_time = max(time_left - lead_of(lead, elapsed + time_left, duration_min, elapsed + time_left_nominal), 0.0)
        presses, reaction = False, dcm_of_swing(swing_time, omega, swing_shift)
        for way in range(WAYS):
            if way != BESIDE and not presses:
                break
            reach_of_way(reach, way, side, across, apart, allowed)
            cost, moving = config.weight_time_nominal * (time_left - time_left_nominal) ** 2, swing_time
            cost += config.weight_time_change * (time_left - time_left_current) ** 2
            # Beside the stance foot the lateral foothold bounds the one along; across it the one along gives the time to cross.
            for axis in (1, 0) if way == BESIDE else (0, 1):
                if axis == 0 and way == BESIDE:
                    allowed[0] *= share_along(u[1], outward)
                elif axis == 1 and way != BESIDE:
                    moving *= late_share(swing_position[0], u[0], apart)
                u[axis], d[axis], axis_cost, reached = axis_step(
                    offset[axis],
                    growth,
                    dcm[axis],
                    foothold[axis],
                    allowed[axis],
                    cop_box[axis],
                    swing_position[axis],
                    swing_velocity[axis],
                    moving,
                    swing_acceleration,
                    reaction,
                    config,
                    box,
                )
                cost += axis_cost
                if not reached:
                    cost += UNREACHED if way == BESIDE else np.inf
            if way == BESIDE:
                presses = across > -inward and -side * u[1] < inward + 1e-9
            if way != way_now:
                cost *= config.change_of_way
            if cost < best_cost:
                best_cost, best_time = cost, time_left
                best_u[:], best_d[:] = u, d
    return best_time, best_u, best_d, best_cost


class StepState(NamedTuple):
    """The step being taken, world frame: stance sole, swing foot, timing."""

    sole: Array  # (2,) m
    yaw: float  # of the stance sole
    side: float  # +1 when the left foot stands
    time: float  # s since touchdown
    double_support: float  # s at its start
    step_duration: float  # s, planned
    last_step: Array  # (2,) m from the old sole to the stance sole, stance axes
    swinging: bool
    swing_position: Array  # (3,) m
    swing_velocity: Array  # (3,) m/s
    foothold: Array  # (3,) x, y, yaw planned so far
    lead: float  # s by which the swing foot's reference lands before touchdown, where the step is not hurried
    swing_shift: float  # s², what the swing foot's acceleration shifts the ZMP by (reaction.py)


class StepLimits(NamedTuple):
    """Reach between soles (m) and step times (s)."""

    forward: float
    backward: float
    inward: float
    outward: float
    time_min: float
    time_max: float
    across: float  # how far beyond the stance sole a foot may land that is `apart` ahead or behind
    apart: float


def limits_of(gait: Gait) -> StepLimits:
    """Those of an overlay's gait; a step may be as short as a hurried one."""
    return StepLimits(
        forward=gait.reach_forward_m,
        backward=gait.reach_backward_m,
        inward=gait.reach_inward_m,
        outward=gait.reach_outward_m,
        time_min=gait.step_duration_hurried_s,
        time_max=gait.step_duration_max_s,
        across=gait.reach_across_m,
        apart=gait.reach_apart_m,
    )


@njit(cache=True)
def reach_box(limits: StepLimits, side: float) -> Array:
    """(2, 2) rows of (min, max) of the next foothold in the stance frame; side +1 when the left foot stands."""
    out = np.empty((2, 2))
    out[0, 0], out[0, 1] = -limits.backward, limits.forward
    out[1, 0], out[1, 1] = (-limits.outward, -limits.inward) if side > 0 else (limits.inward, limits.outward)
    return out


@njit(cache=True)
def horizon_start(
    dcm: Array, omega: float, sole: Array, yaw: float, last_step: Array, time: float, double_support: float
) -> tuple[Array, float]:
    """DCM offset (2,) in the stance frame when single support begins (or now), and the time elapsed by then, s."""
    local = turned(-yaw, dcm - sole)
    waiting = double_support - time
    if waiting <= 0.0:
        return local, time
    return dcm_in_double_support(local, last_step, omega, time, double_support, waiting), double_support


@njit(cache=True)
def is_frozen(step: StepState, config: AdaptationConfig) -> bool:
    """Close to touchdown the foothold and its time are kept: re-planning would postpone it for ever."""
    return step.swinging and step.step_duration - max(step.time, step.double_support) < config.freeze_s


@njit(cache=True)
def plan_step(
    dcm: Array,
    omega: float,
    step: StepState,
    foothold_nominal: Array,
    offset_nominal: Array,
    duration_nominal: float,
    limits: StepLimits,
    cop_box: Array,
    config: AdaptationConfig,
) -> tuple[float, Array, Array, float]:
    """Adapt the current step: its whole duration (s), foothold (2,) and ZMP (2,) in the world, and the cost.

    dcm (2,), the nominal foothold (2,) and the nominal DCM offset at touchdown (2,) are in the world frame, m.
    """
    local, elapsed = horizon_start(dcm, omega, step.sole, step.yaw, step.last_step, step.time, step.double_support)
    left = step.step_duration - elapsed
    reach, outward, acceleration, across = reach_box(limits, step.side), limits.outward, config.swing_acceleration, limits.across
    low, high = max(limits.time_min - elapsed, config.freeze_s), max(limits.time_max - elapsed, config.freeze_s)
    if is_frozen(step, config):
        held = turned(-step.yaw, step.foothold[:2] - step.sole)
        reach[:, 0], reach[:, 1], outward, acceleration, across = held, held, np.inf, 1e6, -np.inf
        low = high = max(left, 0.01)
    time_left, u, d, cost = adapt_step(
        local,
        low,
        high,
        duration_nominal - elapsed,
        left,
        omega,
        turned(-step.yaw, foothold_nominal - step.sole),
        turned(-step.yaw, offset_nominal),
        reach,
        outward,
        cop_box,
        turned(-step.yaw, step.swing_position[:2] - step.sole),
        turned(-step.yaw, step.swing_velocity[:2]),
        acceleration,
        step.swing_shift,
        step.lead,
        elapsed,
        limits.time_min,
        step.side,
        across,
        limits.apart,
        way_of(turned(-step.yaw, step.foothold[:2] - step.sole), step.side, limits.inward) if step.swinging else BESIDE,
        config,
    )
    zmp = step.sole + turned(step.yaw, d)
    if step.time < step.double_support:  # the ZMP is still on its way from the old sole
        zmp -= turned(step.yaw, step.last_step) * (1.0 - step.time / step.double_support)
    return elapsed + time_left, step.sole + turned(step.yaw, u), zmp, cost
