"""What a proposal that others wrote must be before it is followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from poise.control.proposals import plain, trusted, well_formed
from poise.robots import MotionProposal

ARMS, KNOTS = 4, 3
SOUND = MotionProposal(
    origin="test",
    period_s=0.1,
    twist=np.zeros(3),
    height_m=np.full(KNOTS, 0.6),
    torso_rpy=np.zeros((KNOTS, 3)),
    arm_position=np.zeros((KNOTS, ARMS)),
    step_duration_s=0.45,
    footstep_offset=np.zeros((2, 2)),
    log_likelihood=-3.0,
)


def test_a_sound_proposal_is_trusted_by_its_likelihood() -> None:
    verdict = trusted(SOUND, ARMS)
    assert verdict.accepted and verdict.score == -3.0


@pytest.mark.parametrize(
    "change",
    [
        {"height_m": [0.6 + 0.1j] * KNOTS},
        {"height_m": np.full(KNOTS, 0.6, dtype=complex)},
        {"height_m": np.zeros(0)},
        {"twist": np.array([0.0, np.nan, 0.0])},
        {"twist": None},
        {"twist": ["a", "b", "c"]},
        {"arm_position": np.zeros((KNOTS, ARMS + 1))},
        {"torso_rpy": np.zeros((KNOTS - 1, 3))},
        {"period_s": 0.0},
        {"step_duration_s": np.inf},
        {"log_likelihood": np.nan},
    ],
)
def test_one_that_kernels_cannot_compute_with_is_not_well_formed(change: dict[str, Any]) -> None:
    bad = replace(SOUND, **change)
    assert not well_formed(bad, ARMS)
    assert not trusted(bad, ARMS).accepted


def test_no_proposal_at_all_is_not_well_formed() -> None:
    assert not well_formed(None, ARMS)  # type: ignore[arg-type]


def test_a_plain_proposal_is_the_same_motion_in_the_arrays_that_kernels_take() -> None:
    given = replace(SOUND, twist=[1, 0, 0], height_m=np.full(2 * KNOTS, 0.6, dtype=np.float32)[::2], period_s=np.float32(0.5))  # type: ignore[arg-type]
    assert well_formed(given, ARMS)
    made = plain(given)
    for value in (made.twist, made.height_m, made.torso_rpy, made.arm_position, made.footstep_offset):
        assert value.dtype == np.float64 and value.flags.c_contiguous
    np.testing.assert_array_equal(made.twist, [1.0, 0.0, 0.0])
    assert type(made.period_s) is float and made.period_s == 0.5
