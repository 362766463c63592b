"""A seeded model of a human operator: commands a robot and moves its arms, waist, height and gait as a person would."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from poise.control.protocols import Situation
from poise.control.scripted import step_shortening_s, stride_angle
from poise.robots import Intent, MotionProposal, RobotModel
from poise.robots.types import LEFT, Array

from .disturbance import nominal_dcm_offset, ramp, velocity_error
from .gestures import arm_vector, draw_gesture
from .schedules import Schedule, draw_height, draw_posture, draw_velocity

INTEGRATION_S = 0.04
FOLLOW_RATE = 6.0  # 1/s: how fast the operator closes a distance to what it wants
LAG_S = 0.06  # of its velocity


@dataclass(frozen=True)
class OperatorConfig:
    """How the operator moves; angles in rad, lengths in m, times in s."""

    knots: int = 5
    knot_period_s: float = 0.2
    arm_speed: float = 2.2  # rad/s
    arm_acceleration: float = 15.0  # rad/s²
    torso_speed: float = 0.6  # rad/s
    torso_acceleration: float = 3.0  # rad/s²
    height_speed: float = 0.10  # m/s
    height_acceleration: float = 0.5  # m/s²
    limit_margin: float = 0.1  # rad from joint limits
    arm_swing_per_speed: float = 0.45  # rad of shoulder pitch at 1 m/s
    gesture_share: float = 0.45
    crouch_m: float = 0.06
    rise_m: float = 0.015
    step_duration_range: tuple[float, float] = (0.36, 0.50)
    dcm_alarm_m: tuple[float, float] = (0.06, 0.14)  # recovery begins, is full
    speed_alarm: tuple[float, float] = (0.35, 0.70)  # m/s
    recovery_memory_s: float = 0.6
    footstep_offset_max_m: float = 0.06


@dataclass(frozen=True, eq=False)
class Style:
    """What differs from one operator (and episode) to the next."""

    swing_gain: float
    swing_lag: float  # rad of the stride
    posture: Array  # (n_arms,) rad
    step_duration_s: float
    turn_gain_s: float  # rad of torso yaw for 1 rad/s
    recovery_gain: float
    outward_m: float


class OperatorProposer:
    """Proposes one motion, the operator's own; also the source of the episode's intents. A function of (seed, situations)."""

    def __init__(self, robot: RobotModel, config: OperatorConfig | None = None) -> None:
        """Operate a robot; `reset` draws who operates it."""
        self.robot, self.config = robot, config or OperatorConfig()
        n, c = len(robot.arms), self.config
        self._speed = np.concatenate([np.full(n, c.arm_speed), np.full(3, c.torso_speed), [c.height_speed]])
        self._acceleration = np.concatenate([np.full(n, c.arm_acceleration), np.full(3, c.torso_acceleration), [c.height_acceleration]])
        low, high = robot.position_min[robot.arms] + c.limit_margin, robot.position_max[robot.arms] - c.limit_margin
        self._low = np.concatenate([low, np.full(3, -0.45), [robot.overlay.gait.height_range_m[0]]])
        self._high = np.concatenate([high, np.full(3, 0.45), [robot.overlay.gait.height_range_m[1]]])
        joints = robot.arm_joints
        self._pitch = arm_vector(joints, {"shoulder_pitch": 1.0}) * np.array([1.0 if j.startswith("left_") else -1.0 for j in joints])
        self._raise = arm_vector(joints, {"shoulder_roll": 0.5, "elbow": -0.3})
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draw a new operator: style, commands, gestures, heights and postures."""
        rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)]
        gait, c, joints = self.robot.overlay.gait, self.config, self.robot.arm_joints
        self._velocities = Schedule(rngs[0], partial(draw_velocity, gait=gait))
        self._gestures = Schedule(rngs[1], partial(draw_gesture, joints=joints, share=c.gesture_share))
        self._heights = Schedule(rngs[2], partial(draw_height, gait=gait, crouch_m=c.crouch_m, rise_m=c.rise_m))
        self._postures = Schedule(rngs[4], partial(draw_posture, gait=gait, crouch_m=c.crouch_m, rise_m=c.rise_m))
        self._style = _draw_style(rngs[3], joints)
        self._recovery = 0.0
        self._last: tuple[float, Array] | None = None  # stamp; torso and height reference (4,)

    def intent(self, stamp_s: float) -> Intent:
        """What the operator commands at a time."""
        height, torso = self._postures.at(stamp_s)[1]
        return Intent(velocity=self._velocities.at(stamp_s)[1], height_m=height, torso_rpy=torso)

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """The operator's motion over the next second, from the references in force."""
        error = np.asarray(situation.dcm_offset_m) - nominal_dcm_offset(situation, self.robot)
        speed_error = velocity_error(situation)
        position = np.concatenate([situation.arm_reference, situation.torso_reference_rpy, [situation.height_reference_m]])
        if not (np.isfinite(error).all() and np.isfinite(position).all() and math.isfinite(speed_error)):
            return ()
        self._feel(situation, error, speed_error)
        knots = self._smooth(situation, position)
        n = len(self.robot.arms)
        return (
            MotionProposal(
                origin="operator",
                period_s=self.config.knot_period_s,
                twist=np.asarray(situation.twist),
                height_m=knots[:, n + 3],
                torso_rpy=knots[:, n : n + 3],
                arm_position=knots[:, :n],
                step_duration_s=self._step_duration(situation),
                footstep_offset=self._footstep_offset(situation, error),
            ),
        )

    def _feel(self, situation: Situation, error: Array, speed_error: float) -> None:
        """Recovery in 0…1: jumps up with an unusual DCM or speed, fades afterwards."""
        c = self.config
        elapsed = situation.stamp_s - self._last[0] if self._last else 0.0
        alarm = max(ramp(float(np.hypot(*error)), *c.dcm_alarm_m), ramp(abs(speed_error), *c.speed_alarm))
        self._recovery = max(alarm, self._recovery * math.exp(-max(elapsed, 0.0) / c.recovery_memory_s))

    def _smooth(self, situation: Situation, position: Array) -> Array:
        """Follow the wanted posture from the references in force, within speed and acceleration limits; (k, n_arms + 4)."""
        c, n = self.config, len(self.robot.arms)
        velocity = np.concatenate([situation.arm_reference_velocity, self._slow_velocity(situation.stamp_s, position[n:])])
        velocity = np.clip(np.nan_to_num(velocity), -self._speed, self._speed)
        per_knot = round(c.knot_period_s / INTEGRATION_S)
        knots = np.empty((c.knots, n + 4))
        for i in range(1, c.knots * per_knot + 1):
            wanted, rate = self._wanted(situation, i * INTEGRATION_S)
            aim = np.clip(rate + FOLLOW_RATE * (np.clip(wanted, self._low, self._high) - position), -self._speed, self._speed)
            velocity = velocity + INTEGRATION_S * np.clip((aim - velocity) / LAG_S, -self._acceleration, self._acceleration)
            position = position + INTEGRATION_S * velocity
            if i % per_knot == 0:
                knots[i // per_knot - 1] = position
        return np.clip(knots, self._low, self._high)

    def _slow_velocity(self, stamp_s: float, now: Array) -> Array:
        """Rate of the torso and height references (4,), from the last two situations."""
        last, self._last = self._last, (stamp_s, now)
        if last is None or not 1e-3 < stamp_s - last[0] < 0.5:
            return np.zeros(4)
        return np.asarray((now - last[1]) / (stamp_s - last[0]))

    def _wanted(self, situation: Situation, ahead_s: float) -> tuple[Array, Array]:
        """Wanted posture (n_arms + 4,) a while ahead, and the rate of its periodic part."""
        style, robot, now = self._style, self.robot, situation.stamp_s + ahead_s
        since, gesture = self._gestures.at(now)
        free = 1.0 - gesture.busy
        swing, swing_rate = self._arm_swing(situation, ahead_s)
        turn = 2 * math.pi * gesture.frequency_hz
        beat, beat_rate = math.sin(turn * (now - since)), turn * math.cos(turn * (now - since))
        rest = robot.posture[robot.arms] + style.posture + swing
        arms = free * rest + gesture.pose + gesture.swing * beat + free * self._recovery * self._raise
        height = self._heights.at(now)[1]
        crouch = robot.overlay.gait.com_height_m - height
        vx, vy, wz = situation.twist
        yaw = style.turn_gain_s * wz + 0.25 * vy + 0.08 * float(gesture.busy @ self._pitch)
        torso = [0.0, 0.05 * vx + 1.2 * max(crouch, 0.0), min(max(yaw, -0.3), 0.3)]
        rate = np.concatenate([free * swing_rate + gesture.swing * beat_rate, np.zeros(4)])
        return np.concatenate([arms, torso, [height]]), rate

    def _arm_swing(self, situation: Situation, ahead_s: float) -> tuple[Array, Array]:
        """Shoulder pitch in counter-phase with the legs: the left arm goes forward (negative pitch) with the right leg."""
        if situation.phase != "step":
            return np.zeros(len(self._pitch)), np.zeros(len(self._pitch))
        frequency = math.pi / max(situation.step_duration_s, 0.1)
        angle = stride_angle(situation) + frequency * ahead_s - self._style.swing_lag
        vx, vy, wz = situation.twist
        size = self._style.swing_gain * (self.config.arm_swing_per_speed * vx + 0.1 * abs(vy) + 0.04 * abs(wz))
        return size * math.cos(angle) * self._pitch, -frequency * size * math.sin(angle) * self._pitch

    def _step_duration(self, situation: Situation) -> float:
        """Slower while gesturing, faster sideways and after a disturbance; s."""
        busy = float(self._gestures.at(situation.stamp_s)[1].busy.max(initial=0.0))
        wanted = self._style.step_duration_s + 0.03 * busy - step_shortening_s(situation.twist) - 0.06 * self._recovery
        low, high = self.config.step_duration_range
        return float(min(max(wanted, low), high))

    def _footstep_offset(self, situation: Situation, error: Array) -> Array:
        """Shift of the next two footsteps (2, 2) m, forward and outward: towards where the DCM went."""
        gain = self._style.recovery_gain * self._recovery
        left_stance = situation.stance == LEFT
        outward = -1.0 if left_stance else 1.0  # of the swing foot, in y
        first = [gain * error[0], gain * error[1] * outward + self._style.outward_m]
        second = [0.5 * gain * error[0], -0.5 * gain * error[1] * outward + self._style.outward_m]
        limit = self.config.footstep_offset_max_m
        return np.asarray(np.clip(np.array([first, second]), -limit, limit))


def remaining_distance(knots: int, knot_period_s: float) -> Array:
    """Share (k,) of a small distance to what the operator wants that remains at each knot, from rest."""
    per_knot = round(knot_period_s / INTEGRATION_S)
    distance, velocity, remaining = 1.0, 0.0, np.empty(knots)
    for i in range(1, knots * per_knot + 1):
        velocity += INTEGRATION_S * (-FOLLOW_RATE * distance - velocity) / LAG_S
        distance += INTEGRATION_S * velocity
        if i % per_knot == 0:
            remaining[i // per_knot - 1] = distance
    return remaining


def _draw_style(rng: np.random.Generator, joints: tuple[str, ...]) -> Style:
    posture = {
        "shoulder_pitch": float(rng.normal(0.0, 0.06)),
        "shoulder_roll": abs(float(rng.normal(0.0, 0.06))),
        "elbow": float(rng.normal(0.0, 0.10)),
    }
    return Style(
        swing_gain=float(rng.uniform(0.5, 1.3)),
        swing_lag=float(rng.normal(0.0, 0.15)),
        posture=arm_vector(joints, posture),
        step_duration_s=float(rng.uniform(0.43, 0.47)),
        turn_gain_s=float(rng.uniform(0.08, 0.20)),
        recovery_gain=float(rng.uniform(0.1, 0.5)),
        outward_m=float(rng.uniform(0.0, 0.015)),
    )
