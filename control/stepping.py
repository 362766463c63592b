"""The walker's arithmetic of a tick, in two kernels: what the estimate says of the LIP, and the step replanned from it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from poise.robots.types import Array

from .adaptation import AdaptationConfig, StepLimits, StepState, horizon_start, is_frozen, plan_step
from .dynamics import terms_of
from .footsteps import nominal_touchdown, orbit_plan
from .lip import natural_frequency, transfer_shift
from .reaction import dcm_of_swing
from .rotation import turned, wrap_angle, yaw_of

ADAPTATION_SIZE, LIMITS_SIZE = len(AdaptationConfig._fields), len(StepLimits._fields)

STRIDE_M = 0.2  # the body's way in a step that halves what a miss along it counts


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
def off_course(dcm: Array, omega: float, step: StepState, aim: Array, foothold: Array, duration: float, stride: Array) -> float:
    """Distance (m) of the DCM from where it would reach `aim` from, over the sole's centre, in a step of that duration (s).

    dcm, aim and the foothold that belongs to it, (2,) m, are in the world frame. Along each axis of the stance sole it counts
    the less, the longer the body's own way in a step is, stride (2,) m: what is large in standing is small in running.
    """
    local, elapsed = horizon_start(dcm, omega, step.sole, step.yaw, step.last_step, step.time, step.double_support)
    left = max(duration - elapsed, 0.0)
    gain, drift = dcm_of_swing(left, omega, step.swing_shift)
    wanted = turned(-step.yaw, aim - step.sole - gain * (foothold - step.swing_position[:2]) - drift * step.swing_velocity[:2])
    miss = local - np.exp(-omega * left) * wanted
    for i in range(2):
        miss[i] /= 1.0 + abs(stride[i]) / STRIDE_M
    return float(np.sqrt(miss[0] ** 2 + miss[1] ** 2))


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
    swing_shift: float,
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
    Returns (10,): whole duration (s), foothold x, y (m) and yaw (rad), ZMP (2,), DCM aimed at for touchdown (2,), cost, and
    how far the DCM is from where the nominal step would have it (m).
    """
    side, out = (1.0 if stance == 0 else -1.0), np.empty(10)
    in_air = dcm_of_swing(wanted_duration - double_support, omega, swing_shift)[0]
    first, _, _, there = orbit_plan(twist, wanted_duration, width, side, omega, kappa, in_air)
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
        swing_shift,
    )
    limits = StepLimits(*to_fixed_tuple(limit_numbers, LIMITS_SIZE))  # type: ignore[call-arg]
    config = AdaptationConfig(*to_fixed_tuple(adaptation_numbers, ADAPTATION_SIZE))
    duration, where, out[4:6], out[8] = plan_step(dcm, omega, step, nominal, offset, wanted_duration, limits, cop_box, config)
    out[9] = off_course(dcm, omega, step, nominal + offset, nominal, wanted_duration, twist[:2] * wanted_duration)
    out[6:8] = nominal + offset
    if is_frozen(step, config):
        out[0], out[1:4] = step_duration, foothold
        return out
    turn = wrap_angle(heading + twist[2] * (duration - time + 0.5 * wanted_duration) - yaw)
    out[0], out[1:3], out[3] = duration, where, yaw + min(turn_max, max(-turn_max, turn))
    return out
