"""The MuJoCo side: plants, disturbances, environments, benchmarks."""

import gymnasium

from .disturbances import Disturbance, Friction, Payload, Push, contact_friction
from .metrics import RunResult, fallen
from .mujoco_backend import MujocoBackend, Snapshot
from .noise import NOISE, NoiseConfig
from .runner import run
from .senses import actuate, sense

__all__ = [
    "NOISE",
    "Disturbance",
    "Friction",
    "MujocoBackend",
    "NoiseConfig",
    "Payload",
    "Push",
    "RunResult",
    "Snapshot",
    "actuate",
    "contact_friction",
    "fallen",
    "run",
    "sense",
]

# An episode of 15 s; the environment's module is imported when the first one is made.
gymnasium.register("poise/G1-Walk-v0", entry_point="poise.sim.env:WalkEnv", max_episode_steps=150)
