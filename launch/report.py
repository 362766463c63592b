"""The report of a run: one page that needs nothing but itself."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import RecordError
from poise.robots.log_vectors import CODES
from poise.robots.record import Log, read_log

from .labels import label
from .output import flatten, show, write_page
from .page import page, section, table
from .plots import draw, heading_velocity, rejections, tick_total_us, torque_share
from .run_folder import RunFolder

MOST_EVENTS = 40


def write_report(run_folder: RunFolder | str | Path) -> Path:
    """Write report.html from the recording and the summary of a run.

    Raises:
        RecordError: there is no recording, or no tick in it.
    """
    folder = run_folder if isinstance(run_folder, RunFolder) else RunFolder.open(run_folder)
    log = read_log(folder.log)
    if not log.tick:
        raise RecordError(f"recording {folder.log}: holds no tick; the run ended before the first chunk was written")
    write_page(folder.report, render(log, folder.read_summary(), folder.path.name))
    return folder.report


def render(log: Log, summary: Mapping[str, Any], name: str) -> str:
    """The page as a string."""
    times = log.pulse["time_s"]
    note = "" if log.complete else " · the recording ends in the middle: shown up to its last whole chunk"
    head = f"{log.robot} · {times[-1] - times[0]:.1f} s · {len(times)} ticks · seed {show(log.meta.get('seed'))}{note}"
    wide = {"From above", "Velocity against command"}
    plots = "".join(section(title, f'<img alt="{title}" src="{uri}">', title in wide) for title, uri in draw(log).items())
    tables = section("Why proposals were rejected", _rejection_table(log)) + section("What happened", _event_table(log))
    everything = table(("figure", "value"), ((label(key), show(value)) for key, value in flatten(summary)))
    return page(
        name,
        head,
        f'<div class="cards">{"".join(_card(*figure) for figure in key_figures(log, summary))}</div>'
        f'<div class="grid">{plots}{tables}</div>'
        f"<details><summary>Every figure of the summary</summary>{everything}</details>",
    )


def key_figures(log: Log, summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and mood ("good", "bad", "") of the figures at the head of the page."""
    fell = summary.get("fell")
    figures = [] if fell is None else [("robot", "fell" if fell else "stayed up", "bad" if fell else "good")]
    mean, error = np.nanmean(heading_velocity(log), axis=0), velocity_error(log)
    figures.append(("mean velocity, m/s, m/s, rad/s", ", ".join(f"{v:+.2f}" for v in mean), ""))
    if np.isfinite(error).all():
        figures.append(("velocity error", ", ".join(f"{v:.2f}" for v in error), ""))
    total = tick_total_us(log)
    if len(total):
        figures.append(("tick, median / 99 %, µs", f"{np.median(total):.0f} / {np.percentile(total, 99):.0f}", ""))
    made = sum(len(d.proposals) for d in log.decisions)
    figures.append(("proposals rejected / made", f"{sum(rejections(log).values())} / {made}", ""))
    changed = float(np.mean(log.pulse["certificate_changed"] > 0))
    figures.append(("ticks changed by the certifier", f"{100 * changed:.2f} %", ""))
    odd = float(np.mean(log.pulse["status"] != CODES["pulse_status"]["ok"]))
    figures.append(("ticks degraded or safe", f"{100 * odd:.2f} %", "bad" if odd else "good"))
    peak = float(np.nanmax(torque_share(log)[1]))
    figures.append(("highest torque, of limit", f"{100 * peak:.0f} %", "bad" if peak > 1.0 else ""))
    return figures


def velocity_error(log: Log) -> np.ndarray[Any, Any]:
    """|mean velocity − mean command| over the ticks with a command, (3,); NaN where there was none."""
    known = np.isfinite(log.tick["intent_velocity"]).all(axis=1) & np.isfinite(heading_velocity(log)).all(axis=1)
    if not known.any():
        return np.full(3, np.nan)
    return np.asarray(np.abs((heading_velocity(log) - log.tick["intent_velocity"])[known].mean(axis=0)))


def events(log: Log) -> list[tuple[float, float, str, str]]:
    """Stretches of explained decisions with the same trouble: first and last time (s), status, why."""

    def trouble(item: tuple[float, str, str]) -> tuple[str, str]:
        return item[1:]

    troubles = []
    for d in log.decisions:
        why = "; ".join(filter(None, (d.reason, "certifier: " + ", ".join(d.certificate.reasons) if d.certificate.changed else "")))
        troubles.append((d.stamp_s, d.status, why))
    stretches = [(key, [item[0] for item in group]) for key, group in groupby(troubles, key=trouble)]
    return [(times[0], times[-1], *key) for key, times in stretches if key != ("ok", "")]


def _rejection_table(log: Log) -> str:
    worst: dict[str, tuple[float, str]] = {}
    for verdict in (v for d in log.decisions for v in d.verdicts if not v.accepted):
        worst[verdict.constraint] = min(worst.get(verdict.constraint, (np.inf, "")), (verdict.margin, verdict.unit))
    origins = Counter(p.origin for d in log.decisions for p in d.proposals)
    rows = [(name, str(count), f"{worst[name][0]:.3g} {worst[name][1]}") for name, count in rejections(log).items()]
    made = ", ".join(f"{count} {origin}" for origin, count in origins.most_common()) or "none"
    return f"<p>Made: {html.escape(made)}.</p>" + (
        table(("constraint", "rejected", "worst margin"), rows) if rows else "<p>None was rejected.</p>"
    )


def _event_table(log: Log) -> str:
    found = events(log)
    rows = ((f"{first:.3f}", f"{last:.3f}", status, why) for first, last, status, why in found[:MOST_EVENTS])
    more = f"<p>… and {len(found) - MOST_EVENTS} more.</p>" if len(found) > MOST_EVENTS else ""
    return table(("from, s", "to, s", "status", "why"), rows) + more if found else "<p>Nothing out of the ordinary.</p>"


def _card(name: str, value: str, mood: str) -> str:
    return f'<div class="card {mood}"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>'
