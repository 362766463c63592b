"""Can this state be used? What is missing, not finite, stale or of the wrong size is said in a sentence, never raised."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from poise.robots import RobotModel
from poise.robots.types import Array, Intent, JointCommand, RobotState

# Beyond these no sensor of a humanoid reads anything true, and one such sample would throw the estimate off.
POSITION_MAX = 13.0  # rad, two turns
GYRO_MAX = 40.0  # rad/s; IMUs of this class end at 35
ACCELEROMETER_MAX = 400.0  # m/s²; they end at 157
TORQUE_MAX = 1000.0  # N·m
SPEED_MARGIN = 2.0  # times the largest speed limit of the joints
INTENT_MAX = 1e6  # m, rad, m/s: what is wanted is clipped later


class SoundnessMonitor:
    """Checks states and intents, and remembers what was last sent for the few ticks that a gap is bridged."""

    def __init__(self, robot: RobotModel, hold_ticks: int) -> None:
        self._robot, self._hold_ticks = robot, hold_ticks
        self._speed_max = SPEED_MARGIN * float(robot.velocity_limit.max())
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._bad_ticks = 0
        self._last_stamp = -np.inf
        self._sent: JointCommand | None = None
        self.last_position: Array = self._robot.posture
        self.remark = ""

    @property
    def bridged(self) -> bool:
        """Whether the gap is short enough for the last command to stand in."""
        return self._sent is not None and self._bad_ticks <= self._hold_ticks

    @property
    def last_command(self) -> JointCommand:
        """What was sent last; only while `bridged`."""
        assert self._sent is not None
        return self._sent

    def sent(self, command: JointCommand) -> None:
        """Note what was sent."""
        self._sent = command

    def check(self, state: RobotState, intent: Intent) -> tuple[str, Intent]:
        """What is wrong with the state ("" if nothing), and the intent with unusable parts left out."""
        problem = self._state_problem(state)
        self._bad_ticks = self._bad_ticks + 1 if problem else 0
        if not problem:
            self.last_position = state.joint_position
        self.remark, intent = self._sound_intent(intent)
        return problem, intent

    def _state_problem(self, state: RobotState) -> str:
        n = (self._robot.n,)
        checks = (
            ("joint positions", state.joint_position, n, POSITION_MAX),
            ("joint velocities", state.joint_velocity, n, self._speed_max),
            ("base orientation", state.base_orientation_wxyz, (4,), 2.0),
            ("gyro", state.gyro_imu, (3,), GYRO_MAX),
            ("accelerometer", state.accelerometer_imu, (3,), ACCELEROMETER_MAX),
        )
        for name, value, shape, bound in checks:
            if value is None:
                return f"{name} missing"
            if not usable(value, shape, bound):
                return f"{name} {_fault(value, shape)}"
        if state.joint_torque is not None and not usable(state.joint_torque, n, TORQUE_MAX):
            return f"joint torques {_fault(state.joint_torque, n)}"
        assert state.base_orientation_wxyz is not None
        if abs(float(state.base_orientation_wxyz @ state.base_orientation_wxyz) - 1.0) > 1e-2:
            return "base orientation not a unit quaternion"
        # Against the last stamp seen, not the latest of all: after a clock that jumped ahead and back, states are fresh again.
        fresh = math.isfinite(state.stamp_s) and state.stamp_s > self._last_stamp
        if math.isfinite(state.stamp_s):
            self._last_stamp = state.stamp_s
        return "" if fresh else "state stale: its stamp did not advance"

    def _sound_intent(self, intent: Intent) -> tuple[str, Intent]:
        """Without its parts that are not finite or of the wrong size, and the sentence that says so."""
        wrong = []
        for name, shape in (
            ("velocity", (3,)),
            ("waypoint", (3,)),
            ("torso_rpy", (3,)),
            ("arms", self._robot.arms.shape),
            ("height_m", ()),
        ):
            value = getattr(intent, name)
            if value is not None and not usable(value, shape, INTENT_MAX):
                wrong.append(name)
        if not wrong:
            return "", intent
        nothing: dict[str, Any] = dict.fromkeys(wrong)
        return f"intent {', '.join(wrong)} not usable: left out", replace(intent, **nothing)

    def snapshot(self) -> tuple[int, float, JointCommand | None, Array]:
        """The state."""
        return self._bad_ticks, self._last_stamp, self._sent, self.last_position

    def restore(self, snapshot: tuple[int, float, JointCommand | None, Array]) -> None:
        """Go back to a snapshot."""
        self._bad_ticks, self._last_stamp, self._sent, self.last_position = snapshot


def usable(value: ArrayLike, shape: tuple[int, ...], bound: float) -> bool:
    """Whether a value, of at most one dimension, has that shape, is finite and nowhere beyond ±bound."""
    array = np.asarray(value, dtype=float)
    return array.shape == shape and bool(_within(array.reshape(-1), bound))


@njit(cache=True)
def _within(values: Array, bound: float) -> bool:
    for value in values:
        if not abs(value) <= bound:  # NaN is not
            return False
    return True


def _fault(value: ArrayLike, shape: tuple[int, ...]) -> str:
    if np.shape(value) != shape:
        return "of the wrong size"
    return "out of all proportion" if np.isfinite(value).all() else "not finite"
