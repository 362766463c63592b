"""What the invariant filter carries: where the IMU is, how it moves, where the soles are, and the biases of what is sensed.

X in SE₄(3): rotation R, velocity v and position p of the IMU and both soles d, world frame. Beside it the biases of gyro and
accelerometer (IMU's axes, which are the base's) and the tilt b_t of the fused orientation F = R Exp(b_t).
The error e is right-invariant, X = Exp(e) X̂, and that of the biases their difference, b = b̂ + e_b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array

from .lie import Quat, act_exp, compose, exp_quat
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
    doubt_std: float = 0.2  # m/s/√s, of the velocity while all feet seem to slip
    velocity_std: float = 0.2  # m/s, at the start
    gyro_bias_std: float = 0.02  # rad/s
    gyro_bias_walk: float = 0.0005
    accelerometer_bias_std: float = 0.03  # m/s²
    accelerometer_bias_walk: float = 0.001
    tilt_bias_std: float = 0.02  # rad
    tilt_bias_walk: float = 0.0002
    slip_rate: float = 2.0  # 1/s, how often a standing foot begins to slip
    grip_rate: float = 20.0  # 1/s, how soon one that slips stands again
    slip_speed: float = 0.3  # m/s, of a foot that slips
    foot_speed_std: float = 0.1  # m/s, of a sole from the IMU by the joints' rates


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
        quat=block[:4],
        vectors=block[4:16].reshape(4, 3),
        gyro_bias=block[16:19],
        accelerometer_bias=block[19:22],
        tilt_bias=block[22:24],
        slip=block[24:26],
        nis=block[26:28],
        cov=block[28:].reshape(SIZE, SIZE),
    )


@njit(cache=True)
def start(s: FilterState, orientation: Array, config: FilterConfig) -> None:
    """At rest, with the attitude of the fused orientation (4,) wxyz, IMU and soles at the origin, biases 0."""
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
        s.cov[VELOCITY + i, VELOCITY + i] = config.velocity_std**2
        for part in (POSITION, FEET, FEET + 3):
            s.cov[part + i, part + i] = config.kinematics_std**2
        s.cov[GYRO + i, GYRO + i] = config.gyro_bias_std**2
        s.cov[ACCELEROMETER + i, ACCELEROMETER + i] = config.accelerometer_bias_std**2
    s.cov[TILT, TILT] = s.cov[TILT + 1, TILT + 1] = tilt


@njit(cache=True)
def retract(s: FilterState, error: Array) -> None:
    """X ← Exp(e) X, b ← b + e_b."""
    turn = error[TURN : TURN + 3]
    act_exp(turn, s.vectors, error[VELOCITY:GYRO].reshape(4, 3))
    set_quat(s.quat, compose(exp_quat(turn), s.quat))
    for i in range(3):
        s.gyro_bias[i] += error[GYRO + i]
        s.accelerometer_bias[i] += error[ACCELEROMETER + i]
    for i in range(2):
        s.tilt_bias[i] += error[TILT + i]


@njit(cache=True)
def set_quat(quat: Array, value: Quat) -> None:
    """Write a quaternion, made a unit one, in place."""
    w, x, y, z = value
    scale = 1.0 / np.sqrt(w * w + x * x + y * y + z * z)
    quat[0], quat[1], quat[2], quat[3] = scale * w, scale * x, scale * y, scale * z


@njit(cache=True)
def deviations(s: FilterState) -> tuple[Array, Array]:
    """Standard deviations of the IMU's position (3,) m and velocity (3,) m/s: an error e moves x by e_x + e_R × x."""
    position, velocity = np.empty(3), np.empty(3)
    for out, part, row in ((velocity, VELOCITY, 0), (position, POSITION, 1)):
        x, c = s.vectors[row], s.cov
        for i in range(3):
            j, k, r = (i + 1) % 3, (i + 2) % 3, part + i
            variance = c[r, r] + c[j, j] * x[k] ** 2 + c[k, k] * x[j] ** 2 - 2.0 * c[j, k] * x[j] * x[k]
            variance += 2.0 * (c[r, j] * x[k] - c[r, k] * x[j])
            out[i] = np.sqrt(max(variance, 0.0))  # by rounding it may be below 0
    return position, velocity
