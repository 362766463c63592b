from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import integrate_step, plane_rotation
from scipy.integrate import solve_ivp

from poise.control.footsteps import INWARD_ROOM_M, nominal_step, nominal_touchdown, orbit_plan, step_width, twist_command
from poise.control.lip import transfer_shift
from poise.robots import Intent, RobotModel
from poise.robots.types import Array

STEP_S, WIDTH = 0.42, 0.2


def driven_step(twist: Array, sign: float) -> Array:
    """Next foothold x, y, yaw of a body that starts half a width inside the stance foot, its twist integrated."""

    def flow(t: float, pose: Array) -> Array:
        return np.append(plane_rotation(pose[2]) @ twist[:2], twist[2])

    x, y, yaw = solve_ivp(flow, (0.0, STEP_S), [0.0, -0.5 * sign * WIDTH, 0.0], rtol=1e-11, atol=1e-13).y[:, -1]
    foot = plane_rotation(yaw) @ [0.0, -0.5 * sign * WIDTH]
    return np.array([x + foot[0], y + foot[1], yaw])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("twist", [(0.5, 0.0, 0.0), (0.0, 0.2, 0.0), (-0.3, 0.1, 1.2), (0.8, -0.3, -0.9), (0.4, 0.0, 1e-9)])
def test_nominal_step_is_the_integrated_twist(twist: tuple[float, float, float], sign: float) -> None:
    np.testing.assert_allclose(nominal_step(np.array(twist), STEP_S, WIDTH, sign), driven_step(np.array(twist), sign), atol=1e-9)


def test_nominal_steps_by_hand() -> None:
    np.testing.assert_allclose(nominal_step(np.array([0.5, 0.0, 0.0]), 0.4, 0.2, 1.0), [0.2, -0.2, 0.0], atol=1e-15)
    np.testing.assert_allclose(nominal_step(np.array([0.0, 0.25, 0.0]), 0.4, 0.2, -1.0), [0.0, 0.3, 0.0], atol=1e-15)
    # A quarter turn about the body, 0.1 m right of the left foot: the right foot goes from (0, -0.2) to (0.1, -0.1).
    np.testing.assert_allclose(nominal_step(np.array([0.0, 0.0, np.pi]), 0.5, 0.2, 1.0), [0.1, -0.1, np.pi / 2], atol=1e-15)


def test_orbit_plan_is_an_orbit() -> None:
    """From the planned offset at touchdown a step's pendulum leads to the other foot's planned offset."""
    twist, omega, double_support = np.array([0.4, 0.1, 0.5]), 4.0, 0.05
    for sign in (1.0, -1.0):
        first, second, here, there = orbit_plan(twist, STEP_S, WIDTH, sign, omega, transfer_shift(omega, double_support))
        came_from = plane_rotation(second[2]).T @ second[:2]
        end = integrate_step(here, came_from, omega, STEP_S, double_support)
        np.testing.assert_allclose(plane_rotation(first[2]).T @ (end - first[:2]), there, atol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_nominal_touchdown_is_the_orbits_in_the_world(sign: float) -> None:
    twist, omega, kappa = np.array([0.4, 0.1, 0.5]), 4.0, 0.07
    sole, yaw = np.array([1.0, 2.0]), 0.8
    first, _, _, there = orbit_plan(twist, STEP_S, WIDTH, sign, omega, kappa)
    foothold, offset = nominal_touchdown(first, there, sign, sole, yaw, np.zeros(2))
    np.testing.assert_allclose(foothold, sole + plane_rotation(yaw) @ first[:2], atol=1e-12)
    np.testing.assert_allclose(offset, plane_rotation(yaw + first[2]) @ there, atol=1e-12)
    shifted, same = nominal_touchdown(first, there, sign, sole, yaw, np.array([0.03, 0.02]))
    moved = plane_rotation(yaw).T @ (shifted - foothold)
    np.testing.assert_allclose(moved, [0.03, -0.02 * sign], atol=1e-12)  # outward: away from the stance foot
    np.testing.assert_array_equal(same, offset)


def test_width_grows_so_that_a_sideways_step_keeps_its_distance(g1: RobotModel) -> None:
    gait = g1.overlay.gait
    assert step_width(gait, 0.0, STEP_S) == gait.step_width_m
    for speed in (-0.35, 0.1, 0.35):
        width = step_width(gait, speed, STEP_S)
        for sign in (1.0, -1.0):  # the foot that closes up still lands outside the least distance
            inward = -sign * nominal_step(np.array([0.0, speed, 0.0]), STEP_S, width, sign)[1]
            assert inward >= gait.reach_inward_m + INWARD_ROOM_M - 1e-12


def test_velocity_is_clipped_to_the_gait(g1: RobotModel) -> None:
    gait = replace(g1.overlay.gait, velocity_max=(1.0, 0.3, 1.2))
    pose = np.array([5.0, -3.0, 2.0])
    np.testing.assert_array_equal(twist_command(Intent(velocity=(0.4, -0.1, 0.2)), gait, pose), [0.4, -0.1, 0.2])
    np.testing.assert_array_equal(twist_command(Intent(velocity=(3.0, -3.0, 9.0)), gait, pose), [1.0, -0.3, 1.2])
    np.testing.assert_array_equal(twist_command(Intent(), gait, pose), np.zeros(3))


def test_waypoint_is_approached_in_the_heading_frame(g1: RobotModel) -> None:
    gait = g1.overlay.gait
    ahead = twist_command(Intent(waypoint=(0.0, 0.4, np.pi / 2)), gait, np.array([0.0, 0.1, np.pi / 2]))
    np.testing.assert_allclose(ahead, [0.3, 0.0, 0.0], atol=1e-12)  # seen from a body that faces +y it lies ahead
    left = twist_command(Intent(waypoint=(-0.2, 0.0, np.pi / 2)), gait, np.array([0.0, 0.0, np.pi / 2]))
    np.testing.assert_allclose(left, [0.0, 0.2, 0.0], atol=1e-12)
    far = twist_command(Intent(waypoint=(-3.0, 0.1, 0.0)), gait, np.array([0.0, 0.0, 3.0]))
    assert far[0] == gait.velocity_max[0]
    assert 0.0 < far[2] < 0.5  # turns towards it the short way, across ±π
    np.testing.assert_array_equal(twist_command(Intent(waypoint=(1.0, 2.0, 0.5)), gait, np.array([1.02, 2.02, 0.52])), np.zeros(3))


@pytest.mark.parametrize("waypoint", [(2.0, 1.0, -1.0), (-1.0, 0.5, 3.0), (0.2, -0.2, 2.0), (0.0, 0.0, -3.1)])
def test_a_perfect_follower_arrives(g1: RobotModel, waypoint: tuple[float, float, float]) -> None:
    pose, dt = np.zeros(3), 0.02
    for _ in range(1500):
        twist = twist_command(Intent(waypoint=waypoint), g1.overlay.gait, pose)
        pose = pose + dt * np.append(plane_rotation(pose[2]) @ twist[:2], twist[2])
    assert np.hypot(pose[0] - waypoint[0], pose[1] - waypoint[1]) < 0.05
    assert abs(np.angle(np.exp(1j * (pose[2] - waypoint[2])))) < 0.06
