"""Joint rates from encoders and measured rates together: a steady Kalman filter of constant velocity for each joint.

Encoders say little of the rate within one period and much over several; measured rates are the other way round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array


class JointFilterConfig(NamedTuple):
    """Standard deviations a sample, and of the acceleration as white noise."""

    encoder_std: float = 1e-4  # rad, that of 14 bits a turn
    rate_std: float = 0.3  # rad/s
    acceleration_std: float = 7.0  # rad/s² √s


@lru_cache(maxsize=256)
def steady_gain(config: JointFilterConfig, dt: float) -> Array:
    """Gain (2, 2) of [q, q̇] on the innovations of both, at which the filter's Riccati recursion settles; not to be written to."""
    step, noise = np.array([[1.0, dt], [0.0, 1.0]]), np.diag([config.encoder_std**2, config.rate_std**2])
    walk = config.acceleration_std**2 * np.array([[dt**3 / 3.0, dt**2 / 2.0], [dt**2 / 2.0, dt]])
    cov, gain = np.diag([1.0, 1.0]), np.zeros((2, 2))
    for _ in range(1000):
        cov, before = step @ cov @ step.T + walk, gain
        gain = cov @ np.linalg.inv(cov + noise)
        if np.array_equal(gain, before):
            break
        cov = cov - gain @ cov
        cov = 0.5 * (cov + cov.T)
    gain.flags.writeable = False
    return gain


def gains(config: JointFilterConfig, period_s: float, most: int) -> Array:
    """The gains (most, 2, 2) for states one to `most` periods after the one before.

    With that of one period the rates of states that come at a third of their pace grow without bound.
    """
    return np.stack([steady_gain(config, periods * period_s) for periods in range(1, most + 1)])


@njit(cache=True)
def track_joints(position: Array, rate: Array, measured_position: Array, measured_rate: Array, dt: float, gain: Array) -> None:
    """Advance positions (n,) rad and rates (n,) rad/s by dt and correct them with what was measured, in place."""
    for i in range(position.size):
        ahead = position[i] + dt * rate[i]
        q, v = measured_position[i] - ahead, measured_rate[i] - rate[i]
        position[i] = ahead + gain[0, 0] * q + gain[0, 1] * v
        rate[i] += gain[1, 0] * q + gain[1, 1] * v
