"""A recording and its replay, drawn side by side."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poise.robots import PoiseError
from poise.robots.log_differences import Rows, Table, common
from poise.robots.types import Array
from poise.sim.replay import poses, poses_known

from .plots import BLUE, GREEN, GREY, ORANGE, RED, STYLE, VIOLET

SOURCES = {"state": BLUE, "belief": ORANGE, "plan": GREEN, "command": VIOLET, "truth": RED}
WAYS = {"truth": GREY, "belief": BLUE}
LEAST = 1e-17  # what is drawn of no difference


def write_replay_plot(recorded: Table, replayed: Table, how: str, path: Path) -> None:
    """Save it; the kind of picture is that of the path's suffix.

    Raises:
        PoiseError: it cannot be written.
    """
    with matplotlib.rc_context(STYLE):
        figure = draw_replay(recorded, replayed, how)
        try:
            figure.savefig(path)
        except OSError as error:
            raise PoiseError(f"--plot {path}: cannot be written ({error.strerror}); give another file") from error


def draw_replay(recorded: Table, replayed: Table, how: str) -> Figure:
    """The way of the base from above, and over time the largest difference of each message's fields."""
    figure = Figure(figsize=(12.0, 7.0), layout="constrained")
    above, below = figure.subplots(2, 1)
    draw_ways(above, recorded, replayed)
    mine, others = common(recorded, replayed)
    time_s = recorded["time_s"][mine]
    for source, colour in SOURCES.items():
        apart = largest(source, recorded, replayed, mine, others)
        if apart is not None:
            below.plot(time_s, np.maximum(apart, LEAST), color=colour, lw=0.9, label=source)
    below.set(yscale="log", xlabel="time, s", ylabel="largest difference, in the unit of its field", title=how)
    below.legend(ncols=len(SOURCES), loc="upper right")
    return figure


def draw_ways(axis: Axes, recorded: Table, replayed: Table) -> None:
    """Where the base went, by truth and by belief, wherever a table has them."""
    for name, table, style in (("recorded", recorded, "-"), ("replayed", replayed, "--")):
        for source in poses_known(table):
            x, y, _ = poses(table, source).T
            axis.plot(x, y, style, color=WAYS[source], label=f"{source}, {name}")
    axis.set(xlabel="x, m", ylabel="y, m")
    axis.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.15))


def largest(source: str, recorded: Table, replayed: Table, mine: Rows, others: Rows) -> Array | None:
    """The largest difference over the fields of a message at each common tick, (k,), NaN where none is known; None without fields."""
    names = [name for name in recorded if name.startswith(f"{source}_") and name in replayed]
    with np.errstate(invalid="ignore"):  # of two infinities
        rows = [np.abs(recorded[name][mine] - replayed[name][others]).reshape(len(mine), -1) for name in names]
    known = [row for row in rows if np.isfinite(row).any()]
    return np.fmax.reduce(np.hstack(known), axis=1) if known else None
