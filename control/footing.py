"""A foot that is knocked away: by plan it stands, it stood, and it moves.

A blow at an ankle takes a foot from under the robot at metres a second, and the body hardly feels it. What is left to stand on is the
other foot, while it is on the ground or close to it.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from math import hypot

from poise.robots.types import Array


@dataclass(frozen=True)
class FootingConfig:
    """Lengths in m, speeds in m/s."""

    still: float = 0.3  # below it a foot that is put down has come to rest
    moved: float = 0.05  # so far from where it last was at rest,
    speed: float = 0.8  # and still so fast: a foot that slips is not both
    low: float = 0.05  # a foot in the air is close to the ground up to this height over where the other was at rest


class Footing:
    """Where the feet that stand were last at rest; called once a tick."""

    def __init__(self, config: FootingConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget: the feet that stand next have come to rest nowhere yet."""
        self._rest: tuple[list[float] | None, ...] = (None, None)  # x, y, z in the world, m; never written to

    def copy(self) -> Footing:
        """An independent copy."""
        return copy(self)

    def __call__(self, standing: Array, soles: Array, velocities: Array) -> int | None:
        """The foot that is knocked away, where the other is there to stand on.

        standing (2,): above 0.5 where a foot stands by plan; soles (2, 3) m and their velocities (2, 3 or more) m/s in the world.
        """
        cfg, gone, rest = self._config, [], list(self._rest)
        for foot, (place, (vx, vy, *_)) in enumerate(zip(soles.tolist(), velocities.tolist(), strict=True)):
            here, speed = rest[foot], hypot(vx, vy)
            if standing[foot] <= 0.5:
                rest[foot] = None
            elif speed < cfg.still:
                rest[foot] = place
            elif here is not None and speed > cfg.speed and hypot(place[0] - here[0], place[1] - here[1]) > cfg.moved:
                gone.append((foot, here[2]))
        self._rest = tuple(rest)
        if len(gone) != 1:
            return None
        foot, ground = gone[0]
        near = standing[1 - foot] > 0.5 or soles[1 - foot, 2] - ground <= cfg.low
        return foot if near else None
