"""The overlay file: what a robot description does not say, read from TOML into frozen types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from fnmatch import fnmatch
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from .errors import RobotDescriptionError
from .reading import read_toml, shown

SCHEMA = "poise.overlay/1"
LARGEST = 1e6  # of any number: no length, angle, gain or power of a robot comes near it
T = TypeVar("T")

# Every table and its entries, so that a misspelt one is refused rather than passed over.
_TABLES = {
    "frames": ("base", "torso", "imu_position_base"),
    "soles": ("bodies", "origin", "polygon", "friction", "yaw_friction_m"),
    "groups": ("legs", "waist", "arms"),
    "collision": ("capsules", "pairs"),
}
_FREE_TABLES = ("posture", "gait", "motors", "walking_range", "descent")  # joints, patterns, and what their types name


@dataclass(frozen=True)
class Gait:
    """Gait defaults: lengths in m, times in s; reaches are between the soles' centres in the stance foot's frame."""

    com_height_m: float
    step_duration_s: float
    step_duration_hurried_s: float
    step_duration_min_s: float
    step_duration_max_s: float
    double_support_s: float
    step_width_m: float
    swing_height_m: float
    reach_forward_m: float
    reach_backward_m: float
    reach_inward_m: float
    reach_across_m: float
    reach_apart_m: float
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
    power: float = inf  # W, mechanical, driving or braking; may be left out: torque and velocity alone bound it


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
    yaw_friction_m: float  # |yaw torque| of a sole over its vertical force, N·m/N
    posture: Mapping[str, float]
    legs: tuple[str, ...]
    waist: tuple[str, ...]
    arms: tuple[str, ...]
    gait: Gait
    motors: Mapping[str, Motor]  # pattern → motor; the last match wins
    walking_range: Mapping[str, tuple[float, float]]  # pattern → rad: where walking keeps a joint, within its limits; the last match wins
    descent: Mapping[str, tuple[float, float, float]]  # pattern → rad: middle, forward, left of a fall; the last match wins
    capsules: tuple[Capsule, ...]
    collision_pairs: tuple[tuple[str, str], ...]

    def motor(self, joint: str) -> Motor:
        """The motor of a joint: the last pattern that matches its name, else `default`."""
        return _last_match(self.motors, joint, self.motors["default"])

    def walking(self, joint: str) -> tuple[float, float]:
        """Where walking keeps a joint, rad: all of the line unless a pattern matches its name."""
        return _last_match(self.walking_range, joint, (-inf, inf))

    def falling(self, joint: str) -> tuple[float, float, float]:
        """Where a fall takes a joint, rad: in the middle, more of it forward, more to the left; its posture unless a pattern matches."""
        return _last_match(self.descent, joint, (self.posture.get(joint, 0.0), 0.0, 0.0))

    def unmatched(self, joints: Sequence[str]) -> list[str]:
        """The tables and patterns that match none of the joints: misspelt, most likely."""
        tables = {"motors": [pattern for pattern in self.motors if pattern != "default"], "walking_range": list(self.walking_range)}
        tables["descent"] = list(self.descent)
        return [
            f"[{table}] {pattern}"
            for table, patterns in tables.items()
            for pattern in patterns
            if not any(fnmatch(joint, pattern) for joint in joints)
        ]


def _last_match(table: Mapping[str, T], joint: str, found: T) -> T:
    for pattern, value in table.items():
        if fnmatch(joint, pattern):
            found = value
    return found


def read_overlay(path: Path) -> Overlay:
    """Read an overlay file.

    Raises:
        RobotDescriptionError: the file cannot be read, has another schema, or lacks or misspells an entry.
    """
    try:
        raw = read_toml(path)
    except ValueError as error:
        raise RobotDescriptionError(f"overlay {path}: cannot be read ({error}); give a readable TOML file") from error
    if raw.get("schema") != SCHEMA:
        raise RobotDescriptionError(f'overlay {path}: schema is {shown(raw.get("schema"))}; this version reads "{SCHEMA}"')
    try:
        _refuse_unknown(raw)
        overlay = _parse(raw)
        _check_values(overlay)
    except KeyError as error:
        raise RobotDescriptionError(f"overlay {path}: entry {error} is missing; see robots/overlay.py") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise RobotDescriptionError(f"overlay {path}: wrong entry ({error}); see robots/overlay.py") from error
    return overlay


def _refuse_unknown(raw: Mapping[str, Any]) -> None:
    known_tables = ("schema", "name", *_FREE_TABLES, *_TABLES)
    unknown = [f"[{table}]" if isinstance(raw[table], dict) else table for table in raw if table not in known_tables]
    for table, known in _TABLES.items():
        unknown += [f"{key} in [{table}]" for key in raw.get(table, {}) if key not in known]
    if unknown:
        raise ValueError(f"unknown {', '.join(unknown)[:200]}")


def _parse(raw: Mapping[str, Any]) -> Overlay:
    frames, soles, groups, collision = raw["frames"], raw["soles"], raw["groups"], raw.get("collision", {})
    left, right = _names(soles["bodies"], "bodies")
    motors = {pattern: Motor(**_numbers(Motor, values)) for pattern, values in raw["motors"].items()}
    return Overlay(
        name=_text(raw["name"], "name"),
        base=_text(frames["base"], "base"),
        torso=_text(frames["torso"], "torso"),
        imu_position_base=_triple(frames["imu_position_base"], "imu_position_base"),
        sole_bodies=(left, right),
        sole_origin=_triple(soles["origin"], "origin"),
        sole_polygon=tuple((_number(x, "polygon"), _number(y, "polygon")) for x, y in soles["polygon"]),
        friction=_number(soles["friction"], "friction"),
        yaw_friction_m=_number(soles["yaw_friction_m"], "yaw_friction_m"),
        posture={joint: _number(angle, joint) for joint, angle in raw["posture"].items()},
        legs=_names(groups["legs"], "legs"),
        waist=_names(groups["waist"], "waist"),
        arms=_names(groups["arms"], "arms"),
        gait=Gait(**_numbers(Gait, raw["gait"])),
        motors={"default": motors.pop("default"), **motors},
        walking_range={pattern: _range(values, pattern) for pattern, values in raw.get("walking_range", {}).items()},
        descent={pattern: _triple(values, pattern) for pattern, values in raw.get("descent", {}).items()},
        capsules=tuple(_capsule(entry) for entry in collision.get("capsules", ())),
        collision_pairs=tuple(_pair(names) for names in collision.get("pairs", ())),
    )


def _capsule(entry: Mapping[str, Any]) -> Capsule:
    start, end = (_triple(entry[key], key) for key in ("from", "to"))
    return Capsule(_text(entry["name"], "name"), _text(entry["body"], "body"), start, end, _number(entry["radius"], "radius"))


def _pair(names: Any) -> tuple[str, str]:
    a, b = _names(names, "pairs")
    return a, b


def _numbers(kind: type[Gait] | type[Motor], table: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a table of numbers, and of tuples of them, each of which its type names, and needs unless it has a default."""
    unknown = ", ".join(sorted(set(table) - {entry.name for entry in fields(kind)}))
    if unknown:
        raise ValueError(f"unknown {unknown} in {kind.__name__.lower()}")
    needed = [entry for entry in fields(kind) if entry.name in table or entry.default is MISSING]
    return {entry.name: _entry(entry.name, str(entry.type), table[entry.name]) for entry in needed}


