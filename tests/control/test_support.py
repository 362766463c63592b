from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from oracles import random_state

from poise.control.dynamics import Dynamics
from poise.control.support import Support, ground_wrench, joint_acceleration, joint_accelerations, response_and_bias, support_of
from poise.robots import RobotModel
from poise.robots.types import Array

SOLES = {Support.LEFT: [0], Support.RIGHT: [1], Support.BOTH: [0, 1], Support.NONE: []}


def accelerations(d: Dynamics, torque: Array, support: Support) -> Array:
    """Joint accelerations of the constrained dynamics, from its whole optimality system (M −Jᵀ; J 0)."""
    if support == Support.BASE:
        jacobian, drift = np.eye(6, d.nv), np.zeros(6)
    else:
        jacobian = d.sole_jacobian[SOLES[support]].reshape(-1, d.nv)
        drift = d.sole_drift[SOLES[support]].reshape(-1)
    k = len(jacobian)
    system = np.block([[d.mass_matrix, -jacobian.T], [jacobian, np.zeros((k, k))]])
    right = np.concatenate((np.concatenate((np.zeros(6), torque)) - d.bias, -drift))
    return np.asarray(np.linalg.solve(system, right)[6 : d.nv])


@pytest.mark.parametrize("support", list(Support))
@pytest.mark.parametrize("seed", range(3))
def test_joints_answer_torques_as_the_whole_system_says(g1: RobotModel, support: Support, seed: int) -> None:
    d = Dynamics(g1)
    d.update(*random_state(g1, seed))
    torque = np.random.default_rng(seed).normal(0.0, 20.0, g1.n)
    response, free = response_and_bias(d.block, d.nv, support)
    expected = accelerations(d, torque, support)
    np.testing.assert_allclose(response @ torque + free, expected, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(joint_acceleration(d.block, d.nv, support, torque), expected, rtol=1e-5, atol=1e-3)
    several = joint_accelerations(d.block, d.nv, support, np.stack((torque, -2.0 * torque)))
    np.testing.assert_allclose(several, [expected, accelerations(d, -2.0 * torque, support)], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("support", list(Support))
def test_a_mass_matrix_that_is_none_answers_nothing(g1: RobotModel, support: Support) -> None:
    d = Dynamics(g1)
    d.update(*random_state(g1, 0))
    d.mass_matrix[8, 8] = -1.0
    assert np.isnan(joint_accelerations(d.block, d.nv, support, np.zeros((2, g1.n)))).all()
    response, free = response_and_bias(d.block, d.nv, support)
    assert np.isnan(response).all() and np.isnan(free).all()


@pytest.mark.parametrize("support", [Support.LEFT, Support.RIGHT, Support.BOTH, Support.NONE, Support.BASE])
@pytest.mark.parametrize("seed", range(3))
def test_the_ground_gives_what_changes_the_momentum(g1: RobotModel, support: Support, seed: int) -> None:
    """Newton and Euler about the centre of mass, with Pinocchio's rate of the centroidal momentum."""
    d, model = Dynamics(g1), g1.pinocchio
    d.update(*random_state(g1, seed))
    torque = np.random.default_rng(seed).normal(0.0, 20.0, g1.n)
    wrench = ground_wrench(d.block, d.nv, int(support), torque)
    data = model.createData()
    a = np.zeros(model.nv)
    a[6:] = joint_acceleration(d.block, d.nv, int(support), torque)
    if support is Support.NONE:
        np.testing.assert_allclose(wrench, 0.0, atol=1e-6)
        return
    rows = np.eye(6, d.nv) if support is Support.BASE else d.sole_jacobian[SOLES[support][0]]
    drift = np.zeros(6) if support is Support.BASE else d.sole_drift[SOLES[support][0]]
    a[:6] = np.linalg.solve(rows[:, :6], -drift - rows[:, 6:] @ a[6:])
    pin.computeCentroidalMomentumTimeVariation(model, data, d.q, d.v, a)
    com, force = data.com[0], data.dhg.linear - data.mass[0] * model.gravity.linear
    np.testing.assert_allclose(wrench[:3], force, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(wrench[3:], data.dhg.angular + np.cross(com, force), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("contact", "support"),
    [((1.0, 1.0), Support.BOTH), ((0.6, 0.4), Support.LEFT), ((0.0, 1.0), Support.RIGHT), ((0.5, 0.0), Support.NONE)],
)
def test_the_support_is_what_more_than_half_stands(contact: tuple[float, float], support: Support) -> None:
    assert support_of(np.array(contact)) is support
