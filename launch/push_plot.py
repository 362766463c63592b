"""Polar plots of the pushes that a benchmark's runs survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plots import BLUE, GREY, STYLE


def push_polar(push: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Strict pushes (N·s) over the direction they push towards, one plot a command: the least and the median of timings and seeds."""
    figure = Figure(figsize=(4.6 * len(push), 4.6), layout="constrained")
    axes = figure.subplots(1, len(push), subplot_kw={"projection": "polar"}, squeeze=False)[0]
    for axis, (name, of) in zip(axes, push.items(), strict=True):
        draw_directions(axis, of["directions"], "median_newton_second", color=BLUE, label="median")
        draw_directions(axis, of["directions"], "min_newton_second", color=GREY, label="least")
        finish(axis, name)
    axes[0].legend(loc="lower left")
    return figure


def draw_directions(axis: Axes, directions: Sequence[Mapping[str, Any]], key: str, **style: Any) -> None:
    """A closed line through one figure of every direction."""
    closed = [*directions, directions[0]]
    angles = np.radians([row["angle_deg"] for row in closed])
    axis.plot(angles, [row[key] for row in closed], marker="o", ms=3, **style)


def finish(axis: Axes, name: str) -> None:
    """Forward is up, left is left, and the middle is no push."""
    axis.set_theta_zero_location("N")  # type: ignore[attr-defined]
    axis.set_ylim(0.0, None)
    axis.set_title(f"{name}: survived, N·s", fontsize=9)


def write_push_polar(push: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Save the plot as an SVG."""
    with matplotlib.rc_context(STYLE):
        push_polar(push).savefig(path, metadata={"Date": None})
