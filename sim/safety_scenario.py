"""Scenarios of the safety suite: where the robot is when somebody else takes over its motors, and what is wrong with the plant.

A scenario is a TOML file; every key has a default:

    about = "one line"
    start = "floor"              # on its feet; "rig": the base on a stand, nothing under the feet
    seconds = 3.0
    takeover_s = 0.5             # the stack acts alone before; on the rig nobody does
    velocity = [0.5, 0.0, 0.0]   # m/s, m/s, rad/s: wanted before and after; on the rig nothing is
    [plant]
    mass = 1.2                   # times every body's mass and inertia
    friction = 0.4               # of the feet on the ground
    latency_s = 0.006
    noise = "hard"               # none, nominal, hard
    dropped = 0.05               # share of states that do not arrive
    weak = { left_knee_joint = 0.6 }     # shares of motors' torque limits
    dead = ["left_elbow_joint"]  # encoders that stand still from the takeover on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from poise.robots import PoiseError, RobotModel
from poise.robots.reading import read_toml, shown

from .noise import NOISE

STARTS = ("floor", "rig")
TAKES = {
    "about": "a text",
    "start": "a text",
    "velocity": "three numbers, [vx, vy, wz]",
    "plant.noise": "a text",
    "plant.weak": "a table of numbers by joint, { left_knee_joint = 0.6 }",
    "plant.dead": 'a list of joints, ["left_elbow_joint"]',
}
"""What keys take that do not take a number."""
LEAST_S = 0.01  # of a scenario, and of what is left of it from the takeover on


@dataclass(frozen=True)
class PlantErrors:
    """What the plant has that the controller's model has not."""

    mass: float = 1.0
    friction: float = 0.8
    latency_s: float = 0.0
    noise: str = "none"
    dropped: float = 0.0
    weak: Mapping[str, float] = field(default_factory=dict)
    dead: tuple[str, ...] = ()

    @property
    def sees_truly(self) -> bool:
        """Whether the joints' true state is what is read, at once and always."""
        return self.noise == "none" and not self.dropped and not self.dead


@dataclass(frozen=True)
class SafetyScenario:
    """One scenario; see the top of this file."""

    name: str
    about: str = ""
    start: str = "floor"
    seconds: float = 3.0
    takeover_s: float = 0.5
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    plant: PlantErrors = PlantErrors()

    @property
    def from_s(self) -> float:
        """From when on somebody else asks."""
        return 0.0 if self.start == "rig" else self.takeover_s

    def check(self, robot: RobotModel) -> None:
        """Refuse what cannot be run.

        Raises:
            PoiseError: with the key, and what it takes.
        """
        plant, joints = self.plant, (*self.plant.weak, *self.plant.dead)
        for wrong, said in (
            (self.start not in STARTS, f"start {self.start!r}: give {' or '.join(STARTS)}"),
            (not LEAST_S <= self.seconds <= 60.0, f"seconds {self.seconds:g}: give {LEAST_S:g} to 60"),
            (not 0.0 <= self.from_s <= self.seconds - LEAST_S, f"takeover_s {self.takeover_s:g}: end {LEAST_S:g} s after it or later"),
            (not max(map(abs, self.velocity)) <= 2.0, f"velocity {self.velocity}: give -2 to 2 m/s and rad/s"),
            (not 0.5 <= plant.mass <= 2.0, f"mass {plant.mass:g}: give 0.5 to 2"),
            (not 0.0 < plant.friction <= 2.0, f"friction {plant.friction:g}: give more than 0 and up to 2"),
            (not 0.0 <= plant.latency_s <= 0.05, f"latency_s {plant.latency_s:g}: give 0 to 0.05"),
            (plant.noise not in NOISE, f"noise {plant.noise!r}: give {', '.join(NOISE)}"),
            (not 0.0 <= plant.dropped <= 0.5, f"dropped {plant.dropped:g}: give a share of 0 to 0.5"),
            (not all(0.0 < share <= 1.0 for share in plant.weak.values()), "weak: give shares of the torque limits, above 0 and up to 1"),
            (any(joint not in robot.joint_names for joint in joints), f"weak, dead: {robot.name} has no such joint as one of {joints}"),
        ):
            if wrong:
                raise PoiseError(f"scenario {self.name}: {said}")


def packaged_scenarios() -> dict[str, SafetyScenario]:
    """Those that come with the project, by name."""
    folder = Path(str(files("poise.sim") / "safety_scenarios"))
    return {path.stem: read_scenario(path) for path in sorted(folder.glob("*.toml"))}


def read_scenario(path: str | Path) -> SafetyScenario:
    """A scenario from a TOML file, named after it.

    Raises:
        PoiseError: it cannot be read, or has a key or a value that a scenario cannot have.
    """
    path = Path(path)
    try:
        table = read_toml(path)
        plant = _built(PlantErrors, table.pop("plant", {}), "plant.")
        return _built(SafetyScenario, {**table, "plant": plant}, "", name=path.stem)
    except ValueError as error:
        raise PoiseError(f"scenario {path}: {error}; give a TOML file like the packaged scenarios, or the name of one of them") from error


def _built(kind: type[Any], table: Any, prefix: str, **given: str) -> Any:
    """An instance from what is given, and from a table whose values have the kinds of its defaults."""
    if not isinstance(table, dict):
        raise ValueError(f"{prefix[:-1]} is no table: write [{prefix[:-1]}]")
    known = [entry.name for entry in fields(kind) if entry.name not in given]
    values = {}
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"unknown key {prefix}{key}, known: {', '.join(known)}")
        values[key] = _fitting(value, prefix + key)
    return kind(**given, **values)


def _fitting(value: Any, key: str) -> Any:
    texts, numbers = ("about", "start", "plant.noise"), ("velocity",)
    if key in texts:
        fits = isinstance(value, str)
    elif key == "plant":
        return value
    elif key in numbers:
        fits = isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
    elif key == "plant.dead":
        fits = isinstance(value, list) and all(isinstance(name, str) for name in value)
    elif key == "plant.weak":
        fits = isinstance(value, dict) and all(map(_is_number, value.values()))
    else:
        fits = _is_number(value)
    if not fits:
        raise ValueError(f"{key} {shown(value)} is not what it takes: {TAKES.get(key, 'a number')}")
    if isinstance(value, list):
        return tuple(map(float, value)) if key in numbers else tuple(value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e6
