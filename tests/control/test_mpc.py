from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import integrate_dcm, plane_rotation, solve_quadprog, transfer

from poise.control.footsteps import orbit_plan
from poise.control.lip import transfer_shift
from poise.control.mpc import CUTS, OFFSETS, PARTS, SIZE, STEPS, LipMpc, MpcConfig, MpcInput, predict_steps
from poise.control.qp import DaqpSolver, kkt_residual
from poise.robots.types import Array

OMEGA, STEP_S, DOUBLE_SUPPORT = 3.98, 0.42, 0.04
KAPPA = float(transfer_shift(OMEGA, DOUBLE_SUPPORT))
CONFIG = MpcConfig()


def given(twist: tuple[float, float, float] = (0.4, 0.05, 0.3), time_left: float = STEP_S) -> MpcInput:
    """Left stance on the periodic orbit of a twist; the next foot is the right one."""
    first, second, here, there = orbit_plan(np.array(twist), STEP_S, 0.22, 1.0, OMEGA, KAPPA)
    came_from = plane_rotation(second[2]).T @ second[:2]
    dcm = (here + KAPPA * came_from) * np.exp(OMEGA * (STEP_S - time_left))
    steps = np.stack((first, second, first))
    outward = np.array([[-0.4, 0.5], [-0.45, -0.11]]), np.array([[-0.4, 0.5], [0.11, 0.45]])
    return MpcInput(
        dcm=dcm,
        omega=OMEGA,
        time_left=time_left,
        step_duration=STEP_S,
        kappa=KAPPA,
        step=steps[:, :2].copy(),
        turn=steps[:, 2].copy(),
        offset=np.stack((there, here, there)),
        reach=np.stack((outward[0], outward[1], outward[0])),
        cop_box=np.array([[-0.075, 0.075], [-0.014, 0.014]]),
        swing=np.zeros(2),
        swing_known=np.zeros(2),
        momentum=np.zeros(2),
    )


def yaws(g: MpcInput) -> Array:
    """Yaw of the stance sole and of the coming ones, rad."""
    return np.concatenate(([0.0], np.cumsum(g.turn)))


def simulate(g: MpcInput, x: Array) -> Array:
    """Displacements (STEPS, 2), stance axes, of the pendulum under the unknowns x, integrated with its double supports."""
    dcm, last, yaw, out = g.dcm, np.zeros(2), yaws(g), np.zeros((STEPS, 2))
    for step in range(STEPS):
        duration = (g.time_left if step == 0 else g.step_duration) / PARTS
        for part in range(PARTS):
            cut = 2 * (step * PARTS + part)
            shift = plane_rotation(yaw[step]) @ x[cut : cut + 2]
            overlap = DOUBLE_SUPPORT if step and part == 0 else 0.0
            dcm = simulate_part(dcm, shift, last, duration, overlap)
        offset = x[OFFSETS + 2 * step : OFFSETS + 2 * step + 2]
        out[step] = last = dcm - offset
        dcm = offset
    return out


def simulate_part(dcm: Array, shift: Array, last_step: Array, duration: float, double_support: float) -> Array:
    """An interval of constant ZMP shift, which begins with the ZMP still on its way from the old sole."""
    if double_support:
        zmp = transfer(last_step, double_support)
        dcm = integrate_dcm(dcm, lambda t: shift + zmp(t), OMEGA, double_support)
    return integrate_dcm(dcm, lambda t: shift, OMEGA, duration - double_support)


def random_unknowns(seed: int) -> Array:
    """Unknowns of the size that occurs."""
    rng = np.random.default_rng(seed)
    return np.concatenate((rng.uniform(-0.07, 0.07, 2 * CUTS), rng.uniform(-0.1, 0.1, 2 * STEPS), rng.uniform(0.0, 0.05, 2)))


def cost(g: MpcInput, x: Array, config: MpcConfig) -> float:
    """The weighted squares of the docstring, from the displacements of the pendulum."""
    yaw, constant_and_matrix = (
        yaws(g),
        predict_steps(g.dcm, g.omega, g.time_left, g.step_duration, g.kappa, yaws(g), g.swing, g.swing_known),
    )
    displacement = constant_and_matrix[0] + constant_and_matrix[1] @ x
    total = config.weight_zmp * float(x[:OFFSETS] @ x[:OFFSETS]) + config.weight_slack * float(x[-2:] @ x[-2:])
    for i in range(STEPS):
        u = plane_rotation(yaw[i]).T @ displacement[i]
        b = plane_rotation(yaw[i + 1]).T @ x[OFFSETS + 2 * i : OFFSETS + 2 * i + 2]
        weight = config.weight_terminal if i == STEPS - 1 else config.weight_offset
        total += config.weight_foothold * float(np.sum((u - g.step[i]) ** 2)) + weight * float(np.sum((b - g.offset[i]) ** 2))
    return total


