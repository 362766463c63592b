from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from oracles import solve_quadprog

from poise.control.qp import DaqpSolver, OsqpSolver, QpProblem, QpSolution, QpSolver, constraint_violation, kkt_residual, make_solver

SOLVERS: dict[str, Callable[[], QpSolver]] = {"daqp": DaqpSolver, "osqp": lambda: OsqpSolver(eps=1e-8, max_iterations=20000)}
both = pytest.mark.parametrize("make", SOLVERS.values(), ids=SOLVERS.keys())


def random_problem(seed: int, n: int = 10, m: int = 6, equalities: int = 2) -> QpProblem:
    """Strictly convex and feasible, its last `equalities` rows are equations; some bounds are open."""
    rng = np.random.default_rng(seed)
    root, rows, inside = rng.normal(size=(n, n)), rng.normal(size=(m, n)), rng.normal(0.0, 0.3, n)
    value = np.concatenate((inside, rows @ inside))
    lower, upper = value - rng.uniform(0.01, 0.5, n + m), value + rng.uniform(0.01, 0.5, n + m)
    lower[rng.random(n + m) < 0.2] = -1e30
    upper[rng.random(n + m) < 0.2] = 1e30
    lower[n + m - equalities :] = upper[n + m - equalities :] = value[n + m - equalities :]
    return QpProblem(root @ root.T + np.eye(n), rng.normal(0.0, 5.0, n), rows, lower, upper)


def one_dimension(gradient: float, lower: float, upper: float, row: tuple[float, float] = (-1e30, 1e30)) -> QpProblem:
    """½x² + gradient·x with bounds on x and on the row 2x."""
    return QpProblem(np.eye(1), np.array([gradient]), np.array([[2.0]]), np.array([lower, row[0]]), np.array([upper, row[1]]))


@both
@pytest.mark.parametrize("seed", range(12))
def test_solution_is_quadprogs(make: Callable[[], QpSolver], seed: int) -> None:
    problem = random_problem(seed)
    solution = make().solve(problem)
    assert solution.usable, solution.status
    np.testing.assert_allclose(solution.x, solve_quadprog(problem), atol=1e-6)
    stationarity, violation, gap = kkt_residual(problem, solution)
    assert max(stationarity, violation, gap) < 2e-6
    assert solution.residual == violation


@both
def test_default_tolerances_are_kept(make: Callable[[], QpSolver]) -> None:
    for name, tolerance in (("daqp", 1e-6), ("osqp", 1e-4)):
        solver = make_solver(name, tolerance)
        for seed in range(20):
            problem = random_problem(seed)
            solution = solver.solve(problem)
            assert solution.usable and solution.residual <= tolerance
            assert max(kkt_residual(problem, solution)) < 10 * tolerance


@both
def test_result_does_not_depend_on_the_problem_before(make: Callable[[], QpSolver]) -> None:
    problems = [random_problem(seed) for seed in range(6)]
    stream = make()
    for problem in (*problems, *reversed(problems)):
        alone, streamed = make().solve(problem), stream.solve(problem)
        np.testing.assert_array_equal(streamed.x, alone.x)
        np.testing.assert_array_equal(streamed.dual, alone.dual)
        assert streamed.iterations == alone.iterations


@both
def test_a_problem_of_another_size_is_solved(make: Callable[[], QpSolver]) -> None:
    solver = make()
    for n, m in ((10, 6), (4, 3), (3, 4), (10, 6)):
        problem = random_problem(n, n, m, 1)
        np.testing.assert_allclose(solver.solve(problem).x, solve_quadprog(problem), atol=1e-6)


@both
def test_entries_that_become_zero_or_equal_keep_their_place(make: Callable[[], QpSolver]) -> None:
    solver, problem = make(), random_problem(0)
    solver.solve(problem)
    hessian, rows, lower = problem.hessian.copy(), problem.rows.copy(), problem.lower.copy()
    hessian[0, 1:], hessian[1:, 0], rows[1, :4] = 0.0, 0.0, 0.0
    lower[12] = problem.upper[12] = rows[2] @ np.full(10, 0.01)
    changed = problem._replace(hessian=hessian, rows=rows, lower=lower)
    np.testing.assert_allclose(solver.solve(changed).x, solve_quadprog(changed), atol=1e-6)


@both
@pytest.mark.parametrize(
    ("problem", "x", "dual"),
    [
        (one_dimension(-3.0, -1.0, 1.0), 1.0, (2.0, 0.0)),  # pushed against the upper bound
        (one_dimension(3.0, -1.0, 1.0), -1.0, (-2.0, 0.0)),
        (one_dimension(-3.0, -5.0, 5.0, (-1e30, 1.0)), 0.5, (0.0, 1.25)),  # x − 3 + 2λ = 0
        (one_dimension(3.0, -5.0, 5.0, (-1.0, 1e30)), -0.5, (0.0, -1.25)),
        (one_dimension(0.5, -1.0, 1.0), -0.5, (0.0, 0.0)),
    ],
)
def test_multipliers_are_positive_at_the_upper_bound(
    make: Callable[[], QpSolver], problem: QpProblem, x: float, dual: tuple[float, float]
) -> None:
    solution = make().solve(problem)
    np.testing.assert_allclose(solution.x, [x], atol=1e-6)
    np.testing.assert_allclose(solution.dual, dual, atol=1e-6)


