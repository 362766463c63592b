"""MPC of the centroidal dynamics at constant height: DCM, angular momentum of trunk and arms, free footsteps; posed in CasADi.

The balance of moments about the centre of mass, at constant height and with the swing foot's acceleration a (reaction.py), is
    c̈ = ω² (c − p + s a − λ̇),      λ = (L_y, −L_x) / (m g),
L being the angular momentum of trunk and arms, that which walking legs do not have. With ξ = c + ċ/ω that is  ξ̇ = ω (ξ − p + s a − λ̇):
the convergent half of the centre of mass's motion meets no bound and has no cost, so it is no state.
Horizon and unknowns are those of the LIP's (mpc.py), with PARTS intervals a step and one unknown more in each: the moment
μ = λ̇ (m) on trunk and arms, a flywheel (Pratt et al., Humanoids 2006) that acts as a shift of the ZMP. Left to itself the
momentum fades, as the whole-body QP has it: λ̇ = −γ λ. Departing from that costs, so the cost is
    w_μ ‖μ + γ λ‖²  beside the LIP's,  |μ| ≤ moment_max_m.
"""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np

from poise.robots.types import Array

from . import mpc
from .mpc import STEPS, CentroidalConfig, MpcInput, MpcPlan

PARTS = 6
CUTS = STEPS * PARTS
MOMENTS = 2 * CUTS  # where the unknown moments start, after the ZMP's shifts
OFFSETS = 2 * MOMENTS  # the DCM offsets
SLACK = OFFSETS + 2 * STEPS
SIZE = SLACK + 2
ROWS = 2 * STEPS + 4  # reach, terminal bound from both sides

# What the problem takes of MpcInput beside its bounds.
_SIZES = {"dcm": 2, "momentum": 2, "swing": 2, "swing_known": 2, "turn": STEPS, "step": 2 * STEPS, "offset": 2 * STEPS}
_SIZES |= dict.fromkeys(("omega", "time_left", "step_duration", "kappa"), 1)
_NUMBERS = sum(_SIZES.values())


def formulate(config: CentroidalConfig) -> tuple[Any, Any, Any, Any, Any]:
    """Unknowns (SIZE,), parameters, cost, rows (ROWS,) and displacements (2, STEPS) in stance axes, as CasADi expressions."""
    given = {name: ca.SX.sym(name, size) for name, size in _SIZES.items()}
    zmp, moment = ca.SX.sym("zmp", 2, CUTS), ca.SX.sym("moment", 2, CUTS)
    offset, slack = ca.SX.sym("offset", 2, STEPS), ca.SX.sym("slack", 2)
    nominal, wanted = ca.reshape(given["step"], 2, STEPS), ca.reshape(given["offset"], 2, STEPS)
    turns = [_turn(yaw) for yaw in (0.0, *ca.vertsplit(ca.cumsum(given["turn"])))]
    cost = config.weight_slack * ca.sumsqr(slack)
    dcm, momentum, last, rows, displacements = given["dcm"], given["momentum"], ca.SX.zeros(2), [], []
    for i in range(STEPS):
        span = (given["step_duration"] if i else given["time_left"]) / PARTS
        for k in range(i * PARTS, (i + 1) * PARTS):
            dcm, after = flow(dcm, momentum, turns[i] @ zmp[:, k], moment[:, k], given["omega"], span)
            resting = moment[:, k] + 0.5 * config.momentum_decay * (momentum + after)
            effort = config.weight_zmp * ca.sumsqr(zmp[:, k]) + config.weight_moment * ca.sumsqr(resting)
            cost += mpc.PARTS / PARTS * effort
            momentum = after
        gain = given["swing"][min(i, 1)]
        reaction = gain * last if i else given["swing_known"]
        last = (dcm + reaction - offset[:, i]) / (1.0 - gain)
        displacements.append(last)
        rows.append(turns[i].T @ last)
        error = offset[:, i] - turns[i + 1] @ wanted[:, i]
        weight = config.weight_terminal if i == STEPS - 1 else config.weight_offset
        cost += config.weight_foothold * ca.sumsqr(rows[i] - nominal[:, i]) + weight * ca.sumsqr(error)
        dcm = offset[:, i] + given["kappa"] * last
    rows += [error - slack, error + slack]
    unknowns = ca.vertcat(ca.vec(zmp), ca.vec(moment), ca.vec(offset), slack)
    return unknowns, ca.vertcat(*given.values()), cost, ca.vertcat(*rows), ca.horzcat(*displacements)


def flow(dcm: Any, momentum: Any, zmp: Any, moment: Any, omega: Any, span: Any) -> tuple[Any, Any]:
    """DCM (2,) m and momentum (2,) m·s after `span` s over a constant ZMP (2,) m and moment (2,) m on trunk and arms."""
    growth = ca.exp(omega * span)
    return growth * dcm + (1.0 - growth) * (zmp + moment), momentum + moment * span


def _turn(angle: Any) -> Any:
    c, s = ca.cos(angle), ca.sin(angle)
    return ca.vertcat(ca.horzcat(c, -s), ca.horzcat(s, c))


