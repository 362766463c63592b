"""A recorded run once more from a snapshot shortly before an incident: as it was, and with one cause left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poise.control.unplanned import FALLS
from poise.robots import Decision, RecordError
from poise.robots.record import Log

from .again import Again
from .causes import Cause
from .closed_loop import Advance
from .incidents import Incident, stands
from .scenario_of import scenario_of

LEAD_S = 1.0  # from the snapshot to the incident
FALL_S = 2.0  # that a fall is given to happen
MORE_S = 1.0  # that is run beyond the end of any other incident


@dataclass
class Outcome:
    """What came of a continuation, tick by tick."""

    incident: Incident
    fell_at_s: float | None = None
    happened_at_s: float | None = None
    largest_dcm_error_m: float = 0.0
    largest_torque_change_nm: float = 0.0
    status: Counter[str] = field(default_factory=Counter)
    last_s: float = 0.0

    def note(self, decision: Decision, time_s: float) -> None:
        """Take a tick, and its time."""
        self.status[decision.status] += 1
        self.last_s = time_s
        certificate = decision.certificate
        self.largest_torque_change_nm = max(self.largest_torque_change_nm, certificate.torque_change_nm)
        if decision.belief is not None and decision.plan is not None:
            error = float(np.linalg.norm(decision.belief.dcm_world - decision.plan.dcm_reference_world))
            self.largest_dcm_error_m = max(self.largest_dcm_error_m, error)
        if decision.reason == FALLS and self.fell_at_s is None:
            self.fell_at_s = self.last_s
        if self.happened_at_s is None and _shows(decision, self.incident):
            self.happened_at_s = self.last_s

    def ended(self, fell: bool) -> None:
        """Take how it ended."""
        if fell and self.fell_at_s is None:
            self.fell_at_s = self.last_s
        if self.incident.kind == "fell":
            self.happened_at_s = self.fell_at_s

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "fell": self.fell_at_s is not None,
            "fell_at_s": self.fell_at_s,
            "incident": self.happened_at_s is not None,
            "incident_at_s": self.happened_at_s,
            "largest_dcm_error_m": self.largest_dcm_error_m,
            "largest_torque_change_nm": self.largest_torque_change_nm,
            "ticks": dict(self.status),
        }


def _shows(decision: Decision, incident: Incident) -> bool:
    """Whether a tick has what an incident, other than a fall, consists of."""
    if incident.kind in ("safe", "degraded"):
        return decision.status == incident.kind and decision.reason in incident.why
    if incident.kind == "stepped":
        return decision.plan is not None and decision.plan.phase != "stand" and stands(decision.intent)
    kinds = {reason.split()[0] for reason in incident.why}
    return decision.certificate.changed and any(reason.split()[0] in kinds for reason in decision.certificate.reasons)


def counterfactual(log: Log, incident: Incident, cause: Cause, advance: Advance | None = None) -> dict[str, Any]:
    """Run a recording's run again, and from a snapshot before the incident twice: as it was, and without a cause.

    Args:
        advance: is told how far the first of these runs is, s.

    Returns:
        `without` (the cause's name), `from_s` (of the snapshot), `compared_ticks` until then, `as_it_was` and `without_it` (each: fell,
        fell_at_s, incident, incident_at_s, largest_dcm_error_m, largest_torque_change_nm, ticks by status), and `needed`: whether
        without it the incident does not happen.

    Raises:
        PoiseError: the run cannot be made again.
        RecordError: it is made again, but it is not the one recorded.
    """
    scenario = scenario_of(log)
    if scenario is None:
        raise RecordError("the recording does not say what was done in its run; only those of demo, walk and pushes of bench locomotion do")
    again = Again(log, scenario, advance)
    from_s = max(_from(incident, cause), again.first * again.period_s)
    if again.go(from_s):
        raise RecordError(
            f"made again, the run fell before {from_s:.2f} s; use the versions of its config.json, on the machine that recorded it"
        )
    again.check(log)
    moment, compared = (again.stack.snapshot(), again.backend.snapshot(), again.tick), again.comparison.ticks
    as_it_was = _outcome(again, incident)
    again.check(log)
    again.back(*moment)
    again.leave_out(cause)
    without = _outcome(again, incident)
    return {
        "without": cause.name,
        "from_s": from_s,
        "compared_ticks": compared,
        "as_it_was": as_it_was.plain(),
        "without_it": without.plain(),
        "needed": as_it_was.happened_at_s is not None and without.happened_at_s is None,
    }


def _from(incident: Incident, cause: Cause) -> float:
    """When the snapshot is taken, s: before the incident, and before what is left out began to act."""
    return min(incident.from_s - LEAD_S, cause.from_s - 0.01 if cause.from_s > 0.0 else np.inf)


def _outcome(again: Again, incident: Incident) -> Outcome:
    """What comes of going on from here."""
    outcome = Outcome(incident)
    end_s = incident.from_s + FALL_S if incident.kind == "fell" else incident.until_s + MORE_S
    outcome.ended(again.go(end_s, outcome.note))
    return outcome
