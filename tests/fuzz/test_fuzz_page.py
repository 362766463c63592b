"""Whatever the live page's sliders are set to by a message, what they ask for is a velocity that the robot has."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from messages import odd
from mutation import HUGE, ODD_VALUES, fuzzed

from poise.launch.view import asked


@fuzzed(80)
@given(value=st.one_of(odd(), st.sampled_from(ODD_VALUES), st.floats(), st.text(max_size=3)))
@example(value=HUGE)
@example(value="fast")
def test_what_a_slider_was_set_to(value: Any) -> None:
    velocity = asked(value, 0.5)
    assert type(velocity) is float and abs(velocity) <= 0.5
    if type(value) is float and abs(value) <= 0.5:
        assert velocity == value
