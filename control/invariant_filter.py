"""Contact-aided invariant Kalman filter: the IMU's readings move it, the fused orientation and the soles correct it.

With the right-invariant error neither its growth nor what a sole says of it depends on where and how the robot is, but for
the biases (Hartley, Ghaffari, Eustice and Grizzle, IJRR 2020). State and error: filter_state.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array

from .filter_state import ACCELEROMETER, FEET, GYRO, POSITION, SIZE, TILT, TURN, VELOCITY, FilterConfig, FilterState, retract, set_quat
from .lie import compose, exp_quat, log_quat
from .linalg import Vector, cross, rotated
from .lip import GRAVITY
from .rotation import matrix_from_quat


@njit(cache=True)
def propagate(s: FilterState, gyro: Vector, specific_force: Vector, stands: Array, dt: float, config: FilterConfig) -> None:
    """Advance by dt with the IMU's readings over it, gyro (3,) rad/s and specific force (3,) m/s²; stands (2,): probabilities."""
    rotation, v, p = matrix_from_quat(s.quat), s.vectors[0], s.vectors[1]
    _propagate_cov(s, rotation, dt, config)
    loose, aloft = 1.0, 1.0  # probabilities that no foot holds, and that none is on the ground
    for foot in range(2):
        slip, stand = s.slip[foot], stands[foot]
        loose, aloft = loose * (1.0 - stand * (1.0 - slip)), aloft * (1.0 - stand)
        moves = (1.0 - stand) * config.swing_std**2 + stand * slip * config.slide_std**2
        walk = dt * (moves + stand * (1.0 - slip) * config.foot_walk_std**2)
        for i in range(FEET + 3 * foot, FEET + 3 * foot + 3):
            s.cov[i, i] += walk
    for i in range(VELOCITY, VELOCITY + 3):  # the longer all feet seem to slip, the likelier the velocity is what is wrong
        s.cov[i, i] += dt * (loose - aloft) * config.doubt_std**2
    b, c = s.gyro_bias, s.accelerometer_bias
    ax, ay, az = rotated(rotation, (specific_force[0] - c[0], specific_force[1] - c[1], specific_force[2] - c[2]))
    acceleration = (ax, ay, az - GRAVITY)
    for i in range(3):
        p[i] += dt * v[i] + 0.5 * dt * dt * acceleration[i]
        v[i] += dt * acceleration[i]
    turn = exp_quat(((gyro[0] - b[0]) * dt, (gyro[1] - b[1]) * dt, (gyro[2] - b[2]) * dt))
    set_quat(s.quat, compose(s.quat, turn))


@njit(cache=True)
def _propagate_cov(s: FilterState, rotation: Array, dt: float, config: FilterConfig) -> None:
    """cov ← Φ cov Φᵀ + Q, Φ = I + A dt (and A² dt²/2 where gravity moves p).

    ė_R = −R e_g,  ė_v = g × e_R − v × R e_g − R e_a,  ė_p = e_v − p × R e_g,  ė_d = −d × R e_g, each with its noise in place
    of the bias.
    """
    cov = s.cov
    arms = np.empty((5, 3, 3))  # of e_R, v, p, d, d: their share of the gyro's error
    for j in range(3):
        column = rotation[:, j]
        for i in range(3):
            arms[0, i, j] = -dt * column[i]
        for k in range(4):
            x, y, z = cross(s.vectors[k], column)
            arms[1 + k, 0, j], arms[1 + k, 1, j], arms[1 + k, 2, j] = -dt * x, -dt * y, -dt * z
    _apply_transition(cov, arms, rotation, dt)
    for i in range(1, SIZE):
        for j in range(i):
            cov[i, j], cov[j, i] = cov[j, i], cov[i, j]
    _apply_transition(cov, arms, rotation, dt)  # Φ (Φ cov)ᵀ: rows lie side by side, columns do not
    for i in range(1, SIZE):
        for j in range(i):
            cov[j, i] = cov[i, j]
    q, flat = config.gyro_std**2, arms.reshape(15, 3)
    for i in range(15):
        for j in range(15):
            cov[i, j] += q * (flat[i, 0] * flat[j, 0] + flat[i, 1] * flat[j, 1] + flat[i, 2] * flat[j, 2])
    for i in range(3):
        cov[VELOCITY + i, VELOCITY + i] += (dt * config.accelerometer_std) ** 2
        cov[GYRO + i, GYRO + i] += dt * config.gyro_bias_walk**2
        cov[ACCELEROMETER + i, ACCELEROMETER + i] += dt * config.accelerometer_bias_walk**2
    for i in range(2):
        cov[TILT + i, TILT + i] += dt * config.tilt_bias_walk**2


