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

from .encoders import Encoders

# Beyond these no sensor of a humanoid reads anything true, and one such sample would throw the estimate off.
POSITION_MAX = 13.0  # rad, two turns
GYRO_MAX = 40.0  # rad/s; IMUs of this class end at 35
ACCELEROMETER_MAX = 400.0  # m/s²; they end at 157
TORQUE_MAX = 1000.0  # N·m
SPEED_MARGIN = 2.0  # times the largest speed limit of the joints
INTENT_MAX = 1e6  # m, rad, m/s: what is wanted is clipped later
FAULT_MAX = 1e9  # beyond which what a driver says is no code
INTENT_AGE_S = 0.5  # beyond which an intent that says when it was given counts no more

NO_STATE = RobotState(math.nan, np.zeros(0), np.zeros(0))
SOUND, UNUSABLE, NOT_UNIT = range(3)
_NUMBERS = frozenset((float, int))
READINGS = ("joint positions", "joint velocities", "base orientation", "gyro", "accelerometer", "joint torques")


class SoundnessMonitor:
    """Checks states and intents, and remembers what was last sent for the few ticks that a gap is bridged.

    `state` is the last sound one with its readings in one contiguous block, which the next check overwrites: kernels are
    compiled for that layout only. `blind` says of an unusable one that the joints' part of it is sound and fresh: `state` has it then,
    with the base upright and at rest.
    """

    def __init__(self, robot: RobotModel, hold_ticks: int) -> None:
        self._robot, self._hold_ticks = robot, hold_ticks
        speed_max = SPEED_MARGIN * float(robot.velocity_limit.max())
        bounds = (POSITION_MAX, speed_max, 2.0, GYRO_MAX, ACCELEROMETER_MAX, TORQUE_MAX)
        self._shapes = ((robot.n,), (robot.n,), (4,), (3,), (3,), (robot.n,))
        sizes = [shape[0] for shape in self._shapes]
        self._bounds, self._bound = bounds, np.repeat(bounds, sizes)
        self._flat, self._quat_at = np.zeros(sum(sizes)), 2 * robot.n
        parts = np.split(self._flat, np.cumsum(sizes)[:-1])
        self._no_torque = np.zeros(robot.n)
        three = dict.fromkeys(("velocity", "waypoint", "torso_rpy"), (3,))
        self._intent_shapes = (*three.items(), ("arms", robot.arms.shape), ("height_m", ()))
        self._sound = RobotState(0.0, parts[0], parts[1], parts[5], *parts[2:5])
        self._sound_without_torque = replace(self._sound, joint_torque=None)
        self._encoders = Encoders(robot.n)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._encoders.reset()
        self._bad_ticks = 0
        self._last_stamp, self.stamp_s = -np.inf, math.nan
        self._last_blind_stamp = -np.inf
        self._sent: JointCommand | None = None
        self.last_position: Array = self._robot.posture
        self.state = self._sound
        self.remark = self.motor_fault = ""
        self.aimless = self.blind = False

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
        """What is wrong with the state ("" if nothing), and the intent with unusable parts left out.

        After it `remark` says what else is wrong, `aimless` whether the intent does not say where to go as it should, and `motor_fault`
        which motors are said to be at fault, or encoders stand still.
        """
        if not isinstance(state, RobotState):
            state = NO_STATE
        self.stamp_s = _stamp(state.stamp_s)
        problem = self._state_problem(state)
        self._bad_ticks = self._bad_ticks + 1 if problem else 0
        self.blind = False
        if not problem:
            self.last_position = np.array(state.joint_position, dtype=float)  # a driver may use its own array again
        elif self._sees_joints(state):
            self.last_position = np.array(state.joint_position, dtype=float)
        self.remark, intent = self._sound_intent(intent)
        self.motor_fault = "" if state.motor_fault is None else self._motor_fault(state.motor_fault)
        if not problem:
            self._encoders(self.stamp_s, self.state.joint_position, self.state.joint_velocity)
        if self._encoders.any_dead:
            self.motor_fault = self.motor_fault or f"encoder stands still: {self._names(self._encoders.dead)}"
        return problem, intent

    def _state_problem(self, state: RobotState) -> str:
        torque = state.joint_torque
        readings = (state.joint_position, state.joint_velocity, state.base_orientation_wxyz, state.gyro_imu, state.accelerometer_imu)
        values = (*readings, self._no_torque if torque is None else torque)
        seen = self._copied(values)
        if seen == UNUSABLE:
            return self._first_fault(values)
        self.state = self._sound_without_torque if torque is None else self._sound
        if seen == NOT_UNIT:
            return "base orientation not a unit quaternion"
        # Against the last stamp seen, not the latest of all: after a clock that jumped ahead and back, states are fresh again.
        fresh = math.isfinite(self.stamp_s) and self.stamp_s > self._last_stamp
        if math.isfinite(self.stamp_s):
            self._last_stamp = self.stamp_s
        return "" if fresh else "state stale: its stamp did not advance"

    def _sees_joints(self, state: RobotState) -> bool:
        """Of a state with a problem, whether its joints are known nevertheless, which it takes then."""
        stamp, last = self.stamp_s, max(self._last_stamp, self._last_blind_stamp)
        fresh = math.isfinite(stamp) and stamp > last
        joints = zip((state.joint_position, state.joint_velocity), self._shapes, self._bounds, strict=False)
        self.blind = fresh and all(usable(*reading) for reading in joints)
        if self.blind:
            self._flat[:] = 0.0
            self._flat[self._quat_at] = 1.0
            self._sound.joint_position[:], self._sound.joint_velocity[:] = state.joint_position, state.joint_velocity
            self.state, self._last_blind_stamp = self._sound_without_torque, stamp
        return self.blind

    def _motor_fault(self, faults: Any) -> str:
        """The joints whose motors are said to be at fault, in a sentence; what cannot be read is remarked and no fault."""
        if not usable(faults, (self._robot.n,), FAULT_MAX):
            self.remark = f"{self.remark}; motor faults not usable: left out".removeprefix("; ")
            return ""
        return f"motor fault: {self._names(np.asarray(faults))}" if np.any(faults) else ""

    def _names(self, marked: Array) -> str:
        """Of the joints that are marked, (n,), by anything but 0."""
        return ", ".join([self._robot.joint_names[i] for i in np.flatnonzero(marked)])

    def _copied(self, values: tuple[Any, ...]) -> int:
        """Copy all readings into one block, and look at them: SOUND, UNUSABLE or NOT_UNIT."""
        try:
            if _shapes(values) != self._shapes:
                return UNUSABLE
            np.concatenate(values, out=self._flat, casting="unsafe")
        except (TypeError, ValueError, OverflowError):  # ragged, no numbers, or beyond all of them
            return UNUSABLE
        return int(_inspect(self._flat, self._bound, self._quat_at))

    def _first_fault(self, values: tuple[Array | None, ...]) -> str:
        for name, value, shape, bound in zip(READINGS, values, self._shapes, self._bounds, strict=True):
            if value is None:
                return f"{name} missing"
            if not usable(value, shape, bound):
                return f"{name} {_fault(value, shape)}"
        return "readings not usable"

    def _sound_intent(self, intent: Intent) -> tuple[str, Intent]:
        """In plain numbers, without its parts that are not finite or of the wrong size, and the sentence that says so."""
        self.aimless = not isinstance(intent, Intent)
        if self.aimless:
            return "intent not usable: left out", Intent()
        if intent.stamp_s is not None and not self.stamp_s - _stamp(intent.stamp_s) <= INTENT_AGE_S:  # NaN is not
            self.aimless = True  # the stamp stays: replayed, the intent is as stale
            return "intent stale: left out", Intent(arms_external=intent.arms_external is True, stamp_s=_stamp(intent.stamp_s))
        wrong, changes = [], dict[str, Any]()
        for name, shape in self._intent_shapes:
            value = getattr(intent, name)
            if value is None or _is_plain(value, shape):
                continue
            if usable(value, shape, INTENT_MAX):
                if isinstance(value, np.ndarray) and name == "arms" and value.dtype == float:
                    continue
                plain = np.array(value, dtype=float)
                changes[name] = plain if name == "arms" else tuple(plain.tolist()) if shape else float(plain)
            else:
                wrong.append(name)
        self.aimless = "velocity" in wrong or "waypoint" in wrong
        if not isinstance(intent.arms_external, bool):
            wrong.append("arms_external")
        if not wrong and not changes:
            return "", intent
        changes |= dict.fromkeys(wrong) | {"arms_external": intent.arms_external is True}
        return f"intent {', '.join(wrong)} not usable: left out" if wrong else "", replace(intent, **changes)

    def snapshot(self) -> object:
        """The state."""
        stamps = (self._last_stamp, self._last_blind_stamp)
        return self._bad_ticks, stamps, self._sent, self.last_position, self._encoders.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        self._bad_ticks, stamps, self._sent, self.last_position, encoders = snapshot
        self._last_stamp, self._last_blind_stamp = stamps
        self._encoders.restore(encoders)


