"""What friction is asked of the ground.

A floor like ice is found out with the first soles that slide, if they slide a little: a calm walk begins with what any ground gives, and
asks for more from step to step as long as nothing slides. A robot that has to be caught asks for all that has not been disproven. Where a
sole slides, the ground gives less than it was asked for, and trust begins anew.
"""

from __future__ import annotations

import math
from copy import copy
from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array

STEEPEST_Z = 0.5  # of a sole's normal; steeper ones count as that


class GripConfig(NamedTuple):
    """Frictions are tangential over normal force."""

    calm: float = 0.17  # that a calm walk begins with, and that any ground gives
    leaning: float = 1.1  # times what the plan's own force takes, which is asked for in any case: without it the robot would sink
    trust_s: float = 1.5  # on one foot that does not slide, in which it asks for e times as much
    patience_s: float = 1.0  # on one foot without sliding, before it asks for more,
    wary_s: float = 20.0  # and longer by it after a slide
    urgent: float = 0.3  # that a robot that has to be caught asks for on any ground: giving in costs more than sliding
    forget_s: float = 300.0  # in which the ground is another
    pushed: float = 0.3  # urgency from which on a sole that slides,
    pushed_share: float = 0.9  # when so much of all is asked for, was pushed
    speed: float = 0.08  # m/s, from which a sole that stands slides,
    filter_s: float = 0.05  # of its speed
    arm: float = 0.05  # m, at which a turn about its normal is sliding
    tipping: float = 0.6  # rad/s, of a sole that turns over an edge: it tells nothing
    share: float = 0.4  # of the weight, that a sole has to carry to tell something,
    standing_s: float = 0.04  # and for how long


class Grip:
    """Updated with each state.

    Attributes:
        trusted: friction that a calm walk asks of level ground.
        possible: friction that the ground gives at most, as far as is known.
    """

    def __init__(self, config: GripConfig, most: float, weight_n: float) -> None:
        """Of a robot of that weight; `most` is the friction that is ever counted on."""
        self._config, self._most, self._weight = config, most, weight_n
        self.reset()

    def reset(self) -> None:
        """Nothing is known."""
        self.trusted, self.possible = min(self._config.calm, self._most), self._most
        self._asked, self._urgency, self._since_s = self.trusted, 0.0, 0.0  # s on one foot that did not slide
        self._stood = np.zeros((2, 4))  # for how long either sole has carried the robot, s, and its speed, m/s

    def copy(self) -> Grip:
        """An independent copy."""
        other = copy(self)
        other._stood = self._stood.copy()
        return other

    def ask(self, urgency: float, normals: Array, lean: Array) -> float:
        """What friction is asked of the ground now.

        urgency: from 0, a calm walk, to 1, one that has to be caught; normals (k, 3): of the standing soles, whose gradient it takes to
        stand there; lean (2,): of the line from the planned ZMP to the centre of mass, along which the plan's own force acts.
        """
        gradient = max((math.hypot(x, y) / max(z, STEEPEST_Z) for x, y, z in normals.tolist()), default=0.0)
        needed = max(self.trusted, self._config.leaning * math.hypot(*lean.tolist()))
        self._urgency = urgency
        self._asked = float(min(needed + gradient, self.possible) ** (1.0 - urgency) * self.possible**urgency)
        return self._asked

    def update(self, stands: Array, rotation: Array, velocity: Array, wrench: Array, dt: float) -> None:
        """Take the soles that stand by plan (2,), how they lie (2, 3, 3), velocities (2, 6) m/s and rad/s, wrenches (2 or more, 6) N, N·m.

        All in the world; what is not finite says nothing.
        """
        c, slid = self._config, has_slid(self._stood, stands, rotation, velocity, wrench, dt, self._weight, self._config)
        self.possible += dt / c.forget_s * (self._most - self.possible)
        if slid and not (self._urgency > c.pushed and self._asked > c.pushed_share * self._most):
            self.trusted = min(c.calm, self._most)
            self.possible = max(c.urgent, min(self.possible, self._asked))
            self._since_s = -c.wary_s
        elif stands[0] + stands[1] < 1.5:
            self._since_s += dt
            if self._since_s > c.patience_s:
                self.trusted = min(self.possible, self.trusted * (1.0 + dt / c.trust_s))


@njit(cache=True)
def has_slid(
    stood: Array, stands: Array, rotation: Array, velocity: Array, wrench: Array, dt: float, weight: float, config: GripConfig
) -> bool:
    """Whether a sole slides; how long it has stood (s), and its speed in its own axes (m/s), (2, 4), is written in place."""
    c, slides = config, False
    for foot in range(2):
        r, so_far = rotation[foot].T, stood[foot]
        force, way, turn = r @ wrench[foot, :3], r @ velocity[foot, :3], r @ velocity[foot, 3:]
        if not (stands[foot] > 0.5 and force[2] > c.share * weight):
            so_far[:] = 0.0
            continue
        so_far[0] += dt
        if so_far[0] > c.standing_s and np.hypot(turn[0], turn[1]) < c.tipping and np.isfinite(way[0] + way[1] + turn[2]):
            new = min(1.0, dt / c.filter_s)
            so_far[1:3] += new * (way[:2] - so_far[1:3])
            so_far[3] += new * (c.arm * turn[2] - so_far[3])
            slides = slides or np.sqrt(so_far[1] ** 2 + so_far[2] ** 2 + so_far[3] ** 2) > c.speed
    return slides
