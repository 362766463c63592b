"""What the walker takes for the ground under a foot that comes down."""

from __future__ import annotations

import numpy as np
import pytest
from loop import standing_walker

from poise.control.swing import SwingFoot
from poise.robots.types import LEFT, RIGHT


@pytest.mark.parametrize(
    ("contact", "height", "phase", "late", "lands"),
    [
        (0.9, 0.005, 0.9, -0.05, True),
        (0.4, 0.005, 0.9, -0.05, False),  # nothing felt
        (0.9, 0.02, 0.9, -0.05, False),  # the leg's own momentum
        (0.9, 0.005, 0.5, -0.05, False),  # a scuff
        (0.0, 0.003, 1.0, 0.03, True),  # low and late
        (0.0, 0.003, 1.0, 0.01, False),
        (0.0, 0.008, 1.0, 0.03, False),
        (0.0, 0.03, 1.0, 0.13, True),  # too late for any foot
    ],
)
def test_what_counts_as_a_touchdown(contact: float, height: float, phase: float, late: float, lands: bool) -> None:
    walker = standing_walker((0.4, 0.0, 0.0))
    walker._begin_step(LEFT, 0.0)
    walker._soles = walker._soles + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, height]])
    walker.swing, walker.time = SwingFoot(walker._soles[RIGHT], 0.0, 0.002), walker.step_duration + late
    walker.swing.phase = phase
    walker._land(np.array([1.0, contact]))
    assert (walker.touchdowns, walker.stance) == ((1, RIGHT) if lands else (0, LEFT))


@pytest.mark.parametrize(
    ("above", "urgency", "lift", "lands"),
    [
        (0.015, 0.0, 0.0, True),
        (0.01, 0.0, 0.0, False),  # as far as a foot may be off its reference
        (0.015, 0.5, 0.0, False),  # pushed, on even ground
        (0.015, 0.5, 0.1, True),  # on uneven ground
    ],
)
def test_a_foot_that_is_felt_and_held_up_over_its_reference_is_on_ground_that_came_early(
    above: float, urgency: float, lift: float, lands: bool
) -> None:
    walker = standing_walker((0.4, 0.0, 0.0))
    walker._begin_step(LEFT, 0.0)
    walker._soles = walker._soles + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.08]])
    walker.swing = SwingFoot(walker._soles[RIGHT] - [0.0, 0.0, above], 0.0, 0.002)
    walker.swing.phase, walker.urgency, walker._ground.lift_m, walker.time = 0.7, urgency, lift, 0.3
    walker._land(np.ones(2))
    assert walker.touchdowns == int(lands)