@njit(cache=True)
def _apply_transition(c: Array, arms: Array, rotation: Array, dt: float) -> None:
    """c ← Φ c, rows from the last to the first that they depend on."""
    for j in range(SIZE):
        gx, gy = dt * GRAVITY * c[TURN + 1, j], -dt * GRAVITY * c[TURN, j]  # g × e_R
        c[POSITION, j] += dt * (c[VELOCITY, j] + 0.5 * gx)
        c[POSITION + 1, j] += dt * (c[VELOCITY + 1, j] + 0.5 * gy)
        c[POSITION + 2, j] += dt * c[VELOCITY + 2, j]
        c[VELOCITY, j] += gx
        c[VELOCITY + 1, j] += gy
    for k in range(5):
        for i in range(3):
            a, b, d = arms[k, i, 0], arms[k, i, 1], arms[k, i, 2]
            for j in range(SIZE):
                c[3 * k + i, j] += a * c[GYRO, j] + b * c[GYRO + 1, j] + d * c[GYRO + 2, j]
    for i in range(3):
        a, b, d = -dt * rotation[i, 0], -dt * rotation[i, 1], -dt * rotation[i, 2]
        for j in range(SIZE):
            c[VELOCITY + i, j] += a * c[ACCELEROMETER, j] + b * c[ACCELEROMETER + 1, j] + d * c[ACCELEROMETER + 2, j]


@njit(cache=True)
def correct_orientation(s: FilterState, orientation: Array, config: FilterConfig) -> None:
    """Take the fused orientation (4,) wxyz, F = R Exp(b_t) Exp(noise): Log(F Exp(−b̂_t) R̂ᵀ) = e_R + R̂ e_t + noise."""
    rotation, cov = matrix_from_quat(s.quat), s.cov
    straight = compose(orientation, exp_quat((-s.tilt_bias[0], -s.tilt_bias[1], 0.0)))
    z = log_quat(compose(straight, (s.quat[0], -s.quat[1], -s.quat[2], -s.quat[3])))
    error, column = np.zeros(SIZE), np.empty(SIZE)
    for k in range(3):
        a, b = rotation[k, 0], rotation[k, 1]
        for i in range(SIZE):
            column[i] = cov[TURN + k, i] + a * cov[TILT, i] + b * cov[TILT + 1, i]
        variance = column[TURN + k] + a * column[TILT] + b * column[TILT + 1] + config.orientation_std**2
        _absorb(cov, error, column, variance, z[k] - error[TURN + k] - a * error[TILT] - b * error[TILT + 1])
    retract(s, error)


@njit(cache=True)
def correct_feet(s: FilterState, relative: Array, motion: Array, stands: Array, dt: float, config: FilterConfig) -> None:
    """Take both soles' positions from the IMU, (2, 3) m, turned into the world by R̂: z = e_d − e_p + noise.

    motion (2, 3) m/s: the soles' velocities relative to the IMU, world axes, by which the slip likelihoods go before.
    """
    cov, p = s.cov, s.vectors[1]
    error, column = np.zeros(SIZE), np.empty(SIZE)
    for foot in range(2):
        s.slip[foot] = slip_after(s, foot, motion[foot], dt, config) * stands[foot]
    for foot in range(2):
        s.nis[foot] = 0.0
        for k in range(3):
            f = FEET + 3 * foot + k
            for i in range(SIZE):
                column[i] = cov[f, i] - cov[POSITION + k, i]
            variance = column[f] - column[POSITION + k] + config.kinematics_std**2
            z = relative[foot, k] - s.vectors[2 + foot, k] + p[k] - error[f] + error[POSITION + k]
            s.nis[foot] += z * z / variance
            _absorb(cov, error, column, variance, z)
    retract(s, error)


@njit(cache=True)
def slip_after(s: FilterState, foot: int, motion: Vector, dt: float, config: FilterConfig) -> float:
    """Likelihood that a foot slips, by Bayes' rule: its speed's variance is S where it stands, S + slip_speed² where it slips."""
    evidence, ratio, size = 0.0, 1.0, config.slip_speed**2
    for k in range(3):
        speed, variance = s.vectors[0, k] + motion[k], s.cov[VELOCITY + k, VELOCITY + k] + config.foot_speed_std**2
        evidence += 0.5 * speed * speed * size / (variance * (variance + size))
        ratio *= variance / (variance + size)
    slip = s.slip[foot]
    prior = slip + dt * ((1.0 - slip) * config.slip_rate - slip * config.grip_rate)
    weight = prior * np.sqrt(ratio) * np.exp(min(evidence, 50.0))
    return weight / (weight + 1.0 - prior)


@njit(cache=True)
def _absorb(cov: Array, error: Array, column: Array, variance: float, innovation: float) -> None:
    """One scalar measurement in place: column = cov Hᵀ, variance = H cov Hᵀ + R."""
    inverse = 1.0 / variance
    for i in range(SIZE):
        error[i] += column[i] * inverse * innovation
        for j in range(SIZE):
            cov[i, j] -= column[i] * column[j] * inverse  # in this order, so that it stays symmetric to the last bit
