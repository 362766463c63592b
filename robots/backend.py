"""The contract of everything that can be a robot: simulator, wire, log replay, mock."""

from __future__ import annotations

from typing import Protocol

from .types import JointCommand, RobotState


class Backend(Protocol):
    """Four methods; `conformance.check_backend` says whether an implementation keeps them."""

    def reset(self, seed: int | None = None) -> RobotState:
        """Bring the robot to its start and return the first state."""
        ...

    def read(self) -> RobotState:
        """Return the newest state without advancing time."""
        ...

    def write(self, command: JointCommand) -> JointCommand:
        """Send a command for one control period and return what was really sent."""
        ...

    def close(self) -> None:
        """Release the robot; safe to call twice."""
        ...
