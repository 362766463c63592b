"""Sensor noise: white parts per sample, and biases that are drawn once a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import mujoco
import numpy as np

from poise.robots import RobotState
from poise.robots.types import Array


@dataclass(frozen=True)
class NoiseConfig:
    """Standard deviations of white noise per sample, and sizes of what is constant in a run."""

    joint_velocity_std: float = 0.05  # rad/s
    gyro_std: float = 0.01  # rad/s
    accelerometer_std: float = 0.1  # m/s²
    tilt_bias_rad: float = 0.005  # of the fused orientation, about a horizontal axis of the base drawn once a run
    gyro_bias: float = 0.0  # rad/s, in a direction drawn once a run
    encoder_offset_std: float = 0.0  # rad, drawn once a run for each joint
    yaw_drift: float = 0.0  # rad/s, of the fused orientation; its sign is drawn once a run


NOISE: Mapping[str, NoiseConfig] = MappingProxyType(
    {
        "none": NoiseConfig(0.0, 0.0, 0.0, 0.0),
        "nominal": NoiseConfig(),
        "hard": NoiseConfig(0.3, 0.1, 0.5, 0.03, gyro_bias=0.02, encoder_offset_std=0.01, yaw_drift=0.002),
    }
)


@dataclass(frozen=True, eq=False)
class RunBias:
    """What stays constant in one run."""

    tilt: Array  # (3,) rad, rotation vector in the base frame, horizontal
    gyro: Array  # (3,) rad/s
    encoder: Array  # (n,) rad
    yaw_drift: float  # rad/s


def draw_bias(config: NoiseConfig, n: int, rng: np.random.Generator) -> RunBias:
    """Draw the constants of a run for n joints."""
    heading = rng.uniform(-np.pi, np.pi)
    direction = rng.normal(size=3)
    return RunBias(
        tilt=config.tilt_bias_rad * np.array([np.cos(heading), np.sin(heading), 0.0]),
        gyro=config.gyro_bias * direction / np.linalg.norm(direction),
        encoder=config.encoder_offset_std * rng.normal(size=n),
        yaw_drift=config.yaw_drift * float(rng.choice((-1.0, 1.0))),
    )


def add_noise(state: RobotState, config: NoiseConfig, bias: RunBias, rng: np.random.Generator) -> RobotState:
    """The state as noisy sensors read it; what the state does not hold stays absent."""
    gyro, accelerometer, orientation = state.gyro_imu, state.accelerometer_imu, state.base_orientation_wxyz
    if orientation is not None:
        orientation = _tilted(orientation, bias.tilt, bias.yaw_drift * state.stamp_s)
    return replace(
        state,
        joint_position=state.joint_position + bias.encoder,
        joint_velocity=state.joint_velocity + config.joint_velocity_std * rng.normal(size=len(state.joint_velocity)),
        gyro_imu=None if gyro is None else gyro + bias.gyro + config.gyro_std * rng.normal(size=3),
        accelerometer_imu=None if accelerometer is None else accelerometer + config.accelerometer_std * rng.normal(size=3),
        base_orientation_wxyz=orientation,
    )


def _tilted(quat_wxyz: Array, tilt: Array, yaw: float) -> Array:
    tilted, turned = quat_wxyz.copy(), np.zeros(4)
    mujoco.mju_quatIntegrate(tilted, tilt, 1.0)  # multiplies from the right: in the base frame
    mujoco.mju_mulQuat(turned, np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]), tilted)
    return turned
