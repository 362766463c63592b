"""The page of `poise bench compare`."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import matplotlib
from matplotlib.figure import Figure as Drawing

from poise.robots.plain import to_plain
from poise.sim.pushing import PUSHED, push_summary

from .comparison import BenchRun, Change, Row, Value
from .labels import label
from .output import flatten, show
from .page import page, section, table
from .plots import BLUE, GREEN, ORANGE, RED, STYLE, VIOLET, data_uri
from .push_plot import draw_directions, finish

COLOURS = (BLUE, ORANGE, GREEN, VIOLET, RED)
EXPLAINED = (
    "Mean velocities and errors are along the commanded axis, over the last two thirds of a run; RMSE a stride is that of the velocity "
    "averaged over a gait period. Each run is held against the first of its kind, on the cases that both have: the difference and its "
    "interval at 95 %, of means and pushes over the seeds (Student), of rates over the cases (Newcombe, from the Wilson intervals beside "
    "the rates). × is the ratio of the two on these cases."
)


def render(kinds: Mapping[str, tuple[Sequence[BenchRun], Sequence[Row]]]) -> str:
    """The page as a string, of the runs of each kind and their rows."""
    parts = "".join(_kind(kind, runs, rows) for kind, (runs, rows) in kinds.items())
    names = [run.folder.name for runs, _ in kinds.values() for run in runs]
    return page("Runs side by side", " · ".join(names), f'<p class="sub">{html.escape(EXPLAINED)}</p>{parts}')


def heads(runs: Sequence[BenchRun]) -> list[str]:
    """A column for each run, and behind each but the first one for how it differs from that."""
    first, *others = (run.name for run in runs)
    return [first, *(head for name in others for head in (name, f"{name} − {first}"))]


def cells(runs: Sequence[BenchRun], row: Row) -> list[str]:
    """What stands in these columns."""
    first, *others = (run.name for run in runs)
    rate = row.figure.reduce == "rate"
    return [_value(row.values.get(first)), *(c for n in others for c in (_value(row.values.get(n)), _change(row.changes.get(n), rate)))]


def _value(value: Value | None) -> str:
    """A rate with its counts and interval."""
    if value is None:
        return "–"
    return show(value.value) if value.interval is None else f"{value.count} of {value.of} {_span(value.interval, 100.0)} %"


def _change(change: Change | None, rate: bool) -> str:
    """That of a rate in points of a hundred."""
    if change is None:
        return "–"
    scale, unit = (100.0, " %") if rate else (1.0, "")
    interval = "" if change.interval is None else f" {_span(change.interval, scale)}"
    ratio = "" if change.ratio is None else f" ×{change.ratio:.2f}"
    return f"{scale * change.value:+.3g}{interval}{unit}{ratio}"


def _span(interval: Sequence[float], scale: float) -> str:
    low, high = (show(scale * end) for end in interval)
    return f"[{low}, {high}]"


def _kind(kind: str, runs: Sequence[BenchRun], rows: Sequence[Row]) -> str:
    parts = [section("Runs", _runs(runs), wide=True)]
    for group, members in groupby(rows, key=lambda row: row.figure.group):
        parts.append(section(group, table(["", *heads(runs)], ([row.figure.name, *cells(runs, row)] for row in members)), len(runs) > 2))
    if pushed := {run.name: push for run in runs if (push := _pushes(run))}:
        with matplotlib.rc_context(STYLE):
            picture = f'<img alt="pushes" src="{data_uri(polars(pushed))}">'
        parts.append(section("Strict pushes by direction: median solid, least dashed", picture, wide=True))
    return f'<h2>{html.escape(kind)}</h2><div class="grid">{"".join(parts)}</div>'


def _runs(runs: Sequence[BenchRun]) -> str:
    """Where they are, and the settings in which they differ; below, every setting."""
    settings = [{"folder": str(run.folder), "finished runs": len(run.runs), **dict(flatten(to_plain(run.setup)))} for run in runs]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    rows = {name: [show(setting.get(name)) for setting in settings] for name in names}
    told = [[label(name), *shown] for name, shown in rows.items() if name in ("folder", "finished runs") or len(set(shown)) > 1]
    head = ["", *(run.name for run in runs)]
    every = table(head, [[label(name), *shown] for name, shown in rows.items()])
    return f"{table(head, told)}<details><summary>Every setting</summary>{every}</details>"


def _pushes(run: BenchRun) -> dict[str, Any]:
    return push_summary([one for one in run.runs if one.get("case") == "push"])


def polars(pushed: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Push summaries by run, one plot for walking and one for standing, in which each run has a colour."""
    drawing = Drawing(figsize=(5.0 * len(PUSHED), 4.8), layout="constrained")
    axes = drawing.subplots(1, len(PUSHED), subplot_kw={"projection": "polar"})
    for axis, name in zip(axes, PUSHED, strict=True):
        for k, (run, push) in enumerate(pushed.items()):
            colour = COLOURS[k % len(COLOURS)]
            if name in push:
                draw_directions(axis, push[name]["directions"], "median_newton_second", color=colour, label=run)
                draw_directions(axis, push[name]["directions"], "min_newton_second", color=colour, ls="--", lw=0.8)
        finish(axis, name)
    axes[0].legend(loc="lower left")
    return drawing
