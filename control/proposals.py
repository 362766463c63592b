"""Whether a proposal can be followed at all, and its numbers as kernels want them: proposers and policies are others' code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from poise.robots.types import Array, Intent, MotionProposal, Verdict

from .motion import MotionReference
from .protocols import Proposer, Situation, WorldModel
from .stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Proposals of one moment, their verdicts and which of them acts from tick `ready` on."""

    born: int
    ready: int
    proposals: tuple[MotionProposal, ...]
    verdicts: tuple[Verdict, ...]
    chosen: int
    acting: MotionProposal
    fault: str  # why there are none, where the proposer or the world model failed
    refused: bool = False  # none passed, with the arms where the intent moves them: they are held

    def obeyed(self, intent: Intent) -> Intent:
        """What is followed of an intent."""
        return replace(intent, arms=None) if self.refused else intent


class GivenArms:
    """A proposer whose motions have the arms where the intent moves them, so that what is imagined is what will be followed.

    The nominal motion, as "teleop", is among them: arms where they never were in demonstrations make all that a policy proposes strange.
    """

    def __init__(self, proposer: Proposer | None, nominal: Proposer, motion: MotionReference) -> None:
        """Without a proposer it is the nominal one's."""
        self._proposer, self._nominal, self._motion = proposer, nominal, motion

    def reset(self, seed: int) -> None:
        """Start a run."""
        if self._proposer is not None:
            self._proposer.reset(seed)

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """What the proposer proposes; where the intent gives arms, with these, and the nominal motion after it."""
        arms = given_arms(situation.intent)
        if arms is None:
            return tuple((self._proposer or self._nominal).propose(situation) or ())
        own = () if self._proposer is None else tuple(self._proposer.propose(situation) or ())
        nominal = tuple(replace(motion, origin="teleop") for motion in self._nominal.propose(situation))
        return tuple(self._with_arms(p, arms, situation) if well_formed(p, arms.size) else p for p in (*own, *nominal))

    def _with_arms(self, proposal: MotionProposal, arms: Array, situation: Situation) -> MotionProposal:
        here = np.stack((situation.arm_reference, situation.arm_reference_velocity))
        foreseen = self._motion.foreseen(here, arms, float(proposal.period_s), np.size(proposal.height_m))
        return replace(proposal, arm_position=foreseen)


def given_arms(intent: Intent) -> Array | None:
    """Arms (n_arms,) rad that an intent gives and the stack moves; None where there are none."""
    return None if intent.arms is None or intent.arms_external else np.array(intent.arms, dtype=float)


def held(proposal: MotionProposal, situation: Situation) -> MotionProposal:
    """The motion with the arms where they are."""
    return replace(proposal, arm_position=np.tile(situation.arm_reference, (proposal.knots, 1)))


def trusted(proposal: MotionProposal, arms: int) -> Verdict:
    """The verdict where there is no world model: well-formed proposals, for that many arm joints, are accepted, by their own likelihood."""
    if not well_formed(proposal, arms):
        return Verdict(False, "finite", -1.0, "", -np.inf)
    return Verdict(True, "", 0.0, "", float(proposal.log_likelihood or 0.0))


def well_formed(proposal: MotionProposal, arms: int) -> bool:
    """Whether all numbers of a proposal, for that many arm joints, are real and finite and have their shapes."""
    p = proposal
    try:
        k = np.size(p.height_m)
        shapes = ((p.twist, (3,)), (p.height_m, (k,)), (p.torso_rpy, (k, 3)), (p.arm_position, (k, arms)), (p.footstep_offset, (2, 2)))
        sound = all(np.shape(value) == shape and _real(value) for value, shape in shapes)
        times = (float(p.period_s), float(p.step_duration_s))
        return k > 0 and sound and min(times) > 0.0 and bool(np.isfinite((*times, float(p.log_likelihood or 0.0))).all())
    except (TypeError, ValueError, OverflowError, AttributeError):  # no numbers, or no proposal
        return False


def _real(value: Any) -> bool:
    """Whether an array, or what makes one, holds finite real numbers only."""
    return not np.iscomplexobj(value) and bool(np.isfinite(np.asarray(value, dtype=float)).all())


def plain(proposal: MotionProposal) -> MotionProposal:
    """The same motion in contiguous 64-bit arrays and floats, whatever a policy gave: kernels are compiled for these only."""
    names = ("twist", "height_m", "torso_rpy", "arm_position", "footstep_offset")
    changes: dict[str, Any] = {name: np.array(getattr(proposal, name), dtype=float, order="C") for name in names}
    return replace(proposal, period_s=float(proposal.period_s), step_duration_s=float(proposal.step_duration_s), **changes)


def _score(verdict: Verdict) -> float:
    """The score as a number; one that is not finite is none to choose by."""
    score = float(verdict.score)
    return score if np.isfinite(score) else -np.inf


def judged(
    proposer: Proposer, model: WorldModel | None, situation: Situation, arms: int, watch: Stopwatch
) -> tuple[tuple[MotionProposal, ...], tuple[Verdict, ...], list[float], str]:
    """Proposals, verdicts, scores (-inf: not to be followed), and what went wrong: proposer and world model are others' code."""
    try:
        proposals = tuple(proposer.propose(situation) or ())
        watch.lap("propose")
        verdicts = tuple(model.imagine(situation, proposals)) if model else tuple(trusted(p, arms) for p in proposals)
        watch.lap("imagine")
        # Well-formed, whatever a world model says: a NaN knot would be followed to a joint's limit.
        scores = [_score(v) if v.accepted and well_formed(p, arms) else -np.inf for p, v in zip(proposals, verdicts, strict=True)]
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        return (), (), [], f"proposing failed ({type(error).__name__}: {said}): the scripted motion acts"
    return proposals, verdicts, scores, ""


def choose(
    proposer: Proposer, model: WorldModel | None, scripted: Proposer, situation: Situation, delay: int, arms: int, watch: Stopwatch
) -> Choice:
    """The best of a proposer's motions by its world model, the scripted one where there is none, to act `delay` ticks later."""
    proposals, verdicts, scores, fault = judged(proposer, model, situation, arms, watch)
    best = int(np.argmax(scores)) if scores and max(scores) > -np.inf else -1
    acting = plain(proposals[best]) if best >= 0 else scripted.propose(situation)[0]
    refused = best < 0 and bool(verdicts) and given_arms(situation.intent) is not None
    if refused:
        acting = held(acting, situation)
    return Choice(situation.tick, situation.tick + delay, proposals, verdicts, best, acting, fault, refused)
