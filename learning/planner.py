"""Selection: which of the judged proposals is acted on."""

from __future__ import annotations

from collections.abc import Sequence

from poise.robots import MotionProposal, Verdict


def choose(proposals: Sequence[MotionProposal], verdicts: Sequence[Verdict]) -> int:
    """Index of the accepted proposal with the highest score, the first of equals; −1 when none is accepted."""
    accepted = [i for i in range(min(len(proposals), len(verdicts))) if verdicts[i].accepted]
    return max(accepted, key=lambda i: verdicts[i].score, default=-1)
