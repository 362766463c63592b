"""How soon a touchdown is known, against the simulator's contacts."""

from __future__ import annotations

import pytest

from poise.control import Stack
from poise.robots import Decision, RobotModel, RobotState
from poise.sim import MujocoBackend, run
from poise.sim.disturbances import body_id, is_ground
from poise.sim.noise import NOISE
from poise.sim.runner import constant
from poise.sim.stride import touches_ground

KNOWN_WITHIN_S = 0.02  # in which the DCM of a G1 grows by 8 %


@pytest.mark.parametrize("velocity", [(0.5, 0.0, 0.0), (0.0, 0.3, 0.0)])
def test_a_touchdown_is_known_soon(g1: RobotModel, velocity: tuple[float, float, float]) -> None:
    """From the foot's contact with the ground to the plan that stands on it."""
    stack = Stack(g1)
    backend = MujocoBackend(g1, period_s=stack.period_s, noise=NOISE["nominal"])
    state = backend.reset(0)
    assert state is not None
    stack.reset(0)
    run(stack, backend, constant(velocity), 3.0)
    feet = [backend.model.geom_bodyid == body_id(backend.model, body) for body in g1.overlay.sole_bodies]
    ground, since, delays, stances = is_ground(backend.model), [0, 0], [], [-1]

    def watch(decision: Decision, state: RobotState) -> None:
        assert decision.plan is not None
        for foot in range(2):
            since[foot] = since[foot] + 1 if touches_ground(backend.data, feet[foot], ground) else 0
        if stances[-1] not in (-1, decision.plan.stance):
            delays.append(since[decision.plan.stance] * stack.period_s)
        stances.append(decision.plan.stance)

    run(stack, backend, constant(velocity), 4.0, watch)
    assert len(delays) >= 7
    assert max(delays) <= KNOWN_WITHIN_S
