from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from poise.control.reaction import dcm_of_swing
from poise.control.swing import DESCENT_MPS, JERK_MAX, LATE_DESCENT_MPS, RAMP, SwingFoot, easy_step, height_profile, quintic_step
from poise.robots.types import Array

DT = 0.002


def quintic(start: tuple[float, float, float], target: float, duration: float) -> Polynomial:
    """The quintic of those boundary conditions, at rest at the end, by solving for its coefficients."""
    at_start = [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0]]
    powers = np.arange(6)
    position, velocity = duration**powers, powers * duration ** np.maximum(powers - 1, 0)
    acceleration = powers * (powers - 1) * duration ** np.maximum(powers - 2, 0)
    return Polynomial(np.linalg.solve(np.array([*at_start, position, velocity, acceleration], dtype=float), [*start, target, 0.0, 0.0]))


@pytest.mark.parametrize("start", [(0.0, 0.0, 0.0), (0.1, 0.8, -3.0), (-0.2, -0.5, 10.0)])
@pytest.mark.parametrize("elapsed", [DT, 0.1, 0.3])
def test_quintic_step_is_on_the_quintic(start: tuple[float, float, float], elapsed: float) -> None:
    curve = quintic(start, 0.25, 0.3)
    expected = [curve(elapsed), curve.deriv()(elapsed), curve.deriv(2)(elapsed)]
    np.testing.assert_allclose(quintic_step(*start, 0.25, 0.3, elapsed), expected, rtol=1e-9, atol=1e-9)


def test_quintic_replanned_every_tick_is_the_quintic_planned_once() -> None:
    state, start, duration = (0.1, 0.4, 2.0), (0.1, 0.4, 2.0), 0.4
    for k in range(180):
        state = quintic_step(*state, 0.3, duration - k * DT, DT)
    curve = quintic(start, 0.3, duration)
    np.testing.assert_allclose(state, [curve(0.36), curve.deriv()(0.36), curve.deriv(2)(0.36)], rtol=1e-6, atol=1e-7)


def test_a_minimum_jerk_move_peaks_where_the_adaptation_thinks() -> None:
    """From rest the acceleration of a move of length D in T peaks at 5.77 D/T²."""
    peak = max(abs(quintic_step(0.0, 0.0, 0.0, 1.0, 1.0, t)[2]) for t in np.linspace(0.0, 1.0, 2001))
    assert peak == pytest.approx(5.77, abs=0.01)


