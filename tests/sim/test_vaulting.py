"""What vaulting saves, by the simulator's account of the motors' work."""

from __future__ import annotations

from poise.control import Stack
from poise.control.stack_config import StackConfig
from poise.control.walker_config import WalkerConfig
from poise.robots import RobotModel
from poise.sim import MujocoBackend, run
from poise.sim.noise import NOISE
from poise.sim.runner import constant


def walked_energy(g1: RobotModel, share: float) -> float:
    """J that the motors put in and take out over 4 s at 0.5 m/s, once the walk is steady."""
    stack = Stack(g1, StackConfig(walker=WalkerConfig(vault_share=share)))
    backend = MujocoBackend(g1, period_s=stack.period_s, noise=NOISE["nominal"])
    backend.reset(0)
    stack.reset(0)
    assert not run(stack, backend, constant((0.5, 0.0, 0.0)), 3.0).fell
    before = backend.energy_j
    assert not run(stack, backend, constant((0.5, 0.0, 0.0)), 4.0).fell
    return backend.energy_j - before


def test_vaulting_saves_energy(g1: RobotModel) -> None:
    """An eighth was measured, 0.26 against 0.30 of cost of transport."""
    assert walked_energy(g1, StackConfig().walker.vault_share) < 0.92 * walked_energy(g1, 0.0)
