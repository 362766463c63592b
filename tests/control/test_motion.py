from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poise.control.motion import ARM_RATE, BODY_RATE, SPEED_MAX, STEP_RATE, TORSO_MAX, MotionReference, follow, interpolate
from poise.robots import Intent, MotionProposal

DT, ARMS, NOTHING, STEP_S = 0.002, 3, Intent(), 0.45
FAR = np.full(2, np.inf)


def critically_damped(target: float, start: float, speed: float, rate: float, t: float) -> float:
    """The answer of ẍ = r²(x* − x) − 2rẋ."""
    return target + ((start - target) + (speed + rate * (start - target)) * t) * float(np.exp(-rate * t))


@pytest.mark.parametrize(("start", "speed"), [(0.0, 0.0), (0.3, -1.0), (-0.2, 2.0)])
def test_filter_answers_as_a_critically_damped_one(start: float, speed: float) -> None:
    rates = np.array([ARM_RATE, BODY_RATE])
    position, velocity, dt = np.full(2, start), np.full(2, speed), 1e-4
    for k in range(1, 5001):
        follow(position, velocity, np.full(2, 0.1), -FAR, FAR, rates, SPEED_MAX, dt)
        if k % 500 == 0:
            expected = [critically_damped(0.1, start, speed, rate, k * dt) for rate in rates]
            np.testing.assert_allclose(position, expected, atol=2e-3)


def test_filter_never_overshoots_and_keeps_its_speed() -> None:
    position, velocity, fastest = np.zeros(1), np.zeros(1), 0.0
    for _ in range(3000):
        follow(position, velocity, np.array([6.0]), -FAR, FAR, np.array([ARM_RATE]), SPEED_MAX, DT)
        fastest = max(fastest, float(velocity[0]))
        assert position[0] <= 6.0 + 0.02
    assert fastest == SPEED_MAX
    assert position[0] == pytest.approx(6.0, abs=1e-6)


def test_interpolation_by_hand() -> None:
    knots, start, out = np.array([[1.0, 10.0], [3.0, 10.0]]), np.array([0.0, 20.0]), np.full(2, np.nan)
    by_hand = {0.0: (0.0, 20.0), 0.1: (0.5, 15.0), 0.2: (1.0, 10.0), 0.35: (2.5, 10.0), 0.4: (3.0, 10.0), 9.0: (3.0, 10.0)}
    for age, expected in by_hand.items():
        interpolate(knots, start, 0.2, age, out)
        np.testing.assert_allclose(out, expected, atol=1e-9)


def proposal(knots: int = 5) -> MotionProposal:
    """Arms to 0.4 rad, torso pitched, lower: ramps over a second."""
    share = np.linspace(1.0 / knots, 1.0, knots)
    return MotionProposal(
        origin="test",
        period_s=0.2,
        twist=np.zeros(3),
        height_m=0.62 - 0.04 * share,
        torso_rpy=share[:, None] * [0.0, 0.1, 0.0],
        arm_position=share[:, None] * np.array([0.4, -0.2, 0.1]),
        step_duration_s=0.4,
        footstep_offset=np.zeros((2, 2)),
    )


def unlimited() -> MotionReference:
    """With limits that these motions do not meet."""
    return MotionReference((np.full(ARMS, -3.0), np.full(ARMS, 3.0)), (0.4, 0.8), DT)


def advanced(reference: MotionReference, ticks: int, intent: Intent = NOTHING, start: int = 0) -> None:
    """Advance through that many ticks of a proposal's age."""
    for tick in range(start, start + ticks):
        reference.advance(tick * DT, intent, np.zeros(3))


def test_reference_starts_at_rest_and_reaches_the_last_knot() -> None:
    reference = unlimited()
    reference.reset(np.array([0.1, 0.0, -0.1]), 0.62, STEP_S)
    advanced(reference, 100)
    np.testing.assert_array_equal(reference.arms, [0.1, 0.0, -0.1])
    assert reference.height_m == 0.62
    reference.take(proposal())
    advanced(reference, 1500)
    np.testing.assert_allclose(reference.arms, [0.4, -0.2, 0.1], atol=1e-6)
    np.testing.assert_allclose(reference.torso_rpy, [0.0, 0.1, 0.0], atol=1e-6)
    np.testing.assert_allclose(reference.arms_velocity, 0.0, atol=1e-6)
    assert reference.height_m == pytest.approx(0.58, abs=1e-6)


def test_a_ramp_is_followed_with_the_filters_lag() -> None:
    """A critically damped filter follows a ramp of slope s at a distance 2s/rate."""
    reference = unlimited()
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    reference.take(proposal())
    advanced(reference, 475)
    t = 474 * DT
    np.testing.assert_allclose(reference.arms, np.array([0.4, -0.2, 0.1]) * (t - 2.0 / ARM_RATE), atol=2e-3)
    np.testing.assert_allclose(reference.arms_velocity, [0.4, -0.2, 0.1], atol=2e-3)


