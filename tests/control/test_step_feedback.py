from __future__ import annotations

import numpy as np
import pytest

from poise.control.rotation import turned
from poise.control.step_feedback import MARKED_STEPS, FeedbackConfig, StepFeedback

CONFIG, STEP_S = FeedbackConfig(), 0.4


def walked(
    feedback: StepFeedback, velocity: tuple[float, float], steps: int, heading: float = 0.0, twist: tuple[float, float] = (0.2, 0.0)
) -> None:
    """Touchdowns of a CoM that moves at a velocity, heading frame, where a twist is wanted."""
    for k in range(steps):
        com = turned(heading, k * STEP_S * np.array(velocity))
        feedback.touchdown(0.0, k * STEP_S, com, heading, np.array([*twist, 0.0]))


@pytest.mark.parametrize("heading", [0.0, 1.2])
def test_the_trim_integrates_the_velocity_error_of_a_steady_command(heading: float) -> None:
    feedback = StepFeedback(CONFIG)
    walked(feedback, (0.15, 0.05), MARKED_STEPS + 3, heading)
    np.testing.assert_allclose(feedback.twist_trim[:2], 3 * np.array(CONFIG.velocity_gain) * [0.05, -0.05], atol=1e-12)


@pytest.mark.parametrize("rate", [0.5, -1.0])
def test_a_turning_walk_is_judged_along_its_mean_heading(rate: float) -> None:
    """A walk on its circle is as fast as asked but for the chord, which is shorter than the arc; none of it is sideways."""
    feedback, speed = StepFeedback(CONFIG), 0.3
    for k in range(MARKED_STEPS + 1):
        heading = 2.0 + rate * k * STEP_S
        com = speed / rate * np.array([np.sin(heading), -np.cos(heading)])
        feedback.touchdown(0.0, k * STEP_S, com, heading, np.array([speed, 0.0, rate]))
    missing = speed * (1.0 - np.sin(rate * STEP_S) / (rate * STEP_S))
    np.testing.assert_allclose(feedback.twist_trim[:2], [CONFIG.velocity_gain[0] * missing, 0.0], atol=1e-12)


def test_the_trim_waits_for_a_steady_command_and_is_bounded() -> None:
    feedback = StepFeedback(CONFIG)
    for k in range(10):
        feedback.touchdown(0.0, k * STEP_S, np.zeros(2), 0.0, np.array([0.1 * k, 0.0, 0.0]))
    np.testing.assert_array_equal(feedback.twist_trim[:2], 0.0)
    feedback.stand()
    walked(feedback, (0.05, 0.15), 200)
    np.testing.assert_allclose(feedback.twist_trim[:2], np.array(CONFIG.velocity_trim_max) * [1.0, -1.0])


def test_a_push_teaches_nothing() -> None:
    feedback = StepFeedback(CONFIG)
    walked(feedback, (-0.3, 0.6), MARKED_STEPS + 3)
    np.testing.assert_array_equal(feedback.twist_trim[:2], 0.0)
    lead = feedback.lead_s
    feedback.touchdown(-0.1, 10.0, np.zeros(2), 0.0, np.zeros(3))
    assert feedback.lead_s == pytest.approx(lead - CONFIG.lead_gain * CONFIG.late_max_s)


def test_the_lead_takes_up_how_late_touchdowns_are() -> None:
    """A foot that is `late` after its reference without a lead: after some steps the touchdown is when it was planned."""
    feedback, late = StepFeedback(CONFIG), 0.03
    for k in range(30):
        feedback.touchdown(late - feedback.lead_s, k * STEP_S, np.zeros(2), 0.0, np.zeros(3))
    assert feedback.lead_s == pytest.approx(late, abs=1e-5)
    for late, bound in ((0.1, CONFIG.lead_range_s[1]), (-0.1, CONFIG.lead_range_s[0])):
        for k in range(20):
            feedback.touchdown(late, k * STEP_S, np.zeros(2), 0.0, np.zeros(3))
        assert feedback.lead_s == bound


def test_a_step_without_a_touchdown_makes_no_pair() -> None:
    feedback, twist = StepFeedback(FeedbackConfig()), np.array([0.3, 0.0, 0.0])
    for k in range(12):
        if k % MARKED_STEPS == 0:
            feedback.interrupted()
        feedback.touchdown(0.0, 0.4 * k, np.zeros(2), 0.0, twist)
    assert (feedback.twist_trim == 0.0).all(), "never five in a row"
    feedback.lead_s, feedback.twist_trim = 0.03, np.array([0.1, 0.0, 0.0])
    feedback.interrupted()
    assert feedback.lead_s == 0.03 and feedback.twist_trim[0] == 0.1


def test_standing_forgets_the_trim_and_keeps_the_lead() -> None:
    feedback = StepFeedback(CONFIG)
    walked(feedback, (0.1, 0.0), 10)
    feedback.touchdown(0.01, 10 * STEP_S, np.zeros(2), 0.0, np.zeros(3))
    lead, other = feedback.lead_s, feedback.copy()
    feedback.stand()
    np.testing.assert_array_equal(feedback.twist_trim[:2], 0.0)
    assert feedback.lead_s == lead != CONFIG.lead_start_s
    assert other.twist_trim[0] > 0.0 and other.lead_s == lead