def _entry(name: str, annotation: str, value: Any) -> float | tuple[float, ...]:
    """A number, or as many of them as the annotation of the entry counts."""
    if annotation == "float":
        return _number(value, name)
    count = annotation.count("float")
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{name} takes {count} numbers, got {shown(value)}")
    return tuple(_number(number, name) for number in value)


def _names(names: Any, name: str) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise TypeError(f"{name}: {shown(names)} must be a list")
    return tuple(_text(item, name) for item in names)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}: {shown(value)} is not a text")
    return value


def _range(values: Any, name: str) -> tuple[float, float]:
    low, high = _several(values, name, 2)
    if not low < high:
        raise ValueError(f"{name} goes from {low:g} to {high:g}")
    return low, high


def _triple(values: Any, name: str) -> tuple[float, float, float]:
    x, y, z = _several(values, name, 3)
    return x, y, z


def _several(values: Any, name: str, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{name} takes {count} numbers, got {shown(values)}")
    return [_number(value, name) for value in values]


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"{name}: {shown(value)} is not a finite number")
    return float(value)


def _check_values(overlay: Overlay) -> None:
    """Refuse numbers that no robot has: the stack divides by them, or takes them for the bounds that it keeps."""
    g = overlay.gait
    above_zero = {f.name: getattr(g, f.name) for f in fields(Gait) if f.name not in ("velocity_max", "height_range_m")}
    above_zero |= {"friction": overlay.friction, "yaw_friction_m": overlay.yaw_friction_m}
    above_zero |= {f"radius of capsule {capsule.name}": capsule.radius for capsule in overlay.capsules}
    for pattern, motor in overlay.motors.items():
        above_zero |= {f"{name} of motor {pattern}": getattr(motor, name) for name in ("torque", "velocity", "power")}
        _refuse_where(min(motor.kp, motor.kd) < 0.0, f"kp and kd of motor {pattern} must not be negative")
    for name, value in above_zero.items():
        _refuse_where(value <= 0.0, f"{name}: {value:g} must be above 0")
    low, high = g.height_range_m
    _refuse_where(not 0.0 < low <= g.com_height_m <= high, "com_height_m must lie within height_range_m, above 0")
    durations = (g.step_duration_hurried_s, g.step_duration_min_s, g.step_duration_s, g.step_duration_max_s)
    _refuse_where(list(durations) != sorted(durations), "step durations must rise: hurried, min, nominal, max")
    _refuse_where(min(g.velocity_max) < 0.0, "velocity_max must not be negative")


def _refuse_where(wrong: bool, sentence: str) -> None:
    if wrong:
        raise ValueError(sentence)
