"""Which motion acts: chosen within the tick, or by somebody elsewhere who is asked and answers when he has thought."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from .proposals import Choice, choose
from .protocols import Proposer, Situation, WorldModel
from .stopwatch import Stopwatch

OVERDUE = "proposals are overdue: the scripted motion acts"


class Elsewhere(Protocol):
    """Proposes and imagines in a thread or process of its own. No method blocks or raises."""

    def pose(self, situation: Situation) -> None:
        """Ask; one who still owes an answer may not be asked again."""
        ...

    def answer(self) -> Choice | None:
        """The newest answer, once; None where there is none yet."""
        ...

    def forget(self) -> None:
        """The answer that is owed is no longer wanted: it never comes out of `answer`."""
        ...


class Deliberation:
    """Holds the choice in force and the one that comes.

    Attributes:
        acting: the choice in force; None before the first.
        elsewhere: whether what is proposed comes from elsewhere.
    """

    def __init__(
        self,
        scripted: Proposer,
        proposer: Proposer,
        world_model: WorldModel | None,
        elsewhere: Elsewhere | None,
        arms: int,
        delay: int,
        overdue: int,
    ) -> None:
        """What is chosen within the tick acts `delay` ticks later; without an answer for `overdue` ticks elsewhere is not waited for."""
        self._scripted, self._proposer, self._world_model = scripted, proposer, world_model
        self.elsewhere, self._elsewhere, self._arms, self._delay, self._overdue = elsewhere is not None, elsewhere, arms, delay, overdue
        self.acting: Choice | None = None
        self._coming: Choice | None = None
        self._alone = False
        self._asked: int | None = None  # at which tick, where an answer is owed

    @property
    def in_force(self) -> Choice:
        """The choice in force, once there is one."""
        assert self.acting is not None
        return self.acting

    def reset(self, seed: int) -> None:
        """Start a run."""
        self._proposer.reset(seed)
        self.forget()
        self._alone = False

    def forget(self) -> None:
        """Nothing acts or comes any more: the next choice acts at once."""
        self.acting = self._coming = self._asked = None
        if self._elsewhere is not None:
            self._elsewhere.forget()

    def begins(self, tick: int) -> Choice | None:
        """The choice that begins to act in this tick; None where none does."""
        answer = None if self._elsewhere is None else self._elsewhere.answer()
        if answer is not None:
            self._asked = None
            self._coming = self._coming if self._alone else replace(answer, ready=tick)
        if self._coming is None or tick < self._coming.ready:
            return None
        self.acting, self._coming = self._coming, None
        return self.acting

    def decide(self, situation: Situation, alone: bool, watch: Stopwatch) -> Choice | None:
        """Choose, or ask elsewhere: then None. Alone: only the scripted motion is wanted."""
        self._alone, first = alone, self.acting is None
        overdue = self._asked is not None and situation.tick - self._asked > self._overdue
        if self._elsewhere is not None and not alone:
            self._elsewhere.pose(situation)
            self._asked = situation.tick if self._asked is None else self._asked
            if not first and not overdue:
                return None
        proposer, model = (self._scripted, None) if alone or self.elsewhere else (self._proposer, self._world_model)
        choice = choose(proposer, model, self._scripted, situation, 0 if first else self._delay, self._arms, watch)
        if self.elsewhere and overdue and not alone:
            choice = replace(choice, fault=OVERDUE)
        if first:
            self.acting = choice
        else:
            self._coming = choice
        return choice

    def snapshot(self) -> Any:
        """What a tick changes; what is thought elsewhere is not in it."""
        return self.acting, self._coming, self._alone, self._asked

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        self.acting, self._coming, self._alone, self._asked = snapshot
