"""Small linear algebra against NumPy's."""

from __future__ import annotations

import numpy as np

from poise.control.linalg import add_scaled, backward, cholesky, cross, dot, forward, multiply, rotated, rotated_back


def test_products_are_numpys() -> None:
    rng = np.random.default_rng(0)
    a, b, x, y, out = *rng.normal(size=(2, 3, 3)), *rng.normal(size=(2, 3)), np.full((3, 3), np.nan)
    multiply(a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-14)
    np.testing.assert_allclose(rotated(a, x), a @ x, rtol=1e-13)
    np.testing.assert_allclose(rotated_back(a, x), a.T @ x, rtol=1e-13)
    np.testing.assert_allclose(cross(x, y), np.cross(x, y), rtol=1e-13)
    np.testing.assert_allclose(rotated(a, cross(x, y)), a @ np.cross(x, y), rtol=1e-12)
    for n in (0, 1, 35):
        u, v = rng.normal(size=(2, n))
        assert abs(dot(u, v) - u @ v) < 1e-13
        total = u.copy()
        add_scaled(total, -0.3, v)
        np.testing.assert_allclose(total, u - 0.3 * v, rtol=1e-12, atol=1e-15)


def test_cholesky_and_its_substitutions_are_numpys() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 6, 35):
        root = rng.normal(size=(n, n))
        matrix, x = root @ root.T + np.eye(n), rng.normal(size=n)
        factor = matrix.copy()
        assert cholesky(factor, n)
        np.testing.assert_allclose(np.triu(factor), np.linalg.cholesky(matrix).T, rtol=1e-9, atol=1e-9)
        solved = x.copy()
        forward(factor, solved, n)
        np.testing.assert_allclose(np.triu(factor).T @ solved, x, atol=1e-9)
        backward(factor, solved, n)
        np.testing.assert_allclose(matrix @ solved, x, atol=1e-9)


def test_cholesky_refuses_what_is_not_positive_definite() -> None:
    for diagonal in ((1.0, -1.0), (0.0, 1.0), (1.0, np.nan), (1.0, 1.0, -1.0), (1.0, 1.0, np.nan)):
        assert not cholesky(np.diag(diagonal), len(diagonal))
