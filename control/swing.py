"""Swing foot: replanning every tick towards a moving foothold in the plane, height and yaw driven by the phase.

A calm step ramps its speed up, coasts and ramps down: the leg's kinetic energy, which the motors put in and take out, is what
swinging costs, and of all ways with that acceleration this one's speed peaks lowest (1.23 times its mean; 1.5 on the way of least
acceleration). A hurried one takes the way of least jerk (1.875 times), which is slow near the ground and forgives a touchdown
that comes early.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numba import njit

from poise.robots.types import Array

from .rotation import wrap_angle

DESCENT_MPS = 0.2  # downward speed at the planned touchdown
LATE_DESCENT_MPS = 0.25  # and while the ground is late
RAMP = 6.5  # of way/T²: the ramps' acceleration; at 6 it is that of both ends of the way of least acceleration
BRAKE_MOST = 3.0  # times the ramps' acceleration, of a foot whose target came nearer, if the way of least acceleration has no more
TIMELY = 1.05  # times the time that is left: braking that lasts no longer is in time
LAST_S = 0.03  # the least time that a step is planned for
STAY = 0.2  # share of its phase for which a foot that goes over something stays up
COAST_S = 0.02  # in which a foot that coasts comes back to its speed
JERK_MAX = 2000.0  # m/s³, of a calm step


@njit(cache=True)
def quintic_step(
    position: float, velocity: float, acceleration: float, target: float, time_left: float, dt: float
) -> tuple[float, float, float]:
    """One step of dt on the quintic from (position, velocity, acceleration) to rest at `target` in `time_left` s."""
    t = max(time_left, LAST_S)
    e = target - position
    c3 = (20.0 * e - 12.0 * velocity * t - 3.0 * acceleration * t * t) / (2.0 * t**3)
    c4 = (-30.0 * e + 16.0 * velocity * t + 3.0 * acceleration * t * t) / (2.0 * t**4)
    c5 = (12.0 * e - 6.0 * velocity * t - acceleration * t * t) / (2.0 * t**5)
    s = min(dt, t)
    return (
        position + velocity * s + 0.5 * acceleration * s**2 + c3 * s**3 + c4 * s**4 + c5 * s**5,
        velocity + acceleration * s + 3 * c3 * s**2 + 4 * c4 * s**3 + 5 * c5 * s**4,
        acceleration + 6 * c3 * s + 12 * c4 * s**2 + 20 * c5 * s**3,
    )


@njit(cache=True)
def easy_step(
    position: float, velocity: float, acceleration: float, target: float, time_left: float, most: float, dt: float
) -> tuple[float, float, float]:
    """One step of dt from (position, velocity) to rest at `target` in `time_left` s, by ramps of `most` m/s² and a coast between them.

    A ramp from v to the coast's speed c, the coast and the ramp to rest cover the way e in T with c² − (a T + v) c + a e + v²/2 = 0.
    From where the last ramp leads to the target, v² = 2 a e, it is braked by v²/2e, if that is in time. Out of the ramps' reach, where
    the target has moved, it goes the way of least ∫ẍ²dt: 6 e/T² − 4 v/T at any time of it. The acceleration is reached with bounded
    jerk, whose lag is foreseen. (c is that of a foot slower than it; a faster one is led there by replanning.)
    """
    lag = 0.5 * most / JERK_MAX + dt
    t, v = max(time_left - lag, LAST_S), velocity + lag * acceleration
    e = target - position - 0.5 * lag * (velocity + v)
    wanted = 6.0 * e / (t * t) - 4.0 * v / t
    sign = 1.0 if e > 0.0 else -1.0
    gain = most * t + sign * v
    root = gain * gain - 4.0 * most * sign * e - 2.0 * v * v
    if 0.0 < 2.0 * sign * e <= TIMELY * sign * v * t and v * v >= 2.0 * most * sign * e:
        wanted = -sign * min(0.5 * v * v / (sign * e), max(BRAKE_MOST * most, abs(wanted)))
    elif root > 0.0:
        coast = 0.5 * (gain - np.sqrt(root))
        wanted = sign * min(most, max(-most, (coast - sign * v) / COAST_S))
    end = acceleration + min(JERK_MAX * dt, max(-JERK_MAX * dt, wanted - acceleration))
    mean = 0.5 * (acceleration + end)
    return position + velocity * dt + 0.5 * mean * dt * dt, velocity + mean * dt, end


@njit(cache=True)
def rest_to_rest(s: float) -> tuple[float, float, float]:
    """The quintic from 0 to 1 as s goes from 0 to 1, at rest at both ends, and its two derivatives by s."""
    return s**3 * (10 - 15 * s + 6 * s * s), s * s * (30 - 60 * s + 30 * s * s), s * (60 - 180 * s + 120 * s * s)


@njit(cache=True)
def slope_at_the_end(s: float) -> tuple[float, float, float]:
    """The quintic that is 0 at both ends, at rest at s = 0 and with slope 1 and no curvature at s = 1, and its two derivatives by s."""
    return s**3 * (-4 + 7 * s - 3 * s * s), s * s * (-12 + 28 * s - 15 * s * s), s * (-24 + 84 * s - 60 * s * s)


@njit(cache=True)
def height_profile(phase: float, height: float, landing: float, phase_rate: float, stay: float) -> tuple[float, float, float]:
    """Height above the start (m), its rate (m/s) and acceleration (m/s²) at a phase in [0, 1].

    Two quintics: from rest up to `height` at phase 0.45, and, after a share `stay` of the phase up there, down to `landing` (m), reached
    at DESCENT_MPS.
    """
    apex = 0.45
    if phase < apex:
        s, rate = phase / apex, phase_rate / apex
        shape, slope, curve = rest_to_rest(s)
        return height * shape, height * slope * rate, height * curve * rate * rate
    apex += stay
    if phase < apex:
        return height, 0.0, 0.0
    s, rate = (phase - apex) / (1 - apex), phase_rate / (1 - apex)
    drop = height - landing
    end = -DESCENT_MPS / max(rate, 1e-3)  # slope per unit of s at touchdown
    (f, df, ddf), (g, dg, ddg) = rest_to_rest(s), slope_at_the_end(s)
    return height - drop * f + end * g, (-drop * df + end * dg) * rate, (-drop * ddf + end * ddg) * rate * rate


@njit(cache=True)
def advance(
    state: Array,
    start_height: float,
    start_yaw: float,
    phase: float,
    most: Array,
    foothold: Array,
    time_left: float,
    aloft: float,
    height: float,
    landing_z: float,
    urgency: float,
    stay: float,
    dt: float,
) -> tuple[float, float]:
    """Move position, velocity and acceleration (3, 3) by dt, in place; gives phase and yaw after it. See SwingFoot.advance.

    most (2,) m/s² is the acceleration of the step's ramps, which its first tick sets.
    """
    position, velocity, acceleration = state[0], state[1], state[2]
    for axis in range(2):
        if phase == 0.0:
            most[axis] = RAMP * abs(foothold[axis] - position[axis]) / max(time_left, LAST_S) ** 2
        here = (position[axis], velocity[axis], acceleration[axis])
        easy = easy_step(*here, foothold[axis], time_left, most[axis], dt)
        hurried = quintic_step(*here, foothold[axis], time_left, dt)
        position[axis] = easy[0] + urgency * (hurried[0] - easy[0])
        velocity[axis] = easy[1] + urgency * (hurried[1] - easy[1])
        acceleration[axis] = easy[2] + urgency * (hurried[2] - easy[2])
    time_left += aloft
    if time_left <= 0.0 or phase >= 1.0:
        velocity[2], acceleration[2] = -LATE_DESCENT_MPS, 0.0
        position[2] -= LATE_DESCENT_MPS * dt
    else:
        rate = (1.0 - phase) / max(time_left, dt)
        phase = min(1.0, phase + rate * dt)
        z, velocity[2], acceleration[2] = height_profile(phase, height, landing_z - start_height, rate, stay)
        position[2] = start_height + z
    return phase, start_yaw + phase * phase * (3.0 - 2.0 * phase) * wrap_angle(foothold[2] - start_yaw)


class SwingFoot:
    """Reference of the swing foot, world frame; advanced once a tick."""

    def __init__(self, position: Array, yaw: float, dt: float) -> None:
        self._dt = dt
        self._start_height, self._start_yaw = float(position[2]), yaw
        self.state = np.zeros((3, 3))  # position, velocity, acceleration, m
        self.state[0] = position
        self.phase, self.yaw = 0.0, yaw
        self._most = np.zeros(2)

    def copy(self) -> SwingFoot:
        """An independent copy."""
        other = copy(self)
        other.state, other._most = self.state.copy(), self._most.copy()
        return other

    def advance(
        self, foothold: Array, time_left: float, aloft: float, height: float, landing_z: float, urgency: float, high: bool = False
    ) -> None:
        """Move the reference by one tick towards foothold (3,) m and rad: over it in `time_left` s, at height landing_z `aloft` s later.

        urgency leads from 0, a calm step, to 1, one that has to catch the robot. A high step comes down late.
        """
        start = (self._start_height, self._start_yaw, self.phase, self._most)
        stay = STAY if high else 0.0
        self.phase, self.yaw = advance(self.state, *start, foothold, time_left, aloft, height, landing_z, urgency, stay, self._dt)
