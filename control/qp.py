"""One small QP layer: min ½xᵀPx + qᵀx  s.t.  lower ≤ [x; Ax] ≤ upper, on DAQP or OSQP.

A solver's status is not trusted: the residual of what it returns is recomputed from the problem.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import daqp
import numpy as np
import osqp
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

from poise.robots.types import Array

INFINITY = 1e30
_CONVERGED = (osqp.SolverStatus.OSQP_SOLVED, osqp.SolverStatus.OSQP_SOLVED_INACCURATE)
_EQUALITY = 5  # DAQP's mark of an equality


class QpProblem(NamedTuple):
    """Dense data: P (n, n), q (n,), A (m, n), and bounds (n + m,) on x first, then on the rows; equal means equality."""

    hessian: Array
    gradient: Array
    rows: Array
    lower: Array
    upper: Array


class QpSolution(NamedTuple):
    """What a solver found; `usable` says that it converged and that the recomputed residual is inside the tolerance."""

    x: Array
    usable: bool
    residual: float  # largest violation of a bound or row, in their units
    iterations: int
    status: str
    dual: Array  # (n + m,) multipliers, positive at the upper bound


class QpSolver(Protocol):
    """A solver for a stream of problems of one size."""

    name: str

    def solve(self, problem: QpProblem) -> QpSolution:
        """Solve; never raises on an infeasible problem: the solution is then not usable."""
        ...


@njit(cache=True)
def constraint_violation(x: Array, rows: Array, lower: Array, upper: Array) -> float:
    """Largest violation of bounds and rows at x; NaN counts as infinite."""
    worst, n = 0.0, x.size
    value = rows @ x
    for i in range(n + value.size):
        entry = x[i] if i < n else value[i - n]
        if np.isnan(entry):
            return np.inf
        worst = max(worst, lower[i] - entry, entry - upper[i])
    return worst


@njit(cache=True)
def data_fault(hessian: Array, gradient: Array, rows: Array, lower: Array, upper: Array) -> int:
    """0 for data that can be solved with, 1 where an entry is not finite (bounds may be infinite), 2 where bounds cross."""
    if not np.isfinite(hessian.sum() + gradient.sum() + rows.sum()):
        return 1
    for i in range(lower.size):
        if np.isnan(lower[i]) or np.isnan(upper[i]) or lower[i] == np.inf or upper[i] == -np.inf:
            return 1
        if lower[i] > upper[i]:
            return 2
    return 0


@njit(cache=True)
def _screen(hessian: Array, gradient: Array, rows: Array, lower: Array, upper: Array, sense: NDArray[np.int32]) -> int:
    """`data_fault`, and DAQP's marks of what is an equality."""
    for i in range(lower.size):
        sense[i] = _EQUALITY if upper[i] - lower[i] < 1e-12 else 0
    return data_fault(hessian, gradient, rows, lower, upper)


_REFUSALS = ("", "data not finite", "bounds crossed")


def _unsolved(problem: QpProblem, status: str) -> QpSolution:
    return QpSolution(np.zeros(problem.gradient.size), False, np.inf, 0, status, np.zeros(problem.lower.size))


def kkt_residual(problem: QpProblem, solution: QpSolution) -> tuple[float, float, float]:
    """Stationarity, primal and complementarity residuals of a solution, from the problem data alone."""
    x, dual, n = solution.x, solution.dual, solution.x.size
    stationarity = problem.hessian @ x + problem.gradient + dual[:n] + problem.rows.T @ dual[n:]
    value = np.concatenate((x, problem.rows @ x))
    active = np.abs(dual) > 1e-9
    slack = np.where(dual > 0, problem.upper - value, value - problem.lower)
    gap = np.abs(dual[active] * slack[active]).max(initial=0.0)
    return float(np.abs(stationarity).max()), constraint_violation(x, problem.rows, problem.lower, problem.upper), float(gap)


class DaqpSolver:
    """DAQP: dense dual active set, exact, for strictly convex problems; always from a cold working set."""

    name = "daqp"

    def __init__(self, tolerance: float = 1e-6, max_iterations: int = 300) -> None:
        self._tolerance, self._max_iterations = tolerance, max_iterations
        self._model: daqp.Model | None = None
        self._sense = np.zeros(0, dtype=np.int32)
        self._shape = (0, 0)

    def solve(self, problem: QpProblem) -> QpSolution:
        """Solve; the result depends on the problem alone."""
        hessian, gradient, rows, lower, upper = problem
        if self._shape != rows.shape:
            self._shape, self._model = rows.shape, None
            self._sense = np.zeros(lower.size, dtype=np.int32)
        if fault := _screen(hessian, gradient, rows, lower, upper, self._sense):
            return _unsolved(problem, _REFUSALS[fault])
        if self._model is None:
            self._model = daqp.Model()
            self._model.settings = {"iter_limit": self._max_iterations, "primal_tol": 0.1 * self._tolerance}
            flag, _ = self._model.setup(hessian, gradient, rows, upper, lower, self._sense)
        else:
            flag = self._model.update(hessian, gradient, rows, upper, lower, self._sense)
        if flag < 0:  # it keeps nothing, or the last problem: start afresh next time
            self._model = None
            return _unsolved(problem, f"daqp {flag}")
        x, _, flag, info = self._model.solve()
        residual = constraint_violation(x, rows, lower, upper)
        return QpSolution(x, flag > 0 and residual <= self._tolerance, residual, info["iterations"], f"daqp {flag}", info["lam"])