def _is_plain(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value is a tuple of as many numbers, or one number, inside ±INTENT_MAX: what an intent has in nearly every tick."""
    if not isinstance(value, tuple):
        return type(value) is float and shape == () and abs(value) <= INTENT_MAX
    try:
        return (len(value),) == shape and _NUMBERS.issuperset(map(type, value)) and sum(map(abs, value)) <= INTENT_MAX
    except OverflowError:
        return False


def _stamp(value: Any) -> float:
    """A time stamp, s; NaN where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def usable(value: ArrayLike, shape: tuple[int, ...], bound: float) -> bool:
    """Whether a value, of at most one dimension, has that shape, is finite and nowhere beyond ±bound."""
    try:
        array = np.array(value, dtype=float, order="C")
    except (TypeError, ValueError, OverflowError):  # no numbers, or beyond all of them
        return False
    return array.shape == shape and bool(_within(array.reshape(-1), bound))


def _shapes(values: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    try:
        return tuple([value.shape for value in values])
    except AttributeError:  # a list may hold numbers as well; of None it is ()
        return tuple([np.shape(value) for value in values])


@njit(cache=True)
def _inspect(values: Array, bounds: Array, quat_at: int) -> int:
    for i in range(values.size):
        if not abs(values[i]) <= bounds[i]:  # NaN is not
            return UNUSABLE
    square = 0.0
    for i in range(quat_at, quat_at + 4):
        square += values[i] * values[i]
    return NOT_UNIT if abs(square - 1.0) > 1e-2 else SOUND


@njit(cache=True)
def _within(values: Array, bound: float) -> bool:
    for value in values:
        if not abs(value) <= bound:  # NaN is not
            return False
    return True


def _fault(value: ArrayLike, shape: tuple[int, ...]) -> str:
    try:
        if np.shape(value) != shape:
            return "of the wrong size"
        return "out of all proportion" if np.isfinite(value).all() else "not finite"
    except (TypeError, ValueError, OverflowError):
        return "not numbers"
