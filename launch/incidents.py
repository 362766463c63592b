"""What went wrong in a recorded run, and when: falls, safe commands, degraded ticks, steps of a stand, torques that were changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from poise.control.descent import DescentConfig
from poise.control.rotation import matrix_from_quat
from poise.control.unplanned import FALLS
from poise.robots import Decision, Intent
from poise.robots.log_vectors import CODES
from poise.robots.record import Log
from poise.robots.types import Array

NEAR_S = 1.0  # an incident so near to the moment that is asked for is the one that is meant
GAP_S = 0.2  # shorter than which a pause does not part an incident from the next of its kind
# By gravity: of several near a moment the first of these is the incident.
SAID: Mapping[str, str] = {
    "fell": "the robot fell",
    "safe": "the safe command was sent",
    "degraded": "the status was degraded",
    "stepped": "the stand took a step",
    "changed": "the certifier changed the torques",
}


@dataclass(frozen=True)
class Incident:
    """One thing that went wrong, from its first tick to its last, s."""

    kind: str  # of SAID
    from_s: float
    until_s: float
    why: tuple[str, ...] = ()  # what the decisions say of it: a reason, or the bounds of the certifier

    @property
    def said(self) -> str:
        """In words."""
        return SAID[self.kind]


def incidents(log: Log, fell: bool) -> list[Incident]:
    """All of them, the gravest first; `fell`: whether the run is known to have ended in a fall."""
    reasons = reasons_of(log)
    status, changed = log.pulse["status"], log.pulse["certificate_changed"] > 0.0
    found = _falls(log, reasons, fell)
    for kind in ("safe", "degraded"):
        found += _stretches(log, kind, (status == CODES["pulse_status"][kind]) & (reasons != FALLS), reasons)
    found += _steps(log)
    found += _stretches(log, "changed", changed & (status != CODES["pulse_status"]["safe"]), None)
    return found


def incident_at(log: Log, time_s: float, fell: bool) -> Incident | None:
    """The gravest one within NEAR_S of a time, and of its kind the nearest; None where nothing went wrong there."""

    def distance(incident: Incident) -> float:
        return max(incident.from_s - time_s, time_s - incident.until_s, 0.0)

    near = [incident for incident in incidents(log, fell) if distance(incident) <= NEAR_S]
    return min(near, key=lambda incident: (list(SAID).index(incident.kind), distance(incident)), default=None)


def stands(intent: Intent) -> bool:
    """Whether nothing but a stand is asked for."""
    return intent.waypoint is None and not np.any(intent.velocity or 0.0)


def clock(log: Log) -> Array:
    """Times of the ticks of `log.pulse`, (k,) s; of a state that came again, whose stamp stands still, when it came again."""
    stamps, ticks = log.pulse["time_s"], log.pulse["tick"]
    fresh = np.concatenate(([True], stamps[1:] > np.maximum.accumulate(stamps)[:-1]))
    return np.interp(ticks, ticks[fresh], stamps[fresh])


def reasons_of(log: Log) -> Any:
    """The reason of the status of every tick of `log.pulse`, (k,) str; empty where it was ok."""
    ticks = np.array([d.tick for d in log.decisions])
    at = np.searchsorted(ticks, log.pulse["tick"], side="right") - 1
    words = np.array([*(d.reason for d in log.decisions), ""], dtype=object)  # the last one for ticks before the first decision
    return np.where(log.pulse["status"] > 0.0, words[at], "")


def runs(mask: Any, gap: int = 0) -> list[tuple[int, int]]:
    """First and last index of each stretch of a mask (k,) that is true, those no more than `gap` apart taken together."""
    where = np.flatnonzero(mask)
    if not len(where):
        return []
    breaks = np.flatnonzero(np.diff(where) > gap + 1)
    return list(zip(where[[0, *(breaks + 1)]].tolist(), where[[*breaks, -1]].tolist(), strict=True))


def lean(quats: Array) -> Array:
    """Angle of the base from the vertical, (k,) rad, of orientations (k, 4) wxyz; NaN where unknown."""
    return np.array([np.nan if np.isnan(q).any() else np.arccos(np.clip(matrix_from_quat(q)[2, 2], -1.0, 1.0)) for q in quats])


def _falls(log: Log, reasons: Any, fell: bool) -> list[Incident]:
    """The fall, from the first moment at which the base leans too far or the stack gives its balance up; else from the run's end."""
    times = clock(log)
    lost = lean(log.tick["state_base_orientation_wxyz"]) > DescentConfig().lean_rad
    begins = [*log.tick["time_s"][lost][:1].tolist(), *times[reasons == FALLS][:1].tolist(), *([float(times[-1])] if fell else [])]
    return [Incident("fell", min(begins), float(times[-1]))] if begins else []


def _stretches(log: Log, kind: str, mask: Any, reasons: Any) -> list[Incident]:
    """Of the ticks of `log.pulse`; why by the reasons of the ticks (k,), or where that is None by the certifier's bounds."""
    times, found = clock(log), []
    gap = round(GAP_S / max(float(np.median(np.diff(times))), 1e-4)) if len(times) > 1 else 0
    for first, last in runs(mask, gap):
        if reasons is not None:
            why = tuple(dict.fromkeys(str(reason) for reason in reasons[first : last + 1] if reason))
        else:
            why = _bounds([d for d in log.decisions if times[first] - 1e-9 <= d.stamp_s <= times[last] + 1e-9])
        found.append(Incident(kind, float(times[first]), float(times[last]), why))
    return found


def _bounds(decisions: list[Decision]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for d in decisions for reason in d.certificate.reasons))


def _steps(log: Log) -> list[Incident]:
    """Stands that stepped though nothing but a stand was asked for."""
    tick, times = log.tick, log.tick["time_s"]
    phase, velocity = tick["plan_phase"], np.nan_to_num(tick["intent_velocity"])
    asked: Any = velocity.any(axis=1) | ~np.isnan(tick["intent_waypoint"]).all(axis=1)
    stood = (np.roll(phase, 1) == CODES["plan_phase"]["stand"]) & ~np.roll(asked, 1)
    stood[:1] = False
    moving = np.isfinite(phase) & (phase != CODES["plan_phase"]["stand"])
    return [Incident("stepped", float(times[a]), float(times[b])) for a, b in runs(moving) if stood[a] and not asked[a]]
