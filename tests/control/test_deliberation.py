from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from loop import g1_parts

from poise.control import Stack
from poise.control.deliberation import OVERDUE, Deliberation
from poise.control.proposals import Choice
from poise.control.protocols import Situation
from poise.control.scripted import ScriptedProposer
from poise.control.stopwatch import Stopwatch
from poise.robots import Intent, MotionProposal
from poise.sim import MujocoBackend

DELAY, OVERDUE_TICKS = 5, 20


class Given:
    """Proposes one motion that is told by its number, as its height."""

    def __init__(self, number: float) -> None:
        self.number, self.asked = number, list[int]()

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        self.asked.append(situation.tick)
        return (motion(self.number),)


class Elsewhere:
    """Answers when the test says so, and keeps what it is asked."""

    def __init__(self) -> None:
        self.posed, self.forgotten = list[int](), 0
        self.come: Choice | None = None

    def pose(self, situation: Situation) -> None:
        self.posed.append(situation.tick)

    def answer(self) -> Choice | None:
        come, self.come = self.come, None
        return come

    def forget(self) -> None:
        self.forgotten, self.come = self.forgotten + 1, None


def motion(number: float, origin: str = "given") -> MotionProposal:
    arms = g1_parts()[0].posture[g1_parts()[0].arms]
    return MotionProposal(origin, 0.2, np.zeros(3), np.full(5, number), np.zeros((5, 3)), np.tile(arms, (5, 1)), 0.45, np.zeros((2, 2)))


def choice(number: float, born: int = 0) -> Choice:
    return Choice(born, born, (), (), 0, motion(number), "")


def at(tick: int) -> Situation:
    """A situation of which only the tick is looked at."""
    return Situation(tick, *[None] * 15)  # type: ignore[arg-type]


def acting(deliberation: Deliberation) -> float:
    return float(deliberation.in_force.acting.height_m[0])


def here(proposer: Given | None = None) -> Deliberation:
    scripted = Given(0.1)
    made = Deliberation(scripted, proposer or scripted, None, None, 14, DELAY, OVERDUE_TICKS)
    made.reset(0)
    return made


def from_elsewhere() -> tuple[Deliberation, Elsewhere, Given]:
    thinker, scripted = Elsewhere(), Given(0.1)
    made = Deliberation(scripted, scripted, None, thinker, 14, DELAY, OVERDUE_TICKS)
    made.reset(0)
    return made, thinker, scripted


def decide(deliberation: Deliberation, tick: int, alone: bool = False) -> Choice | None:
    return deliberation.decide(at(tick), alone, Stopwatch())


def test_the_first_choice_acts_at_once_the_next_after_its_delay() -> None:
    proposer = Given(0.5)
    deliberation = here(proposer)
    first = decide(deliberation, 1)
    assert first is not None and (first.born, first.ready) == (1, 1) and deliberation.in_force is first
    proposer.number = 0.6
    second = decide(deliberation, 11)
    assert second is not None and (second.born, second.ready) == (11, 11 + DELAY)
    begun = [tick for tick in range(11, 30) if deliberation.begins(tick) is not None]
    assert begun == [11 + DELAY] and acting(deliberation) == 0.6


def test_until_the_delay_is_over_the_old_choice_acts() -> None:
    proposer = Given(0.5)
    deliberation = here(proposer)
    decide(deliberation, 1)
    proposer.number = 0.6
    decide(deliberation, 11)
    assert deliberation.begins(11 + DELAY - 1) is None and acting(deliberation) == 0.5


def test_alone_only_the_scripted_motion_is_asked_for() -> None:
    proposer = Given(0.5)
    deliberation = here(proposer)
    made = decide(deliberation, 1, alone=True)
    assert made is not None and acting(deliberation) == 0.1 and proposer.asked == []


def test_who_is_elsewhere_is_asked_and_the_scripted_motion_acts_meanwhile() -> None:
    deliberation, thinker, scripted = from_elsewhere()
    first = decide(deliberation, 1)
    assert first is not None and first.fault == "" and acting(deliberation) == 0.1
    assert decide(deliberation, 11) is None
    assert thinker.posed == [1, 11] and scripted.asked == [1]


@pytest.mark.parametrize("tick", [2, 13])
def test_an_answer_from_elsewhere_acts_in_the_tick_in_which_it_comes(tick: int) -> None:
    deliberation, thinker, _ = from_elsewhere()
    decide(deliberation, 1)
    thinker.come = choice(0.5, born=1)
    begun = deliberation.begins(tick)
    assert begun is not None and (begun.born, begun.ready) == (1, tick)
    assert acting(deliberation) == 0.5 and deliberation.begins(tick + 1) is None