def test_given_arms_override_the_proposals_and_only_them() -> None:
    reference, arms = unlimited(), np.array([0.7, 0.7, 0.7])
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    reference.take(proposal())
    advanced(reference, 1500, Intent(arms=arms))
    np.testing.assert_allclose(reference.arms, arms, atol=1e-6)
    assert reference.height_m == pytest.approx(0.58, abs=1e-6)


def test_given_torso_and_height_override_the_proposals() -> None:
    reference = unlimited()
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    reference.take(proposal())
    advanced(reference, 1500, Intent(torso_rpy=(0.1, -0.2, 0.3), height_m=0.6))
    np.testing.assert_allclose(reference.torso_rpy, [0.1, -0.2, 0.3], atol=1e-6)
    assert reference.height_m == pytest.approx(0.6, abs=1e-6)
    np.testing.assert_allclose(reference.arms, [0.4, -0.2, 0.1], atol=1e-6)


def test_targets_stop_at_the_limits() -> None:
    low, high = np.array([-0.1, -0.1, -1.0]), np.array([0.2, 0.5, 1.0])
    reference = MotionReference((low, high), (0.6, 0.64), DT)
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    reference.take(proposal())
    advanced(reference, 1500)
    np.testing.assert_allclose(reference.arms, [0.2, -0.1, 0.1], atol=1e-6)
    assert reference.height_m == pytest.approx(0.6, abs=1e-6)
    advanced(reference, 1500, Intent(arms=np.full(ARMS, 9.0), torso_rpy=(-2.0, 0.0, 2.0), height_m=2.0))
    np.testing.assert_allclose(reference.arms, high, atol=1e-6)
    np.testing.assert_allclose(reference.torso_rpy, [-TORSO_MAX, 0.0, TORSO_MAX], atol=1e-6)
    assert reference.height_m == pytest.approx(0.64, abs=1e-6)


def test_taking_another_proposal_does_not_jump() -> None:
    reference, trail = unlimited(), []
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    for sign in (1.0, -1.0, 1.0):
        base = proposal()
        reference.take(replace(base, arm_position=sign * base.arm_position))
        for tick in range(100):
            reference.advance(tick * DT, NOTHING, np.zeros(3))
            trail.append(reference.position.copy())
    assert np.abs(np.diff(trail, n=2, axis=0)).max() < 20.0 * DT**2  # rad/s²


def test_snapshot_continues_bit_for_bit() -> None:
    reference, results = unlimited(), []
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    reference.take(proposal())
    advanced(reference, 50)
    saved = reference.snapshot()
    for _ in range(2):
        reference.restore(saved)
        advanced(reference, 50, start=50)
        reference.take(proposal(3))
        advanced(reference, 50)
        results.append(reference.position.copy())
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize(
    ("vx", "vy", "asked", "given"), [(0.5, 0.1, None, 0.62), (1.0, 0.0, None, 0.595), (-1.0, 0.0, 0.65, 0.595), (0.0, 1.0 / 3.3, 0.5, 0.5)]
)
def test_a_brisk_walk_leaves_the_legs_their_reach(vx: float, vy: float, asked: float | None, given: float) -> None:
    """2.5 cm lower at 1 m/s, and at 0.3 m/s sideways, whatever is proposed or asked for."""
    reference = unlimited()
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    for tick in range(1500):
        reference.advance(tick * DT, Intent(height_m=asked), np.array([vx, vy, 0.0]))
    assert reference.height_m == pytest.approx(given, abs=1e-4)


def test_the_step_duration_follows_slowly_whatever_is_drawn() -> None:
    """A first-order lag of 1/STEP_RATE towards 0.4 s, and hardly a ripple of draws that differ by 0.06 s ten times a second."""
    reference = unlimited()
    reference.reset(np.zeros(ARMS), 0.62, STEP_S)
    given = []
    for tick in range(2000):
        if tick % 50 == 0:
            reference.take(replace(proposal(), step_duration_s=0.4 + (0.03 if tick % 100 else -0.03)))
        reference.advance(0.0, NOTHING, np.zeros(3))
        given.append(reference.step_duration_s)
    means = np.array(given).reshape(-1, 100).mean(axis=1)  # over a pair of draws
    at = DT * (100 * np.arange(20) + 50)
    np.testing.assert_allclose(means, 0.4 + 0.05 * np.exp(-STEP_RATE * at), atol=0.002)
    assert np.ptp(given[-100:]) < 0.004
