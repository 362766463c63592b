"""Ground that is not flat: a metre of flat run-in, then what a case names, laid into a plant's specification before it is compiled.

x points the way the robot walks, from where it starts; heights are over the run-in. Planes that a plant has for a floor sink out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np

from poise.robots.types import Array

RUN_IN_M = 1.0
BEHIND_M, LENGTH_M, HALF_WIDTH_M, THICK_M = 3.0, 12.0, 4.0, 1.0  # of the ground: behind the start, before it, to each side, downward
SUNK_M = 20.0  # by which a floor sinks
CROSSED_M = 3.75  # of the pelvis, along x
BEYOND_M = 0.5  # behind the last tread of stairs


class Terrain(Protocol):
    """What is laid; the same for the same seed."""

    @property
    def crossed_m(self) -> float:
        """Where the pelvis has to be, along x, for it to be crossed."""
        ...

    def lay(self, spec: mujoco.MjSpec, seed: int) -> None:
        """Add it to a specification."""
        ...


@dataclass(frozen=True)
class Slope:
    """Ground that rises, or falls below zero, by an angle."""

    degrees: float
    crossed_m: float = CROSSED_M

    def lay(self, spec: mujoco.MjSpec, seed: int) -> None:
        """Add it to a specification."""
        run_in(spec)
        angle = np.radians(self.degrees)
        along, up = np.array([np.cos(angle), 0.0, np.sin(angle)]), np.array([-np.sin(angle), 0.0, np.cos(angle)])
        middle = np.array([RUN_IN_M, 0.0, 0.0]) + 0.5 * LENGTH_M * along - 0.5 * THICK_M * up
        half = [0.5 * LENGTH_M, HALF_WIDTH_M, 0.5 * THICK_M]
        _box(spec, "slope", middle, half, [np.cos(0.5 * angle), 0.0, -np.sin(0.5 * angle), 0.0])


@dataclass(frozen=True)
class Step:
    """One step up, or down below zero."""

    height_m: float
    crossed_m: float = CROSSED_M

    def lay(self, spec: mujoco.MjSpec, seed: int) -> None:
        """Add it to a specification."""
        run_in(spec)
        tread(spec, "step", RUN_IN_M, LENGTH_M, self.height_m)


@dataclass(frozen=True)
class Heightfield:
    """Heights drawn evenly from ±amplitude on a grid, straight between its points."""

    amplitude_m: float
    grid_m: float = 0.1
    crossed_m: float = CROSSED_M

    def lay(self, spec: mujoco.MjSpec, seed: int) -> None:
        """Add it to a specification."""
        run_in(spec)
        columns, rows = (1 + round(length / self.grid_m) for length in (LENGTH_M - RUN_IN_M, 2.0 * HALF_WIDTH_M))
        heights = np.random.default_rng((seed, 3)).uniform(-self.amplitude_m, self.amplitude_m, (rows, columns))
        heights[:, 0] = 0.0  # no edge at the run-in
        lowest, size = float(heights.min()), [0.5 * (LENGTH_M - RUN_IN_M), HALF_WIDTH_M, float(np.ptp(heights)), THICK_M]
        spec.add_hfield(name="rough", size=size, nrow=rows, ncol=columns, userdata=heights.ravel().tolist())
        ground: Any = spec.worldbody.add_geom(name="rough", type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname="rough")
        ground.pos, ground.condim = [0.5 * (LENGTH_M + RUN_IN_M), 0.0, lowest], 3


@dataclass(frozen=True)
class Blocks:
    """Square blocks side by side, their heights drawn evenly from ±amplitude."""

    amplitude_m: float
    side_m: float = 0.25
    half_width_m: float = 1.5
    crossed_m: float = CROSSED_M

    def lay(self, spec: mujoco.MjSpec, seed: int) -> None:
        """Add it to a specification."""
        run_in(spec)
        columns, rows = round((LENGTH_M - RUN_IN_M) / self.side_m), round(2.0 * self.half_width_m / self.side_m)
        heights = np.random.default_rng((seed, 3)).uniform(-self.amplitude_m, self.amplitude_m, (rows, columns))
        for (row, column), height in np.ndenumerate(heights):
            begin, y = RUN_IN_M + column * self.side_m, (row + 0.5) * self.side_m - self.half_width_m
            tread(spec, f"block{row}_{column}", begin, begin + self.side_m, float(height), 0.5 * self.side_m, y)


@dataclass(frozen=True)
class Stairs:
    """So many steps up, and as many down again."""

    rise_m: float = 0.185
    tread_m: float = 0.24
    steps: int = 5

    @property
    def crossed_m(self) -> float:
        """Half a metre beyond the last tread."""
        return RUN_IN_M + (2 * self.steps - 1) * self.tread_m + BEYOND_M

    def lay(self, spec: mujoco.MjSpec, seed: int) -> None:
        """Add it to a specification."""
        run_in(spec, LENGTH_M)
        levels = [*range(1, self.steps + 1), *range(self.steps - 1, 0, -1)]
        for i, level in enumerate(levels):
            begin = RUN_IN_M + i * self.tread_m
            tread(spec, f"tread{i}", begin, begin + self.tread_m, level * self.rise_m)


TERRAINS: Mapping[str, Terrain] = {
    **{f"slope_{degrees:+d}": Slope(degrees) for degrees in (5, 10, 15, -5, -10, -15)},
    **{f"step_{centimetres:+d}": Step(0.01 * centimetres) for centimetres in (5, 10, -5, -10)},
    **{f"heightfield_{centimetres}": Heightfield(0.01 * centimetres) for centimetres in (2, 4)},
    **{f"blocks_{centimetres}": Blocks(0.01 * centimetres) for centimetres in (2, 4)},
    "stairs": Stairs(),
}


def run_in(spec: mujoco.MjSpec, until_m: float = RUN_IN_M) -> None:
    """Flat ground at height zero from behind the start on; the plant's own floor sinks."""
    for geom in spec.worldbody.geoms:
        if geom.type == mujoco.mjtGeom.mjGEOM_PLANE:
            geom.pos = [geom.pos[0], geom.pos[1], geom.pos[2] - SUNK_M]
    tread(spec, "run_in", -BEHIND_M, until_m, 0.0)


def tread(
    spec: mujoco.MjSpec, name: str, begin_m: float, end_m: float, height_m: float, half_width_m: float = HALF_WIDTH_M, y_m: float = 0.0
) -> None:
    """A level box from one x to another, its top at a height."""
    middle = np.array([0.5 * (begin_m + end_m), y_m, height_m - 0.5 * THICK_M])
    _box(spec, name, middle, [0.5 * (end_m - begin_m), half_width_m, 0.5 * THICK_M], [1.0, 0.0, 0.0, 0.0])


def _box(spec: mujoco.MjSpec, name: str, middle: Array, half: list[float], quat: list[float]) -> None:
    ground: Any = spec.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=half, pos=middle.tolist(), quat=quat)
    ground.condim = 3
