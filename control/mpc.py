"""LIP model-predictive control with free footsteps, condensed, on OSQP.

Horizon: the rest of the current step and the next STEPS − 1 steps, each cut into PARTS intervals of constant ZMP, so
that the gait's timing need not lie on a grid. Unknowns, in the axes of the current stance sole: the ZMP's shift δ from
the sole in each interval (in that foot's axes), the DCM offsets b_i from the coming soles at their touchdowns, and two
slacks. Within a step the DCM offset from the sole follows  r ← E r + (1 − E) R_i δ;  the displacement to the next sole
is u_{i+1} = r + g (u_i + u_{i+1}) − b_{i+1}, g being the reaction of the swing foot on its way (reaction.py), and the next
step starts at r = b_{i+1} + κ u_{i+1} (lip.py). Taking b and not the footholds
as unknowns keeps the unstable growth inside one step, so that the condensed problem stays well conditioned.
    min  w_δ ‖δ‖² + w_u ‖u_i − u_nom‖² + w_b ‖b_i − b_nom‖² + w_s ‖s‖²   (b_STEPS has a weight of its own)
    s.t. δ inside the sole (ZMP in the support polygon), u_i inside the reach,
         |b_STEPS − b_nom| ≤ capturable + s, by axis   (N-step capturability, Koolen et al., IJRR 2012)
The form with free footsteps follows Herdt et al., Advanced Robotics 2010, in the DCM instead of the CoM's jerk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit

from poise.robots.types import Array

from .qp import OsqpSolver, QpProblem

STEPS, PARTS = 3, 4
CUTS = STEPS * PARTS
OFFSETS = 2 * CUTS  # where the DCM offsets start among the unknowns
SIZE = OFFSETS + 2 * STEPS + 2
ROWS = 2 * STEPS + 4  # reach, terminal bound from both sides


@dataclass(frozen=True)
class MpcConfig:
    """Weights per m²; the bound is on the terminal DCM offset's distance from its periodic value."""

    weight_zmp: float = 0.2
    weight_foothold: float = 1.0
    weight_offset: float = 5.0
    weight_terminal: float = 50.0
    weight_slack: float = 1000.0
    capturable_m: float = 0.05  # terminal offset error that the following steps take up
    slack_max_m: float = 0.30
    tolerance: float = 1e-4  # bounds are tightened by it, m


@dataclass(frozen=True)
class CentroidalConfig(MpcConfig):
    """The plan that knows trunk's and arms' angular momentum (centroidal_mpc.py) is made instead of the LIP's."""

    weight_moment: float = 2.0  # per m² and interval, of the ZMP shift that their moment makes
    moment_max_m: float = 0.06  # 20 N·m on a G1
    momentum_decay: float = 5.0  # 1/s, as in the whole-body QP (tasks.TaskGains.momentum_d)


@dataclass(frozen=True, slots=True, eq=False)
class MpcInput:
    """One problem, in the frame of the current stance sole; steps are numbered from the next touchdown."""

    dcm: Array  # (2,) m, from the stance sole at the start of the horizon
    omega: float  # 1/s
    time_left: float  # s to the next touchdown
    step_duration: float  # s of the later steps
    kappa: float  # transfer shift (lip.transfer_shift)
    step: Array  # (STEPS, 2) m nominal displacements, in the frame of the foot they leave
    turn: Array  # (STEPS,) rad of each displacement
    offset: Array  # (STEPS, 2) m nominal DCM offsets at touchdown, in the landing foot's frame
    reach: Array  # (STEPS, 2, 2) m (min, max) by axis, in the frame of the foot that is left
    cop_box: Array  # (2, 2) m (min, max) by axis, in the sole's frame
    swing: Array  # (2,) what a metre of the swing foot's way adds to the DCM at touchdown, in this step and in the later ones
    swing_known: Array  # (2,) m what its position and velocity now add in this step
    momentum: Array  # (2,) m·s, (L_y, −L_x)/(m g) of the angular momentum that walking legs do not have; the LIP takes none


