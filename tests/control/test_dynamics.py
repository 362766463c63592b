from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pinocchio as pin
import pytest
from oracles import random_state

from poise.control.dynamics import Dynamics
from poise.robots import RobotModel
from poise.robots.types import Array

EPS = 1e-6


@pytest.fixture(params=[0, 1, 2])
def state(g1: RobotModel, request: pytest.FixtureRequest) -> tuple[Array, Array]:
    return random_state(g1, request.param)


def evaluated(g1: RobotModel, q: Array, v: Array) -> Dynamics:
    """The terms at (q, v), every one of them NaN before."""
    d = Dynamics(g1)
    for value in d.terms:
        value[:] = np.nan
    d.update(q, v)
    return d


def along_the_flow(g1: RobotModel, q: Array, v: Array, what: Callable[[Dynamics], Array]) -> Array:
    """Time derivative of a term when the robot moves on with velocity components v, by central differences."""
    ahead, back = (evaluated(g1, pin.integrate(g1.pinocchio, q, sign * EPS * v), v) for sign in (1.0, -1.0))
    return (what(ahead) - what(back)) / (2.0 * EPS)


def test_everything_is_finite_and_where_the_state_says(g1: RobotModel, state: tuple[Array, Array]) -> None:
    d = evaluated(g1, *state)
    for name, value in d.terms._asdict().items():
        assert np.isfinite(value).all(), name
    np.testing.assert_allclose(d.base_rotation, pin.Quaternion(state[0][3:7]).matrix(), atol=1e-12)


def test_sole_jacobians_are_velocities(g1: RobotModel, state: tuple[Array, Array]) -> None:
    d = evaluated(g1, *state)
    np.testing.assert_allclose(d.sole_jacobian @ d.v, d.sole_velocity, atol=1e-12)
    moved = along_the_flow(g1, *state, lambda e: e.sole_position.copy())
    np.testing.assert_allclose(d.sole_velocity[:, :3], moved, atol=1e-7)
    turned = along_the_flow(g1, *state, lambda e: e.sole_rotation.copy())
    for foot in range(2):  # Ṙ = [ω]× R
        np.testing.assert_allclose(pin.skew(d.sole_velocity[foot, 3:]) @ d.sole_rotation[foot], turned[foot], atol=1e-7)


def test_torso_jacobian_is_its_angular_velocity(g1: RobotModel, state: tuple[Array, Array]) -> None:
    d = evaluated(g1, *state)
    turned = along_the_flow(g1, *state, lambda e: e.torso_rotation.copy())
    np.testing.assert_allclose(pin.skew(d.torso_omega) @ d.torso_rotation, turned, atol=1e-7)
    np.testing.assert_allclose(d.torso_jacobian @ d.v, d.torso_omega, atol=1e-12)


def test_drifts_are_the_acceleration_without_joint_acceleration(g1: RobotModel, state: tuple[Array, Array]) -> None:
    """J̇v: the derivative of J(q)v while the components of v stand still."""
    d = evaluated(g1, *state)
    np.testing.assert_allclose(d.sole_drift, along_the_flow(g1, *state, lambda e: e.sole_velocity.copy()), atol=1e-6)
    np.testing.assert_allclose(d.torso_drift, along_the_flow(g1, *state, lambda e: e.torso_omega.copy()), atol=1e-6)
    np.testing.assert_allclose(d.centroidal_drift, along_the_flow(g1, *state, lambda e: e.momentum.copy()), atol=1e-4)


def test_centre_of_mass_is_the_weighted_mean_and_its_velocity_the_derivative(g1: RobotModel, state: tuple[Array, Array]) -> None:
    d = evaluated(g1, *state)
    data = g1.pinocchio.createData()
    pin.forwardKinematics(g1.pinocchio, data, state[0])
    bodies = [(body.mass, data.oMi[i].act(body.lever)) for i, body in enumerate(g1.pinocchio.inertias)]
    np.testing.assert_allclose(d.com, sum(m * p for m, p in bodies) / g1.mass, atol=1e-12)
    np.testing.assert_allclose(d.com_velocity, along_the_flow(g1, *state, lambda e: e.com.copy()), atol=1e-7)
    np.testing.assert_allclose(d.momentum[:3], g1.mass * d.com_velocity, atol=1e-10)


def test_momentum_is_the_sum_over_the_bodies(g1: RobotModel, state: tuple[Array, Array]) -> None:
    d = evaluated(g1, *state)
    data = g1.pinocchio.createData()
    pin.forwardKinematics(g1.pinocchio, data, *state)
    total = np.zeros(3)
    for i, body in enumerate(g1.pinocchio.inertias):
        if i:
            velocity = data.v[i]
            centre, rotation = data.oMi[i].act(body.lever), data.oMi[i].rotation
            linear = rotation @ (velocity.linear + np.cross(velocity.angular, body.lever))
            total += body.mass * np.cross(centre - d.com, linear) + rotation @ body.inertia @ velocity.angular
    np.testing.assert_allclose(d.momentum[3:], total, atol=1e-9)
    np.testing.assert_allclose(d.centroidal_map @ d.v, d.momentum, atol=1e-12)


def test_mass_and_bias_give_inverse_dynamics(g1: RobotModel, state: tuple[Array, Array]) -> None:
    d, acceleration = evaluated(g1, *state), np.random.default_rng(9).normal(0.0, 3.0, g1.pinocchio.nv)
    expected = pin.rnea(g1.pinocchio, g1.pinocchio.createData(), *state, acceleration)
    np.testing.assert_allclose(d.mass_matrix @ acceleration + d.bias, expected, atol=1e-9)
    np.testing.assert_array_equal(d.mass_matrix, d.mass_matrix.T)
    assert np.linalg.eigvalsh(d.mass_matrix).min() > 0.0


def test_kinetic_energy_decides_the_mass_matrix(g1: RobotModel, state: tuple[Array, Array]) -> None:
    """½ vᵀMv is the bodies' energy plus the rotors'."""
    d, data = evaluated(g1, *state), g1.pinocchio.createData()
    bodies = pin.computeKineticEnergy(g1.pinocchio, data, *state)
    rotors = 0.5 * float(g1.pinocchio.armature @ d.v**2)
    # Pinocchio's own energy may or may not count the rotors: the sum over the bodies alone decides.
    pin.forwardKinematics(g1.pinocchio, data, *state)
    alone = sum(0.5 * body.vtiv(data.v[i]) for i, body in enumerate(g1.pinocchio.inertias) if i)
    assert 0.5 * d.v @ d.mass_matrix @ d.v == pytest.approx(alone + rotors, rel=1e-9)
    assert bodies >= alone - 1e-9