@pytest.mark.parametrize("seed", range(3))
def test_prediction_is_the_simulated_pendulum(seed: int) -> None:
    g, x = given(time_left=0.2), random_unknowns(seed)
    constant, matrix = predict_steps(g.dcm, g.omega, g.time_left, g.step_duration, g.kappa, yaws(g), g.swing, g.swing_known)
    np.testing.assert_allclose(constant + matrix @ x, simulate(g, x), atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_quadratic_is_the_sum_of_squares(seed: int) -> None:
    g, mpc = given(), LipMpc(CONFIG)
    problem = mpc.problem(g)
    x, zero = random_unknowns(seed), np.zeros(SIZE)
    np.testing.assert_array_equal(problem.hessian, problem.hessian.T)
    quadratic = 0.5 * x @ problem.hessian @ x + problem.gradient @ x
    assert quadratic == pytest.approx(cost(g, x, CONFIG) - cost(g, zero, CONFIG), rel=1e-9)


@pytest.mark.parametrize("time_left", [STEP_S, 0.15])
@pytest.mark.parametrize("twist", [(0.0, 0.0, 0.0), (0.6, 0.0, 0.0), (0.3, 0.1, 0.6), (-0.3, 0.0, -0.5)])
def test_on_the_periodic_orbit_the_orbit_is_the_plan(twist: tuple[float, float, float], time_left: float) -> None:
    g = given(twist, time_left)
    plan = LipMpc(CONFIG).solve(g)
    assert plan.usable and plan.status == "ok"
    yaw, foothold = yaws(g), np.zeros(2)
    for i in range(STEPS):
        foothold = foothold + plane_rotation(yaw[i]) @ g.step[i]
        np.testing.assert_allclose(plan.footholds[i], [*foothold, yaw[i + 1]], atol=2e-3)
    np.testing.assert_allclose(plan.offset, plane_rotation(yaw[1]) @ g.offset[0], atol=1e-3)
    np.testing.assert_allclose(plan.zmp_shift, 0.0, atol=2e-3)
    assert plan.slack_m < 1e-3


@pytest.mark.parametrize("push", [(0.06, 0.0), (-0.05, 0.03), (0.0, -0.08), (0.03, 0.05)])
def test_a_pushed_plan_keeps_its_constraints_and_is_optimal(push: tuple[float, float]) -> None:
    g, mpc = given(time_left=0.25), LipMpc(CONFIG)
    g = replace(g, dcm=g.dcm + np.array(push))
    plan, problem = mpc.solve(g), mpc.problem(g)
    assert plan.usable, plan.status
    exact = DaqpSolver().solve(problem)
    np.testing.assert_allclose(exact.x, solve_quadprog(problem), atol=1e-7)
    assert max(kkt_residual(problem, exact)) < 1e-6
    constant, matrix = predict_steps(g.dcm, g.omega, g.time_left, g.step_duration, g.kappa, yaws(g), g.swing, g.swing_known)
    exact_footholds = np.cumsum(constant + matrix @ exact.x, axis=0)
    np.testing.assert_allclose(plan.footholds[0, :2], exact_footholds[0], atol=2e-3)
    np.testing.assert_allclose(plan.offset, exact.x[OFFSETS : OFFSETS + 2], atol=2e-3)
    last = np.zeros(2)
    for i in range(STEPS):
        u = plane_rotation(yaws(g)[i]).T @ (plan.footholds[i, :2] - last)
        last = plan.footholds[i, :2]
        assert (u >= g.reach[i, :, 0] - 1e-4).all() and (u <= g.reach[i, :, 1] + 1e-4).all()
    assert (np.abs(plan.zmp_shift) <= g.cop_box[:, 1] + 1e-4).all()


def test_a_step_catches_a_push_towards_it() -> None:
    calm = given((0.0, 0.0, 0.0), 0.25)
    pushed = replace(calm, dcm=calm.dcm + np.array([0.05, 0.0]))
    ahead = LipMpc(CONFIG).solve(pushed).footholds[0, 0] - LipMpc(CONFIG).solve(calm).footholds[0, 0]
    # The CoP takes a part of what the step must.
    assert 0.01 < ahead < 0.05 * np.exp(OMEGA * 0.25)


def test_a_dcm_that_cannot_be_caught_is_said() -> None:
    g = given(time_left=0.3)
    plan = LipMpc(CONFIG).solve(replace(g, dcm=g.dcm + np.array([1.0, 0.0])))
    assert not plan.usable
    assert plan.status not in ("", "ok")


def test_nan_is_not_usable() -> None:
    plan = LipMpc(CONFIG).solve(replace(given(), dcm=np.array([np.nan, 0.0])))
    assert not plan.usable
    assert "not finite" in plan.status


def test_plans_do_not_depend_on_the_plan_before() -> None:
    mpc = LipMpc(CONFIG)
    mpc.solve(given((-0.3, 0.1, 0.5), 0.1))
    again, alone = mpc.solve(given()), LipMpc(CONFIG).solve(given())
    np.testing.assert_array_equal(again.footholds, alone.footholds)
    np.testing.assert_array_equal(again.zmp_shift, alone.zmp_shift)
