"""Situations and episodes without a simulator: a gait clock that follows the operator, with pushes on the DCM."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from poise.control.protocols import Situation
from poise.learning.disturbance import nominal_dcm_offset
from poise.learning.operator import OperatorProposer
from poise.learning.trace import EpisodeTrace, TraceRecorder
from poise.learning.training import TrainingConfig
from poise.robots import Intent, MotionProposal, RobotModel, load_robot
from poise.robots.types import LEFT, RIGHT, Array, Belief

PERIOD_S = 0.1
EPISODE_S = 12.0
EPISODES = 16  # of the set that tests share
SHORT = TrainingConfig(epochs=8, hidden=64, components=4, rank=48, batch=64)


def make_belief(rng: np.random.Generator, yaw: float = 0.0, position: Array | None = None, velocity: Array | None = None) -> Belief:
    """A belief at a yaw and position, with a little random tilt and motion."""
    roll, pitch = rng.normal(0.0, 0.02, 2)
    position = np.array([0.0, 0.0, 0.7]) if position is None else position
    velocity = rng.normal(0.0, 0.05, 3) if velocity is None else velocity
    return Belief(
        base_position_world=position,
        base_orientation_wxyz=quaternion(roll, pitch, yaw),
        base_velocity_world=velocity,
        base_angular_velocity_base=rng.normal(0.0, 0.1, 3),
        com_position_world=position,
        com_velocity_world=velocity,
        dcm_world=position[:2] + velocity[:2] / 4.0,
        sole_position_world=np.stack([position, position]) * [1.0, 1.0, 0.0],
        sole_yaw=np.full(2, yaw),
        contact=np.ones(2),
        foot_force_n=np.full(2, 160.0),
        position_std_m=np.full(3, 0.01),
        velocity_std_mps=np.full(3, 0.02),
        age_s=0.0,
    )


def quaternion(roll: float, pitch: float, yaw: float) -> Array:
    """wxyz of Rz(yaw)·Ry(pitch)·Rx(roll)."""
    cr, sr, cp, sp, cy, sy = (f(a / 2) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    return np.array([cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy])


def make_situation(robot: RobotModel, seed: int = 0, **changes: object) -> Situation:
    """A situation in the middle of a left-stance step at 0.5 m/s; `changes` replace fields."""
    rng = np.random.default_rng(seed)
    entries: dict[str, object] = {
        "tick": 100,
        "stamp_s": 0.2,
        "intent": Intent(velocity=(0.5, 0.0, 0.0)),
        "twist": np.array([0.5, 0.0, 0.0]),
        "belief": make_belief(rng, velocity=np.array([0.5, 0.05, 0.0])),
        "phase": "step",
        "stance": LEFT,
        "time_in_phase_s": 0.21,
        "step_duration_s": 0.42,
        "dcm_offset_m": np.array([0.08, -0.06]),
        "joint_position": robot.posture.copy(),
        "joint_velocity": np.zeros(robot.n),
        "arm_reference": robot.posture[robot.arms].copy(),
        "arm_reference_velocity": np.zeros(len(robot.arms)),
        "torso_reference_rpy": np.zeros(3),
        "height_reference_m": robot.overlay.gait.com_height_m,
    }
    return Situation(**(entries | changes))  # type: ignore[arg-type]


def run_episode(seed: int, operator: OperatorProposer) -> EpisodeTrace:
    """An episode of a gait clock: references follow the proposals, the DCM and speed the command, with a push now and then."""
    robot, rng = operator.robot, np.random.default_rng(seed)
    recorder = TraceRecorder(operator)
    recorder.reset(seed)
    situation = make_situation(robot, seed, tick=0, stamp_s=0.0, phase="stand", twist=np.zeros(3), time_in_phase_s=0.0)
    push = np.zeros(2)
    for tick in range(1, round(EPISODE_S / PERIOD_S) + 1):
        motions = recorder.propose(situation)
        recorder.note(motions[0] if motions else None)
        push = 0.6 * push + (rng.normal(0.0, 0.12, 2) if rng.random() < 0.02 else 0.0)
        situation = advance(robot, situation, motions[0], operator.intent(tick * PERIOD_S), push, rng)
    return recorder.trace(fell=False)


def advance(robot: RobotModel, now: Situation, motion: MotionProposal, intent: Intent, push: Array, rng: np.random.Generator) -> Situation:
    """The situation one period later."""
    twist = now.twist + np.clip(np.array(intent.velocity) - now.twist, -0.15, 0.15)
    arms, arm_velocity = follow(now.arm_reference, now.arm_reference_velocity, motion.arm_position)
    torso, _ = follow(now.torso_reference_rpy, (motion.torso_rpy[0] - now.torso_reference_rpy) / motion.period_s, motion.torso_rpy)
    phase, stance, elapsed = clock(now, bool(np.any(twist)))
    velocity = np.array([twist[0] + 4.0 * push[0], twist[1], 0.0]) + rng.normal(0.0, 0.03, 3)
    changes: dict[str, Any] = {
        "tick": now.tick + 50,
        "stamp_s": now.stamp_s + PERIOD_S,
        "intent": intent,
        "twist": twist,
        "belief": make_belief(rng, velocity=velocity),
        "phase": phase,
        "stance": stance,
        "time_in_phase_s": elapsed,
        "step_duration_s": motion.step_duration_s if stance != now.stance else now.step_duration_s,
        "arm_reference": arms,
        "arm_reference_velocity": arm_velocity,
        "torso_reference_rpy": torso,
        "height_reference_m": now.height_reference_m + (motion.height_m[0] - now.height_reference_m) * PERIOD_S / motion.period_s,
    }
    calm = make_situation(robot, **changes)
    return make_situation(robot, **changes, dcm_offset_m=nominal_dcm_offset(calm, robot) + push + rng.normal(0.0, 0.01, 2))


def clock(now: Situation, walking: bool) -> tuple[str, int, float]:
    """Phase, stance and time in phase one period later."""
    elapsed = now.time_in_phase_s + PERIOD_S
    if now.phase == "stand":
        return ("step", now.stance, 0.0) if walking else ("stand", now.stance, elapsed)
    if elapsed < now.step_duration_s:
        return "step", now.stance, elapsed
    if not walking:
        return "stand", now.stance, 0.0
    return "step", RIGHT if now.stance == LEFT else LEFT, elapsed - now.step_duration_s


def follow(start: Array, rate: Array, knots: Array) -> tuple[Array, Array]:
    """Position and velocity halfway to the first knot on the cubic from (start, rate) through it."""
    end_rate = (knots[1] - start) / 0.4
    return (start + knots[0]) / 2 + 0.2 * (rate - end_rate) / 8, 1.5 * (knots[0] - start) / 0.2 - (rate + end_rate) / 4


def robot_g1() -> RobotModel:
    """The robot of these tests."""
    return load_robot("g1")
