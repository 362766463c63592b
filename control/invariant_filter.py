"""Contact-aided invariant Kalman filter: where the IMU is, how it moves, where the feet stand, and the biases of what it senses.

State: X in SE₄(3) of rotation R, velocity v, position p of the IMU and both soles d, world frame, and the biases of gyro and
accelerometer (body frame) and the tilt of the fused orientation F = R Exp(b_t). Error e, right-invariant: X = Exp(e) X̂,
b = b̂ + e_b, so that neither the growth of e nor what a foot says of it depends on where and how the robot is, up to the
biases (Hartley, Ghaffari, Eustice and Grizzle, IJRR 2020).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array

from .lie import act_exp, compose, exp_quat, log_quat
from .linalg import Triple, Vector, cross, rotated, rotated_back
from .lip import GRAVITY
from .rotation import matrix_from_quat

TURN, VELOCITY, POSITION, FEET, GYRO, ACCELEROMETER, TILT, SIZE = 0, 3, 6, 9, 15, 18, 21, 23  # where each part of e begins


class FilterConfig(NamedTuple):
    """Standard deviations: of white noise per sample, of what is not known at the start, and of walks per √s."""

    gyro_std: float = 0.03  # rad/s
    accelerometer_std: float = 1.5  # m/s²: white noise is a tenth of it, the rest stands for slow errors of about 0.3 m/s²
    orientation_std: float = 0.002  # rad, of the fused orientation beside its tilt
    kinematics_std: float = 0.0003  # m, sole from IMU by the encoders
    foot_walk_std: float = 0.005  # m/√s, a sole that stands: it rolls, and the ground yields
    slide_std: float = 0.15  # m/√s, one that slips
    swing_std: float = 0.5  # m/√s, one that is moved
    gyro_bias_std: float = 0.02  # rad/s
    gyro_bias_walk: float = 0.0005
    accelerometer_bias_std: float = 0.03  # m/s²
    accelerometer_bias_walk: float = 0.001
    tilt_bias_std: float = 0.02  # rad
    tilt_bias_walk: float = 0.0002
    slip_rate: float = 2.0  # 1/s, how often a standing foot begins to slip
    grip_rate: float = 20.0  # 1/s, how soon one that slips stands again
    slip_size: float = 0.001  # m, what a slipping foot's innovation has more of


class FilterState(NamedTuple):
    """What the filter carries from tick to tick, as views of one block (`FILTER_SIZE`,)."""

    quat: Array  # (4,) wxyz, world from IMU
    vectors: Array  # (4, 3) v, p, d_left, d_right, world
    gyro_bias: Array  # (3,) rad/s
    accelerometer_bias: Array  # (3,) m/s²
    tilt_bias: Array  # (2,) rad, about x and y of the base
    slip: Array  # (2,) likelihood that a foot which is loaded slides
    nis: Array  # (2,) normalised squared innovation of each sole, 3 degrees of freedom
    cov: Array  # (SIZE, SIZE)


FILTER_SIZE = 4 + 12 + 8 + 2 + 2 + SIZE * SIZE


@njit(cache=True)
def state_of(block: Array) -> FilterState:
    """The parts of a block."""
    return FilterState(
        block[:4], block[4:16].reshape(4, 3), block[16:19], block[19:22], block[22:24], block[24:26], block[26:28], block[28:].reshape(SIZE, SIZE)
    )


@njit(cache=True)
def start(s: FilterState, orientation: Array, config: FilterConfig) -> None:
    """At rest, upright as the fused orientation (4,) wxyz says, IMU and soles at the origin until `stand` places them."""
    s.quat[:], s.vectors[:], s.gyro_bias[:], s.accelerometer_bias[:], s.tilt_bias[:] = orientation, 0.0, 0.0, 0.0, 0.0
    s.slip[:], s.nis[:], s.cov[:] = 0.0, 0.0, 0.0
    turn = matrix_from_quat(orientation)
    tilt = config.tilt_bias_std**2
    for i in range(3):
        for j in range(2):  # what the fused orientation is off by, the attitude is off by the other way
            s.cov[TURN + i, TILT + j] = s.cov[TILT + j, TURN + i] = -turn[i, j] * tilt
        for j in range(3):
            s.cov[TURN + i, TURN + j] = tilt * (turn[i, 0] * turn[j, 0] + turn[i, 1] * turn[j, 1])
        s.cov[TURN + i, TURN + i] += config.orientation_std**2
        s.cov[VELOCITY + i, VELOCITY + i] = 0.03**2
        for part in (POSITION, FEET, FEET + 3):
            s.cov[part + i, part + i] = config.kinematics_std**2
        s.cov[GYRO + i, GYRO + i] = config.gyro_bias_std**2
        s.cov[ACCELEROMETER + i, ACCELEROMETER + i] = config.accelerometer_bias_std**2
    s.cov[TILT, TILT] = s.cov[TILT + 1, TILT + 1] = tilt


@njit(cache=True)
def propagate(s: FilterState, gyro: Vector, specific_force: Vector, stands: Array, dt: float, config: FilterConfig) -> None:
    """Advance by dt with the IMU's readings over it, gyro (3,) rad/s and specific force (3,) m/s²; stands (2,): probabilities."""
    rotation, v, p = matrix_from_quat(s.quat), s.vectors[0], s.vectors[1]
    _propagate_cov(s, rotation, dt, config)
    for foot in range(2):
        slip, stand = s.slip[foot], stands[foot]
        moves = (1.0 - stand) * config.swing_std**2 + stand * slip * config.slide_std**2
        walk = dt * (moves + stand * (1.0 - slip) * config.foot_walk_std**2)
        for i in range(FEET + 3 * foot, FEET + 3 * foot + 3):
            s.cov[i, i] += walk
    b, c = s.gyro_bias, s.accelerometer_bias
    ax, ay, az = rotated(rotation, (specific_force[0] - c[0], specific_force[1] - c[1], specific_force[2] - c[2]))
    acceleration = (ax, ay, az - GRAVITY)
    for i in range(3):
        p[i] += dt * v[i] + 0.5 * dt * dt * acceleration[i]
        v[i] += dt * acceleration[i]
    turn = exp_quat(((gyro[0] - b[0]) * dt, (gyro[1] - b[1]) * dt, (gyro[2] - b[2]) * dt))
    _set_quat(s.quat, compose(s.quat, turn))


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
    _apply_transition(cov, arms, rotation, dt)  # Φ (Φ cov)ᵀ, rows only: these lie side by side
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
def correct_feet(s: FilterState, relative: Array, stands: Array, dt: float, config: FilterConfig) -> None:
    """Take both soles' positions from the IMU, (2, 3) m, turned into the world by R̂: z = e_d − e_p + noise; update the slip."""
    cov, p = s.cov, s.vectors[1]
    error, column = np.zeros(SIZE), np.empty(SIZE)
    noise, size = config.kinematics_std**2, config.slip_size**2
    for foot in range(2):
        square, evidence, ratio = 0.0, 0.0, 1.0
        for k in range(3):
            f = FEET + 3 * foot + k
            for i in range(SIZE):
                column[i] = cov[f, i] - cov[POSITION + k, i]
            variance = column[f] - column[POSITION + k] + noise
            z = relative[foot, k] - s.vectors[2 + foot, k] + p[k] - error[f] + error[POSITION + k]
            square += z * z / variance
            evidence += z * z * size / (variance * (variance + size))
            ratio *= variance / (variance + size)
            _absorb(cov, error, column, variance, z)
        s.nis[foot] = square
        s.slip[foot] = slip_after(s.slip[foot], 0.5 * evidence, np.sqrt(ratio), stands[foot], dt, config)
    retract(s, error)


