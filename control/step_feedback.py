"""What is learned from step to step: a trim of the commanded velocity, and how much earlier the swing foot has to land.

A foot is on the ground later than its reference, and is known to be there later still (the contact observer is a
low-pass): about 12 ms walking forward at 0.4 m/s and 30 ms sideways, in which the DCM goes on to grow, by 5 to 13 %.
So the reference lands earlier than the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array

from .rotation import turned

MARKED_STEPS = 4  # a command must have held for so many steps before its error is integrated


@dataclass(frozen=True)
class FeedbackConfig:
    """Shares a touchdown, and their bounds."""

    velocity_gain: tuple[float, float] = (0.12, 0.2)  # of the mean velocity error, forward and left, added to the trim
    velocity_trim_max: tuple[float, float] = (0.20, 0.25)  # m/s
    pushed_mps: float = 0.4  # of velocity error: beyond it the robot was pushed, and there is nothing to learn
    steady_twist: float = 0.02  # m/s and rad/s: changes below it leave a command the same
    lead_start_s: float = 0.02
    lead_gain: float = 0.3  # of how late a touchdown was seen
    late_max_s: float = 0.02  # that counts of it: a foot that meets the ground in a recovery says little
    lead_range_s: tuple[float, float] = (-0.03, 0.04)


@dataclass(frozen=True, slots=True, eq=False)
class _Mark:
    """A touchdown: time (s), CoM (2,) m, command (3,)."""

    time: float
    com: Array
    twist: Array


class StepFeedback:
    """Integral action of the walk, updated at each touchdown."""

    def __init__(self, config: FeedbackConfig) -> None:
        self._config = config
        self._velocity_gain, self._trim_max = np.array(config.velocity_gain), np.array(config.velocity_trim_max)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.lead_s = self._config.lead_start_s  # from the swing foot's landing in its reference to the planned touchdown
        self.stand()

    def stand(self) -> None:
        """Forget the velocity, not the lead."""
        self.twist_trim = np.zeros(3)  # m/s, heading frame, and nothing for the turning rate
        self._marks: list[_Mark] = []

    def interrupted(self) -> None:
        """A step ended without a touchdown: those before and after it make no pair."""
        self._marks = []

    def copy(self) -> StepFeedback:
        """An independent copy."""
        other = StepFeedback(self._config)
        other.lead_s, other.twist_trim, other._marks = self.lead_s, self.twist_trim, list(self._marks)
        return other

    def touchdown(self, late_s: float, time: float, com: Array, heading: float, twist: Array) -> None:
        """Learn from the step that ends now, `late_s` after it was planned to; com (2,) m, twist (3,)."""
        c = self._config
        late_s = min(c.late_max_s, max(-c.late_max_s, late_s))
        self.lead_s = min(c.lead_range_s[1], max(c.lead_range_s[0], self.lead_s + c.lead_gain * late_s))
        self._trim_velocity(time, com, heading, twist)

    def _trim_velocity(self, time: float, com: Array, heading: float, twist: Array) -> None:
        """Integrate the mean velocity error over the last two steps, heading frame, while the command is steady."""
        self._marks.append(_Mark(time, com.copy(), twist))
        if len(self._marks) <= MARKED_STEPS:
            return
        self._marks.pop(0)
        if max(np.abs(mark.twist - twist).max() for mark in self._marks) > self._config.steady_twist:
            return
        first, last = self._marks[-3], self._marks[-1]
        seconds = last.time - first.time
        mean = turned(0.5 * float(twist[2]) * seconds - heading, last.com - first.com) / seconds
        error = twist[:2] - mean
        if np.abs(error).max() < self._config.pushed_mps:
            trim = np.clip(self.twist_trim[:2] + self._velocity_gain * error, -self._trim_max, self._trim_max)
            self.twist_trim = np.array([*trim, 0.0])
