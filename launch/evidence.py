"""What a recording itself shows of the causes of an incident: jolts, readings that fail, requests that change, motions of a policy.

Nothing here looks at what was planned to be done to the robot: it is measured and decided, as on a real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poise.control import soundness
from poise.control.rotation import matrix_from_quat, turned, yaw_of
from poise.robots import Decision
from poise.robots.log_vectors import CODES
from poise.robots.plain import to_plain
from poise.robots.record import Log
from poise.robots.types import Array

from .incidents import Incident, clock, reasons_of, runs

FORCE = "belief_external_force_world"  # the field of /tick in which a push is seen
BEFORE_S = 2.0  # how long before an incident its cause is looked for
WINDOW_S = 0.25  # over which a force is summed up: as long as a blow lasts, and the estimate is behind it
JOLT_NS = 9.0  # in a window, which is a push; walks of 1 m/s stay below 6, and in hard sensor noise below it
EDGE_SHARE = 0.25  # of its largest force, where a jolt begins and ends
PROPOSING_FAILED = "proposing failed"  # how the reason of a proposer or world model that failed begins
FROZEN_S, FROZEN_RAD = 0.05, 0.02  # for which a reading has not changed in its last digit while its joint has gone so far
ASKED = {
    "velocity": "the velocity",
    "waypoint": "the waypoint",
    "height_m": "the height",
    "torso_rpy": "the torso's attitude",
    "arms": "the arms' posture",
    "arms_external": "who moves the arms",
}
WAYS = ("forward", "forward and left", "to the left", "back and left", "backward", "back and right", "to the right", "forward and right")


@dataclass(frozen=True)
class Evidence:
    """One thing that the recording shows, and when, s."""

    kind: str  # "push", "sensor", "request", "proposal"
    since_s: float
    until_s: float
    said: str  # in words
    figures: Mapping[str, Any] = field(default_factory=dict)


def evidence(log: Log, incident: Incident) -> list[Evidence]:
    """What is seen up to BEFORE_S before an incident began, what explains it best first."""
    begin = incident.from_s - BEFORE_S

    def at_hand(found: Evidence) -> bool:
        return found.since_s <= incident.from_s + 1e-9 and found.until_s >= begin

    failing = [found for found in _failing_readings(log) if at_hand(found)]
    blind = [found for found in failing if found.figures["safe_ticks"] > 0 or found.figures["problem"] in " ".join(incident.why)]
    frozen = [found for found in _frozen_readings(log) if at_hand(found)]
    pushes = [found for found in _jolts(log, begin, incident.from_s) if at_hand(found)]
    if frozen and pushes and frozen[0].since_s < pushes[0].since_s:
        pushes = []  # an estimate from a reading that stands still sees jolts where there are none
    asked = [found for found in (*_requests(log), *_proposals(log, incident)) if at_hand(found)]
    return [*blind, *pushes, *frozen, *(found for found in failing if found not in blind), *asked]


# -- jolts ----------------------------------------------------------------------------------------------------


def _jolts(log: Log, begin_s: float, end_s: float) -> list[Evidence]:
    """Impulses that neither gravity nor the feet explain, the one that set the others going first."""
    times = log.tick["time_s"]
    force = np.nan_to_num(log.tick.get(FORCE, np.zeros((len(times), 3)))[:, :2])
    width = max(round(WINDOW_S / max(float(np.median(np.diff(times))), 1e-4)), 1) if len(times) > 1 else 1
    if len(times) <= width:
        return []
    total = np.vstack((np.zeros(2), np.cumsum(force[:-1] * np.diff(times)[:, None], axis=0)))
    swept = np.linalg.norm(total[width:] - total[:-width], axis=1)
    seen = (times[width:] >= begin_s) & (times[: len(swept)] <= end_s)
    found = [_jolt(log, force, total, swept, *stretch) for stretch in runs((swept > JOLT_NS) & seen)]
    # Stretches beside a strong one meet in it; a window may be strong by two weak ones.
    found = list({jolt.since_s: jolt for jolt in found if jolt.since_s <= end_s and jolt.figures["impulse_ns"] > JOLT_NS}.values())
    largest = max((jolt.figures["impulse_ns"] for jolt in found), default=0.0)
    # A fall brings forces of its own: what comes first, and is not much smaller than the largest, set it going.
    return sorted(found, key=lambda jolt: (jolt.figures["impulse_ns"] < 0.5 * largest, jolt.since_s))


def _jolt(log: Log, force: Array, total: Array, swept: Array, first: int, last: int) -> Evidence:
    """The jolt of a stretch of windows too strong: while its force is strong about the middle of the strongest of them."""
    times, width = log.tick["time_s"], len(total) - len(swept)
    best = first + int(np.argmax(swept[first : last + 1]))
    way = total[best + width] - total[best]
    along = force @ (way / np.linalg.norm(way))
    peak = best + int(np.argmax(along[best : best + width]))
    begin, end = next(stretch for stretch in runs(along > EDGE_SHARE * along[peak]) if stretch[0] <= peak <= stretch[1])
    kick = total[min(end + 1, len(total) - 1)] - total[begin]
    forward, left = turned(-_yaw(log, begin), kick).tolist()
    impulse, towards = float(np.linalg.norm(kick)), WAYS[round(np.arctan2(left, forward) / (np.pi / 4.0)) % len(WAYS)]
    lasts = f"from {times[begin]:.2f} to {times[end]:.2f} s"
    said = f"a push of about {impulse:.0f} N·s {towards} {lasts}, a force that neither gravity nor the feet explain"
    figures = {"impulse_ns": impulse, "forward_ns": forward, "left_ns": left, "peak_n": float(along[peak])}
    return Evidence("push", float(times[begin]), float(times[end]), said, figures)


def _yaw(log: Log, row: int) -> float:
    quat = log.tick["belief_base_orientation_wxyz"][row]
    return 0.0 if np.isnan(quat).any() else float(yaw_of(matrix_from_quat(quat)))


# -- readings -------------------------------------------------------------------------------------------------


def _failing_readings(log: Log) -> list[Evidence]:
    """States that the monitor could not use."""
    times, reasons, safe = clock(log), reasons_of(log), log.pulse["status"] == CODES["pulse_status"]["safe"]
    problems = np.array([problem_of(str(reason)) for reason in reasons], dtype=object)
    found = []
    for problem in dict.fromkeys(filter(None, problems)):
        for first, last in runs(problems == problem):
            lasts = float(times[last] - times[first])
            said = f"{problem} from {times[first]:.3f} s on, for {lasts * 1e3:.0f} ms"
            count = int(safe[first : last + 1].sum())
            found.append(Evidence("sensor", float(times[first]), float(times[last]), said, {"problem": problem, "safe_ticks": count}))
    return sorted(found, key=lambda each: (-each.figures["safe_ticks"], each.since_s))


def problem_of(reason: str) -> str:
    """What the monitor says of a state in the reason of a status; empty where the reason is another."""
    problem = reason.split(":")[0]
    return problem if problem.startswith((*soundness.READINGS, "state stale", "readings not usable")) else ""


def _frozen_readings(log: Log) -> list[Evidence]:
    """Joints of which the position or the velocity stays what it was to the last digit, while the other says that the joint moves."""
    times, found = log.tick["time_s"], []
    if len(times) < 2:
        return []
    position, velocity = log.tick["state_joint_position"], log.tick["state_joint_velocity"]
    # How far each joint has gone by its velocity, and by its position beyond that: what one reading says while the other stands still.
    gone = np.vstack((np.zeros(position.shape[1]), np.cumsum(np.nan_to_num(velocity[:-1]) * np.diff(times)[:, None], axis=0)))
    for name, rows, moved in (("position", position, gone), ("velocity", velocity, position - gone)):
        same = rows[1:] == rows[:-1]
        for joint in np.flatnonzero(same.any(axis=0)).tolist():
            for first, last in runs(same[:, joint]):
                lasts, way = float(times[last + 1] - times[first]), moved[first : last + 2, joint]
                if lasts >= FROZEN_S and np.ptp(way) > FROZEN_RAD:
                    reading = f"joint {name} of {log.joint_names[joint]}"
                    said = f"the {reading} stood still from {times[first]:.2f} to {times[last + 1]:.2f} s while the joint moved"
                    found.append(Evidence("sensor", float(times[first]), float(times[last + 1]), said, {"reading": reading}))
    return sorted(found, key=lambda each: each.since_s)


# -- what was asked -------------------------------------------------------------------------------------------


def _requests(log: Log) -> list[Evidence]:
    """Changes of the intent, the latest first."""
    found = []
    for before, after in zip(log.decisions, log.decisions[1:], strict=False):
        old, new = to_plain(before.intent), to_plain(after.intent)
        changed = [name for name in new if new[name] != old[name]]
        if changed:
            since = _changed_at(log, before, after)
            said = f"a request that changed {' and '.join(ASKED[name] for name in changed)}, seen from {since:.2f} s on"
            found.append(Evidence("request", since, after.stamp_s, said, {"asked": {name: new[name] for name in changed}}))
    return found[::-1]


def _changed_at(log: Log, before: Decision, after: Decision) -> float:
    """The first moment at which the velocity or waypoint differs; of what /tick does not hold, that of the decision."""
    times = log.tick["time_s"]
    between = np.flatnonzero((times > before.stamp_s + 1e-9) & (times <= after.stamp_s + 1e-9))
    for name in ("velocity", "waypoint"):
        old, new = getattr(before.intent, name), getattr(after.intent, name)
        if old != new:
            rows = log.tick[f"intent_{name}"][between]
            differs = ~np.isclose(rows, np.nan if old is None else old, equal_nan=True).all(axis=1)
            return float(times[between[differs][0]]) if differs.any() else after.stamp_s
    return after.stamp_s


def _proposals(log: Log, incident: Incident) -> list[Evidence]:
    """The motion of a policy that acted when an incident began."""
    decision = log.decision_at(incident.from_s)
    moved = incident.kind in ("fell", "stepped", "changed") or PROPOSING_FAILED in " ".join(incident.why)
    if not moved or decision is None or decision.proposal is None or decision.proposal.origin == "scripted":
        return []
    proposal, since = decision.proposal, decision.stamp_s - decision.proposal_age_s
    vx, vy, wz = proposal.twist
    asked = f"{vx:+.2f} m/s forward, {vy:+.2f} m/s left, {wz:+.2f} rad/s turn, steps of {proposal.step_duration_s:.2f} s"
    said = f"a {proposal.origin} proposal of {since:.2f} s that asked for {asked}"
    return [Evidence("proposal", since, incident.from_s, said, {"origin": proposal.origin, "twist": proposal.twist.tolist()})]