@dataclass(frozen=True, slots=True, eq=False)
class MpcPlan:
    """The solution in the same frame; `usable` is False when neither the residual nor the slack can be trusted."""

    usable: bool
    status: str
    footholds: Array  # (STEPS, 3) x, y (m), yaw (rad)
    offset: Array  # (2,) m predicted DCM from the next foothold at its touchdown, stance frame axes
    zmp_shift: Array  # (2,) m first interval's ZMP from the stance sole
    slack_m: float
    residual: float


@njit(cache=True)
def predict_steps(
    dcm: Array, omega: float, time_left: float, step_s: float, kappa: float, yaw: Array, swing: Array, swing_known: Array
) -> tuple[Array, Array]:
    """Displacements to the coming soles as an affine map of the unknowns: constant (STEPS, 2), matrix (STEPS, 2, SIZE).

    dcm (2,) m from the stance sole; yaw (STEPS + 1,) rad of the stance sole (0) and of the coming soles; stance axes;
    swing and swing_known (2,) as in MpcInput.
    """
    constant, matrix = np.zeros((STEPS, 2)), np.zeros((STEPS, 2, SIZE))
    now, rows = dcm.copy(), np.zeros((2, SIZE))
    for step in range(STEPS):
        growth = np.exp(omega * (time_left if step == 0 else step_s) / PARTS)
        c, s = np.cos(yaw[step]), np.sin(yaw[step])
        for cut in range(step * PARTS, (step + 1) * PARTS):
            now *= growth
            rows *= growth
            rows[0, 2 * cut] += (1.0 - growth) * c
            rows[0, 2 * cut + 1] -= (1.0 - growth) * s
            rows[1, 2 * cut] += (1.0 - growth) * s
            rows[1, 2 * cut + 1] += (1.0 - growth) * c
        offset = OFFSETS + 2 * step
        for axis in range(2):
            rows[axis, offset + axis] -= 1.0
        gain = swing[0] if step == 0 else swing[1]
        if step == 0:
            now += swing_known
        else:
            now += gain * constant[step - 1]
            rows += gain * matrix[step - 1]
        constant[step], matrix[step] = now / (1.0 - gain), rows / (1.0 - gain)
        now, rows = kappa * constant[step], kappa * matrix[step]
        for axis in range(2):
            rows[axis, offset + axis] += 1.0
    return constant, matrix


@njit(cache=True)
def build(
    constant: Array,
    matrix: Array,
    yaw: Array,
    step: Array,
    offset: Array,
    reach: Array,
    cop_box: Array,
    weights: Array,
    capturable: float,
    slack_max: float,
    tolerance: float,
    hessian: Array,
    gradient: Array,
    rows: Array,
    lower: Array,
    upper: Array,
) -> None:
    """Fill the QP; weights = (ZMP, foothold, offset, terminal offset, slack)."""
    hessian[:], gradient[:], rows[:] = 0.0, 0.0, 0.0
    for i in range(OFFSETS):
        hessian[i, i] = 2.0 * weights[0]
        lower[i], upper[i] = cop_box[i % 2, 0] + tolerance, cop_box[i % 2, 1] - tolerance
    for i in range(STEPS):
        c, s = np.cos(yaw[i]), np.sin(yaw[i])
        cn, sn = np.cos(yaw[i + 1]), np.sin(yaw[i + 1])
        for axis in range(2):
            # The displacement in the axes of the foot that is left; row 2i + axis bounds it.
            at = 2 * i + axis
            a, b = (c, s) if axis == 0 else (-s, c)
            rows[at] = a * matrix[i, 0] + b * matrix[i, 1]
            known = a * constant[i, 0] + b * constant[i, 1]
            _add_square(hessian, gradient, rows[at], known - step[i, axis], weights[1])
            lower[SIZE + at], upper[SIZE + at] = reach[i, axis, 0] + tolerance - known, reach[i, axis, 1] - tolerance - known
            wanted = cn * offset[i, 0] - sn * offset[i, 1] if axis == 0 else sn * offset[i, 0] + cn * offset[i, 1]
            index, last = OFFSETS + at, i == STEPS - 1
            weight = weights[3] if last else weights[2]
            hessian[index, index] += 2.0 * weight
            gradient[index] -= 2.0 * weight * wanted
            lower[index], upper[index] = -2.0, 2.0
            if last:
                for side in range(2):
                    row = 2 * STEPS + 2 * side + axis
                    rows[row, index], rows[row, SIZE - 2 + axis] = 1.0, (-1.0 if side == 0 else 1.0)
                    lower[SIZE + row] = -1e30 if side == 0 else wanted - capturable + tolerance
                    upper[SIZE + row] = wanted + capturable - tolerance if side == 0 else 1e30
    for i in range(SIZE - 2, SIZE):
        lower[i], upper[i] = 0.0, slack_max
        hessian[i, i] = 2.0 * weights[4]


