"""One small QP layer: min ½xᵀPx + qᵀx  s.t.  lower ≤ x ≤ upper, row_lower ≤ Ax ≤ row_upper, on DAQP or OSQP.

A solver's status is not trusted: the residual of what it returns is recomputed from the problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import daqp
import numpy as np
import osqp
from numba import njit
from scipy import sparse

from poise.robots.types import Array

_BIG = 1e30  # DAQP's infinity


@dataclass(frozen=True, slots=True, eq=False)
class QpProblem:
    """Dense problem data: P (n, n), q (n,), A (m, n), bounds; equalities are rows with equal bounds."""

    hessian: Array
    gradient: Array
    rows: Array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array


@dataclass(frozen=True, slots=True, eq=False)
class QpSolution:
    """What a solver found; `usable` says that the recomputed residual is inside the tolerance."""

    x: Array
    usable: bool
    residual: float  # largest violation of a bound or row, in their units
    iterations: int
    status: str
    row_dual: Array  # (m,) multipliers of the rows, positive at the upper bound
    bound_dual: Array  # (n,)


class QpSolver(Protocol):
    """A solver for a stream of problems of one size."""

    name: str

    def solve(self, problem: QpProblem) -> QpSolution:
        """Solve; never raises on an infeasible problem: the solution is then not usable."""
        ...


@njit(cache=True)
def constraint_violation(x: Array, rows: Array, row_lower: Array, row_upper: Array, lower: Array, upper: Array) -> float:
    """Largest violation of bounds and rows at x; NaN counts as infinite."""
    worst = 0.0
    for i in range(x.size):
        if np.isnan(x[i]):
            return np.inf
        worst = max(worst, lower[i] - x[i], x[i] - upper[i])
    value = rows @ x
    for i in range(value.size):
        worst = max(worst, row_lower[i] - value[i], value[i] - row_upper[i])
    return worst


def kkt_residual(problem: QpProblem, solution: QpSolution) -> tuple[float, float, float]:
    """Stationarity, primal and complementarity residuals of a solution, from the problem data alone."""
    x, y, z = solution.x, solution.row_dual, solution.bound_dual
    stationarity = problem.hessian @ x + problem.gradient + problem.rows.T @ y + z
    primal = constraint_violation(x, problem.rows, problem.row_lower, problem.row_upper, problem.lower, problem.upper)
    value = problem.rows @ x
    gaps = [_slack_gap(y, value, problem.row_lower, problem.row_upper), _slack_gap(z, x, problem.lower, problem.upper)]
    return float(np.abs(stationarity).max(initial=0.0)), primal, max(gaps)


def _slack_gap(dual: Array, value: Array, lower: Array, upper: Array) -> float:
    """Largest product of a multiplier and the distance to the bound that it belongs to."""
    slack = np.where(dual > 0, upper - value, value - lower)
    return float(np.abs(dual * np.where(np.abs(dual) > 1e-9, slack, 0.0)).max(initial=0.0))


class DaqpSolver:
    """DAQP: dense dual active set, exact, for strictly convex problems."""

    name = "daqp"

    def __init__(self, tolerance: float = 1e-6, max_iterations: int = 300) -> None:
        self._tolerance, self._max_iterations = tolerance, max_iterations
        self._model: daqp.Model | None = None
        self._sense: Array = np.zeros(0, dtype=np.int32)

    def solve(self, problem: QpProblem) -> QpSolution:
        """Solve from a cold working set: the result depends on the problem alone."""
        upper = np.concatenate((problem.upper, problem.row_upper))
        lower = np.concatenate((problem.lower, problem.row_lower))
        np.clip(upper, -_BIG, _BIG, out=upper)
        np.clip(lower, -_BIG, _BIG, out=lower)
        sense = np.where(upper - lower < 1e-12, 5, 0).astype(np.int32)
        if self._model is None or sense.size != self._sense.size:
            self._model = daqp.Model()
            self._model.settings = {"iter_limit": self._max_iterations, "primal_tol": self._tolerance * 0.1}
            self._model.setup(problem.hessian, problem.gradient, problem.rows, upper, lower, sense)
        else:
            self._model.update(problem.hessian, problem.gradient, problem.rows, upper, lower, sense)
        self._sense = sense
        x, _, flag, info = self._model.solve()
        residual = constraint_violation(x, problem.rows, problem.row_lower, problem.row_upper, problem.lower, problem.upper)
        dual, n = np.asarray(info["lam"]), x.size
        usable = flag > 0 and residual <= self._tolerance
        return QpSolution(x, usable, residual, int(info["iterations"]), f"daqp {flag}", dual[n:], dual[:n])


class OsqpSolver:
    """OSQP: operator splitting, warm started; the caller scales its problem."""

    name = "osqp"

    def __init__(self, tolerance: float = 1e-4, eps: float = 1e-5, max_iterations: int = 1000, scaling: int = 0) -> None:
        self._tolerance = tolerance
        self._settings = {"eps_abs": eps, "eps_rel": 0.0, "max_iter": max_iterations, "check_termination": 5, "scaling": scaling}
        self._solver: osqp.OSQP | None = None
        self._shape = (0, 0)
        self._upper_index: tuple[Array, Array] = (np.zeros(0, dtype=int), np.zeros(0, dtype=int))

    def solve(self, problem: QpProblem) -> QpSolution:
        """Solve, starting from the last solution of this solver."""
        n, m = problem.gradient.size, problem.row_lower.size
        lower = np.concatenate((problem.lower, problem.row_lower))
        upper = np.concatenate((problem.upper, problem.row_upper))
        if self._solver is None or self._shape != (n, m):
            self._set_up(problem, lower, upper)
        else:
            values = problem.hessian[self._upper_index]
            stacked = np.concatenate((np.ones((1, n)), problem.rows), axis=0)
            self._solver.update(q=problem.gradient, l=lower, u=upper, Px=values, Ax=stacked.T.ravel())
        assert self._solver is not None
        result = self._solver.solve(raise_error=False)
        x = np.asarray(result.x, dtype=float)
        if x.size != n or not np.isfinite(x).all():
            return QpSolution(np.zeros(n), False, np.inf, int(result.info.iter), f"osqp {result.info.status}", np.zeros(m), np.zeros(n))
        residual = constraint_violation(x, problem.rows, problem.row_lower, problem.row_upper, problem.lower, problem.upper)
        dual = np.asarray(result.y, dtype=float)
        usable = residual <= self._tolerance
        return QpSolution(x, usable, residual, int(result.info.iter), f"osqp {result.info.status}", dual[n:], dual[:n])

    def _set_up(self, problem: QpProblem, lower: Array, upper: Array) -> None:
        """Store dense patterns, so that a later zero does not change the structure; column order as CSC wants it."""
        n, m = problem.gradient.size, problem.row_lower.size
        columns, rows = np.tril_indices(n)  # column-major order of the upper triangle
        self._upper_index = (rows, columns)
        indptr = np.concatenate(([0], np.cumsum(np.arange(1, n + 1))))
        hessian = sparse.csc_matrix((problem.hessian[self._upper_index], rows, indptr), shape=(n, n))
        stacked = np.concatenate((np.ones((1, n)), problem.rows), axis=0)
        row_index = np.concatenate((np.arange(n)[:, None], np.tile(np.arange(n, n + m), (n, 1))), axis=1).ravel()
        matrix = sparse.csc_matrix((stacked.T.ravel(), row_index, np.arange(n + 1) * (m + 1)), shape=(n + m, n))
        self._solver = osqp.OSQP()
        self._solver.setup(hessian, problem.gradient, matrix, lower, upper, verbose=False, polishing=False, **self._settings)
        self._shape = (n, m)


def make_solver(name: str, tolerance: float) -> QpSolver:
    """The solver of that name, "daqp" or "osqp", accepted up to a residual."""
    if name == "daqp":
        return DaqpSolver(tolerance)
    if name == "osqp":
        return OsqpSolver(tolerance)
    raise ValueError(f"unknown QP solver {name!r}; known: daqp, osqp")
