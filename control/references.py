"""What the walker is asked for, and what it gives the whole-body QP."""

from __future__ import annotations

from typing import NamedTuple

from poise.robots.types import Array


class GaitCommand(NamedTuple):
    """What the walker is asked for at this tick."""

    twist: Array  # (3,) vx, vy m/s and wz rad/s, heading frame
    step_duration_s: float
    height_m: float  # centre of mass above the stance sole, mean over a step
    footstep_offset: Array  # (2, 2) m, forward and outward shift of the next two footsteps


class Reference(NamedTuple):
    """What the walker gives the whole-body QP at this tick, world frame."""

    zmp: Array  # (2,) m
    dcm: Array  # (2,) m
    contact: Array  # (2,) 1 stands, 0 swings
    swing: Array  # (3, 3) position, velocity, acceleration
    swing_yaw: float
    heading: float
    heading_rate: float
    ground_height: float  # m, over which the centre of mass is kept
    rise: Array  # (3,) of the centre of mass over its mean height, m, m/s, m/s²
    urgency: float  # 0 in a steady walk … 1 when the robot has to be caught
    slope: Array  # (2,) gradient of the ground's height along the world's x and y
