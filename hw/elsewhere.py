"""What the control loop leaves to processes of their own: proposing and imagining, and solving the MPC."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.context import SpawnContext

from poise.control.advice import Advice, Question
from poise.control.proposals import Choice
from poise.control.protocols import Situation

from .answering import AnsweringProcess
from .coding import Numbers

Chooser = Callable[[Situation], Choice]
Adviser = Callable[[Question], Advice]
QUESTION = Numbers(Question, {"sole": (2,), "dcm": (2,), "swing": (2, 2), "momentum": (2,), "twist": (3,), "shift": (2, 2)})
ADVICE = Numbers(Advice, {"touchdown": (2, 2)})


class ElsewhereProcess(AnsweringProcess):
    """Proposes and imagines (`control.deliberation.Elsewhere`). While it owes an answer it is not asked again."""

    def __init__(self, context: SpawnContext, make: Callable[[], Chooser]) -> None:
        super().__init__(context, make, "proposals")
        self._owed = False
        self._stale = False  # what is owed is no longer wanted

    def pose(self, situation: Situation) -> None:
        """Ask, unless an answer is owed; one that is dead owes it for good, and that is seen."""
        if not self._owed:
            self._ask(situation)
            self._owed = True

    def answer(self) -> Choice | None:
        """What it chose, if that has come."""
        choice: Choice | None = self._newest()
        if choice is None:
            return None
        self._owed = False
        wanted, self._stale = not self._stale, False
        return choice if wanted else None

    def forget(self) -> None:
        """What it is thinking about is no longer wanted."""
        self._stale = self._owed


class AdviserProcess(AnsweringProcess):
    """Solves the MPC (`control.advice.Advises`). When it has died no advice comes, and the walker plans without."""

    def __init__(self, context: SpawnContext, make: Callable[[], Adviser]) -> None:
        super().__init__(context, make, "adviser", (QUESTION, ADVICE))

    def ask(self, q: Question) -> None:
        """Ask."""
        self._ask(q)

    def answer(self) -> Advice | None:
        """The newest advice that has come."""
        advice: Advice | None = self._newest()
        return advice
