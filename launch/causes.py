"""What was done to the robot in a run, by name, and which of it the evidence speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from poise.robots import PoiseError
from poise.robots.record import Log
from poise.sim.disturbances import Push
from poise.sim.faults import SensorFault
from poise.sim.scenarios import Scenario, Segment

from .evidence import BEFORE_S, Evidence
from .incidents import Incident
from .scenario_of import policy_proposes, scenario_of

BOUNDS = ("torque", "power", "motion", "clearance")  # of the certifier, by the first word of its reasons
SLACK_S = 0.15  # between what was done and what is seen of it: a window, and a tenth of a second between two decisions written in full


@dataclass(frozen=True)
class Cause:
    """One thing that can be left out of a run, with the time in which it acts, s."""

    name: str  # as --without takes it
    kind: str  # "push", "sensor", "request", "proposal", "bound"
    said: str
    from_s: float
    until_s: float
    impulse_ns: float = 0.0  # of a push


def causes(log: Log, reasons: Sequence[str] = ()) -> list[Cause]:
    """All that was done in a run until its end, and the certifier's bounds among `reasons`; nothing where the recording does not say.

    Raises:
        RecordError: the recording says it in the words of another version.
    """
    scenario, end = scenario_of(log), float(log.pulse["time_s"][-1])
    if scenario is None:
        return []
    found = [_push(i, push) for i, push in enumerate(scenario.pushes)]
    found += [_fault(i, fault) for i, fault in enumerate(scenario.faults)]
    found += _requests(scenario, end)
    if policy_proposes(log):
        found.append(Cause("proposals", "proposal", "what the policy proposes", 0.0, end))
    kinds = () if "policy" in log.meta else dict.fromkeys(reason.split()[0] for reason in reasons)  # a foreign policy's bounds are its own
    found += [Cause(f"bound-{kind}", "bound", f"the certifier's bound on {kind}", 0.0, end) for kind in kinds if kind in BOUNDS]
    return [cause for cause in found if cause.from_s < end]


def candidates(known: Sequence[Cause], incident: Incident) -> list[Cause]:
    """Those of some causes that acted, or had just acted, when an incident began."""
    return [cause for cause in known if cause.from_s <= incident.from_s + 1e-9 and cause.until_s >= incident.from_s - BEFORE_S]


def named(known: Sequence[Cause], name: str) -> Cause:
    """The cause of a name.

    Raises:
        PoiseError: there is none.
    """
    for cause in known:
        if cause.name == name:
            return cause
    names = ", ".join(cause.name for cause in known) or "none: the recording does not say what was done"
    raise PoiseError(f"--without {name}: no cause of this run; it has {names}")


def matching(seen: Evidence, known: Sequence[Cause]) -> Cause | None:
    """What was done that the evidence shows; None where nothing is known that could be it."""
    fitting = [cause for cause in known if cause.kind == seen.kind and _meet(seen, cause)]
    return max(fitting, key=lambda cause: (cause.impulse_ns, cause.from_s), default=None)


def _meet(seen: Evidence, cause: Cause) -> bool:
    if cause.kind == "request":
        return abs(cause.from_s - seen.since_s) <= SLACK_S
    return cause.from_s - SLACK_S <= seen.until_s and seen.since_s <= cause.until_s + SLACK_S


def _push(index: int, push: Push) -> Cause:
    x, y, _ = push.direction
    frame = "of the robot's heading" if push.frame == "heading" else "of the world"
    said = f"a push of {push.impulse:g} N·s on {push.body}, {np.degrees(np.arctan2(y, x)):.0f}° from x {frame}, at {push.start_s:.2f} s"
    return Cause(f"push-{index + 1}", "push", said, push.start_s, push.start_s + push.duration_s, push.impulse)


def _fault(index: int, fault: SensorFault) -> Cause:
    became = "no number" if fault.kind == "nan" else "frozen"
    of = "" if fault.joint is None else f" of {fault.joint}"
    said = f"{fault.reading.replace('_', ' ')}{of} {became} at {fault.start_s:.2f} s for {fault.duration_s * 1e3:.0f} ms"
    return Cause(f"fault-{index + 1}", "sensor", said, fault.start_s, fault.start_s + fault.duration_s)


def _requests(scenario: Scenario, end_s: float) -> list[Cause]:
    """Every segment but the first, which nothing stands before."""
    starts = [0.0, *(segment.until_s for segment in scenario.segments)]
    return [
        Cause(f"request-{i + 1}", "request", f"the request of {starts[i]:.2f} s", starts[i], _end(segment, scenario, end_s))
        for i, segment in enumerate(scenario.segments)
        if i
    ]


def _end(segment: Segment, scenario: Scenario, end_s: float) -> float:
    return end_s if segment is scenario.segments[-1] else min(segment.until_s, end_s)


def told(cause: Cause) -> Mapping[str, Any]:
    """A cause as plain data."""
    return {"name": cause.name, "kind": cause.kind, "said": cause.said, "from_s": cause.from_s, "until_s": cause.until_s}
