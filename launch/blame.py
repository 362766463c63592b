"""The incident near a moment, what the recording shows of its cause, and what was done that could be it; in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poise.robots.plain import to_plain
from poise.robots.record import Log

from .causes import Cause, candidates, causes, matching, told
from .evidence import FORCE, Evidence, evidence
from .incidents import NEAR_S, Incident, incident_at

MOST_REASONS = 3


@dataclass(frozen=True)
class Blame:
    """What went wrong near a moment and why."""

    incident: Incident | None
    seen: list[Evidence]  # what explains it best first
    done: list[Cause | None]  # what was done that each of these shows; None: not known
    known: list[Cause]  # that can be left out of the run
    near: list[Cause]  # of them, those that acted before the incident
    feels: bool = True  # whether the recording holds the force that shows a push

    @property
    def sentences(self) -> list[str]:
        """What went wrong, because of what, and what can be left out."""
        if self.incident is None:
            return [f"Incident: none within {NEAR_S:g} s."]
        said = [f"Incident: {_incident(self.incident)}.", f"Cause: {self._cause(self.incident)}."]
        said += [] if self.feels else ["A push cannot be seen: the recording is older than the force that shows one."]
        others = [seen.said for seen in self.seen[1:] if seen.kind in ("push", "sensor")]
        said += [f"Seen as well: {'; '.join(others)}."] if others else []
        if self.near:
            said.append(f"To leave one out, --without: {'; '.join(f'{cause.name} ({cause.said})' for cause in self.near)}.")
        return said

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        seen = [to_plain(each) | {"done": cause and cause.name} for each, cause in zip(self.seen, self.done, strict=True)]
        incident = None if self.incident is None else to_plain(self.incident) | {"said": self.incident.said}
        return {
            "incident": incident,
            "cause": seen[0] | {"before_s": self._before(self.incident)} if self.incident and seen else None,
            "evidence": seen,
            "candidates": [told(cause) for cause in self.near],
        }

    def _before(self, incident: Incident) -> float:
        return incident.from_s - self.seen[0].since_s

    def _cause(self, incident: Incident) -> str:
        if not self.seen:
            return "nothing from outside is seen in the recording"
        before = self._before(incident)
        text = f"{self.seen[0].said}, {before:.2f} s before" if before > 5e-3 else self.seen[0].said
        if self.done[0] is not None:
            return f"{text}; what was done then: {self.done[0].name}, {self.done[0].said}"
        return f"{text}; nothing that is known to have been done explains it" if self.known and self.seen[0].kind == "push" else text


def blame(log: Log, time_s: float, fell: bool) -> Blame:
    """What went wrong near a time, s; `fell`: whether the run is known to have ended in a fall.

    Raises:
        RecordError: the recording says what was done in the words of another version.
    """
    incident = incident_at(log, time_s, fell)
    if incident is None:
        return Blame(None, [], [], [], [])
    seen = evidence(log, incident)
    reasons = [r for d in log.decisions if abs(d.stamp_s - incident.from_s) <= NEAR_S for r in d.certificate.reasons]
    known = causes(log, reasons)
    return Blame(incident, seen, [matching(each, known) for each in seen], known, candidates(known, incident), FORCE in log.tick)


def _incident(incident: Incident) -> str:
    when = f"at {incident.from_s:.3f} s" if incident.kind == "fell" else f"from {incident.from_s:.3f} to {incident.until_s:.3f} s"
    more = ", …" if len(incident.why) > MOST_REASONS else ""
    why = f" ({', '.join(incident.why[:MOST_REASONS])}{more})" if incident.why else ""
    return f"{incident.said} {when}{why}"


def counterfactual_sentences(again: Mapping[str, Any], incident: Incident, cause: Cause) -> list[str]:
    """Both continuations side by side, and what follows."""
    from_s, name = again["from_s"], cause.name
    verdict = "does not happen" if again["needed"] else "happens all the same"
    return [
        f"Run again: {again['compared_ticks']} recorded ticks until {from_s:.2f} s are identical, bit for bit; from there on twice.",
        f"As it was: {_outcome(again['as_it_was'])}.",
        f"Without {name}: {_outcome(again['without_it'])}.",
        f"Without {name} it {verdict}: {incident.said}.",
    ]


def _outcome(outcome: Mapping[str, Any]) -> str:
    fell = f"the robot fell at {outcome['fell_at_s']:.2f} s" if outcome["fell"] else "the robot did not fall"
    ticks = outcome["ticks"]
    status = ", ".join(f"{status} {count} ticks" for status, count in ticks.items() if status != "ok") or "ok throughout"
    changed, error = outcome["largest_torque_change_nm"], outcome["largest_dcm_error_m"]
    return f"{fell}; status {status}; DCM error up to {error * 100:.1f} cm; torques changed by up to {changed:.1f} N·m"