class OsqpSolver:
    """OSQP: operator splitting, always from zero and the same ρ; the caller scales its problem."""

    name = "osqp"

    def __init__(self, tolerance: float = 1e-4, eps: float = 1e-5, max_iterations: int = 1000, rho: float = 0.1) -> None:
        """`rho` is the first step size; the iterations adapt it."""
        self._tolerance, self._rho, self._adapted = tolerance, rho, False
        self._settings = {
            "eps_abs": eps,
            "eps_rel": 0.0,
            "max_iter": max_iterations,
            "check_termination": 10,
            "scaling": 0,
            "warm_starting": False,
            "rho": rho,
        }
        self._solver: osqp.OSQP | None = None
        self._shape = (0, 0)
        self._upper_index: tuple[NDArray[np.intp], NDArray[np.intp]] = (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))

    def solve(self, problem: QpProblem) -> QpSolution:
        """Solve; usable is what converged and keeps its bounds, and the result depends on the problem alone."""
        m, n = problem.rows.shape
        if fault := data_fault(problem.hessian, problem.gradient, problem.rows, problem.lower, problem.upper):
            return _unsolved(problem, _REFUSALS[fault])
        if self._solver is None or self._shape != (n, m):
            try:
                self._set_up(problem)
            except osqp.OSQPException as error:  # a cost that is not convex
                return _unsolved(problem, f"osqp {error}")
        else:
            values = problem.hessian[self._upper_index]
            if self._adapted:  # forget what the last problem made of the step size
                self._solver.update_settings(rho=self._rho)
            self._solver.update(q=problem.gradient, l=problem.lower, u=problem.upper, Px=values, Ax=_stacked(problem).T.ravel())
        assert self._solver is not None
        result = self._solver.solve(raise_error=False)
        self._adapted = result.info.rho_updates > 0
        x, status = np.asarray(result.x, dtype=float), f"osqp {result.info.status}"
        if x.size != n or not np.isfinite(x).all():
            return QpSolution(np.zeros(n), False, np.inf, int(result.info.iter), status, np.zeros(n + m))
        residual = constraint_violation(x, problem.rows, problem.lower, problem.upper)
        # Where the iterations end early a point may keep every bound and yet be far from the least cost.
        usable = result.info.status_val in _CONVERGED and residual <= self._tolerance
        return QpSolution(x, usable, residual, int(result.info.iter), status, np.asarray(result.y, dtype=float))

    def _set_up(self, problem: QpProblem) -> None:
        """Store dense patterns, so that a later zero does not change the structure."""
        m, n = problem.rows.shape
        columns, rows = np.tril_indices(n)  # the upper triangle in the column order that CSC wants
        self._upper_index = (rows, columns)
        indptr = np.concatenate(([0], np.cumsum(np.arange(1, n + 1))))
        hessian = sparse.csc_matrix((problem.hessian[self._upper_index], rows, indptr), shape=(n, n))
        row_index = np.concatenate((np.arange(n)[:, None], np.tile(np.arange(n, n + m), (n, 1))), axis=1).ravel()
        matrix = sparse.csc_matrix((_stacked(problem).T.ravel(), row_index, np.arange(n + 1) * (m + 1)), shape=(n + m, n))
        self._solver = None
        solver = osqp.OSQP()
        solver.setup(hessian, problem.gradient, matrix, problem.lower, problem.upper, verbose=False, polishing=False, **self._settings)
        self._solver, self._shape = solver, (n, m)


def _stacked(problem: QpProblem) -> Array:
    """Values of [I; A] by column: one diagonal entry, then the rows."""
    return np.concatenate((np.ones((1, problem.rows.shape[1])), problem.rows), axis=0)


def make_solver(name: str, tolerance: float) -> QpSolver:
    """The solver of that name, "daqp" or "osqp", whose solutions count up to that residual."""
    if name == "daqp":
        return DaqpSolver(tolerance)
    if name == "osqp":
        return OsqpSolver(tolerance)
    raise ValueError(f"unknown QP solver {name!r}; known: daqp, osqp")
