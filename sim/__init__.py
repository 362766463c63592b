"""The MuJoCo side: plants, disturbances, environments, benchmarks."""

from .senses import actuate, sense

__all__ = ["actuate", "sense"]
