from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import random_state

from poise.control.condensed import work_of, work_sizes
from poise.control.dynamics import Dynamics
from poise.control.wholebody import WholeBody, WholeBodyConfig, WholeBodyTargets
from poise.robots import RobotModel
from poise.robots.types import Array

CONTACTS = [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]


@pytest.mark.parametrize("nf", [0, 16, 32])
def test_the_parts_fill_the_block(nf: int) -> None:
    block = np.zeros(work_sizes.py_func(35, nf).sum())
    for part in work_of.py_func(block, 35, nf):
        part += 1.0
    np.testing.assert_array_equal(block, 1.0)


def case(g1: RobotModel, seed: int, contact: tuple[float, float]) -> tuple[Dynamics, WholeBodyTargets]:
    """A random state, upright, and targets that pull at everything."""
    rng, d = np.random.default_rng(seed), Dynamics(g1)
    q, v = random_state(g1, seed)
    q[3:7] = [0.02, -0.03, 0.1, np.sqrt(1.0 - 0.02**2 - 0.03**2 - 0.1**2)]
    d.update(q, 0.3 * v)
    swing = rng.normal(0.0, 1.0, (3, 3))
    swing[0] = d.sole_position[int(contact[0])] + rng.normal(0.0, 0.02, 3)
    wanted = g1.posture + rng.normal(0.0, 0.2, g1.n)
    pull, speed = rng.normal(0.0, 1.0, 2), rng.normal(0.0, 1.0, g1.n)
    height = np.array([float(d.com[2]) + 0.01, 0.1, 1.0])
    slope = rng.normal(0.0, 0.1, 2)
    return d, WholeBodyTargets(pull, height, 0.0, np.zeros(3), 0.2, np.array(contact), swing, 0.1, slope, 1.5, wanted, speed, 0.3)


@pytest.mark.parametrize("contact", CONTACTS)
@pytest.mark.parametrize("weak", [1.0, 0.7])
def test_condensed_is_the_whole_problem(g1: RobotModel, contact: tuple[float, float], weak: float) -> None:
    """Same motion, forces and torques, with joint limits met and without: two formulations, two matrices."""
    robot = replace(g1, torque_limit=weak * g1.torque_limit)
    whole_body, met, solved = WholeBody(robot, WholeBodyConfig()), 0, 0
    for seed in range(20):
        d, t = case(robot, seed, contact)
        ours, whole = whole_body._solve_condensed(d, t), whole_body._solve_whole(d, t)
        if ours is None or whole.source != "daqp":
            continue
        solved += 1
        low, high = bounds(whole_body, d, t)
        met += int(((whole.acceleration[6:] > high - 1e-6) | (whole.acceleration[6:] < low + 1e-6)).sum())
        met += int((np.abs(whole.torque) > robot.torque_limit - 1e-6).sum())
        np.testing.assert_allclose(ours.acceleration, whole.acceleration, atol=2e-3)
        np.testing.assert_allclose(ours.torque, whole.torque, atol=2e-3)
        np.testing.assert_allclose(ours.wrench, whole.wrench, atol=2e-2)
    assert solved >= (16 if any(contact) else 4) and met > 0


def bounds(whole_body: WholeBody, d: Dynamics, t: WholeBodyTargets) -> tuple[Array, Array]:
    """Of the joint accelerations."""
    problem, _ = whole_body.problem(d, t)
    return problem.lower[6 : d.v.size].copy(), problem.upper[6 : d.v.size].copy()


def test_more_limits_than_rows_are_left_to_the_whole_problem(g1: RobotModel) -> None:
    """In the air in a random posture, with more limits met than there are rows."""
    whole_body = WholeBody(g1, WholeBodyConfig())
    d, t = case(g1, 1, (0.0, 0.0))
    assert whole_body._solve_condensed(d, t) is None
    solution, (low, high) = whole_body.solve(d, t), bounds(whole_body, d, t)
    assert solution.source == "daqp"
    met = (solution.acceleration[6:] > high - 1e-6) | (solution.acceleration[6:] < low + 1e-6)
    met |= np.abs(solution.torque) > g1.torque_limit - 1e-6
    assert met.sum() > 3
