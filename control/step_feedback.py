"""What is learned from step to step: a trim of the commanded velocity, and how far the real ZMP is off the commanded one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array

from .lip import dcm_after
from .rotation import turned

MARKED_STEPS = 4  # a command must have held for so many steps before its error is integrated


@dataclass(frozen=True)
class FeedbackConfig:
    """Shares a touchdown, and their bounds."""

    velocity_gain: float = 0.12  # of the mean velocity error, added to the trim
    velocity_trim_max: float = 0.15  # m/s
    steady_twist: float = 0.02  # m/s and rad/s: changes below it leave a command the same
    zmp_bias_gain: float = 0.4
    zmp_bias_max_m: float = 0.03


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
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.zmp_bias = np.zeros((2, 2))  # by stance foot, heading frame, m
        self._predicted, self._predicted_s = np.zeros(2), 0.0
        self.stand()

    def stand(self) -> None:
        """Forget the velocity, not the ZMP."""
        self.velocity_trim = np.zeros(2)  # m/s, heading frame
        self._marks: list[_Mark] = []

    def copy(self) -> StepFeedback:
        """An independent copy."""
        other = StepFeedback(self._config)
        other.zmp_bias[:], other._predicted, other._predicted_s = self.zmp_bias, self._predicted, self._predicted_s
        other.velocity_trim, other._marks = self.velocity_trim, list(self._marks)
        return other

    def lift_off(self, dcm: Array) -> None:
        """A single support begins with this DCM (2,) m."""
        self._predicted, self._predicted_s = dcm.copy(), 0.0

    def predict(self, zmp: Array, omega: float, dt: float) -> None:
        """Integrate the DCM over the commanded ZMP (2,) m for a tick."""
        self._predicted = dcm_after(self._predicted, zmp, omega, dt)
        self._predicted_s += dt

    def touchdown(self, time: float, com: Array, dcm: Array, omega: float, heading: float, twist: Array, stance: int) -> None:
        """Learn from the step on `stance` that ends now; com and dcm (2,) m, twist (3,)."""
        self._learn_zmp_bias(dcm, omega, heading, stance)
        self._trim_velocity(time, com, heading, twist)

    def _learn_zmp_bias(self, dcm: Array, omega: float, heading: float, stance: int) -> None:
        """A constant ZMP error δ moves the DCM by −δ (e^{ωt} − 1) off the prediction; small errors only: no pushes."""
        growth = np.exp(omega * self._predicted_s) - 1.0
        if growth < 0.5:
            return
        seen = turned(-heading, (self._predicted - dcm) / growth)
        limit, bias = self._config.zmp_bias_max_m, self.zmp_bias[stance]
        if np.abs(seen).max() < 2.0 * limit:
            self.zmp_bias[stance] = np.clip(bias + self._config.zmp_bias_gain * (seen - bias), -limit, limit)

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
        limit = self._config.velocity_trim_max
        self.velocity_trim = np.clip(self.velocity_trim + self._config.velocity_gain * (twist[:2] - mean), -limit, limit)
