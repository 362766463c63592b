"""The file of an adversary that was trained: its gains, and how far its training is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots.reading import read_json
from poise.robots.types import Array

SCHEMA = "poise.adversary/1"
INPUTS = 4  # of each joint: one, its place, its speed, a wave
MOST = 1e6  # of any number in it


@dataclass(frozen=True)
class TrainedFile:
    """What such a file holds."""

    seed: int
    evolution: Mapping[str, float]  # how the gains were looked for
    done: int  # rounds
    score: float  # of the last one
    gains: Mapping[str, Sequence[float]]  # of each joint

    def of(self, joints: Sequence[str]) -> Array:
        """Gains (4, n) for joints; those that were not trained have none."""
        return np.array([self.gains.get(joint, [0.0] * INPUTS) for joint in joints], dtype=float).T


def read_trained(path: Path) -> TrainedFile:
    """Read a file.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    table = read_json(path)
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        raise ValueError(f'is not of schema "{SCHEMA}"')
    values: tuple[Any, ...] = tuple(table.get(entry.name) for entry in fields(TrainedFile))
    seed, evolution, done, score, gains = values
    counts = type(seed) is int and type(done) is int and 0 <= done <= MOST
    if not (counts and _is_number(score) and isinstance(evolution, dict) and all(map(_is_number, evolution.values()))):
        raise ValueError("does not say how it was trained, and how far")
    if not (isinstance(gains, dict) and gains and all(map(_is_row, gains.values()))):
        raise ValueError(f"does not hold {INPUTS} finite gains of each joint")
    return TrainedFile(seed, evolution, done, score, gains)


def write_trained(path: Path, file: TrainedFile) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(json.dumps({"schema": SCHEMA, **asdict(file)}, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and len(value) == INPUTS and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MOST  # NaN is not
