"""From an intent to a velocity command, and from that to nominal footsteps."""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.overlay import Gait
from poise.robots.types import Array, Intent

from .lip import periodic_offset
from .rotation import turned, wrap_angle

INWARD_ROOM_M = 0.03  # of a nominal step to the least distance between the soles: room to correct a DCM that comes in fast
WAYPOINT_RADIUS_M = 0.05
WAYPOINT_ANGLE = 0.05


def twist_command(intent: Intent, gait: Gait, pose: Array) -> Array:
    """Velocity command (3,), heading frame, of an intent at a base pose (x, y, yaw), clipped to the gait's limits.

    A waypoint is approached by a proportional law: the robot turns towards it while it is far, and faces its yaw near it.
    """
    limit = np.array(gait.velocity_max)
    if intent.velocity is not None:
        return np.clip(np.array(intent.velocity, dtype=float), -limit, limit)
    if intent.waypoint is None:
        return np.zeros(3)
    x, y, yaw = intent.waypoint
    error = np.array([x - pose[0], y - pose[1]])
    distance = float(np.hypot(*error))
    bearing = np.arctan2(error[1], error[0]) if distance > 0.6 else yaw
    turn = wrap_angle(float(bearing) - pose[2])
    cosine, sine = np.cos(pose[2]), np.sin(pose[2])
    forward, left = cosine * error[0] + sine * error[1], -sine * error[0] + cosine * error[1]
    if distance < WAYPOINT_RADIUS_M and abs(turn) < WAYPOINT_ANGLE:
        return np.zeros(3)
    return np.clip(np.array([1.0 * forward, 1.0 * left, 1.5 * turn]), -limit, limit)


def step_width(gait: Gait, lateral_speed: float, step_s: float) -> float:
    """Lateral distance between the soles, m, wide enough that a sideways step keeps the least distance."""
    return max(gait.step_width_m, gait.reach_inward_m + INWARD_ROOM_M + abs(lateral_speed) * step_s)


@njit(cache=True)
def nominal_step(twist: Array, step_s: float, width: float, stance_sign: float) -> Array:
    """Displacement (x, y) m and turn rad, in the stance foot's frame, to the next foothold.

    The body, half a width inside the stance foot (stance_sign +1: left), moves along the twist (3,) for one step.
    """
    turn = twist[2] * step_s
    half = 0.5 * turn
    # Chord of the arc that the body follows.
    ratio = 1.0 if abs(half) < 1e-6 else np.sin(half) / half
    dx, dy = twist[0] * step_s * ratio, twist[1] * step_s * ratio
    c, s = np.cos(half), np.sin(half)
    body_x, body_y = c * dx - s * dy, s * dx + c * dy - stance_sign * 0.5 * width
    c, s = np.cos(turn), np.sin(turn)
    offset = -stance_sign * 0.5 * width
    return np.array([body_x - s * offset, body_y + c * offset, turn])


@njit(cache=True)
def orbit_plan(
    twist: Array, step_s: float, width: float, stance_sign: float, omega: float, kappa: float, swing: float = 0.0
) -> tuple[Array, Array, Array, Array]:
    """Nominal steps (3,) of this stance foot and the next, and both feet's DCM offsets (2,) at touchdown, each in its frame.

    kappa and swing are as in lip.periodic_offset.
    """
    first, second = nominal_step(twist, step_s, width, stance_sign), nominal_step(twist, step_s, width, -stance_sign)
    here = periodic_offset(first[:2], first[2], second[:2], second[2], omega, step_s, kappa, swing)
    there = periodic_offset(second[:2], second[2], first[:2], first[2], omega, step_s, kappa, swing)
    return first, second, here, there


@njit(cache=True)
def nominal_touchdown(
    step: Array, offset: Array, stance_sign: float, sole: Array, intended_yaw: float, shift: Array
) -> tuple[Array, Array]:
    """Nominal foothold and DCM offset at touchdown (2,), world frame, of a step (3,) from a stance sole (2,).

    offset (2,) is the landing foot's, in its own frame; intended_yaw is where the stance foot was meant to point;
    shift (2,) m moves the foothold forward and outward.
    """
    moved = np.array([step[0] + shift[0], step[1] - stance_sign * shift[1]])
    return sole + turned(intended_yaw, moved), turned(intended_yaw + step[2], offset)
