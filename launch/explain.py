"""Say in sentences what the stack did at one time of a recorded run and why, and what went wrong near it because of what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import Decision, Intent, MotionProposal, PoiseError, RecordError, Verdict, WalkPlan
from poise.robots.plain import to_plain
from poise.robots.record import Log, read_log

from .blame import blame, counterfactual_sentences
from .causes import named
from .closed_loop import Advance
from .counterfactual import counterfactual
from .incidents import NEAR_S
from .run_folder import RunFolder

FEET = ("left", "right")
MOST_BOUNDS = 5
METHODS = {
    "qp": "qp: the nearest torques",
    "clip": "clip: each torque into its own bounds",
    "brake": "brake: the braking manoeuvre",
    "best": "best: clipped, with joints damped that no torque keeps within their bounds",
    "damping": "damping: of every joint",
}
BESIDE = ("propose", "imagine")  # parts of the timings that are no part of the tick
RUNG_WORDS = {  # of all but the first of RUNGS
    "filtered": "what was asked of the motors was not sent as it was",
    "recovery step": "the balance was off the plan, and the robot was caught",
    "safe stop": "whatever is asked, the robot comes to a stand and waits until it has been well for a while",
    "controlled descent": "balance was given up, and the robot let down softly",
    "damping": "every joint was damped",
}


def explain(
    run_folder: RunFolder | str | Path, at_s: float | None = None, without: str | None = None, advance: Advance | None = None
) -> dict[str, Any]:
    """What the stack did at a time of the run and why, what went wrong near it, and what it comes to without one of its causes.

    Args:
        run_folder: of the run.
        at_s: time in the run, s; None: the first moment at which something went wrong, else the last.
        without: name of a cause to leave out: the run is made again.
        advance: is told how far that run is, s.

    Returns:
        `at_s`, `tick`, `status`, `complete` (whether the recording ends as it should), `sentences`, and the `decision` and `proposed` (the
        last with proposals) in full; `incident`, `cause`, `evidence`, `candidates`; `counterfactual`. What there is none of is None.

    Raises:
        PoiseError: no such cause, or nothing went wrong at that time, or the run cannot be made again.
        RecordError: no recording, a time outside it, or a run that is another one now.
    """
    folder = run_folder if isinstance(run_folder, RunFolder) else RunFolder.open(run_folder)
    log = read_log(folder.log)
    time_s = _moment(log, at_s)
    decision = log.decision_at(time_s)
    if decision is None:
        raise RecordError(f"recording {folder.log}: no decision was explained until {time_s:.3f} s; give a later time")
    proposed = next((d for d in reversed(log.decisions) if d.proposals and d.stamp_s <= time_s + 1e-9), None)
    told = blame(log, time_s, fell=bool(folder.read_summary().get("fell", "case" in log.meta)))
    sentences = [_moment_sentence(log, decision, time_s), *decision_sentences(decision, proposed), *told.sentences]
    sentences += [] if log.complete else [_cut_short(log)]
    again = None
    if without is not None:
        if told.incident is None:
            raise PoiseError(
                f"--without {without}: nothing went wrong within {NEAR_S:g} s of {time_s:.3f} s; give --at a moment at which it did"
            )
        cause = named(told.known, without)
        again = counterfactual(log, told.incident, cause, advance)
        sentences += counterfactual_sentences(again, told.incident, cause)
    plain = {"decision": to_plain(decision), "proposed": None if proposed is None else to_plain(proposed)}
    head = {"at_s": time_s, "tick": decision.tick, "status": decision.status, "complete": log.complete, "sentences": sentences}
    return head | plain | told.plain() | {"counterfactual": again}


def _cut_short(log: Log) -> str:
    return f"The recording ends in the middle, at {log.pulse['time_s'][-1]:.3f} s, as when a run is killed: what came after is not known."


def _moment(log: Log, at_s: float | None) -> float:
    times = log.pulse.get("time_s", np.zeros(0))
    if not (len(times) and log.decisions and len(log.tick.get("time_s", ()))):
        raise RecordError("recording: holds no tick; the run ended before the first chunk was written")
    if at_s is None:
        odd = [d.stamp_s for d in log.decisions if d.status != "ok" or d.certificate.changed]
        return odd[0] if odd else log.decisions[-1].stamp_s
    if not times[0] - 1e-9 <= at_s <= times[-1] + 1e-9:
        raise RecordError(f"the run lasts from {times[0]:.3f} to {times[-1]:.3f} s; {at_s:g} s is outside: give a time within")
    return at_s


def _moment_sentence(log: Log, decision: Decision, time_s: float) -> str:
    age = time_s - decision.stamp_s
    nearest = int(np.argmin(np.abs(log.pulse["time_s"] - time_s)))
    status = ("ok", "degraded", "safe")[int(log.pulse["status"][nearest])]
    since = f"; the last decision written in full is {age * 1e3:.0f} ms older" if age > 5e-4 else ""
    return f"At {time_s:.3f} s (tick {int(log.pulse['tick'][nearest])}) the status was {status}{since}."


def decision_sentences(decision: Decision, proposed: Decision | None = None) -> list[str]:
    """One decision in sentences; `proposed` is the decision at whose tick the proposals in force were made."""
    sentences = [f"Asked: {_intent(decision.intent)}."]
    if proposed is None:
        sentences.append("Proposed: nothing so far; the scripted motion acts.")
    else:
        sentences += _proposals(decision, proposed)
    if decision.plan is not None:
        planned = _plan(decision.plan)
    else:
        planned = "nothing, because " + ("there was no usable estimate" if decision.belief is None else "the robot was not on its feet")
    sentences.append(f"Planned: {planned}.")
    if decision.belief is not None:
        sentences.append(_balance(decision))
    if decision.status != "safe" or decision.certificate.changed:
        sentences.append(_certificate(decision))
    if decision.rung in RUNG_WORDS:
        sentences.append(f"On the rung {decision.rung}: {RUNG_WORDS[decision.rung]}.")
    if decision.reason:
        acted = "the safe command was sent" if decision.status == "safe" else "it went on"
        sentences.append(f"Status {decision.status}: {decision.reason}; {acted}.")
    if decision.timings_us:
        sentences.append(_timing(decision.timings_us))
    return sentences


def _intent(intent: Intent) -> str:
    if intent.velocity is not None:
        vx, vy, wz = intent.velocity
        wanted = f"{vx:+.2f} m/s forward, {vy:+.2f} m/s left, {wz:+.2f} rad/s turn"
    elif intent.waypoint is not None:
        x, y, yaw = intent.waypoint
        wanted = f"go to x {x:.2f} m, y {y:.2f} m, yaw {yaw:.2f} rad"
    else:
        wanted = "stand"
    return wanted + ("; something else moves the arms" if intent.arms_external else "")


def _proposals(decision: Decision, proposed: Decision) -> list[str]:
    judged = enumerate(zip(proposed.proposals, proposed.verdicts, strict=False))
    rejected = [f"Rejected: number {i}, {_motion(p)}: {_broken(v)}." for i, (p, v) in judged if not v.accepted]
    age = (decision.stamp_s - proposed.stamp_s) * 1e3
    sentences = [f"Proposed {age:.0f} ms before: {len(proposed.proposals)} motions, {len(rejected)} of them rejected."]
    if 0 <= proposed.chosen < len(proposed.proposals):
        proposal = proposed.proposals[proposed.chosen]
        sentences.append(f"Chosen: number {proposed.chosen}, {_motion(proposal)}{_why(proposed)}.")
    else:
        sentences.append("Chosen: none of them; the scripted motion acts.")
    return sentences + rejected


def _motion(proposal: MotionProposal) -> str:
    vx, vy, wz = proposal.twist
    likelihood = "" if proposal.log_likelihood is None else f", log-likelihood {proposal.log_likelihood:.1f}"
    strangeness = "" if proposal.strangeness is None else f", strangeness {proposal.strangeness:.2f}"
    return f"{proposal.origin} ({vx:+.2f}, {vy:+.2f} m/s, {wz:+.2f} rad/s, step {proposal.step_duration_s:.2f} s{likelihood}{strangeness})"


def _why(proposed: Decision) -> str:
    if proposed.chosen >= len(proposed.verdicts):
        return ""
    verdict = proposed.verdicts[proposed.chosen]
    margins = ", ".join(f"{name} {margin:+.3g}" for name, margin in sorted(verdict.margins.items(), key=lambda item: item[1]))
    listed = f" (margins: {margins})" if margins else ""
    return f"; score {verdict.score:.2f}, tightest margin {verdict.margin:.3g} {verdict.unit}{listed}"


def _broken(verdict: Verdict) -> str:
    text = f"{verdict.constraint} would be broken by {abs(verdict.margin):.3g} {verdict.unit}".rstrip()
    if verdict.constraint == "demonstrated":
        text += f": {1.0 - verdict.margin:.3g} times as far from what was demonstrated in such a situation as 95 % of that lies"
    return text


def _plan(plan: WalkPlan) -> str:
    text = f"{plan.phase} on the {FEET[plan.stance]} foot, {plan.time_in_phase_s:.2f} of {plan.step_duration_s:.2f} s"
    if len(plan.footsteps):
        x, y, yaw, due = plan.footsteps[0]
        text += f"; next footstep at x {x:.2f} m, y {y:.2f} m, yaw {yaw:.2f} rad in {due:.2f} s"
    return f"{text}; MPC {plan.mpc_status}, {plan.mpc_age_s * 1e3:.0f} ms old"


def _balance(decision: Decision) -> str:
    assert decision.belief is not None
    if decision.plan is None:
        return f"Balance: DCM at x {decision.belief.dcm_world[0]:.3f} m, y {decision.belief.dcm_world[1]:.3f} m."
    error = float(np.linalg.norm(decision.belief.dcm_world - decision.plan.dcm_reference_world))
    reference = "where it should be at the next touchdown" if decision.plan.phase == "step" else "its reference"
    return f"Balance: the DCM is {error * 100:.1f} cm from {reference}."


def _certificate(decision: Decision) -> str:
    certificate = decision.certificate
    if not certificate.changed:
        return "Certified: the torques were sent as asked."
    reasons = ", ".join(certificate.reasons) or "no reason given"
    text = f"Certified: changed by {certificate.torque_change_nm:.1f} N·m at most ({METHODS.get(certificate.method, certificate.method)})"
    return f"{text}, because of {reasons}.{_met(certificate.active)}"


def _met(active: Mapping[str, float]) -> str:
    """The bounds that the nearest torque meets, the dearest first."""
    if not active:
        return ""
    dearest = sorted(active.items(), key=lambda item: -abs(item[1]))
    listed = ", ".join(f"{bound} {dual:+.2g}" for bound, dual in dearest[:MOST_BOUNDS])
    more = f" and {len(dearest) - MOST_BOUNDS} more" if len(dearest) > MOST_BOUNDS else ""
    return f" Bounds that it meets, with what a unit of room is worth: {listed}{more}."


def _timing(timings_us: Mapping[str, float]) -> str:
    """The tick and its slowest part; proposing and imagining have a thread of their own and are told apart."""
    inside = {part: spent for part, spent in timings_us.items() if part not in ("tick", *BESIDE)}
    text = f"The tick took {timings_us.get('tick', sum(inside.values())):.0f} µs"
    if inside:
        slowest = max(inside, key=lambda part: inside[part])
        text += f", of which {slowest} {inside[slowest]:.0f} µs"
    beside = " and ".join(f"{part} {timings_us[part]:.0f} µs" for part in BESIDE if part in timings_us)
    return f"{text}; beside it {beside}." if beside else f"{text}."
