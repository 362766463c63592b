from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from oracles import random_state

from poise.control.dynamics import Dynamics
from poise.control.rooted import RootedTree, inverse_dynamics, room_for, root_at
from poise.robots import RobotModel
from poise.robots.tree import build_tree
from poise.robots.types import Array

GRAVITY = np.array([0.0, 0.0, -9.81])


def sole_link(robot: RobotModel, side: int) -> int:
    """The link that carries a sole: link i + 1 moves with joint i, which is Pinocchio's joint i + 2."""
    return int(robot.pinocchio.frames[robot.sole_frames[side]].parentJoint) - 1


def torque_of(t: RootedTree, q: Array, v: Array, a: Array, gravity_root: Array) -> Array:
    out = np.full(q.size, np.nan)
    inverse_dynamics(t, q, v, a, gravity_root, room_for(q.size), out)
    return out


@pytest.mark.parametrize("seed", range(4))
def test_on_a_fixed_base_it_is_pinocchios(g1: RobotModel, seed: int) -> None:
    d, rng = Dynamics(g1), np.random.default_rng(seed)
    q, v = random_state(g1, seed)
    v[:6], a = 0.0, np.concatenate((np.zeros(6), rng.normal(0.0, 30.0, g1.n)))
    expected = pin.rnea(g1.pinocchio, d.data, q, v, a)
    base = pin.Quaternion(q[6], q[3], q[4], q[5]).toRotationMatrix()
    found = torque_of(root_at(build_tree(g1.pinocchio), 0), q[7:], v[6:], a[6:], base.T @ GRAVITY)
    np.testing.assert_allclose(found, expected[6:], atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_on_one_sole_the_ground_gives_what_the_base_lacks(g1: RobotModel, side: int, seed: int) -> None:
    """The floating base moves so that the sole stands still; the sole's wrench closes its six rows."""
    d, rng = Dynamics(g1), np.random.default_rng(10 + seed)
    q, v = random_state(g1, seed)
    d.update(q, v)
    jacobian, accel = d.sole_jacobian[side], rng.normal(0.0, 30.0, g1.n)
    v[:6] = -np.linalg.solve(jacobian[:, :6], jacobian[:, 6:] @ v[6:])
    d.update(q, v)
    base = -np.linalg.solve(jacobian[:, :6], jacobian[:, 6:] @ accel + d.sole_drift[side])
    needed = d.mass_matrix @ np.concatenate((base, accel)) + d.bias
    wrench = np.linalg.solve(jacobian[:, :6].T, needed[:6])
    expected = needed[6:] - jacobian[:, 6:].T @ wrench
    found = torque_of(root_at(build_tree(g1.pinocchio), sole_link(g1, side)), q[7:], v[6:], accel, d.sole_rotation[side].T @ GRAVITY)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_a_slide_is_passed_both_ways() -> None:
    """Two sliding masses on a slope, from the base and from the last: F = m (a − g) along the slope, whichever end is held."""
    model = pin.Model()
    base = model.addJoint(0, pin.JointModelFreeFlyer(), pin.SE3.Identity(), "base")
    first = model.addJoint(base, pin.JointModelPrismaticUnaligned(np.array([1.0, 0.0, 0.0])), pin.SE3.Identity(), "one")
    last = model.addJoint(first, pin.JointModelPrismaticUnaligned(np.array([1.0, 0.0, 0.0])), pin.SE3.Identity(), "two")
    for joint, mass in ((base, 5.0), (first, 2.0), (last, 3.0)):
        model.appendBodyToJoint(joint, pin.Inertia(mass, np.zeros(3), np.eye(3)), pin.SE3.Identity())
    tree, a, g = build_tree(model), np.array([0.5, -0.2]), np.array([-4.0, 0.0, 0.0])
    still = np.zeros(2)
    np.testing.assert_allclose(torque_of(root_at(tree, 0), still, still, a, g), [2.0 * 4.5 + 3.0 * 4.3, 3.0 * 4.3])
    held = torque_of(root_at(tree, 2), still, still, a, g)  # the others go the other way
    np.testing.assert_allclose(held, [-5.0 * (-0.3 + 4.0), -5.0 * (-0.3 + 4.0) - 2.0 * (0.2 + 4.0)])
