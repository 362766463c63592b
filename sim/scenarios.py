"""Scenarios: what is wanted of the robot over the time of a run, and what is done to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.robots import Intent, PoiseError

from .disturbances import Push
from .faults import SensorFault

TOUR_S = 60.0
QUICK_TOUR_S = 10.0
PUSHES = 4
PUSH_NS = 10.0  # N·s
PUSH_WINDOW = (0.05, 0.95)  # share of the tour in which pushes come
STRIDE_S = 0.84  # nominal: two steps


@dataclass(frozen=True, eq=False)
class Segment:
    """What is wanted until a time of the scenario, s."""

    until_s: float
    intent: Intent


@dataclass(frozen=True, eq=False)
class Scenario:
    """Segments in the order of their times, pushes, and sensors that fail; the last segment goes on to the end."""

    name: str
    segments: tuple[Segment, ...]
    pushes: tuple[Push, ...]
    seconds: float
    faults: tuple[SensorFault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no segment, no end or goes back in time."""
        times = [segment.until_s for segment in self.segments]
        if not times or sorted(times) != times:
            raise PoiseError(f"scenario {self.name}: needs segments in the order of until_s, got {times}")
        if not 0.0 < self.seconds < np.inf:
            raise PoiseError(f"scenario {self.name}: lasts {self.seconds} s; give a time above 0")

    def intent(self, time_s: float) -> Intent:
        """What is wanted at a time since the start, s."""
        return next((s.intent for s in self.segments if time_s < s.until_s), self.segments[-1].intent)


# Of a tour of 60 s. Waypoints lie in the odometry world frame: the robot starts at its origin, facing along x.
_TOUR = (
    Segment(2.0, Intent()),
    Segment(7.0, Intent(waypoint=(0.6, 0.0, 0.4))),
    Segment(12.0, Intent(waypoint=(1.0, 0.4, 1.0))),
    Segment(17.0, Intent(waypoint=(0.8, 0.9, 1.6))),
    Segment(21.0, Intent(height_m=0.58, torso_rpy=(0.0, 0.15, 0.25))),
    Segment(24.0, Intent(torso_rpy=(0.0, 0.0, -0.25))),
    Segment(28.0, Intent(velocity=(0.0, 0.0, 0.6))),
    Segment(35.0, Intent(velocity=(0.5, 0.0, 0.0))),
    Segment(39.0, Intent(velocity=(0.0, 0.2, 0.0))),
    Segment(43.0, Intent(velocity=(0.0, -0.2, 0.0))),
    Segment(48.0, Intent(velocity=(-0.3, 0.0, 0.0))),
    Segment(52.0, Intent(velocity=(0.0, 0.0, -0.6))),
    Segment(58.0, Intent(velocity=(0.5, 0.0, 0.3))),
    Segment(TOUR_S, Intent()),
)


def demo_scenario(seed: int, seconds: float = TOUR_S, body: str = "torso_link") -> Scenario:
    """The demo's tour: waypoints, standing in postures, turning in place, walking every way, and four pushes drawn from the seed.

    Args:
        seconds: how much of it is run; the pushes are those of the whole.
        body: that is pushed.
    """
    return Scenario("demo", _TOUR, draw_pushes(seed, TOUR_S, body), seconds)


def draw_pushes(seed: int, seconds: float, body: str) -> tuple[Push, ...]:
    """Four pushes of 10 N·s for 0.2 s, one in each quarter of the window: direction, time and phase of the stride from the seed."""
    rng = np.random.default_rng((seed, 2))
    first, last = (share * seconds for share in PUSH_WINDOW)
    quarter = (last - first) / PUSHES
    pushes = []
    for i in range(PUSHES):
        angle, share, phase = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, 1.0), rng.uniform(0.0, 1.0)
        # A whole number of strides into the quarter, and then a part of one; the rest of the quarter is for recovering.
        strides = int(share * max(0.6 * quarter / STRIDE_S - 1.0, 0.0))
        start = first + i * quarter + min((strides + phase) * STRIDE_S, 0.6 * quarter)
        pushes.append(Push(body, (float(np.cos(angle)), float(np.sin(angle)), 0.0), PUSH_NS, float(start), frame="heading"))
    return tuple(pushes)


def steady_scenario(seed: int, intent: Intent, seconds: float) -> Scenario:
    """One intent for the whole time and nothing done to the robot; the same for every seed."""
    return Scenario("walk", (Segment(seconds, intent),), (), seconds)
