"""The robot that most tests use, loaded once."""

from __future__ import annotations

import pytest

from poise.robots import RobotModel, load_robot


@pytest.fixture(scope="session")
def g1() -> RobotModel:
    """The G1."""
    return load_robot("g1")
