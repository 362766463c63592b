from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from poise.control.lie import act_exp, compose, exp_quat, log_quat
from poise.control.linalg import Triple
from poise.control.rotation import matrix_from_quat
from poise.robots.types import Array

ANGLES = [0.0, 1e-7, 5e-4, 1.5e-3, 0.3, 2.0, 3.1]  # on both sides of where the series begins


def wedge(turn: Array) -> Array:
    """The matrix (3, 3) of turn × ."""
    return np.cross(np.eye(3), turn)


def turns() -> list[Array]:
    """Rotation vectors of all sizes, rad."""
    rng = np.random.default_rng(0)
    return [angle * direction / np.linalg.norm(direction) for angle in ANGLES for direction in rng.normal(size=(5, 3))]


def test_exp_is_the_matrix_exponential() -> None:
    for turn in turns():
        np.testing.assert_allclose(matrix_from_quat(np.array(exp_quat(turn))), expm(wedge(turn)), atol=1e-12)


def test_log_undoes_exp_and_takes_the_short_way() -> None:
    for turn in turns():
        quat = np.array(exp_quat(turn))
        np.testing.assert_allclose(log_quat(quat), turn, atol=1e-12)
        np.testing.assert_allclose(log_quat(-quat), turn, atol=1e-12)  # the same rotation


def test_quaternions_are_a_group() -> None:
    rng, one = np.random.default_rng(1), (1.0, 0.0, 0.0, 0.0)
    a, b, c = (np.array(exp_quat(rng.normal(size=3))) for _ in range(3))
    inverse = a * [1.0, -1.0, -1.0, -1.0]
    np.testing.assert_allclose(compose(a, inverse), one, atol=1e-15)
    np.testing.assert_allclose(compose(a, one), a, atol=1e-15)
    np.testing.assert_allclose(compose(np.array(compose(a, b)), c), compose(a, np.array(compose(b, c))), atol=1e-15)
    product = Rotation.from_quat(a, scalar_first=True) * Rotation.from_quat(b, scalar_first=True)
    np.testing.assert_allclose(matrix_from_quat(np.array(compose(a, b))), product.as_matrix(), atol=1e-14)


def test_acting_is_the_exponential_of_the_group() -> None:
    """Exp(ξ) X on SE₄(3) as matrices (7, 7): [[R, v p d d], [0, 1]]."""
    rng = np.random.default_rng(2)
    for turn in turns():
        vectors, shifts = rng.normal(size=(2, 4, 3))
        algebra, element = np.zeros((7, 7)), np.eye(7)
        algebra[:3, :3], algebra[:3, 3:], element[:3, 3:] = wedge(turn), shifts.T, vectors.T
        act_exp(turn, vectors, shifts)
        np.testing.assert_allclose(vectors, (expm(algebra) @ element)[:3, 3:].T, atol=1e-12)


@pytest.mark.parametrize("turn", [(0.2, -0.4, 0.1), (1e-5, 0.0, 2e-5)])
def test_a_conjugated_exponential_is_that_of_the_adjoint(turn: Triple) -> None:
    """X Exp(ξ) X⁻¹ = Exp(Ad ξ), with Ad (ξ_R, ξ_x) = (R ξ_R, x × R ξ_R + R ξ_x): what carries the gyro's error into v, p and d."""
    rng = np.random.default_rng(3)
    quat, x, shift = np.array(exp_quat(rng.normal(size=3))), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    rotation = matrix_from_quat(quat)
    moved = np.zeros((4, 3))
    act_exp(np.array(turn), moved, shift)  # Exp(ξ), then X Exp(ξ) X⁻¹ of its vectors
    inner = np.array(exp_quat(turn))
    conjugate = matrix_from_quat(np.array(compose(np.array(compose(quat, inner)), quat * [1.0, -1.0, -1.0, -1.0])))
    left = x + moved @ rotation.T - x @ conjugate.T
    turned = rotation @ turn
    right = np.zeros((4, 3))
    act_exp(turned, right, np.cross(x, turned) + shift @ rotation.T)
    np.testing.assert_allclose(conjugate, matrix_from_quat(np.array(exp_quat(turned))), atol=1e-14)
    np.testing.assert_allclose(left, right, atol=1e-14)