def easy_way(ticks: int, way: float, moved: float = 0.0) -> Array:
    """Position, velocity and acceleration (ticks, 3) of a move from rest, replanned every tick; its target moves half-way."""
    state, states, most = (0.0, 0.0, 0.0), [], RAMP * way / (ticks * DT) ** 2
    for k in range(ticks):
        state = easy_step(*state, way + (moved if k >= ticks // 2 else 0.0), (ticks - k) * DT, most, DT)
        states.append(state)
    return np.array(states)


def test_an_easy_step_ramps_up_coasts_and_ramps_down() -> None:
    """The trapezoid of speed by hand: ramps of a share f of the time, f (1 − f) RAMP = 1, and 1/(1 − f) of the mean between."""
    ticks, way = 200, 0.4
    states, share = easy_way(ticks, way), np.arange(1, ticks + 1) / ticks
    ramp = 0.5 * (1.0 - np.sqrt(1.0 - 4.0 / RAMP))
    most, mean = RAMP * way / (ticks * DT) ** 2, way / (ticks * DT)
    speed = mean / (1.0 - ramp) * np.clip(np.minimum(share, 1.0 - share) / ramp, 0.0, 1.0)
    np.testing.assert_allclose(states[:, 0], np.cumsum(speed) * DT, atol=0.03 * way)
    assert states[:, 1].max() == pytest.approx(speed.max(), rel=0.05)  # what bounded jerk rounds off has to be made up for
    assert states[-1, 0] == pytest.approx(way, abs=1e-3) and abs(states[-1, 1]) < 0.1 * mean
    assert np.abs(states[:, 2]).max() < 1.25 * most
    least = 1.5 * mean  # the peak of the way of least acceleration, the cubic D (3 s² − 2 s³)
    assert (states[:, 1].max() / least) ** 2 < 0.75  # the kinetic energy that the motors have to give and take


@pytest.mark.parametrize("moved", [-0.1, -0.05, 0.05, 0.1])
def test_an_easy_step_meets_a_target_that_moves(moved: float) -> None:
    ticks, way = 200, 0.4
    states, most = easy_way(ticks, way, moved), RAMP * way / (ticks * DT) ** 2
    assert states[-1, 0] == pytest.approx(way + moved, abs=1e-3) and abs(states[-1, 1]) < 0.1
    assert (np.abs(states[:, 2]).max() > 1.5 * most) == (moved == 0.1), "out of the ramps' reach it takes more"


def test_an_easy_step_whose_way_was_short_brakes_for_a_long_one() -> None:
    """Of no way, a target that moves by 0.1 m: as on the way of least acceleration, 6 · 0.1 m/T² at both ends, without overshoot."""
    ticks, state, states = 200, (0.0, 0.0, 0.0), []
    for k in range(ticks):
        state = easy_step(*state, 0.0 if k < 4 else 0.1, (ticks - k) * DT, 0.0, DT)
        states.append(state)
    path = np.array(states)
    assert np.abs(path[:, 2]).max() < 1.2 * 6.0 * 0.1 / (ticks * DT) ** 2
    assert path[:, 0].max() < 0.1 + 2e-4 and path[-1, 0] == pytest.approx(0.1, abs=2e-4)


@pytest.mark.parametrize("way", [0.45, -0.45])
def test_an_easy_step_moves_the_dcm_as_the_plan_has_it(way: float) -> None:
    """The plan has the way of least acceleration (reaction.dcm_of_swing); this one, integrated, is within 3 % of it."""
    ticks, omega, shift = 215, 3.9, 0.006
    sign = np.sign(way)
    acceleration = sign * easy_way(ticks, abs(way))[:, 2]
    growth = np.exp(omega * DT * np.arange(ticks - 1, -1, -1))
    assert omega * shift * DT * growth @ acceleration == pytest.approx(dcm_of_swing(ticks * DT, omega, shift)[0] * way, rel=0.03)


def test_an_easy_step_is_the_same_to_both_sides() -> None:
    there, back = (easy_step(0.0, sign * 0.5, sign * 3.0, sign * 0.3, 0.2, 20.0, DT) for sign in (1.0, -1.0))
    np.testing.assert_allclose(there, -np.array(back), atol=1e-15)


def test_an_easy_step_bounds_its_jerk() -> None:
    states = easy_way(100, 0.5)
    assert np.abs(np.diff(states[:, 2])).max() <= JERK_MAX * DT * (1.0 + 1e-9)
    np.testing.assert_allclose(np.diff(states[:, 1]), DT * 0.5 * (states[1:, 2] + states[:-1, 2]), atol=1e-12)


@pytest.mark.parametrize("stay", [0.0, 0.2])
@pytest.mark.parametrize("landing", [0.0, 0.02, -0.03])
def test_height_profile_starts_peaks_and_lands_as_said(landing: float, stay: float) -> None:
    rate, height = 1.0 / 0.4, 0.06
    np.testing.assert_allclose(height_profile(0.0, height, landing, rate, stay), (0.0, 0.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(height_profile(0.45 + stay, height, landing, rate, stay), (height, 0.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(height_profile(1.0, height, landing, rate, stay), (landing, -DESCENT_MPS, 0.0), atol=1e-9)
    heights = [height_profile(phase, height, landing, rate, stay)[0] for phase in np.linspace(0.0, 1.0, 501)]
    assert max(heights) == pytest.approx(height, abs=1e-9)
    assert min(heights) >= min(0.0, landing) - 1e-12  # nothing under the ground


@pytest.mark.parametrize("stay", [0.0, 0.2])
@pytest.mark.parametrize("phase", [0.1, 0.3, 0.449, 0.451, 0.55, 0.7, 0.95])
def test_height_profile_rates_are_derivatives(phase: float, stay: float) -> None:
    rate, eps = 2.5, 1e-5

    def profile(t: float) -> Array:
        return np.array(height_profile(phase + rate * t, 0.06, 0.01, rate, stay))

    slope = (profile(eps) - profile(-eps)) / (2 * eps)
    np.testing.assert_allclose(profile(0.0)[1:], slope[:2], rtol=1e-5, atol=1e-5)


def swung(duration: float, footholds: Array, landing: Array, urgency: float = 1.0, aloft: float = 0.0) -> tuple[SwingFoot, Array]:
    """A swing foot advanced to `duration` with a foothold (k, 3) and landing height (k,) a tick; all its states (k, 3, 3)."""
    foot, states = SwingFoot(np.array([-0.2, 0.1, 0.03]), 3.0, DT), []
    for k in range(len(footholds)):
        foot.advance(footholds[k], duration - k * DT, aloft, 0.06, landing[k], urgency)
        states.append(foot.state.copy())
    return foot, np.array(states)


@pytest.mark.parametrize("urgency", [0.0, 0.5, 1.0])
def test_swing_lands_on_the_foothold(urgency: float) -> None:
    ticks = 200
    foot, states = swung(ticks * DT, np.tile([0.2, 0.12, -3.0], (ticks, 1)), np.full(ticks, 0.01), urgency)
    np.testing.assert_allclose(foot.state[0], [0.2, 0.12, 0.01], atol=5e-4)
    np.testing.assert_allclose(foot.state[1][:2], 0.0, atol=0.05 if urgency == 1.0 else 0.1)  # of a mean of 1 m/s; calm: bounded jerk
    assert foot.state[1][2] == pytest.approx(-DESCENT_MPS, abs=1e-3)
    assert foot.yaw == pytest.approx(2 * np.pi - 3.0), "the short way round"
    assert states[:, 0, 2].max() == pytest.approx(0.03 + 0.06, abs=1e-4)


def test_a_foot_may_stay_aloft_over_its_foothold() -> None:
    """20 ms: it is over its foothold in 0.4 s, and still has the descent of that time to go."""
    foot, states = swung(0.4, np.tile([0.2, 0.12, -3.0], (210, 1)), np.full(210, 0.01), aloft=0.02)
    np.testing.assert_allclose(states[199, 0, :2], [0.2, 0.12], atol=5e-4)
    assert 0.01 + 0.9 * 0.02 * DESCENT_MPS < states[199, 0, 2] < 0.02
    assert foot.state[0][2] == pytest.approx(0.01, abs=5e-4)


@pytest.mark.parametrize("ticks", [1, 40, 120, 200])
def test_the_yaw_turns_on_the_cubic_from_rest_to_rest(ticks: int) -> None:
    """Short way from 3 rad to −3 rad, against the cubic of those boundary conditions, solved for."""
    foot, _ = swung(0.4, np.tile([0.2, 0.12, -3.0], (ticks, 1)), np.zeros(ticks))
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3]]
    cubic = Polynomial(np.linalg.solve(np.array(rows, dtype=float), [3.0, 0.0, 2 * np.pi - 3.0, 0.0]))
    assert foot.yaw == pytest.approx(cubic(ticks / 200), abs=1e-9)


def test_retargeting_moves_the_foot_smoothly() -> None:
    """A foothold that jumps by 8 cm in mid-swing: position and velocity go on, and the new foothold is met."""
    ticks = 200
    footholds = np.tile([0.2, 0.12, -3.0], (ticks, 1))
    footholds[100:] += [0.08, -0.05, 0.2]
    foot, states = swung(ticks * DT, footholds, np.zeros(ticks))
    np.testing.assert_allclose(foot.state[0][:2], [0.28, 0.07], atol=1e-4)
    position, velocity, acceleration = states[:, 0, :2], states[:, 1, :2], states[:, 2, :2]
    step, bound = np.diff(position, axis=0), np.abs(acceleration).max()
    assert bound < 80.0
    np.testing.assert_allclose(step, DT * 0.5 * (velocity[1:] + velocity[:-1]), atol=1e-4 * DT * bound)
    assert np.abs(np.diff(velocity, axis=0)).max() <= 1.1 * bound * DT


def test_height_is_continuous_when_the_step_is_shortened() -> None:
    foot, heights = SwingFoot(np.zeros(3), 0.0, DT), []
    left = 0.4
    while left > 0.0:
        foot.advance(np.array([0.2, 0.0, 0.0]), left, 0.0, 0.06, 0.0, 1.0)
        heights.append(foot.state[0][2])
        left -= DT * (1.5 if 0.15 < left < 0.3 else 1.0)  # the adaptation brings touchdown forward
    assert np.abs(np.diff(heights)).max() < 0.8 * DT  # m/s
    assert heights[-1] == pytest.approx(0.0, abs=1e-3)


def test_late_ground_is_felt_for_downward() -> None:
    foot, _ = swung(0.1, np.zeros((50, 3)), np.zeros(50))
    before = foot.state[0][2]
    for _ in range(10):
        foot.advance(np.zeros(3), -0.01, 0.0, 0.06, 0.0, 1.0)
    assert foot.state[0][2] == pytest.approx(before - 10 * DT * LATE_DESCENT_MPS)
    assert foot.state[1][2] == -LATE_DESCENT_MPS


def test_a_copy_goes_its_own_way() -> None:
    foot, _ = swung(0.4, np.tile([0.2, 0.1, 3.2], (50, 1)), np.zeros(50))
    other = foot.copy()
    foot.advance(np.array([0.2, 0.1, 3.2]), 0.3, 0.0, 0.06, 0.0, 1.0)
    after = foot.state.copy()
    other.advance(np.array([0.2, 0.1, 3.2]), 0.3, 0.0, 0.06, 0.0, 1.0)
    np.testing.assert_array_equal(other.state, after)
    assert other.state is not foot.state and (other.phase, other.yaw) == (foot.phase, foot.yaw)
