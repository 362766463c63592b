"""A simulated run that an operator steers, in real time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from poise.hw.operation import Operated
from poise.robots import Certificate, Decision, Intent, RobotModel, RobotState
from poise.robots.commands import damping_command
from poise.sim import MujocoBackend
from poise.sim.runner import Steps

from .live import Watched
from .sources import Sources

POLL_TICKS = 5  # from poll to poll: what the operator wants changes at the ticks that are recorded whole
AFTER_STOP_S = 3.0  # the run goes on after an emergency stop, unless the robot is down before
STOPPED = "emergency stop: every joint is damped"


class Teleoperation(Watched):
    """Takes the intent from sources; after an emergency stop the plant is damped, and the run ends.

    A simulated robot is neither armed nor stood up: of the requests "safe stop" and "disarm" bring it to a stand, "walk" and the next
    stage let it go on.
    """

    def __init__(
        self, robot: RobotModel, backend: MujocoBackend, names: Sequence[str], port: int, stream: tuple[str, int], seed: int
    ) -> None:
        """Open the sources.

        Raises:
            PoiseError: one cannot be opened.
        """
        self._sources = Sources(names, robot, backend.model, port, stream)
        super().__init__(robot, backend, self._sources.page, seed)
        self._said = Operated()
        self._asked = 0  # ticks
        self._halted = False
        self._stopped_s: float | None = None
        self._remark = ""

    @property
    def hint(self) -> str:
        """How to use the sources."""
        return self._sources.hint

    @property
    def stopped(self) -> bool:
        """Whether there was an emergency stop."""
        return self._stopped_s is not None

    @property
    def ended(self) -> bool:
        """Whether an emergency stop is so long ago that the run is over."""
        return self._stopped_s is not None and self._time_s >= self._stopped_s + AFTER_STOP_S

    def close(self) -> None:
        """Close the sources."""
        self._sources.close()

    def intent(self, wanted: Intent) -> Intent:
        """What the operator wants in the coming tick."""
        self._asked += 1
        if self._asked % POLL_TICKS == 0:
            self._poll()
        return Intent() if self._halted else self._said.intent

    def over(self, stack: Steps) -> Steps:
        """The stack until the emergency stop."""
        return Stoppable(stack, self._robot, lambda: self.stopped)

    def outcome(self, fell: bool) -> dict[str, Any]:
        """A robot that goes down after an emergency stop has not fallen."""
        return {"fell": fell and not self.stopped, "emergency_stop_s": self._stopped_s}

    @property
    def _time_s(self) -> float:
        return float(self._backend.data.time)

    def _poll(self) -> None:
        self._said = said = self._sources.poll(self._time_s)
        if said.request in ("safe stop", "disarm"):
            self._halted = True
        elif said.request == "walk" or said.next:
            self._halted = False
        if said.emergency_stop and not self.stopped:
            self._stopped_s = self._time_s
            _tell(STOPPED)
        if said.remark not in ("", self._remark):
            _tell(said.remark)
        self._remark = said.remark


class Stoppable:
    """A stack whose command is damping from the tick on at which it is stopped."""

    def __init__(self, stack: Steps, robot: RobotModel, stopped: Callable[[], bool]) -> None:
        self._stack, self._stopped = stack, stopped
        self._damping = damping_command(robot)

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """The stack's decision, or that the joints are damped."""
        decision = self._stack.step(state, intent)
        if not self._stopped():
            return decision
        certificate = Certificate(True, (STOPPED,), 0.0, "damping")
        stopped = replace(decision, status="safe", reason=STOPPED, rung="damping", command=self._damping, certificate=certificate)
        return replace(stopped, plan=None, proposals=(), verdicts=(), chosen=-1)


def _tell(sentence: str) -> None:
    print(f"poise: {sentence}", file=sys.stderr, flush=True)
