from __future__ import annotations

import numpy as np
import pytest

from poise.hw.operation import REQUESTS, STILL, Buttons, Merged, Operated, bounded, sticks
from poise.robots import Intent


class Said:
    """A source that says what it is told to."""

    hint = "say it"

    def __init__(self) -> None:
        self.now, self.released, self.closed = Operated(), False, False

    def poll(self, now_s: float) -> Operated:
        return self.now

    def release(self) -> None:
        self.released = True

    def close(self) -> None:
        self.closed = True


def going(vx: float) -> Operated:
    return Operated(Intent(velocity=(vx, 0.0, 0.0)))


def test_the_source_that_moved_last_steers() -> None:
    first, second = Said(), Said()
    both = Merged((first, second))
    assert both.poll(0.0).intent.velocity == STILL
    second.now = going(0.3)
    assert both.poll(0.1).intent.velocity == (0.3, 0.0, 0.0)
    assert both.poll(0.2).intent.velocity == (0.3, 0.0, 0.0), "the first says zero, as it did before: it has not moved"
    first.now = going(0.1)
    assert both.poll(0.3).intent.velocity == (0.1, 0.0, 0.0)
    second.now = going(0.0)
    assert both.poll(0.4).intent.velocity == STILL, "whoever stops, stops: also a source that is gone"


def test_each_part_of_an_intent_comes_from_who_gave_it_last() -> None:
    legs, hands = Said(), Said()
    both = Merged((legs, hands))
    for angle in (0.1, 0.2, 0.3):
        legs.now = going(0.4)
        hands.now = Operated(Intent(velocity=STILL, arms=np.full(14, angle), torso_rpy=(0.0, angle, 0.0)))
        intent = both.poll(angle).intent
        assert intent.velocity == (0.4, 0.0, 0.0) and intent.torso_rpy == (0.0, angle, 0.0) and intent.height_m is None
        assert intent.arms is not None and np.all(intent.arms == angle)
    legs.now = Operated(Intent(velocity=STILL, height_m=0.6))
    assert both.poll(1.0).intent.height_m == 0.6
    hands.now = Operated()
    assert both.poll(1.1).intent.arms is None


def test_any_emergency_stop_counts_and_every_word_is_passed_on() -> None:
    first, second = Said(), Said()
    first.now = Operated(Intent(velocity=(0.3, 0.0, 0.0), arms=np.zeros(14)), request="arm", remark="one")
    second.now = Operated(next=True, emergency_stop=True, remark="two")
    said = Merged((first, second)).poll(0.0)
    assert (said.request, said.next, said.emergency_stop, said.remark) == ("arm", True, True, "one; two")
    assert said.intent.velocity == STILL and said.intent.arms is None, "nobody steers a robot that is stopped"


def test_release_and_close_reach_all() -> None:
    sources = (Said(), Said())
    assert Merged(sources).hint == "say it\nsay it"
    Merged(sources).release()
    Merged(sources).close()
    assert all(source.released and source.closed for source in sources)


def test_buttons_are_told_once_and_the_emergency_stop_until_it_is_released() -> None:
    buttons, go = Buttons(), Intent(velocity=(0.5, 0.0, 0.0))
    buttons.ask(REQUESTS[1])
    buttons.go_on()
    buttons.stop()
    said = buttons.told(go)
    assert (said.request, said.next, said.emergency_stop, said.intent.velocity) == ("arm", True, True, STILL)
    said = buttons.told(go, "gone")
    assert (said.request, said.next, said.emergency_stop, said.intent.velocity, said.remark) == ("", False, True, STILL, "gone")
    buttons.release()
    assert not (said := buttons.told(go)).emergency_stop and said.intent is go and said.intent.stamp_s is None


def test_a_velocity_is_bounded_part_by_part() -> None:
    assert bounded((3.0, -0.2, -9.0), (1.0, 0.35, 1.2)) == (1.0, -0.2, -1.2)


def test_sticks_by_hand() -> None:
    most = (1.0, 0.4, 2.0)
    assert sticks(1.0, -1.0, 0.55, most) == pytest.approx((1.0, -0.4, 1.0))
    assert sticks(0.1, -0.09, 0.0, most) == STILL
    assert sticks(float("nan"), float("inf"), -7.0, most) == (0.0, 0.4, -2.0)
