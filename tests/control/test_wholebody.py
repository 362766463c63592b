from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pinocchio as pin
import pytest
from oracles import random_state, solve_quadprog
from scipy.spatial import ConvexHull

from poise.control.dynamics import Dynamics
from poise.control.lip import GRAVITY
from poise.control.qp import DaqpSolver, kkt_residual
from poise.control.tasks import TaskWeights
from poise.control.wholebody import WholeBody, WholeBodyConfig, WholeBodySolution, WholeBodyTargets
from poise.robots import RobotModel
from poise.robots.types import LEFT, RIGHT, Array

BOTH, LEFT_ONLY = np.ones(2), np.array([1.0, 0.0])


def standing(g1: RobotModel) -> Dynamics:
    """At rest in the nominal posture."""
    d = Dynamics(g1)
    d.update(g1.standing_configuration(), np.zeros(g1.pinocchio.nv))
    return d


def leaning(g1: RobotModel) -> Dynamics:
    """At rest, rolled about the ankles until the centre of mass is over the left sole; both soles stay level."""
    d = Dynamics(g1)
    names, start = g1.joint_names, g1.standing_configuration()
    d.update(start, np.zeros(g1.pinocchio.nv))
    low, high = 0.0, 0.4
    for _ in range(40):
        roll = 0.5 * (low + high)
        q = start.copy()
        q[3:7] = [-np.sin(roll / 2), 0.0, 0.0, np.cos(roll / 2)]
        q[7:] = g1.posture
        for side in ("left", "right"):
            q[7 + names.index(f"{side}_ankle_roll_joint")] += roll
        d.update(q, np.zeros(g1.pinocchio.nv))
        if d.com[1] > d.sole_position[LEFT, 1]:
            low, high = low, roll
        else:
            low, high = roll, high
    return d


def still(height: float) -> Array:
    """A height, m, that stays."""
    return np.array([height, 0.0, 0.0])


def at_rest(d: Dynamics, contact: Array, **changes: Any) -> WholeBodyTargets:
    """Targets that ask for nothing to move."""
    n = d.robot.n
    swing = np.zeros((3, 3))
    swing[0] = d.sole_position[RIGHT]
    heading, torso = float(pin.rpy.matrixToRpy(d.base_rotation)[2]), pin.rpy.matrixToRpy(d.torso_rotation)
    torso[2] -= heading
    rest = WholeBodyTargets(
        np.zeros(2), still(float(d.com[2])), heading, torso, 0.0, contact, swing, 0.0, np.zeros(2), 0.0, d.q[7:].copy(), np.zeros(n), 0.0
    )
    return rest._replace(**changes)


def centre_of_pressure(d: Dynamics, s: WholeBodySolution) -> Array:
    """Where the sole forces act together: Σ(p f_z + (−m_y, m_x)) / Σf_z, (2,) m in the world."""
    moments = np.column_stack((-s.wrench[:, 4], s.wrench[:, 3]))
    return np.asarray((d.sole_position[:, :2] * s.wrench[:, 2:3] + moments).sum(axis=0) / s.wrench[:, 2].sum())


def generalised_error(d: Dynamics, s: WholeBodySolution) -> Array:
    """M q̈ + h − Jᵀf − Sᵀτ, (nv,), with M q̈ + h by Newton and Euler's recursion."""
    inverse = pin.rnea(d.model, d.model.createData(), d.q, d.v, s.acceleration)
    contact = sum(d.sole_jacobian[foot].T @ s.wrench[foot] for foot in range(2))
    return np.asarray(inverse - contact - np.concatenate((np.zeros(6), s.torque)))


