"""How long the supervisor may wait for a controller: a walk goes on with the last command for longer than that."""

from __future__ import annotations

import numpy as np
import pytest
from wire import PERIOD_S, parts, plant

from poise.control import Stack
from poise.hw.supervisor import SupervisorConfig
from poise.robots import Intent
from poise.sim import fallen


@pytest.mark.parametrize("seed", range(3))
def test_a_walk_survives_a_command_that_stands_as_long_as_the_supervisor_waits(seed: int) -> None:
    backend, stack, rng = plant(), Stack(parts()[0]), np.random.default_rng(seed)
    backend.reset(seed)
    held = round(SupervisorConfig().heartbeat_s / PERIOD_S)
    for stretch in range(4):
        for _ in range(1500 if stretch == 0 else rng.integers(600, 900)):
            decision = stack.step(backend.read(), Intent(velocity=(0.4, 0.0, 0.0)))
            stack.think()
            backend.write(decision.command)
        for _ in range(held):
            backend.write(decision.command)
    assert not fallen(backend) and backend.base_position_world[0] > 1.0
