"""How unusual a situation is for a steady gait: what the operator model reacts to after a push."""

from __future__ import annotations

import math

import numpy as np

from poise.control.footsteps import nominal_step, step_width
from poise.control.lip import dcm_after, dcm_in_double_support, natural_frequency, periodic_offset, transfer_shift
from poise.control.protocols import Situation
from poise.robots import RobotModel
from poise.robots.types import LEFT, Array

from .features import roll_pitch_yaw


def nominal_dcm_offset(situation: Situation, robot: RobotModel) -> Array:
    """DCM from the stance sole (2,) m in its yaw frame, on the periodic orbit of the command in force; standing: between the soles."""
    gait, sign = robot.overlay.gait, 1.0 if situation.stance == LEFT else -1.0
    if situation.phase != "step":
        return np.array([0.0, -sign * gait.step_width_m / 2])
    twist = np.asarray(situation.twist, dtype=float)
    step_s = max(situation.step_duration_s, gait.step_duration_min_s)
    omega, support_s = natural_frequency(gait.com_height_m), gait.double_support_s
    width = step_width(gait, twist[1], step_s)
    first, second = nominal_step(twist, step_s, width, sign), nominal_step(twist, step_s, width, -sign)
    start = periodic_offset(first[:2], first[2], second[:2], second[2], omega, step_s, transfer_shift(omega, support_s))
    elapsed = min(max(situation.time_in_phase_s, 0.0), step_s)
    transfer = min(elapsed, support_s)
    c, s = math.cos(second[2]), math.sin(second[2])
    last_step = np.array([c * second[0] + s * second[1], c * second[1] - s * second[0]])  # second leads here; seen from here
    after = dcm_in_double_support(start, last_step, omega, 0.0, support_s, transfer)
    return np.asarray(dcm_after(after, np.zeros(2), omega, elapsed - transfer))


def velocity_error(situation: Situation) -> float:
    """Forward speed against the command, m/s; sideways sway is part of every gait and does not count."""
    _, _, yaw = roll_pitch_yaw(situation.belief.base_orientation_wxyz)
    vx, vy, _ = situation.belief.base_velocity_world
    return float(math.cos(yaw) * vx + math.sin(yaw) * vy - situation.twist[0])


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, linear between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)
