"""The plan that knows angular momentum: against the pendulum integrated with it, the LIP's plan, another solver, and bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import casadi as ca
import numpy as np
import pytest
from loop import make_loop, torques
from oracles import plane_rotation, solve_quadprog, transfer
from scipy.integrate import solve_ivp
from test_mpc import CONFIG, DOUBLE_SUPPORT, OMEGA, given, yaws

from poise.control.centroidal_mpc import CUTS, MOMENTS, OFFSETS, PARTS, ROWS, SIZE, SLACK, CentroidalMpc, formulate
from poise.control.mpc import STEPS, CentroidalConfig, LipMpc, MpcInput
from poise.control.qp import QpProblem
from poise.control.reaction import dcm_of_swing
from poise.control.stack_config import StackConfig
from poise.control.tasks import TaskGains
from poise.control.walker_config import WalkerConfig
from poise.robots.types import Array

SHIFT = 0.006  # s², of the swing foot's acceleration
CENTROIDAL = CentroidalConfig()
STIFF = replace(CENTROIDAL, weight_moment=1e4, moment_max_m=1.0)  # trunk and arms come to rest as they will
RIGID = replace(CENTROIDAL, moment_max_m=0.0)


def swinging(g: MpcInput, foot: Array, velocity: Array) -> MpcInput:
    """The same with a swing foot at a place (2,) m from the stance sole and a velocity (2,) m/s."""
    gain, drift = dcm_of_swing(g.time_left, g.omega, SHIFT)
    in_air = dcm_of_swing(g.step_duration - DOUBLE_SUPPORT, g.omega, SHIFT)[0]
    return replace(g, swing=np.array([gain, in_air]), swing_known=drift * velocity - gain * foot)


def numbers(g: MpcInput) -> Array:
    """The parameters of `formulate`."""
    names = ("dcm", "momentum", "swing", "swing_known", "turn", "step", "offset", "omega", "time_left", "step_duration", "kappa")
    return np.concatenate([np.ravel(getattr(g, name)) for name in names])


def quadratic(g: MpcInput, config: CentroidalConfig) -> QpProblem:
    """The problem in numbers, by CasADi's derivatives."""
    mpc = CentroidalMpc(config)
    mpc.solve(g)
    lower, upper, low, high = mpc._bounds
    x, p, cost, rows, _ = formulate(config)
    hessian, gradient = ca.hessian(cost, x)
    parts = ca.Function("parts", [x, p], [hessian, gradient, ca.jacobian(rows, x), rows])(np.zeros(SIZE), numbers(g))
    h, q, a, constant = (np.asarray(part.full()) for part in parts)
    low, high = np.clip(low, -1e30, 1e30) - constant.ravel(), np.clip(high, -1e30, 1e30) - constant.ravel()
    return QpProblem(h, q.ravel(), a, np.concatenate((lower, low)), np.concatenate((upper, high)))


def integrate(state: Array, span: float, zmp: Any, moment: Array, swing: Any, omega: float) -> Array:
    """Centre of mass, its velocity and λ (6,) after `span` s of c̈ = ω²(c − p + s a − λ̇), λ̇ = moment, by Runge-Kutta."""

    def rate(t: float, y: Array) -> Array:
        push = omega**2 * (y[:2] - zmp(t) + SHIFT * swing(t) - moment)
        return np.concatenate((y[2:4], push, moment))

    return np.asarray(solve_ivp(rate, (0.0, span), state, rtol=1e-10, atol=1e-12).y[:, -1])


def cubic(way: Array, velocity: Array, duration: float, start: float) -> Any:
    """Acceleration (2,) at t + start s of a foot that comes to rest `way` on in `duration` s with the least ∫a²dt; 0 before it moves."""
    first, last = 6.0 * way / duration**2 - 4.0 * velocity / duration, -6.0 * way / duration**2 + 2.0 * velocity / duration
    return lambda t: (first + (last - first) * (t + start) / duration) * (t + start >= 0.0)


