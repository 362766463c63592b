"""The overlay file: what a robot description does not say, read from TOML into frozen types."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .errors import RobotDescriptionError

SCHEMA = "poise.overlay/1"


@dataclass(frozen=True)
class Gait:
    """Gait defaults: lengths in m, times in s; reaches are between the soles' centres in the stance foot's frame."""

    com_height_m: float
    step_duration_s: float
    step_duration_min_s: float
    step_duration_max_s: float
    double_support_s: float
    step_width_m: float
    swing_height_m: float
    reach_forward_m: float
    reach_backward_m: float
    reach_inward_m: float
    reach_outward_m: float
    velocity_max: tuple[float, float, float]  # |vx|, |vy| m/s, |wz| rad/s
    height_range_m: tuple[float, float]


@dataclass(frozen=True)
class Motor:
    """One joint's motor: limits, and the gains that hold a posture where no torque plan exists."""

    torque: float  # N·m
    velocity: float  # rad/s
    kp: float  # N·m/rad
    kd: float  # N·m·s/rad


@dataclass(frozen=True)
class Capsule:
    """A capsule fixed to a body: segment ends in the body frame and radius, m."""

    name: str
    body: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Overlay:
    """One robot's overlay; lengths in m, angles in rad."""

    name: str
    base: str
    torso: str
    imu_position_base: tuple[float, float, float]
    sole_bodies: tuple[str, str]
    sole_origin: tuple[float, float, float]
    sole_polygon: tuple[tuple[float, float], ...]
    friction: float
    posture: Mapping[str, float]
    legs: tuple[str, ...]
    waist: tuple[str, ...]
    arms: tuple[str, ...]
    gait: Gait
    motors: Mapping[str, Motor]  # pattern → motor; the last match wins
    capsules: tuple[Capsule, ...]
    collision_pairs: tuple[tuple[str, str], ...]

    def motor(self, joint: str) -> Motor:
        """The motor of a joint: the last pattern that matches its name, else `default`."""
        found = self.motors["default"]
        for pattern, motor in self.motors.items():
            if fnmatch(joint, pattern):
                found = motor
        return found


def read_overlay(path: Path) -> Overlay:
    """Read an overlay file.

    Raises:
        RobotDescriptionError: the file cannot be read, has another schema, or lacks or misspells an entry.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RobotDescriptionError(f"overlay {path}: cannot be read ({error}); give a readable TOML file") from error
    if raw.get("schema") != SCHEMA:
        raise RobotDescriptionError(f'overlay {path}: schema is {raw.get("schema")!r}; this version reads "{SCHEMA}"')
    try:
        return _parse(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise RobotDescriptionError(f"overlay {path}: missing or wrong entry {error}; see robots/overlay.py") from error


def _parse(raw: dict[str, Any]) -> Overlay:
    frames, soles, groups, collision = raw["frames"], raw["soles"], raw["groups"], raw.get("collision", {})
    gait = {key: tuple(value) if isinstance(value, list) else value for key, value in raw["gait"].items()}
    capsules = tuple(
        Capsule(c["name"], c["body"], _triple(c["from"]), _triple(c["to"]), float(c["radius"]))
        for c in collision.get("capsules", ())
    )
    left, right = soles["bodies"]
    return Overlay(
        name=raw["name"],
        base=frames["base"],
        torso=frames["torso"],
        imu_position_base=_triple(frames["imu_position_base"]),
        sole_bodies=(left, right),
        sole_origin=_triple(soles["origin"]),
        sole_polygon=tuple((float(x), float(y)) for x, y in soles["polygon"]),
        friction=float(soles["friction"]),
        posture=raw["posture"],
        legs=tuple(groups["legs"]),
        waist=tuple(groups["waist"]),
        arms=tuple(groups["arms"]),
        gait=Gait(**gait),
        motors={pattern: Motor(**values) for pattern, values in raw["motors"].items()},
        capsules=capsules,
        collision_pairs=tuple((a, b) for a, b in collision.get("pairs", ())),
    )


def _triple(values: list[float]) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)
