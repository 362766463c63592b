from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest

from poise.control.rotation import matrix_from_quat, matrix_from_rpy, rotation_error, turned, wrap_angle, yaw_of


@pytest.mark.parametrize("seed", range(10))
def test_rotations_are_pinocchios(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, z, w = quat = rng.normal(size=4) / 1.0
    x, y, z, w = quat / np.linalg.norm(quat)
    np.testing.assert_allclose(matrix_from_quat(np.array([w, x, y, z])), pin.Quaternion(w, x, y, z).matrix(), atol=1e-14)
    roll, pitch, yaw = rng.uniform(-1.5, 1.5, 3)
    rotation = matrix_from_rpy(roll, pitch, yaw)
    np.testing.assert_allclose(rotation, pin.rpy.rpyToMatrix(roll, pitch, yaw), atol=1e-14)
    assert yaw_of(rotation) == pytest.approx(yaw)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-6, 1e-3, 0.5, 2.0, 3.0])
def test_rotation_error_turns_actual_into_wanted(angle: float) -> None:
    rng = np.random.default_rng(3)
    axis = rng.normal(size=3)
    vector = angle * axis / np.linalg.norm(axis)
    actual = pin.exp3(rng.normal(size=3))
    error = rotation_error(pin.exp3(vector) @ actual, actual)
    np.testing.assert_allclose(error, vector, rtol=1e-7, atol=1e-14)


def test_angles_and_turns() -> None:
    for turns in range(-3, 4):
        assert wrap_angle(0.7 + 2.0 * np.pi * turns) == pytest.approx(0.7)
    assert wrap_angle(np.pi + 0.1) == pytest.approx(-np.pi + 0.1)
    np.testing.assert_allclose(turned(np.pi / 2, np.array([2.0, 1.0])), [-1.0, 2.0], atol=1e-15)
