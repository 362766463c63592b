"""Figures of a recorded run, each as an SVG in a data URI."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poise.robots.log_vectors import CODES
from poise.robots.record import Log
from poise.robots.types import LEFT, RIGHT, Array

UNDRAWABLE = 1e12  # no figure's axes go so far
MOST_POINTS = 900  # of one line: more than a page shows
LONG_AND_NARROW = 6.0  # from this ratio on, a path is drawn stretched
WORST_JOINTS = 6
STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "axes.edgecolor": "#94a3b8", "xtick.color": "#475569", "ytick.color": "#475569", "axes.labelcolor": "#334155",
    "legend.frameon": False, "legend.fontsize": 8, "lines.linewidth": 1.2, "svg.hashsalt": "poise",
}  # fmt: skip
BLUE, ORANGE, GREEN, RED, VIOLET, GREY = "#2563eb", "#ea580c", "#16a34a", "#dc2626", "#7c3aed", "#94a3b8"
SIDE_COLOURS = {LEFT: "#0891b2", RIGHT: "#ca8a04"}


def draw(log: Log) -> dict[str, str]:
    """Every figure of the report by title, as data URIs."""
    log = _drawable(log)
    with matplotlib.rc_context(STYLE):
        figures = {
            "From above": from_above(log),
            "Velocity against command": velocity(log),
            "Torque against limit": torque(log),
            "Tick time": tick_time(log),
            "Proposals": proposals(log),
            "Status and interventions": status(log),
        }
        return {title: data_uri(figure) for title, figure in figures.items()}


def _drawable(log: Log) -> Log:
    """The recording without numbers that cannot be drawn: sensors and policies may have given any."""

    def known(fields: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.where(np.abs(values) < UNDRAWABLE, values, np.nan) for name, values in fields.items()}

    return replace(log, tick=known(log.tick), pulse=known(log.pulse), truth=known(log.truth))


def data_uri(figure: Figure) -> str:
    """A figure as an SVG in a data URI."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + b64encode(buffer.getvalue()).decode()


def _figure(rows: int = 1, height: float = 3.0, width: float = 7.0) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False)[:, 0]
    return figure, list(axes)


def _thin(*columns: Array) -> list[Array]:
    """Every k-th row, so that at most MOST_POINTS are left."""
    step = -(-len(columns[0]) // MOST_POINTS) or 1
    return [column[::step] for column in columns]


def _worst(times: Array, values: Array) -> tuple[Array, Array]:
    """The largest value of each stretch of time, so that no peak is lost and at most MOST_POINTS are left."""
    starts = np.arange(0, len(values), -(-len(values) // MOST_POINTS) or 1)
    return times[starts], np.fmax.reduceat(values, starts)


def from_above(log: Log) -> Figure:
    """CoM, DCM and ZMP reference in the ground plane, with the feet where they stood."""
    figure, (axis,) = _figure(height=4.0, width=14.0)
    for name, label, colour, width in (
        ("plan_zmp_world", "ZMP, planned", GREEN, 0.8),
        ("belief_dcm_world", "DCM", ORANGE, 0.8),
        ("belief_com_position_world", "CoM", BLUE, 1.6),
    ):
        (points,) = _thin(log.tick[name])
        axis.plot(points[:, 0], points[:, 1], color=colour, lw=width, label=label)
    if "com_position_world" in log.truth:
        (points,) = _thin(log.truth["com_position_world"])
        axis.plot(points[:, 0], points[:, 1], color=GREY, lw=0.8, ls="--", label="CoM, true")
    for side, name in ((LEFT, "left foot"), (RIGHT, "right foot")):
        places = standing_places(log, side)
        axis.scatter(places[:, 0], places[:, 1], s=36, marker="s", facecolors="none", edgecolors=SIDE_COLOURS[side], label=name)
    spans = np.ptp(np.vstack([np.array(axis.dataLim.intervalx), np.array(axis.dataLim.intervaly)]), axis=1)
    stretched = spans[0] > LONG_AND_NARROW * spans[1]
    axis.set(xlabel="x, m", ylabel="y, m (stretched)" if stretched else "y, m")
    if not stretched:
        axis.set_aspect("equal", adjustable="datalim")
    axis.legend(ncols=6, loc="upper center", bbox_to_anchor=(0.5, 1.12))
    return figure


def standing_places(log: Log, side: int) -> Array:
    """Where a foot stood, (k, 2) m: its place at the end of each time in contact."""
    contact = np.nan_to_num(log.tick["belief_contact"][:, side]) > 0.5
    ends = np.flatnonzero(contact & ~np.append(contact[1:], False))
    return np.asarray(log.tick["belief_sole_position_world"][ends, side, :2])


def heading_velocity(log: Log) -> Array:
    """Estimated vx, vy (m/s, heading frame) and wz (rad/s), (k, 3)."""
    w, x, y, z = log.tick["belief_base_orientation_wxyz"].T
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    vx, vy = log.tick["belief_base_velocity_world"][:, :2].T
    turn = log.tick["belief_base_angular_velocity_base"][:, 2]
    return np.column_stack([np.cos(yaw) * vx + np.sin(yaw) * vy, np.cos(yaw) * vy - np.sin(yaw) * vx, turn])


def velocity(log: Log) -> Figure:
    """Estimated velocity and its command."""
    figure, axes = _figure(rows=3, height=4.4, width=14.0)
    times, measured, command = _thin(log.tick["time_s"], heading_velocity(log), log.tick["intent_velocity"])
    for axis, i, label in zip(axes, range(3), ("vx, m/s", "vy, m/s", "wz, rad/s"), strict=True):
        axis.plot(times, measured[:, i], color=BLUE, lw=0.9, label="estimated")
        axis.plot(times, command[:, i], color=ORANGE, lw=1.4, label="command")
        axis.set_ylabel(label)
    axes[0].legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.35))
    axes[-1].set_xlabel("time, s")
    return figure


def torque_share(log: Log) -> tuple[str, Array]:
    """What was taken as torque, and |torque| / limit, (k, n)."""
    measured = log.tick["state_joint_torque"]
    source, values = ("feed-forward", log.tick["command_tau"]) if np.isnan(measured).all() else ("measured", measured)
    return source, np.abs(values) / log.tick["command_torque_limit"]


def torque(log: Log) -> Figure:
    """Share of the torque limit over time, the joints that came closest to it."""
    figure, (axis,) = _figure()
    source, share = torque_share(log)
    peaks = np.nan_to_num(share).max(axis=0)
    for joint in np.argsort(-peaks)[:WORST_JOINTS]:
        times, values = _worst(log.tick["time_s"], share[:, joint])
        axis.plot(times, 100 * values, lw=0.8, label=f"{log.joint_names[joint].removesuffix('_joint')} {100 * peaks[joint]:.0f} %")
    axis.axhline(100, color=RED, lw=1, ls="--")
    axis.set(xlabel="time, s", ylabel=f"{source} torque, % of limit", ylim=(0, None))
    axis.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.22))
    return figure


