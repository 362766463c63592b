"""A made-up run in the real types: a walk with proposals, interventions, a degraded second and a state that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from poise.robots import (
    Belief,
    Certificate,
    Decision,
    Intent,
    JointCommand,
    MotionProposal,
    RobotModel,
    RobotState,
    Verdict,
    WalkPlan,
)
from poise.robots.types import Array

PERIOD_S = 0.002
STEP_S = 0.5
SPEED = 0.4
PROPOSE_EVERY = 25

Sample = tuple[RobotState, Decision, Mapping[str, Array]]


def sample_run(robot: RobotModel, seconds: float, seed: int = 0) -> Iterator[Sample]:
    """State, decision and truth of each tick."""
    rng = np.random.default_rng(seed)
    for tick in range(round(seconds / PERIOD_S)):
        yield (
            sample_state(robot, tick, rng),
            sample_decision(robot, tick, rng),
            {"com_position_world": com(tick) + 0.01, "zmp_world": com(tick)[:2]},
        )


def com(tick: int) -> Array:
    """Centre of mass of the walk, (3,) m."""
    t = tick * PERIOD_S
    return np.array([SPEED * t, 0.04 * np.sin(np.pi * t / STEP_S), 0.69])


def sample_state(robot: RobotModel, tick: int, rng: np.random.Generator) -> RobotState:
    """What the sensors read; the accelerometer is missing."""
    noise = rng.normal(0.0, 0.01, robot.n)
    return RobotState(
        stamp_s=tick * PERIOD_S,
        joint_position=robot.posture + noise,
        joint_velocity=10 * noise,
        joint_torque=0.4 * robot.torque_limit * np.sin(0.01 * tick + np.arange(robot.n)),
        base_orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
        gyro_imu=noise[:3],
    )


def sample_decision(robot: RobotModel, tick: int, rng: np.random.Generator) -> Decision:
    """One decision: proposals every 25 ticks, the certifier at work for 20 of 500 ticks, degraded from 2 to 2.2 s, unusable at tick 7."""
    t = tick * PERIOD_S
    proposals = tuple(sample_proposal(robot, rng) for _ in range(4)) if tick % PROPOSE_EVERY == 0 else ()
    verdicts = tuple(sample_verdict(i, rng) for i in range(len(proposals)))
    changed, degraded, unusable = tick % 500 >= 480, 2.0 <= t < 2.2, tick == 7
    reason = "the state is older than 20 ms" if unusable else "the MPC did not converge; the last plan is followed" if degraded else ""
    times = {"estimate": 60.0, "mpc": 250.0 if tick % 5 == 0 else 0.0, "track": 300.0, "tick": 700.0 + 50.0 * rng.standard_normal() ** 2}
    return Decision(
        tick=tick,
        stamp_s=t,
        status="safe" if unusable else "degraded" if degraded else "ok",
        reason=reason,
        intent=Intent(velocity=(SPEED, 0.0, 0.1)),
        belief=None if unusable else sample_belief(tick),
        plan=None if unusable else sample_plan(tick),
        command=JointCommand(robot.posture, np.zeros(robot.n), robot.hold_kp, robot.hold_kd, np.ones(robot.n), robot.torque_limit),
        certificate=Certificate(
            changed, ("torque left_knee_joint",) if changed else (), 12.5 if changed else 0.0, "qp" if changed else "unchanged"
        ),
        proposal=proposals[0] if proposals else None,
        proposal_age_s=(tick % PROPOSE_EVERY) * PERIOD_S,
        proposals=proposals,
        verdicts=verdicts,
        chosen=0 if proposals else -1,
        timings_us=times,
    )


def sample_belief(tick: int) -> Belief:
    """The estimate along the walk."""
    position, step = com(tick), int(tick * PERIOD_S / STEP_S)
    velocity = np.array([SPEED + 0.02 * np.sin(0.05 * tick), 0.0, 0.0])
    soles = np.array([[SPEED * STEP_S * (step + step % 2), 0.1, 0.0], [SPEED * STEP_S * (step + 1 - step % 2), -0.1, 0.0]])
    return Belief(
        base_position_world=position + [0.0, 0.0, 0.06],
        base_orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
        base_velocity_world=velocity,
        base_angular_velocity_base=np.array([0.0, 0.0, 0.1]),
        com_position_world=position,
        com_velocity_world=velocity,
        dcm_world=position[:2] + velocity[:2] * 0.27,
        sole_position_world=soles,
        sole_yaw=np.zeros(2),
        contact=np.array([1.0, 0.0]) if step % 2 else np.array([0.0, 1.0]),
        foot_force_n=np.array([327.0, 0.0]),
        position_std_m=np.full(3, 0.01),
        velocity_std_mps=np.full(3, 0.03),
        age_s=0.0,
        planned_contact=np.array([1.0, 1.0]),
        updates=tick,
    )


def sample_plan(tick: int) -> WalkPlan:
    """The plan along the walk; standing, without footsteps, for the first 0.2 s."""
    position, standing = com(tick), tick < 100
    steps = np.zeros((0, 4)) if standing else np.array([[position[0] + 0.2 * i, 0.1 * (-1) ** i, 0.0, 0.3 + STEP_S * i] for i in range(3)])
    return WalkPlan(
        phase="stand" if standing else "step",
        stance=int(tick * PERIOD_S / STEP_S) % 2,
        time_in_phase_s=(tick * PERIOD_S) % STEP_S,
        step_duration_s=STEP_S,
        footsteps=steps,
        zmp_world=position[:2] * [1.0, 1.5],
        dcm_reference_world=position[:2] + [0.1, 0.0],
        height_m=0.69,
        mpc_age_s=0.004,
        mpc_status="solved",
    )


def sample_proposal(robot: RobotModel, rng: np.random.Generator) -> MotionProposal:
    """A second of motion in 10 knots."""
    return MotionProposal(
        origin="learned",
        period_s=0.1,
        twist=rng.normal(0.0, 0.3, 3),
        height_m=np.full(10, 0.69),
        torso_rpy=rng.normal(0.0, 0.05, (10, 3)),
        arm_position=rng.normal(0.0, 0.3, (10, len(robot.arms))),
        step_duration_s=STEP_S,
        footstep_offset=rng.normal(0.0, 0.02, (2, 2)),
        log_likelihood=float(rng.normal(-3.0, 1.0)),
        strangeness=float(rng.uniform(0.1, 0.9)),
    )


def sample_verdict(index: int, rng: np.random.Generator) -> Verdict:
    """The first is accepted, the second breaks the ZMP, the others the capture region or the torque."""
    if index == 0:
        return Verdict(True, "", 0.021, "m", 1.5, {"zmp": 0.021, "capture": 0.06, "torque": 14.0}, (0.05, -0.02))
    name, unit = ("zmp", "m") if index == 1 else (("capture", "m") if rng.random() < 0.5 else ("torque", "N·m"))
    return Verdict(False, name, -0.013, unit, -np.inf, {"zmp": 0.01, "capture": 0.02, "torque": 9.0} | {name: -0.013})
