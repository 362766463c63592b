"""The MPC's problem written a second time: multiple shooting in the DCM and the footholds, solved by an interior point."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import casadi as ca
import numpy as np
import pytest
from oracles import plane_rotation
from test_mpc import CONFIG, STEP_S, given, yaws

from poise.control.mpc import OFFSETS, PARTS, STEPS, LipMpc, MpcInput, predict_steps
from poise.control.qp import DaqpSolver
from poise.robots.types import Array


def turn(angle: float) -> Any:
    """Rotation matrix (2, 2) for CasADi."""
    return ca.DM(plane_rotation(angle))


def solve_by_shooting(g: MpcInput) -> tuple[Array, Array, Array]:
    """Footholds (STEPS, 2), the first touchdown's DCM offset (2,) and the first ZMP shift (2,), all m in stance axes.

    States are absolute: the DCM at every node, the soles and the ZMP. Each interval is one row of ξ⁺ = p + E (ξ − p).
    """
    problem: Any = ca.Opti()
    tolerance, yaw = CONFIG.tolerance, yaws(g)
    soles: list[Any] = [ca.DM.zeros(2), *(problem.variable(2) for _ in range(STEPS))]
    cost: Any = 0
    slack, zmp = problem.variable(2), []
    problem.subject_to(problem.bounded(0, slack, CONFIG.slack_max_m))
    start = problem.variable(2)
    problem.subject_to(start == ca.DM(g.dcm))
    offset = start
    for step in range(STEPS):
        left, landing = turn(yaw[step]), turn(yaw[step + 1])
        growth = float(np.exp(g.omega * (g.step_duration if step else g.time_left) / PARTS))
        for _ in range(PARTS):
            zmp.append(problem.variable(2))
            end = problem.variable(2)
            problem.subject_to(end == zmp[-1] + growth * (start - zmp[-1]))
            shift = left.T @ (zmp[-1] - soles[step])
            problem.subject_to(problem.bounded(g.cop_box[:, 0] + tolerance, shift, g.cop_box[:, 1] - tolerance))
            cost += CONFIG.weight_zmp * ca.sumsqr(shift)
            start = end
        # The swing foot on its way from the sole before this one, or from where it is, to the next one.
        way = soles[step + 1] - soles[step - 1] if step else soles[1]
        start = start + float(g.swing[min(step, 1)]) * way + (0.0 if step else ca.DM(g.swing_known))
        stride = left.T @ (soles[step + 1] - soles[step])
        problem.subject_to(problem.bounded(g.reach[step, :, 0] + tolerance, stride, g.reach[step, :, 1] - tolerance))
        error = landing.T @ (start - soles[step + 1]) - g.offset[step]
        weight = CONFIG.weight_offset if step < STEPS - 1 else CONFIG.weight_terminal
        cost += CONFIG.weight_foothold * ca.sumsqr(stride - g.step[step]) + weight * ca.sumsqr(error)
        if step == 0:
            offset = start - soles[1]
        # The transfer of the ZMP during double support acts like an instant shift of the DCM by κ times the displacement.
        after = problem.variable(2)
        problem.subject_to(after == start + g.kappa * (soles[step + 1] - soles[step]))
        last, start = start, after
    # The terminal bound is by axis of the stance frame.
    error = last - soles[STEPS] - turn(yaw[STEPS]) @ ca.DM(g.offset[-1])
    problem.subject_to(problem.bounded(-ca.inf, error - slack, CONFIG.capturable_m - tolerance))
    problem.subject_to(problem.bounded(-CONFIG.capturable_m + tolerance, error + slack, ca.inf))
    problem.minimize(cost + CONFIG.weight_slack * ca.sumsqr(slack))
    problem.solver("ipopt", {"print_time": False}, {"print_level": 0, "sb": "yes", "tol": 1e-9})
    found = problem.solve()
    value = found.value
    return np.array([value(sole) for sole in soles[1:]]), np.asarray(value(offset)), np.asarray(value(zmp[0]))


@pytest.mark.parametrize("swing", [(0.0, 0.0), (0.15, 0.22)])
@pytest.mark.parametrize(
    ("twist", "time_left", "push"),
    [
        ((0.0, 0.0, 0.0), STEP_S, (0.0, 0.0)),
        ((0.6, 0.0, 0.0), 0.3, (0.0, 0.0)),
        ((0.4, 0.05, 0.3), 0.25, (0.06, 0.0)),
        ((0.4, 0.05, 0.3), 0.25, (-0.05, 0.03)),
        ((-0.3, 0.1, -0.5), 0.2, (0.0, -0.08)),
        ((0.2, 0.0, 0.8), 0.2, (0.03, 0.02)),
    ],
)
def test_condensed_problem_has_the_solution_of_the_shooting_one(
    twist: tuple[float, float, float], time_left: float, push: tuple[float, float], swing: tuple[float, float]
) -> None:
    g = given(twist, time_left)
    g = replace(g, dcm=g.dcm + np.array(push), swing=np.array(swing), swing_known=np.array([0.02, -0.01]) * bool(swing[0]))
    mpc = LipMpc(CONFIG)
    plan, exact = mpc.solve(g), DaqpSolver().solve(mpc.problem(g)).x
    footholds, offset, shift = solve_by_shooting(g)
    constant, matrix = predict_steps(g.dcm, g.omega, g.time_left, g.step_duration, g.kappa, yaws(g), g.swing, g.swing_known)
    np.testing.assert_allclose(np.cumsum(constant + matrix @ exact, axis=0), footholds, atol=1e-5)
    np.testing.assert_allclose(exact[OFFSETS : OFFSETS + 2], offset, atol=1e-5)
    assert plan.usable, plan.status
    np.testing.assert_allclose(plan.footholds[:, :2], footholds, atol=1e-3)
    np.testing.assert_allclose(plan.offset, offset, atol=1e-3)
    np.testing.assert_allclose(plan.zmp_shift, shift, atol=1e-3)