@njit(cache=True)
def _add_square(hessian: Array, gradient: Array, row: Array, constant: float, weight: float) -> None:
    """Add weight · (row·x + constant)² to ½xᵀHx + gᵀx."""
    for i in range(SIZE):
        if row[i] != 0.0:
            gradient[i] += 2.0 * weight * constant * row[i]
            for j in range(SIZE):
                hessian[i, j] += 2.0 * weight * row[i] * row[j]


def _predicted(g: MpcInput, yaw: Array) -> tuple[Array, Array]:
    return predict_steps(g.dcm, g.omega, g.time_left, g.step_duration, g.kappa, yaw, g.swing, g.swing_known)


class Mpc(Protocol):
    """What plans the coming steps."""

    def solve(self, given: MpcInput) -> MpcPlan:
        """The plan; where there is none it is not usable, and says why."""
        ...


class LipMpc:
    """Holds the problem data and an OSQP that starts each problem cold: a plan depends on its input alone."""

    def __init__(self, config: MpcConfig) -> None:
        self._config = config
        self._weights = np.array(
            [config.weight_zmp, config.weight_foothold, config.weight_offset, config.weight_terminal, config.weight_slack]
        )
        self._problem = QpProblem(
            np.zeros((SIZE, SIZE)), np.zeros(SIZE), np.zeros((ROWS, SIZE)), np.zeros(SIZE + ROWS), np.zeros(SIZE + ROWS)
        )
        self._solver = OsqpSolver(tolerance=2.0 * config.tolerance, eps=0.3 * config.tolerance, max_iterations=400, rho=1.0)

    def problem(self, given: MpcInput) -> QpProblem:
        """The QP unsolved; overwritten by the next call."""
        cfg, p = self._config, self._problem
        yaw = np.concatenate(([0.0], np.cumsum(given.turn)))
        constant, matrix = _predicted(given, yaw)
        build(
            constant,
            matrix,
            yaw,
            given.step,
            given.offset,
            given.reach,
            given.cop_box,
            self._weights,
            cfg.capturable_m,
            cfg.slack_max_m,
            cfg.tolerance,
            p.hessian,
            p.gradient,
            p.rows,
            p.lower,
            p.upper,
        )
        return p

    def solve(self, given: MpcInput) -> MpcPlan:
        """Plan footsteps and ZMP; a plan whose terminal slack is spent is not usable (the DCM cannot be caught)."""
        solution = self._solver.solve(self.problem(given))
        x, yaw = solution.x, np.concatenate(([0.0], np.cumsum(given.turn)))
        constant, matrix = _predicted(given, yaw)
        footholds = np.column_stack((np.cumsum(constant + matrix @ x, axis=0), yaw[1:]))
        slack = float(x[SIZE - 2 :].max())
        caught = slack < 0.95 * self._config.slack_max_m
        status = "ok" if solution.usable and caught else ("not capturable" if solution.usable else solution.status)
        return MpcPlan(
            solution.usable and caught, status, footholds, x[OFFSETS : OFFSETS + 2].copy(), x[:2].copy(), slack, solution.residual
        )
