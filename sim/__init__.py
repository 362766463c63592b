"""The MuJoCo side: plants, disturbances, environments, benchmarks."""

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