class CentroidalMpc:
    """Holds a compiled problem and the arrays that it reads and writes; a plan depends on its input alone."""

    def __init__(self, config: CentroidalConfig) -> None:
        self._config = config
        self._numbers, self._bounds = np.zeros(_NUMBERS), _constant_bounds(config)
        self._x, self._rows, self._displacements, self._slope = np.zeros(SIZE), np.zeros(ROWS), np.zeros((STEPS, 2)), np.zeros(1)
        # Arguments and results that stay where they are: the call takes a third of the time of one with CasADi's own matrices.
        self._buffer, self._run = _compiled(config).buffer()
        for i, argument in enumerate((self._numbers, *self._bounds)):
            self._buffer.set_arg(i, argument.data)
        for i, result in enumerate((self._x, self._rows, self._displacements.reshape(-1), self._slope)):
            self._buffer.set_res(i, result.data)

    def solve(self, given: MpcInput) -> MpcPlan:
        """Plan footsteps and ZMP; a plan whose terminal slack is spent is not usable (the DCM cannot be caught)."""
        self._numbers[:] = np.concatenate([np.ravel(getattr(given, name)) for name in _SIZES])
        self._bound(given)
        if fault := self._fault():
            return MpcPlan(False, fault, np.zeros((STEPS, 3)), np.zeros(2), np.zeros(2), 0.0, np.inf)
        self._run()
        lower, upper, low, high = self._bounds
        x, rows, tolerance = self._x, self._rows, 2.0 * self._config.tolerance
        residual = float(max((lower - x).max(), (x - upper).max(), (low - rows).max(), (rows - high).max(), 0.0))
        solved = residual <= tolerance and self._slope[0] <= tolerance  # False for NaN
        slack = float(x[SLACK:].max())
        caught = slack < 0.95 * self._config.slack_max_m
        status = ("ok" if caught else "not capturable") if solved else "no optimum found"
        footholds = np.column_stack((np.cumsum(self._displacements, axis=0), np.cumsum(given.turn)))
        return MpcPlan(bool(solved and caught), status, footholds, x[OFFSETS : OFFSETS + 2].copy(), x[:2].copy(), slack, residual)

    def _bound(self, given: MpcInput) -> None:
        (lower, upper, low, high), room = self._bounds, self._config.tolerance
        lower[:MOMENTS].reshape(CUTS, 2)[:], upper[:MOMENTS].reshape(CUTS, 2)[:] = given.cop_box[:, 0] + room, given.cop_box[:, 1] - room
        low[: 2 * STEPS], high[: 2 * STEPS] = given.reach[:, :, 0].ravel() + room, given.reach[:, :, 1].ravel() - room

    def _fault(self) -> str:
        lower, upper, low, high = self._bounds
        if not np.isfinite(self._numbers).all():
            return "data not finite"
        return "" if (lower <= upper).all() and (low <= high).all() else "bounds crossed"


def _constant_bounds(config: CentroidalConfig) -> tuple[Array, Array, Array, Array]:
    """Lower and upper bounds (SIZE,) of the unknowns, and those (ROWS,) of the rows; ZMP and reach come with each problem."""
    lower, upper, low, high = (np.full(size, sign * 2.0) for size in (SIZE, ROWS) for sign in (-1.0, 1.0))
    lower[MOMENTS:OFFSETS], upper[MOMENTS:OFFSETS] = -config.moment_max_m, config.moment_max_m
    lower[SLACK:], upper[SLACK:] = 0.0, config.slack_max_m
    most = config.capturable_m - config.tolerance
    low[2 * STEPS :], high[2 * STEPS :] = (-np.inf, -np.inf, -most, -most), (most, most, np.inf, np.inf)
    return lower, upper, low, high


def _compiled(config: CentroidalConfig) -> Any:
    """Parameters and bounds to the solution, its rows, its displacements, and the largest slope of the Lagrangian there."""
    unknowns, given, cost, rows, displacements = formulate(config)
    problem = {"x": unknowns, "p": given, "f": cost, "g": rows}
    solver = ca.qpsol("centroidal", "daqp", problem, {"print_time": False, "error_on_fail": False})
    duals = ca.SX.sym("duals", SIZE), ca.SX.sym("row_duals", ROWS)
    slope = ca.norm_inf(ca.gradient(cost, unknowns) + duals[0] + ca.jtimes(rows, unknowns, duals[1], True))
    outcome = ca.Function("outcome", [unknowns, given, *duals], [rows, ca.vec(displacements), slope])
    numbers, bounds = ca.MX.sym("numbers", _NUMBERS), [ca.MX.sym("bound", size) for size in (SIZE, SIZE, ROWS, ROWS)]
    found = solver(p=numbers, **dict(zip(("lbx", "ubx", "lbg", "ubg"), bounds, strict=True)))
    return ca.Function("plan", [numbers, *bounds], [found["x"], *outcome(found["x"], numbers, found["lam_x"], found["lam_g"])])
