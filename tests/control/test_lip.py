from __future__ import annotations

import numpy as np
import pytest
from oracles import integrate_dcm, integrate_step, plane_rotation, transfer
from scipy.integrate import quad, solve_ivp

from poise.control.lip import dcm_after, dcm_in_double_support, natural_frequency, periodic_offset, transfer_shift
from poise.robots.types import Array

OMEGA = 3.9


def test_natural_frequency_of_a_metre_high_pendulum() -> None:
    assert natural_frequency(9.81) == pytest.approx(1.0)
    assert natural_frequency(0.62) == pytest.approx(3.9778, abs=1e-4)


def test_dcm_follows_the_pendulum_of_its_centre_of_mass() -> None:
    """ξ = c + ċ/ω of c̈ = ω²(c − p), integrated as a second-order system."""
    com, velocity, zmp, duration = np.array([0.01, -0.03]), np.array([0.2, 0.1]), np.array([0.02, 0.01]), 0.37

    def flow(t: float, state: Array) -> Array:
        return np.concatenate((state[2:], OMEGA**2 * (state[:2] - zmp)))

    end = solve_ivp(flow, (0.0, duration), np.concatenate((com, velocity)), rtol=1e-11, atol=1e-13).y[:, -1]
    np.testing.assert_allclose(dcm_after(com + velocity / OMEGA, zmp, OMEGA, duration), end[:2] + end[2:] / OMEGA, atol=1e-9)


def test_dcm_over_its_own_zmp_rests() -> None:
    point = np.array([0.3, -0.2])
    np.testing.assert_array_equal(dcm_after(point, point, OMEGA, 5.0), point)


@pytest.mark.parametrize("elapsed", [0.0, 0.03])
@pytest.mark.parametrize("duration", [0.0, 0.02, 0.05])
def test_dcm_in_double_support_is_the_integral(elapsed: float, duration: float) -> None:
    dcm, last_step = np.array([0.05, -0.08]), np.array([0.25, 0.2])
    zmp = transfer(last_step, 0.08)
    expected = integrate_dcm(dcm, lambda t: zmp(elapsed + t), OMEGA, duration)
    np.testing.assert_allclose(dcm_in_double_support(dcm, last_step, OMEGA, elapsed, 0.08, duration), expected, atol=1e-9)


@pytest.mark.parametrize("double_support", [1e-9, 1e-7, 1e-4, 0.04, 0.3])
def test_transfer_shift_is_its_integral(double_support: float) -> None:
    expected = quad(lambda s: OMEGA * np.exp(-OMEGA * s) * (1.0 - s / double_support), 0.0, double_support, epsabs=0.0, epsrel=1e-10)[0]
    assert transfer_shift(OMEGA, double_support) == pytest.approx(expected, rel=2e-5)


def test_transfer_shift_replaces_the_transfer() -> None:
    """From the end of the double support on, the shifted offset over the new sole is the integrated one."""
    dcm, last_step, double_support = np.array([0.05, -0.08]), np.array([0.25, 0.2]), 0.08
    shifted = dcm + transfer_shift(OMEGA, double_support) * last_step
    expected = integrate_step(dcm, last_step, OMEGA, 0.4, double_support)
    np.testing.assert_allclose(dcm_after(shifted, np.zeros(2), OMEGA, 0.4), expected, atol=1e-9)


@pytest.mark.parametrize("turns", [(0.0, 0.0), (0.3, 0.3), (0.4, -0.1), (-0.5, -0.5)])
@pytest.mark.parametrize("double_support", [0.0, 0.06])
def test_periodic_offset_comes_back_after_two_steps(turns: tuple[float, float], double_support: float) -> None:
    steps, step_s = (np.array([0.22, -0.19]), np.array([0.3, 0.24])), 0.42
    kappa = transfer_shift(OMEGA, double_support)
    start = periodic_offset(steps[0], turns[0], steps[1], turns[1], OMEGA, step_s, kappa)
    offset, last_step = start, plane_rotation(turns[1]).T @ steps[1]  # the step that led to this foot, in its axes
    for step, turn in zip(steps, turns, strict=True):
        end = integrate_step(offset, last_step, OMEGA, step_s, double_support)
        into_next = plane_rotation(turn).T
        offset, last_step = into_next @ (end - step), into_next @ step
    np.testing.assert_allclose(offset, start, atol=1e-8)


@pytest.mark.parametrize("turns", [(0.0, 0.0), (0.4, -0.1)])
def test_periodic_offset_knows_the_swing_foot(turns: tuple[float, float]) -> None:
    """With the reaction of a foot that goes from the old sole to the new one, the orbit still closes."""
    steps, step_s, kappa, swing = (np.array([0.22, -0.19]), np.array([0.3, 0.24])), 0.42, 0.04, 0.2
    start = periodic_offset(steps[0], turns[0], steps[1], turns[1], OMEGA, step_s, kappa, swing)
    offset, last_step = start, plane_rotation(turns[1]).T @ steps[1]
    for step, turn in zip(steps, turns, strict=True):
        end = dcm_after(offset + kappa * last_step, np.zeros(2), OMEGA, step_s) + swing * (step + last_step)
        into_next = plane_rotation(turn).T
        offset, last_step = into_next @ (end - step), into_next @ step
    np.testing.assert_allclose(offset, start, atol=1e-9)


def test_periodic_offset_of_stepping_in_place_by_hand() -> None:
    """Left stance, width W: the DCM starts W/(e^{ωT} + 1) inside and ends W e^{ωT}/(e^{ωT} + 1) inside."""
    width, step_s = 0.2, 0.4
    offset = periodic_offset(np.array([0.0, -width]), 0.0, np.array([0.0, width]), 0.0, OMEGA, step_s, 0.0)
    np.testing.assert_allclose(offset, [0.0, -width / (np.exp(OMEGA * step_s) + 1.0)], atol=1e-12)


def test_periodic_offset_of_walking_straight_by_hand() -> None:
    """Equal steps L: b = L/(e^{ωT} − 1), Englsberger's end-of-step offset."""
    step = np.array([0.3, 0.0])
    offset = periodic_offset(step, 0.0, step, 0.0, OMEGA, 0.5, 0.0)
    np.testing.assert_allclose(offset, [0.3 / (np.exp(OMEGA * 0.5) - 1.0), 0.0], atol=1e-12)