@pytest.mark.parametrize("contact", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_solution_obeys_the_dynamics(g1: RobotModel, contact: tuple[float, float], seed: int) -> None:
    q, v = random_state(g1, seed)
    q[3:7] = [0.02, -0.03, 0.1, np.sqrt(1.0 - 0.02**2 - 0.03**2 - 0.1**2)]
    d = Dynamics(g1)
    d.update(q, 0.2 * v)
    wish = at_rest(d, np.array(contact), joints=g1.posture, com_acceleration_xy=np.array([0.3, -0.5]))
    solution = WholeBody(g1, WholeBodyConfig()).solve(d, wish)
    assert solution.source == "daqp"
    np.testing.assert_allclose(generalised_error(d, solution), 0.0, atol=2e-4)
    assert (np.abs(solution.torque) <= g1.torque_limit).all()
    force = np.stack([d.sole_rotation[foot].T @ solution.wrench[foot, :3] for foot in range(2)])
    assert (np.hypot(force[:, 0], force[:, 1]) <= g1.overlay.friction * force[:, 2] + 1e-3).all()
    assert force[:, 2].sum() <= 1.5 * g1.mass * GRAVITY + 0.01
    np.testing.assert_array_equal(solution.wrench[np.array(contact) == 0.0], 0.0)


def test_rows_are_base_dynamics_and_joint_torques(g1: RobotModel) -> None:
    """At any (q̈, λ): rows give generalised force less bias; their bounds are 0 for the base, ± the limit for the joints."""
    q, v = random_state(g1, 3)
    d = Dynamics(g1)
    d.update(q, v)
    problem, wrench_map = WholeBody(g1, WholeBodyConfig()).problem(d, at_rest(d, BOTH))
    rng, nv = np.random.default_rng(0), g1.pinocchio.nv
    vdot, multiplier = rng.normal(0.0, 5.0, nv), rng.random(wrench_map.shape[1])
    newton = g1.mass * GRAVITY / 16.0  # the unit of λ
    force = newton * wrench_map @ multiplier
    expected = pin.rnea(d.model, d.model.createData(), q, v, vdot) - force @ d.sole_jacobian.reshape(12, nv)
    rows = problem.rows @ np.concatenate((vdot, multiplier))
    np.testing.assert_allclose(rows[:nv] + d.bias, expected, rtol=1e-9, atol=1e-8)
    n = problem.gradient.size
    limit = np.concatenate((np.zeros(6), g1.torque_limit))
    np.testing.assert_allclose(problem.lower[n : n + nv] + d.bias, -limit, atol=1e-9)
    np.testing.assert_allclose(problem.upper[n : n + nv] + d.bias, limit, atol=1e-9)
    assert rows[nv] == pytest.approx(np.sum(multiplier))  # total normal force in that unit
    assert problem.upper[n + nv] * newton == pytest.approx(WholeBodyConfig().force_max * g1.mass * GRAVITY)
    assert (problem.lower[nv:n] == 0.0).all()


def test_standing_still_carries_the_weight_under_the_centre_of_mass(g1: RobotModel) -> None:
    d = standing(g1)
    solution = WholeBody(g1, WholeBodyConfig()).solve(d, at_rest(d, BOTH))
    assert solution.source == "daqp" and solution.residual <= 1e-4
    np.testing.assert_allclose(solution.acceleration, 0.0, atol=0.05)
    np.testing.assert_allclose(solution.wrench[:, :3].sum(axis=0), [0.0, 0.0, g1.mass * GRAVITY], atol=0.5)
    np.testing.assert_allclose(centre_of_pressure(d, solution), d.com[:2], atol=1e-3)
    # The robot is symmetric but for millimetres of its centre of mass.
    assert solution.wrench[LEFT, 2] == pytest.approx(solution.wrench[RIGHT, 2], rel=0.05)


def test_torque_on_one_leg_is_gravity_compensation(g1: RobotModel) -> None:
    """With the weight over one flat foot statics has one answer: the foot carries it all, the joints hold the rest.

    Without the task that would right the leaning pelvis.
    """
    d = leaning(g1)
    np.testing.assert_allclose(d.sole_rotation[LEFT], np.eye(3), atol=1e-9)
    assert abs(d.com[1] - d.sole_position[LEFT, 1]) < 1e-6
    config = WholeBodyConfig(weights=TaskWeights(pelvis=0.0, pelvis_yaw=0.0))
    solution = WholeBody(g1, config).solve(d, at_rest(d, LEFT_ONLY))
    weight = np.array([0.0, 0.0, g1.mass * GRAVITY])
    wrench = np.concatenate((weight, np.cross(d.com - d.sole_position[LEFT], weight)))
    gravity = pin.computeGeneralizedGravity(d.model, d.model.createData(), d.q)
    static = gravity - d.sole_jacobian[LEFT].T @ wrench
    np.testing.assert_allclose(static[:6], 0.0, atol=1e-9)
    np.testing.assert_allclose(solution.torque, static[6:], atol=0.5)
    assert np.abs(static[6:]).max() > 10.0
    np.testing.assert_allclose(solution.wrench[LEFT], wrench, atol=0.5)


def test_the_centre_of_mass_goes_where_it_is_asked_and_the_feet_stay(g1: RobotModel) -> None:
    d = standing(g1)
    wish = at_rest(d, BOTH, com_acceleration_xy=np.array([0.4, 0.2]), com_height=still(float(d.com[2]) + 0.01))
    solution = WholeBody(g1, WholeBodyConfig()).solve(d, wish)
    com_acceleration = (d.centroidal_map @ solution.acceleration)[:3] / g1.mass
    np.testing.assert_allclose(com_acceleration, [0.4, 0.2, 1.0], atol=0.15)  # weighed against posture and attitude
    for foot in range(2):
        np.testing.assert_allclose(d.sole_jacobian[foot] @ solution.acceleration, 0.0, atol=0.05)
    # Linear momentum: the force is the weight and what accelerates the centre of mass.
    np.testing.assert_allclose(solution.wrench[:, :3].sum(axis=0), g1.mass * (com_acceleration + np.array([0.0, 0.0, GRAVITY])), atol=1e-3)


def test_a_wish_beyond_the_feet_stops_at_their_edge(g1: RobotModel) -> None:
    """Asked to accelerate as if the ZMP were far behind, the CoP stays in the support polygon."""
    d = standing(g1)
    solution = WholeBody(g1, WholeBodyConfig()).solve(d, at_rest(d, BOTH, com_acceleration_xy=np.array([8.0, 0.0])))
    corners = np.array([d.sole_position[foot, :2] + vertex for foot in range(2) for vertex in g1.overlay.sole_polygon])
    hull = ConvexHull(corners)
    assert (hull.equations[:, :2] @ centre_of_pressure(d, solution) + hull.equations[:, 2]).max() < 1e-4
    assert centre_of_pressure(d, solution)[0] < corners[:, 0].min() + 0.02


@pytest.mark.parametrize("rate", [20.0, -20.0])
def test_a_turn_beyond_yaw_friction_stops_at_it(g1: RobotModel, rate: float) -> None:
    """Asked to spin faster than the ground can drive, each foot gives what yaw friction allows and no more."""
    d = leaning(g1)
    solution = WholeBody(g1, WholeBodyConfig()).solve(d, at_rest(d, LEFT_ONLY, yaw_rate=rate))
    assert solution.source == "daqp"
    most = g1.overlay.yaw_friction_m * solution.wrench[LEFT, 2]
    assert abs(solution.wrench[LEFT, 5]) <= most + 1e-3
    assert np.sign(rate) * solution.wrench[LEFT, 5] == pytest.approx(most, abs=0.01)


def test_solution_is_quadprogs(g1: RobotModel) -> None:
    d = standing(g1)
    problem, _ = WholeBody(g1, WholeBodyConfig()).problem(d, at_rest(d, BOTH, com_acceleration_xy=np.array([0.5, 0.3])))
    ours, exact = DaqpSolver(tolerance=1e-4).solve(problem), solve_quadprog(problem)
    nv = g1.pinocchio.nv
    np.testing.assert_allclose(ours.x[:nv], exact[:nv], atol=1e-3)
    np.testing.assert_allclose(ours.x, exact, atol=2e-2)

    def cost(x: Array) -> float:
        return float(0.5 * x @ problem.hessian @ x + problem.gradient @ x)

    assert cost(ours.x) == pytest.approx(cost(exact), rel=1e-6, abs=1e-6)
    stationarity, violation, _ = kkt_residual(problem, ours)
    assert stationarity < 1e-6 * np.abs(problem.hessian).max() and violation <= 1e-4


def test_osqp_agrees_within_its_tolerance(g1: RobotModel) -> None:
    d = standing(g1)
    wish = at_rest(d, BOTH, com_acceleration_xy=np.array([0.5, 0.3]))
    exact = WholeBody(g1, WholeBodyConfig()).solve(d, wish)
    split = WholeBody(g1, WholeBodyConfig(solver="osqp", tolerance=1e-2)).solve(d, wish)
    assert split.source == "osqp"
    np.testing.assert_allclose(split.torque, exact.torque, atol=2.0)
    np.testing.assert_allclose(split.wrench.sum(axis=0), exact.wrench.sum(axis=0), atol=2.0)


def test_only_what_walking_keeps_from_a_part_of_its_range_is_sent_back_from_anywhere(g1: RobotModel) -> None:
    beyond = WholeBody(g1, WholeBodyConfig())._posture.beyond
    assert {name for name, far in zip(g1.joint_names, beyond, strict=True) if far == np.inf} == {"left_knee_joint", "right_knee_joint"}


def test_an_infeasible_problem_holds_the_posture(g1: RobotModel) -> None:
    """Less than no force allowed: both solvers fail, and the joint gains answer."""
    d = standing(g1)
    wish = at_rest(d, BOTH, joints=g1.posture + 1.0)
    solution = WholeBody(g1, WholeBodyConfig(force_max=-1.0)).solve(d, wish)
    assert solution.source == "hold"
    np.testing.assert_allclose(solution.torque, np.minimum(g1.hold_kp * 1.0, g1.torque_limit))
    assert np.isfinite(solution.acceleration).all() and np.isfinite(solution.wrench).all()


@pytest.mark.parametrize("row", [3, 10, 30])
def test_nan_in_the_model_holds_the_posture(g1: RobotModel, row: int) -> None:
    d, whole_body = standing(g1), WholeBody(g1, WholeBodyConfig())
    before = whole_body.solve(d, at_rest(d, BOTH))
    d.bias[row] = np.nan
    failed = whole_body.solve(d, at_rest(d, BOTH))
    assert failed.source == "hold" and np.isfinite(failed.torque).all()
    d.update(d.q.copy(), d.v.copy())
    after = whole_body.solve(d, at_rest(d, BOTH))
    np.testing.assert_array_equal(after.torque, before.torque)


def test_solutions_do_not_depend_on_the_tick_before(g1: RobotModel) -> None:
    d = standing(g1)
    wish, other = at_rest(d, BOTH), at_rest(d, LEFT_ONLY, com_acceleration_xy=np.array([0.0, 2.0]))
    stream, alone = WholeBody(g1, WholeBodyConfig()), WholeBody(g1, WholeBodyConfig())
    stream.solve(d, at_rest(d, BOTH, com_acceleration_xy=np.array([5.0, -3.0])))
    stream.solve(d, other)
    np.testing.assert_array_equal(stream.solve(d, wish).torque, alone.solve(d, wish).torque)


def test_urgency_leads_from_the_calm_weights_to_the_urgent_ones(g1: RobotModel) -> None:
    """The same solution as of a whole body that has nothing but the weights of that end."""
    d = Dynamics(g1)
    d.update(g1.standing_configuration(), np.zeros(g1.pinocchio.nv))
    config = WholeBodyConfig()
    urgent = replace(config, weights=config.weights_urgent, gains=config.gains_urgent, weight_arms=config.weight_arms_urgent)
    wish = at_rest(d, LEFT_ONLY, com_acceleration_xy=np.array([1.0, 2.0]))
    whole_body = WholeBody(g1, config)
    at_ends = [whole_body.solve(d, wish._replace(urgency=urgency)).torque for urgency in (0.0, 1.0)]
    for torque, alone in zip(at_ends, (config, urgent), strict=True):
        np.testing.assert_allclose(torque, WholeBody(g1, alone).solve(d, wish).torque, atol=1e-6)
    assert np.abs(at_ends[1] - at_ends[0]).max() > 0.1
