"""Any overlay is refused in one line, or what comes of it can be computed with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given
from mutation import DEEP, HUGE, fuzzed, read_or_refused, root, spoilt, texts, toml

from poise.robots import RobotModel
from poise.robots.model import build_robot
from poise.robots.overlay import Overlay, read_overlay

TEXT = (root() / "robots/g1/overlay.toml").read_text(encoding="utf-8")
TABLE = tomllib.loads(TEXT)


def with_entry(*way_and_value: Any) -> dict[str, Any]:
    """The overlay with one entry put in its place."""
    *way, key, value = way_and_value
    table = tomllib.loads(TEXT)
    holder: Any = table
    for step in way:
        holder = holder[step]
    holder[key] = value
    return table


def read(folder: Path, content: bytes | str) -> Overlay | None:
    """The overlay of a file with that content, if it is one."""
    path = folder / "overlay.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_or_refused(lambda: read_overlay(path), path)


def is_sound(robot: RobotModel) -> bool:
    """Whether every limit is one, and nothing is unknown."""
    limits = (robot.velocity_limit, robot.torque_limit, robot.power_limit)
    finite = (robot.velocity_limit, robot.torque_limit, robot.hold_kp, robot.hold_kd, robot.posture, robot.descent)
    g = robot.overlay.gait
    return bool(
        all((limit > 0.0).all() for limit in limits)
        and all(np.isfinite(part).all() for part in finite)
        and all((gain >= 0.0).all() for gain in (robot.hold_kp, robot.hold_kd))
        and (robot.walking_min <= robot.walking_max).all()
        and 0.0 < g.step_duration_min_s <= g.step_duration_s <= g.step_duration_max_s
        and 0.0 < g.height_range_m[0] <= g.com_height_m <= g.height_range_m[1]
        and min(g.velocity_max) >= 0.0
        and robot.overlay.friction > 0.0
    )


@fuzzed(60)
@given(table=spoilt(TABLE))
@example(table=with_entry("soles", "friction", HUGE))
@example(table=with_entry("soles", "polygon", []))
@example(table=with_entry("name", "two\nlines"))
@example(table=with_entry("groups", "arms", [1, "x"]))
@example(table=with_entry("motors", "default", "torque", -1.0))
@example(table=with_entry("gait", "height_range_m", [0.7, 0.6]))
def test_an_overlay_with_odd_entries(folder: Path, g1: RobotModel, table: dict[str, Any]) -> None:
    overlay = read(folder, toml(table))
    if overlay is not None:
        robot = read_or_refused(lambda: build_robot(g1.description, overlay))
        assert robot is None or is_sound(robot)


@fuzzed(60)
@given(content=texts(TEXT))
@example(content=f"schema = {'1' * 5000}".encode())
@example(content=f"schema = {DEEP}".encode())
def test_a_damaged_overlay(folder: Path, content: bytes) -> None:
    read(folder, content)