def test_who_does_not_answer_is_overdue_and_the_scripted_motion_acts() -> None:
    deliberation, thinker, _ = from_elsewhere()
    decide(deliberation, 1)
    thinker.come = choice(0.5)
    deliberation.begins(3)
    assert decide(deliberation, 11) is None, "it is asked, and has time from then on"
    assert decide(deliberation, 11 + OVERDUE_TICKS) is None
    late = decide(deliberation, 12 + OVERDUE_TICKS)
    assert late is not None and (late.fault, late.ready) == (OVERDUE, 12 + OVERDUE_TICKS + DELAY)
    assert acting(deliberation) == 0.5
    assert deliberation.begins(late.ready) is not None and (acting(deliberation), deliberation.in_force.fault) == (0.1, OVERDUE)
    assert thinker.posed[-1] == 12 + OVERDUE_TICKS, "it is asked again and again"


def test_who_answers_again_is_no_longer_overdue() -> None:
    deliberation, thinker, _ = from_elsewhere()
    decide(deliberation, 1)
    decide(deliberation, 2 * OVERDUE_TICKS)
    thinker.come = choice(0.5)
    deliberation.begins(2 * OVERDUE_TICKS + 1)
    assert acting(deliberation) == 0.5 and deliberation.in_force.fault == ""
    assert decide(deliberation, 2 * OVERDUE_TICKS + 5) is None
    assert deliberation.begins(2 * OVERDUE_TICKS + DELAY) is None, "what came takes the place of what was to come"


def test_an_answer_during_a_stop_is_dropped() -> None:
    deliberation, thinker, _ = from_elsewhere()
    decide(deliberation, 1)
    deliberation.forget()
    decide(deliberation, 2, alone=True)
    thinker.come = choice(0.5)
    assert deliberation.begins(3) is None and acting(deliberation) == 0.1
    assert thinker.posed == [1], "nobody is asked while it is stopped"


def test_what_was_asked_before_a_stop_or_a_reset_is_no_longer_wanted() -> None:
    deliberation, thinker, _ = from_elsewhere()
    decide(deliberation, 1)
    for end in (deliberation.forget, lambda: deliberation.reset(0)):
        before, thinker.come = thinker.forgotten, choice(0.5)
        end()
        assert thinker.forgotten == before + 1
        assert deliberation.begins(1) is None and deliberation.acting is None


def test_after_a_long_stop_nobody_is_overdue_who_was_not_asked() -> None:
    deliberation, thinker, _ = from_elsewhere()
    decide(deliberation, 1)
    deliberation.forget()
    for tick in range(2, 3 * OVERDUE_TICKS, 10):
        decide(deliberation, tick, alone=True)
    assert decide(deliberation, 4 * OVERDUE_TICKS) is None
    assert decide(deliberation, 5 * OVERDUE_TICKS) is None
    late = decide(deliberation, 5 * OVERDUE_TICKS + 1)
    assert late is not None and late.fault == OVERDUE


def test_a_snapshot_goes_back() -> None:
    proposer = Given(0.5)
    deliberation = here(proposer)
    decide(deliberation, 1)
    proposer.number = 0.6
    decide(deliberation, 11)
    kept = deliberation.snapshot()
    deliberation.begins(11 + DELAY)
    decide(deliberation, 21, alone=True)
    deliberation.restore(kept)
    assert acting(deliberation) == 0.5
    deliberation.begins(11 + DELAY)
    assert acting(deliberation) == 0.6


class Later:
    """Thinks with the scripted proposer and answers so many ticks' polls later."""

    def __init__(self, ticks: int) -> None:
        self._ticks, self._left = ticks, -1
        self._scripted = ScriptedProposer(g1_parts()[0])
        self._situation: Any = None

    def pose(self, situation: Situation) -> None:
        if self._left < 0:
            self._situation, self._left = situation, self._ticks

    def answer(self) -> Choice | None:
        self._left -= 1
        if self._left != 0:
            return None
        proposal = replace(self._scripted.propose(self._situation)[0], origin="elsewhere")
        return Choice(self._situation.tick, self._situation.tick, (proposal,), (), 0, proposal, "")

    def forget(self) -> None:
        self._left = -1


@pytest.mark.parametrize("ticks", [7, 50, 100])
def test_the_stack_records_each_answer_in_the_tick_in_which_it_begins_to_act(ticks: int) -> None:
    """50 ticks lie between two questions: an answer may come in the tick of the next question."""
    robot, plant, _ = g1_parts()
    stack, backend = Stack(robot, elsewhere=Later(ticks)), MujocoBackend(robot, plant)
    decisions = []
    for _ in range(260):
        decisions.append(stack.step(backend.read(), Intent(velocity=(0.2, 0.0, 0.0))))
        backend.write(decisions[-1].command)
    came = [decision for decision in decisions if decision.proposals and decision.proposals[0].origin == "elsewhere"]
    assert len(came) >= 2
    assert all(decision.proposal is decision.proposals[0] for decision in came)
    assert [decision.proposal_age_s for decision in came] == pytest.approx([ticks * stack.period_s] * len(came))
    assert {decision.status for decision in decisions} == {"ok"}