@pytest.mark.parametrize("seed", range(2))
def test_displacements_are_those_of_the_integrated_centroidal_dynamics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.concatenate((rng.uniform(-0.06, 0.06, 4 * CUTS), rng.uniform(-0.1, 0.1, 2 * STEPS), np.zeros(2)))
    foot, velocity = np.array([-0.1, -0.2]), np.array([0.9, 0.1])
    g = swinging(replace(given((0.4, 0.05, 0.3), 0.25), momentum=np.array([0.01, -0.02])), foot, velocity)
    unknowns, p, _, _, displacements = formulate(CENTROIDAL)
    found = np.asarray(ca.Function("found", [unknowns, p], [displacements])(x, numbers(g)).full()).T
    com = rng.uniform(-0.1, 0.1, 2)
    state = np.concatenate((com, g.omega * (g.dcm - com), g.momentum))
    last = np.zeros(2)
    for i in range(STEPS):
        span = (g.step_duration if i else g.time_left) / PARTS
        air = g.step_duration - DOUBLE_SUPPORT if i else g.time_left
        way, speed = (found[i] + last, np.zeros(2)) if i else (found[0] - foot, velocity)
        for k in range(PARTS):
            cut = i * PARTS + k
            shift, moment = plane_rotation(yaws(g)[i]) @ x[2 * cut : 2 * cut + 2], x[MOMENTS + 2 * cut : MOMENTS + 2 * cut + 2]
            before = DOUBLE_SUPPORT if i and k == 0 else 0.0
            if before:
                moving = transfer(last, DOUBLE_SUPPORT)
                state = integrate(state, before, lambda t, s=shift, z=moving: s + z(t), moment, lambda t: np.zeros(2), OMEGA)
            acceleration = cubic(way, speed, air, k * span + before - (DOUBLE_SUPPORT if i else 0.0))
            state = integrate(state, span - before, lambda t, s=shift: s, moment, acceleration, OMEGA)
        reached = state[:2] + state[2:4] / OMEGA
        offset = x[OFFSETS + 2 * i : OFFSETS + 2 * i + 2]
        np.testing.assert_allclose(reached - offset, found[i], atol=1e-6)
        last = found[i]
        state[:2] -= last  # from the new sole


@pytest.mark.parametrize("push", [(0.0, 0.0), (0.06, 0.0), (-0.05, 0.03), (0.0, -0.08)])
def test_the_plan_is_the_optimum(push: tuple[float, float]) -> None:
    g = given(time_left=0.25)
    g = replace(g, dcm=g.dcm + np.array(push), momentum=np.array([0.01, -0.005]))
    mpc = CentroidalMpc(CENTROIDAL)
    plan = mpc.solve(g)
    assert plan.usable and plan.status == "ok"
    np.testing.assert_allclose(mpc._x, solve_quadprog(quadratic(g, CENTROIDAL)), atol=1e-6)


@pytest.mark.parametrize(("push", "within"), [((0.0, 0.0), 1e-3), ((0.06, 0.0), 3e-3), ((-0.05, 0.03), 3e-3), ((0.0, -0.08), 3e-3)])
@pytest.mark.parametrize("twist", [(0.0, 0.0, 0.0), (0.6, 0.0, 0.0), (0.3, 0.1, 0.6)])
def test_without_momentum_it_is_the_plan_of_the_lip(twist: tuple[float, float, float], push: tuple[float, float], within: float) -> None:
    """Up to what finer intervals of the ZMP, 6 a step for 4, change."""
    g = swinging(given(twist, 0.25), np.array([-0.1, -0.2]), np.zeros(2))
    g = replace(g, dcm=g.dcm + np.array(push) - np.exp(-OMEGA * 0.25) * (g.swing_known + g.swing[0] * g.step[0]))
    plan, lip = CentroidalMpc(RIGID).solve(g), LipMpc(CONFIG).solve(g)
    assert plan.usable and lip.usable
    np.testing.assert_allclose(plan.footholds, lip.footholds, atol=within)
    np.testing.assert_allclose(plan.offset, lip.offset, atol=within)


def test_a_swing_foot_s_momentum_moves_the_plan_by_its_reaction() -> None:
    """Over a ZMP that is held, what the DCM gains by touchdown is shared by the foothold and the offset from it."""
    still = replace(given(time_left=0.25), cop_box=np.array([[-2e-4, 2e-4], [-2e-4, 2e-4]]))
    foot, velocity = np.array([-0.15, -0.2]), np.array([1.2, 0.1])
    moved = swinging(still, foot, velocity)
    here, there = (CentroidalMpc(RIGID).solve(g) for g in (still, moved))
    gain, drift = dcm_of_swing(0.25, OMEGA, SHIFT)
    wanted = gain * (there.footholds[0, :2] - foot) + drift * velocity
    found = there.footholds[0, :2] + there.offset - here.footholds[0, :2] - here.offset
    assert np.abs(wanted).max() > 0.01
    np.testing.assert_allclose(found, wanted, atol=5e-4)  # the ZMP has ±0.1 mm


