"""The walker's arithmetic of a tick, in two kernels: what the estimate says of the LIP, and the step replanned from it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from poise.robots.types import Array

from .adaptation import AdaptationConfig, StepLimits, StepState, is_frozen, plan_step
from .dynamics import terms_of
from .footsteps import nominal_touchdown, orbit_plan
from .lip import natural_frequency, transfer_shift
from .rotation import wrap_angle, yaw_of

ADAPTATION_SIZE, LIMITS_SIZE = len(AdaptationConfig._fields), len(StepLimits._fields)


@njit(cache=True)
def look(terms: Array, nv: int, height_m: float, double_support_s: float) -> tuple[float, float, Array]:
    """ω (1/s) and κ of a pendulum of that height; both soles' yaws (rad), CoM (2,) and DCM (2,) in the world (m), as one (6,)."""
    t, out = terms_of(terms, nv), np.empty(6)
    omega = natural_frequency(height_m)
    for i in range(2):
        out[i] = yaw_of(t.sole_rotation[i])
        out[2 + i] = t.com[i]
        out[4 + i] = t.com[i] + t.com_velocity[i] / omega
    return omega, transfer_shift(omega, double_support_s), out


@njit(cache=True)
def toward(nominal: Array, wanted: Array, most: float | Array) -> Array:
    """A point moved towards another, along each axis by `most` (one for all axes, or one each) at most."""
    return nominal + np.minimum(np.maximum(wanted - nominal, -most), most)


@njit(cache=True)
def replan(
    dcm: Array,
    soles: Array,
    sole_yaw: Array,
    stance: int,
    time: float,
    double_support: float,
    step_duration: float,
    last_step: Array,
    swinging: bool,
    swing: Array,
    foothold: Array,
    lead: float,
    twist: Array,
    wanted_duration: float,
    width: float,
    omega: float,
    kappa: float,
    heading: float,
    intended_yaw: float,
    shift: Array,
    advised: Array,
    turn_max: float,
    authority: float,
    limit_numbers: Array,
    cop_box: Array,
    adaptation_numbers: Array,
) -> Array:
    """Adapt the current step around its nominal one; what is not said here is as in StepState.

    swing (3, 3) position, velocity and acceleration of the foot in the air; twist (3,) m/s and rad/s with the trim,
    width (m) and wanted_duration (s) make the nominal orbit, intended_yaw (rad) is where the stance foot was meant to
    point, turn_max (rad) bounds the turn to the next, shift (2,) m moves the foothold forward and outward; advised (2, 2) m
    foothold and DCM offset that the nominal ones move to by up to `authority` m, NaN where there are none.
    Returns (9,): whole duration (s), foothold x, y (m) and yaw (rad), ZMP (2,), DCM aimed at for touchdown (2,), cost.
    """
    side, out = (1.0 if stance == 0 else -1.0), np.empty(9)
    first, _, _, there = orbit_plan(twist, wanted_duration, width, side, omega, kappa)
    sole, yaw = soles[stance, :2], sole_yaw[stance]
    nominal, offset = nominal_touchdown(first, there, side, sole, intended_yaw, shift)
    if not np.isnan(advised[0, 0]):
        nominal, offset = toward(nominal, advised[0], authority), toward(offset, advised[1], authority)
    step = StepState(
        sole,
        yaw,
        side,
        time,
        double_support,
        step_duration,
        last_step,
        swinging,
        swing[0] if swinging else soles[1 - stance],
        swing[1] if swinging else np.zeros(3),
        foothold,
        lead,
    )
    limits = StepLimits(*to_fixed_tuple(limit_numbers, LIMITS_SIZE))  # type: ignore[call-arg]
    config = AdaptationConfig(*to_fixed_tuple(adaptation_numbers, ADAPTATION_SIZE))
    duration, where, out[4:6], out[8] = plan_step(dcm, omega, step, nominal, offset, wanted_duration, limits, cop_box, config)
    out[6:8] = nominal + offset
    if is_frozen(step, config):
        out[0], out[1:4] = step_duration, foothold
        return out
    turn = wrap_angle(heading + twist[2] * (duration - time + 0.5 * wanted_duration) - yaw)
    out[0], out[1:3], out[3] = duration, where, yaw + min(turn_max, max(-turn_max, turn))
    return out
