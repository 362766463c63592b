"""A run in real time, watched in the browser or not: with the page's velocity and pushes."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

import numpy as np

from poise.hw.clock import Clock
from poise.robots import Decision, Intent, RobotModel
from poise.sim import MujocoBackend, Push
from poise.sim.runner import Steps

from .view import Viewer

PUSH_NS = 10.0  # N·s
PACE_TICKS = 10  # ticks between two looks at the clock


class Watched:
    """Keeps real time, and shows each decision on a page where there is one."""

    def __init__(self, robot: RobotModel, backend: MujocoBackend, viewer: Viewer | None, seed: int, speed: float = 1.0) -> None:
        """`speed` is how fast simulated time passes, in real time."""
        self._robot, self._backend, self._viewer = robot, backend, viewer
        self._rng = np.random.default_rng((seed, 3))
        self._clock = Clock(PACE_TICKS * backend.period_s / speed, spin_s=0.0)
        self._ticks = 0

    def __enter__(self) -> Self:
        print(f"{self.hint}; Ctrl-C ends the run.", file=sys.stderr, flush=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def hint(self) -> str:
        """What to do to steer, for people."""
        return "" if self._viewer is None else self._viewer.hint

    @property
    def ended(self) -> bool:
        """Whether the run is over by what was asked for here."""
        return False

    def close(self) -> None:
        """Close the page."""
        if self._viewer is not None:
            self._viewer.close()

    def intent(self, wanted: Intent) -> Intent:
        """What is wanted in the coming tick, in place of what the scenario wants."""
        return wanted

    def over(self, stack: Steps) -> Steps:
        """The stack, or what stands before it."""
        return stack

    def outcome(self, fell: bool) -> dict[str, Any]:
        """What is to be said of the run beside, or in place of, its figures."""
        return {}

    def show(self, decision: Decision | None) -> Push | None:
        """Draw, push where that was asked for, and wait until this tick is due. Returns the push."""
        push = None
        if self._viewer is not None:
            push = self._push() if self._viewer.pushed() else None
            self._viewer.update(self._backend.data, decision)
        if self._ticks == 0:
            self._clock.restart()  # the first tick is late by what was loaded for it
        self._ticks += 1
        if self._ticks % PACE_TICKS == 0:
            self._clock.wait()
        return push

    def _push(self) -> Push:
        angle = self._rng.uniform(-np.pi, np.pi)
        direction = (float(np.cos(angle)), float(np.sin(angle)), 0.0)
        push = Push(self._robot.overlay.torso, direction, PUSH_NS, float(self._backend.data.time), frame="heading")
        self._backend.disturbances = (*self._backend.disturbances, push)
        return push


class Live(Watched):
    """Takes over the intent once the page's velocity was moved."""

    def __init__(self, robot: RobotModel, backend: MujocoBackend, port: int, seed: int, speed: float = 1.0) -> None:
        """Serve the page on this machine; `speed` is how fast simulated time passes, in real time.

        Raises:
            PoiseError: viser is not installed.
        """
        self._page = Viewer(robot, backend.model, port)
        super().__init__(robot, backend, self._page, seed, speed)
        self._steered = False

    def intent(self, wanted: Intent) -> Intent:
        """What is wanted: the scenario's, until the velocity on the page is first moved or stopped; from then on the page's."""
        velocity = self._page.velocity
        self._steered = self._steered or any(velocity) or self._page.stopped
        return Intent(velocity=velocity) if self._steered else wanted