def test_momentum_of_trunk_and_arms_comes_back_as_motion_of_the_dcm() -> None:
    """Fading as e^{−γt} it adds ω γ/(ω + γ) (e^{ωT} − e^{−γT}) λ to the DCM at touchdown."""
    still = replace(given(time_left=0.25), cop_box=np.array([[-2e-4, 2e-4], [-2e-4, 2e-4]]))
    momentum = np.array([0.01, -0.006])
    here, there = (CentroidalMpc(STIFF).solve(g) for g in (still, replace(still, momentum=momentum)))
    decay = STIFF.momentum_decay
    wanted = OMEGA * decay / (OMEGA + decay) * (np.exp(OMEGA * 0.25) - np.exp(-decay * 0.25)) * momentum
    found = there.footholds[0, :2] + there.offset - here.footholds[0, :2] - here.offset
    np.testing.assert_allclose(found, wanted, rtol=0.02, atol=2e-4)


def test_trunk_and_arms_take_a_part_of_a_push() -> None:
    g = given(time_left=0.25)
    g = replace(g, dcm=g.dcm + np.array([0.08, 0.0]))
    mpc, rigid = CentroidalMpc(CENTROIDAL), CentroidalMpc(RIGID)
    assert mpc.solve(g).footholds[0, 0] < rigid.solve(g).footholds[0, 0] - 1e-3
    assert mpc._x[MOMENTS] > 0.005  # forward, like a ZMP ahead


@pytest.mark.parametrize("name", ["dcm", "momentum", "step", "reach"])
def test_what_is_not_finite_is_said(name: str) -> None:
    g = given()
    broken = np.full_like(getattr(g, name), np.nan)
    plan = CentroidalMpc(CENTROIDAL).solve(replace(g, **{name: broken}))
    assert not plan.usable and plan.status in ("data not finite", "bounds crossed")


def test_what_cannot_be_solved_is_said_and_leaves_no_trace() -> None:
    mpc, g = CentroidalMpc(CENTROIDAL), given((0.5, 0.0, 0.2), 0.3)
    alone = mpc.solve(g)
    lost, far = mpc.solve(replace(g, dcm=np.array([30.0, 0.0]))), mpc.solve(replace(g, dcm=g.dcm + np.array([0.4, 0.0])))
    crossed = mpc.solve(replace(g, reach=g.reach[:, :, ::-1]))
    assert not (lost.usable or far.usable or crossed.usable)
    assert {lost.status, far.status} <= {"no optimum found", "not capturable"} and crossed.status == "bounds crossed"
    again = mpc.solve(g)
    np.testing.assert_array_equal(again.footholds, alone.footholds)
    np.testing.assert_array_equal(again.zmp_shift, alone.zmp_shift)
    assert again.status == alone.status == "ok"


def test_the_walker_takes_it_and_a_run_continues_bit_for_bit_from_a_snapshot() -> None:
    loop = make_loop(config=StackConfig(walker=WalkerConfig(mpc=CENTROIDAL)))
    loop.run(1.2)
    saved = loop.stack.snapshot(), loop.backend.snapshot()
    first = loop.run(0.5)
    assert {decision.plan.mpc_status for decision in first if decision.plan} == {"ok"}
    loop.stack.restore(saved[0])
    loop.backend.restore(saved[1])
    np.testing.assert_array_equal(torques(loop.run(0.5)), torques(first))
    assert loop.stands


def test_momentum_fades_as_the_whole_body_qp_has_it() -> None:
    assert CENTROIDAL.momentum_decay == TaskGains().momentum_d


def test_rows_and_unknowns_are_as_counted() -> None:
    unknowns, _, _, rows, _ = formulate(CENTROIDAL)
    assert (unknowns.numel(), rows.numel(), SLACK + 2) == (SIZE, ROWS, SIZE)
