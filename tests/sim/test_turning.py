"""A turn in place that goes on: the feet turn as fast as the body does."""

from __future__ import annotations

import numpy as np
import pytest

from poise.control import Stack
from poise.control.rotation import wrap_angle
from poise.robots import Decision, RobotModel, RobotState
from poise.sim import MujocoBackend, run
from poise.sim.noise import NOISE
from poise.sim.runner import constant


@pytest.mark.parametrize("rate", [1.0, -1.0])
def test_the_feet_keep_up_with_a_turn(g1: RobotModel, rate: float) -> None:
    """With 0.5 rad a step at most they fell behind by 0.05 rad each, and some 0.8 rad behind the walk had to be caught."""
    stack = Stack(g1)
    backend = MujocoBackend(g1, period_s=stack.period_s, noise=NOISE["nominal"])
    backend.reset(0)
    stack.reset(0)
    behind, rungs = [], set()

    def watch(decision: Decision, state: RobotState) -> None:
        assert decision.belief is not None
        behind.append([rate * wrap_angle(backend.yaw - yaw) for yaw in decision.belief.sole_yaw])
        rungs.add(decision.rung)

    result = run(stack, backend, constant((0.0, 0.0, rate)), 8.0, watch)
    assert not result.fell and rungs <= {"nominal", "filtered"}
    assert np.mean(behind[-1000:]) < 0.2
    assert abs(result.mean_velocity[2] - rate) < 0.02
