"""Runs of the benchmarks side by side: their figures, and how each differs from the first run on the same cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import RecordError
from poise.sim.batch import read_ledger
from poise.sim.intervals import mean_difference, rate_difference, wilson
from poise.sim.locomotion import SCHEMA
from poise.sim.pushing import push_summary

from .bench_runs import RUNS_FILE

Run = Mapping[str, Any]
KEYS = {
    "locomotion": ("case", "command", "seed", "fell"),
    "tour": ("stage", "seed", "complete", "survival_s", "pos_err_cm", "yaw_err_deg", "energy_kj"),
}
PLACE = ("seed", "command", "direction", "timing", "stage")  # what makes two runs ones of the same case


@dataclass(frozen=True)
class BenchRun:
    """The finished runs in a benchmark's folder."""

    name: str
    folder: Path
    kind: str  # of KEYS
    setup: Mapping[str, Any]
    runs: Sequence[Run]


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark: what it takes of which runs, and how it sums that up."""

    group: str
    name: str
    of: Callable[[Run], bool]  # whether a run counts
    take: Callable[[Run], float | bool | None]  # None: not known
    reduce: str = "mean"  # of REDUCE, or "rate"
    headline: bool = False


REDUCE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "median": lambda values: float(np.median(values)),
    "least": min,
}


@dataclass(frozen=True)
class Value:
    """A figure of one run; a rate has an interval and counts."""

    value: float
    interval: Sequence[float] | None = None
    count: int = 0
    of: int = 0


@dataclass(frozen=True)
class Change:
    """Second - first on the cases that both have, its interval at 95 %, and the ratio of the two on them, None over 0."""

    value: float
    interval: Sequence[float] | None
    ratio: float | None


@dataclass(frozen=True)
class Row:
    """A figure of every run that has it, by the run's name, and its change against the first of all runs where that has it."""

    figure: Figure
    values: Mapping[str, Value]
    changes: Mapping[str, Change]


def read_run(folder: str | Path, name: str) -> BenchRun:
    """The runs of `bench locomotion` or `bench tour`.

    Raises:
        RecordError: the folder has none, or ones of another version.
    """
    path = Path(folder) / RUNS_FILE
    setup, runs = read_ledger(path)
    kind = next((kind for kind in KEYS if kind in setup), None)
    if kind is None or any(key not in run for run in runs for key in KEYS[kind]):
        raise RecordError(f"{path}: not runs of bench locomotion or bench tour; give a folder of one of them")
    if kind == "locomotion" and setup.get("schema") != SCHEMA:
        raise RecordError(f"{path}: runs of {setup.get('schema', 'an older version')}; this version compares {SCHEMA}: run it again")
    if not runs:
        raise RecordError(f"{path}: no finished run; go on with --resume {folder}")
    return BenchRun(name, Path(folder), kind, setup, runs)


def check_figures(run: BenchRun, figures: Sequence[Figure]) -> None:
    """Refuse runs of which a figure cannot be made.

    Raises:
        RecordError: with what is wrong.
    """
    try:
        known = [(figure, number) for figure in figures for number in observations(figure, run.runs).values()]
        sound = all(number in (0.0, 1.0) if figure.reduce == "rate" else isfinite(number) for figure, number in known)
        push_summary([one for one in run.runs if one.get("case") == "push"])
        said = "" if sound else "a number is none that a benchmark gives"
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        said = f"{type(error).__name__}: {error}"
    if said:
        raise RecordError(f"{run.folder / RUNS_FILE}: a run in it is damaged ({said}); delete its line")


def compare(runs: Sequence[BenchRun], figures: Sequence[Figure]) -> list[Row]:
    """Every figure that one of the runs, all of one kind, has."""
    rows = []
    for figure in figures:
        taken = {run.name: observed for run in runs if (observed := observations(figure, run.runs))}
        first, *others = (taken.get(run.name, {}) for run in runs)
        changes = {run.name: found for run, other in zip(runs[1:], others, strict=True) if (found := change(figure, first, other))}
        if taken:
            rows.append(Row(figure, {name: value(figure, list(observed.values())) for name, observed in taken.items()}, changes))
    return rows


def observations(figure: Figure, runs: Sequence[Run]) -> dict[tuple[str, ...], float]:
    """What is known, by case; the seed leads the case."""
    taken = {tuple(str(run.get(key)) for key in PLACE): figure.take(run) for run in runs if figure.of(run)}
    return {case: float(known) for case, known in taken.items() if known is not None}


def value(figure: Figure, values: Sequence[float]) -> Value:
    """A figure of one run."""
    if figure.reduce != "rate":
        return Value(REDUCE[figure.reduce](values))
    count = round(sum(values))
    return Value(count / len(values), wilson(count, len(values)), count, len(values))


def change(figure: Figure, first: Mapping[tuple[str, ...], float], second: Mapping[tuple[str, ...], float]) -> Change | None:
    """Of a rate over the cases that both have; else of the figures of each seed, the interval being that of their mean difference."""
    shared = [case for case in first if case in second]
    if not shared:
        return None
    whole = [value(figure, [one[case] for case in shared]).value for one in (first, second)]
    ratio = whole[1] / whole[0] if whole[0] != 0.0 else None
    if figure.reduce == "rate":
        return Change(*rate_difference([first[case] > 0.0 for case in shared], [second[case] > 0.0 for case in shared]), ratio)
    seeds = [[case for case in shared if case[0] == seed] for seed in dict.fromkeys(case[0] for case in shared)]
    by_seed = [[REDUCE[figure.reduce]([one[case] for case in cases]) for cases in seeds] for one in (first, second)]
    return Change(*mean_difference(*by_seed), ratio)
