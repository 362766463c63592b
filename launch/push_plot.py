"""A polar plot of the pushes that a benchmark's runs survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from poise.sim.locomotion import DIRECTIONS

from .plots import BLUE, GREY, STYLE


def push_polar(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Strict pushes (N·s) over the direction they push towards, one plot a command: the least and the median of timings and seeds."""
    commands = list(dict.fromkeys(tuple(run["command"]) for run in runs))
    figure = Figure(figsize=(4.6 * len(commands), 4.6), layout="constrained")
    axes = figure.subplots(1, len(commands), subplot_kw={"projection": "polar"}, squeeze=False)[0]
    for axis, command in zip(axes, commands, strict=True):
        of = [run for run in runs if tuple(run["command"]) == command]
        directions = sorted({run["direction"] for run in of})
        strict = [[run["strict_ns"] for run in of if run["direction"] == direction] for direction in directions]
        angles = 2.0 * np.pi * np.array([*directions, directions[0]]) / DIRECTIONS
        for name, values, colour in (("median", [np.median(s) for s in strict], BLUE), ("least", [min(s) for s in strict], GREY)):
            axis.plot(angles, [*values, values[0]], color=colour, marker="o", ms=3, label=name)
        axis.set_theta_zero_location("N")  # forward is up, left is left
        axis.set_ylim(0.0, None)
        axis.set_title("survived, N·s, at " + " ".join(f"{part:g}" for part in command), fontsize=9)
    axes[0].legend(loc="lower left")
    return figure


def write_push_polar(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Save the plot as an SVG."""
    with matplotlib.rc_context(STYLE):
        push_polar(runs).savefig(path, metadata={"Date": None})
