"""Sensors that fail for a while: readings that are no numbers, and readings that stay what they were."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from poise.robots import PoiseError, RobotModel, RobotState

STATE = "state"  # the reading of a fault that takes the whole state, with its stamp
READINGS = tuple(field.name for field in fields(RobotState) if field.name not in ("stamp_s", "motor_fault"))
JOINT_READINGS = tuple(name for name in READINGS if name.startswith("joint_"))


@dataclass(frozen=True)
class SensorFault:
    """One reading that fails for a while; stateless but for the state read before, so that a run can be restored at any moment.

    A dead encoder is a `joint_position` that is frozen; a network that drops states is a frozen `state`.
    """

    reading: str  # of READINGS, or "state"
    kind: Literal["nan", "frozen"]  # no number, or what it was when the fault began
    start_s: float
    duration_s: float
    joint: str | None = None  # whose reading of the joints' it is; None: all of the reading

    def check(self, robot: RobotModel) -> None:
        """Refuse what cannot be done to the robot.

        Raises:
            PoiseError: no such reading or joint, a state of no numbers, or no duration.
        """
        known = (*READINGS, STATE)
        if self.reading not in known:
            raise PoiseError(f"sensor fault: no reading {self.reading!r}; known: {', '.join(known)}")
        if self.reading == STATE and self.kind != "frozen":
            raise PoiseError("sensor fault: a whole state can be frozen only; name one of its readings")
        if self.joint is not None and (self.reading not in JOINT_READINGS or self.joint not in robot.joint_names):
            raise PoiseError(f"sensor fault: {robot.name} has no {self.reading} of {self.joint!r}; name one of its joints, or none")
        if not self.duration_s > 0.0:
            raise PoiseError(f"sensor fault of {self.duration_s} s: give a duration above 0")

    def read(self, robot: RobotModel, state: RobotState, before: RobotState) -> RobotState:
        """The state as it is read with the fault; `before` is what was read a period earlier. What is absent stays absent."""
        if not -1e-9 <= state.stamp_s - self.start_s < self.duration_s - 1e-9:
            return state
        if self.reading == STATE:
            return before
        value = getattr(state, self.reading)
        if value is None:
            return state
        at = slice(None) if self.joint is None else robot.joint_names.index(self.joint)
        wrong = value.copy()
        wrong[at] = np.nan if self.kind == "nan" else getattr(before, self.reading)[at]
        return replace(state, **{self.reading: wrong})