def tick_total_us(log: Log) -> Array:
    """Thread CPU of each tick, (k,) µs: the part `tick`, or the sum of the parts; empty where none was timed."""
    if "tick_us" in log.pulse:
        return np.asarray(log.pulse["tick_us"])
    parts = [values for name, values in log.pulse.items() if name.endswith("_us")]
    return np.nansum(parts, axis=0) if parts else np.zeros(0)


def tick_time(log: Log) -> Figure:
    """Tick time over the run (worst of each stretch) and its histogram."""
    figure = Figure(figsize=(7.0, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    total = tick_total_us(log)
    if len(total):
        left.plot(*_worst(log.pulse["time_s"], total), color=VIOLET, lw=0.8)
        right.hist(total[total <= np.percentile(total, 99.9)], bins=40, color=VIOLET, log=True)
        left.set_yscale("log")
    left.set(xlabel="time, s", ylabel="worst tick, µs")
    right.set(xlabel="tick, µs (to 99.9 %)", ylabel="ticks")
    return figure


def proposals(log: Log) -> Figure:
    """Accepted and rejected proposals over time, and why they were rejected."""
    figure = Figure(figsize=(7.0, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    made = [d for d in log.decisions if d.proposals]
    times = [d.stamp_s for d in made]
    accepted = [sum(v.accepted for v in d.verdicts) for d in made]
    left.step(times, [len(d.proposals) for d in made], color=GREY, label="made", where="post")
    left.step(times, accepted, color=GREEN, label="accepted", where="post")
    left.set(xlabel="time, s", ylabel="proposals", ylim=(0, None))
    left.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.2))
    reasons = rejections(log)
    right.barh(list(reasons)[::-1], list(reasons.values())[::-1], color=RED)
    right.set(xlabel="rejected", xlim=(0, None if reasons else 1))
    return figure


def rejections(log: Log) -> Mapping[str, int]:
    """How often each constraint rejected a proposal, most frequent first."""
    return dict(Counter(v.constraint for d in log.decisions for v in d.verdicts if not v.accepted).most_common())


def status(log: Log) -> Figure:
    """Status of each tick, and by how much the certifier changed the torques."""
    figure, (upper, lower) = _figure(rows=2, height=3.0)
    times, worst = _worst(log.pulse["time_s"], log.pulse["status"])
    for name, colour in (("ok", GREEN), ("degraded", ORANGE), ("safe", RED)):
        upper.fill_between(times, 0, 1, where=worst == CODES["pulse_status"][name], step="post", color=colour, alpha=0.7, label=name, lw=0)
    upper.set(yticks=[], ylabel="status", ylim=(0, 1))
    upper.grid(False)
    upper.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.4))
    times, change = _worst(log.pulse["time_s"], log.pulse["torque_change_nm"])
    lower.vlines(times[change > 0], 0, change[change > 0], color=RED, lw=0.6)
    lower.set(xlabel="time, s", ylabel="torque changed\nby certifier, N·m", ylim=(0, None))
    return figure