@njit(cache=True)
def slip_after(slip: float, evidence: float, ratio: float, stands: float, dt: float, config: FilterConfig) -> float:
    """Likelihood that a foot slips, by Bayes' rule over two hypotheses: the innovation's variance S, or S + slip_size².

    evidence and ratio: the exponent and the factor of the likelihood ratio of its Gaussians.
    """
    prior = slip + dt * ((1.0 - slip) * config.slip_rate - slip * config.grip_rate)
    weight = prior * ratio * np.exp(min(evidence, 50.0))
    return stands * weight / (weight + 1.0 - prior)


@njit(cache=True)
def _absorb(cov: Array, error: Array, column: Array, variance: float, innovation: float) -> None:
    """One scalar measurement in place: column = cov Hᵀ, variance = H cov Hᵀ + R."""
    for i in range(SIZE):
        gain = column[i] / variance
        error[i] += gain * innovation
        for j in range(SIZE):
            cov[i, j] -= gain * column[j]


@njit(cache=True)
def retract(s: FilterState, error: Array) -> None:
    """X ← Exp(e) X, b ← b + e_b."""
    turn = error[TURN : TURN + 3]
    act_exp(turn, s.vectors, error[VELOCITY:GYRO].reshape(4, 3))
    _set_quat(s.quat, compose(exp_quat(turn), s.quat))
    for i in range(3):
        s.gyro_bias[i] += error[GYRO + i]
        s.accelerometer_bias[i] += error[ACCELEROMETER + i]
    for i in range(2):
        s.tilt_bias[i] += error[TILT + i]


@njit(cache=True)
def _set_quat(quat: Array, value: tuple[float, float, float, float]) -> None:
    w, x, y, z = value
    scale = 1.0 / np.sqrt(w * w + x * x + y * y + z * z)
    quat[0], quat[1], quat[2], quat[3] = scale * w, scale * x, scale * y, scale * z


@njit(cache=True)
def deviations(s: FilterState) -> tuple[Array, Array]:
    """Standard deviations of the IMU's position (3,) m and velocity (3,) m/s: δx = e_x + e_R × x."""
    position, velocity = np.empty(3), np.empty(3)
    for out, part, k in ((velocity, VELOCITY, 0), (position, POSITION, 1)):
        x = s.vectors[k]
        for i in range(3):
            j, l = (i + 1) % 3, (i + 2) % 3  # δx_i = e_i + e_R,j x_l − e_R,l x_j
            c, r = s.cov, part + i
            variance = c[r, r] + c[j, j] * x[l] ** 2 + c[l, l] * x[j] ** 2 - 2.0 * c[j, l] * x[j] * x[l]
            variance += 2.0 * (c[r, j] * x[l] - c[r, l] * x[j])
            out[i] = np.sqrt(max(variance, 0.0))
    return position, velocity
