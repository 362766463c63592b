"""Other ways to the same answers: pendulums by numerical integration, QPs by another method; and states to try them at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pinocchio as pin
import quadprog
from scipy.integrate import solve_ivp

from poise.control.qp import QpProblem
from poise.robots import RobotModel
from poise.robots.types import Array


def integrate_dcm(dcm: Array, zmp: Callable[[float], Array], omega: float, duration_s: float) -> Array:
    """The DCM after `duration_s` of ξ̇ = ω(ξ − p(t)), by Runge-Kutta; p must be smooth."""
    run = solve_ivp(lambda t, xi: omega * (xi - zmp(t)), (0.0, duration_s), dcm, rtol=1e-11, atol=1e-13)
    return np.asarray(run.y[:, -1])


def transfer(last_step: Array, double_support_s: float) -> Callable[[float], Array]:
    """ZMP from the new sole t s after touchdown, moving linearly from the old sole."""
    return lambda t: -last_step * max(0.0, 1.0 - t / double_support_s)


def integrate_step(dcm: Array, last_step: Array, omega: float, step_s: float, double_support_s: float) -> Array:
    """DCM from the stance sole at the end of a step whose ZMP comes from the old sole during the double support."""
    if double_support_s > 0.0:
        dcm = integrate_dcm(dcm, transfer(last_step, double_support_s), omega, double_support_s)
    return integrate_dcm(dcm, lambda t: np.zeros(2), omega, step_s - double_support_s)


def plane_rotation(angle: float) -> Array:
    """Rotation matrix (2, 2)."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def solve_quadprog(problem: QpProblem) -> Array:
    """The exact solution by Goldfarb and Idnani's method, which is no backend of ours."""
    stacked = np.concatenate((np.eye(problem.gradient.size), problem.rows))
    equal = problem.lower == problem.upper
    low, high = (problem.lower > -1e29) & ~equal, (problem.upper < 1e29) & ~equal
    normals = np.concatenate((stacked[equal], stacked[low], -stacked[high]))
    bounds = np.concatenate((problem.lower[equal], problem.lower[low], -problem.upper[high]))
    return np.asarray(quadprog.solve_qp(problem.hessian, -problem.gradient, normals.T.copy(), bounds, int(equal.sum()))[0])


def random_state(g1: RobotModel, seed: int) -> tuple[Array, Array]:
    """A tumbling robot: configuration (nq,) and velocity (nv,)."""
    rng = np.random.default_rng(seed)
    q = g1.standing_configuration()
    q[7:] += rng.uniform(-0.3, 0.3, g1.n)
    q = pin.integrate(g1.pinocchio, q, np.concatenate((rng.normal(0.0, 0.5, 6), np.zeros(g1.n))))
    return np.asarray(q), rng.normal(0.0, 1.0, g1.pinocchio.nv)