def test_kkt_residual_of_wrong_points() -> None:
    problem = one_dimension(-3.0, -1.0, 1.0)

    def residual(x: float, dual: float) -> tuple[float, float, float]:
        return kkt_residual(problem, QpSolution(np.array([x]), True, 0.0, 0, "", np.array([dual, 0.0])))

    assert residual(1.0, 2.0) == (0.0, 0.0, 0.0)
    assert residual(1.0, 0.0) == (2.0, 0.0, 0.0)  # not stationary
    assert residual(3.0, 0.0) == (0.0, 2.0, 0.0)  # outside
    assert residual(0.5, 2.5) == (0.0, 0.0, 1.25)  # a multiplier on a bound that is not met
    assert residual(0.0, -3.0)[0] == 6.0 and residual(0.0, -3.0)[2] == 3.0  # of the wrong sign


def test_violation_counts_nan_as_infinite() -> None:
    rows, lower, upper = np.ones((1, 2)), np.array([0.0, 0.0, -1.0]), np.array([1.0, 1.0, 1.0])
    assert constraint_violation(np.array([0.5, 0.25]), rows, lower, upper) == 0.0
    assert constraint_violation(np.array([0.9, 0.8]), rows, lower, upper) == pytest.approx(0.7)
    assert constraint_violation(np.array([-0.3, 0.8]), rows, lower, upper) == pytest.approx(0.3)
    assert constraint_violation(np.array([np.nan, 0.0]), rows, lower, upper) == np.inf


def unusable_problems() -> dict[str, QpProblem]:
    """Problems that no solver can solve."""
    good = random_problem(0)
    lower, upper, rows = good.lower.copy(), good.upper.copy(), good.rows.copy()
    rows[1] = rows[0]
    lower[10], upper[10], lower[11], upper[11] = 1.0, 2.0, -2.0, -1.0
    equations = np.concatenate((np.full(10, 1e30), [1.0, 2.0], np.full(4, 1e30)))
    bad = {
        "parallel rows": good._replace(rows=rows, lower=lower, upper=upper),
        "contradicting equations": good._replace(rows=rows, lower=np.where(equations < 3.0, equations, -1e30), upper=equations),
        "crossed bounds": good._replace(lower=np.where(np.arange(16) == 3, good.upper + 1.0, good.lower)),
        "barely crossed bounds": good._replace(lower=np.where(np.arange(16) == 3, good.upper + 1e-5, good.lower)),
    }
    for name in ("hessian", "gradient", "rows", "lower", "upper"):
        value = getattr(good, name).copy()
        value.flat[1] = np.nan
        bad[f"NaN in {name}"] = good._replace(**{name: value})
    return bad


@both
@pytest.mark.parametrize("name", unusable_problems())
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_what_cannot_be_solved_is_not_usable_and_leaves_no_trace(make: Callable[[], QpSolver], name: str, first: bool) -> None:
    solver, good = make(), random_problem(5)
    if not first:
        solver.solve(good)
    solution = solver.solve(unusable_problems()[name])
    assert not solution.usable and solution.status
    assert np.isfinite(solution.x).all()
    np.testing.assert_array_equal(solver.solve(good).x, make().solve(good).x)


def not_convex() -> QpProblem:
    """A saddle in a box."""
    good = random_problem(0)
    return good._replace(hessian=np.diag(np.where(np.arange(10) < 5, 1.0, -1.0)))


@both
def test_a_cost_that_is_not_convex_is_not_usable_and_leaves_no_trace(make: Callable[[], QpSolver]) -> None:
    solver, good = make(), random_problem(5)
    solution = solver.solve(not_convex())
    assert not solution.usable and solution.status
    np.testing.assert_array_equal(solver.solve(good).x, make().solve(good).x)


def test_osqp_that_stops_early_is_not_usable() -> None:
    """From zero, inside all bounds, a few iterations keep the bounds but are far from the minimum."""
    problem = random_problem(0)._replace(lower=np.full(16, -1e3), upper=np.full(16, 1e3))
    early, late = OsqpSolver(max_iterations=1).solve(problem), OsqpSolver().solve(problem)
    assert early.residual <= 1e-4 and kkt_residual(problem, early)[0] > 0.01
    assert not early.usable and "iterations" in early.status
    assert late.usable and max(kkt_residual(problem, late)) < 1e-4


def test_make_solver_names_what_it_knows() -> None:
    assert make_solver("daqp", 1e-6).name == "daqp" and make_solver("osqp", 1e-4).name == "osqp"
    with pytest.raises(ValueError, match="known: daqp, osqp"):
        make_solver("simplex", 1e-6)
