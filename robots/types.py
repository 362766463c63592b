"""The typed messages of one control tick: what is sensed, wanted, proposed, judged, sent and recorded.

Conventions: SI units, radians, quaternions wxyz. Frames: `world` (z up), `base` (the pelvis), `heading` (world turned
by the base's yaw), `imu`, `left_sole`, `right_sole`. Feet are ordered left, right. What is unknown is `None`, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEFT, RIGHT = 0, 1

# What a tick had to come down to, the least first (`poise.control.ladder`).
RUNGS = ("nominal", "filtered", "recovery step", "safe stop", "controlled descent", "damping")


@dataclass(frozen=True, slots=True, eq=False)
class RobotState:
    """What the robot's sensors read at one instant; nothing here is simulator truth.

    Joint arrays are in the order of `RobotModel.joint_names`. Orientation is what a fused IMU gives: its yaw drifts.
    """

    stamp_s: float
    joint_position: Array  # (n,) rad
    joint_velocity: Array  # (n,) rad/s
    joint_torque: Array | None = None  # (n,) N·m at the joint, as the motor driver estimates it
    base_orientation_wxyz: Array | None = None  # (4,) world from base
    gyro_imu: Array | None = None  # (3,) rad/s
    accelerometer_imu: Array | None = None  # (3,) m/s², specific force
    foot_force_n: Array | None = None  # (2,) N, vertical, left and right
    motor_fault: Array | None = None  # (n,) not 0 where a motor's driver says that it is off, too hot or in error


@dataclass(frozen=True, slots=True, eq=False)
class Intent:
    """What the user wants: a velocity, or a waypoint, or neither (stand), and posture targets.

    Raises:
        ValueError: both a velocity and a waypoint, or an array of the wrong length.
    """

    velocity: tuple[float, float, float] | None = None  # vx, vy in m/s and wz in rad/s, heading frame
    waypoint: tuple[float, float, float] | None = None  # x, y in m and yaw in rad, odometry world frame
    height_m: float | None = None  # centre of mass above the stance sole; None: the robot's nominal
    torso_rpy: tuple[float, float, float] | None = None  # rad, torso in the heading frame
    arms: Array | None = None  # (n_arms,) rad, in the order of `RobotModel.arm_joints`; None: the stack moves them
    arms_external: bool = False  # something else moves the arms: their measured motion is a known disturbance
    stamp_s: float | None = None  # when it was wanted, by the clock of the states' stamps; None: it counts for as long as it is handed in

    def __post_init__(self) -> None:
        if self.velocity is not None and self.waypoint is not None:
            raise ValueError("an Intent takes a velocity or a waypoint, not both: leave one of them out")
        for name in ("velocity", "waypoint", "torso_rpy"):
            value = getattr(self, name)
            if value is not None and len(value) != 3:
                raise ValueError(f"Intent.{name} takes 3 numbers, got {len(value)}")


@dataclass(frozen=True, slots=True, eq=False)
class MotionProposal:
    """A motion over about a second: knot i of k is due (i + 1) * period_s after the proposal begins to act."""

    origin: str  # "learned", "scripted", "teleop", "replay", …
    period_s: float
    twist: Array  # (3,) vx, vy (m/s), wz (rad/s), heading frame
    height_m: Array  # (k,) centre of mass above the stance sole
    torso_rpy: Array  # (k, 3) rad, torso in the heading frame
    arm_position: Array  # (k, n_arms) rad
    step_duration_s: float
    footstep_offset: Array  # (2, 2) m, forward and outward shift of the next two footsteps against the nominal plan
    log_likelihood: float | None = None  # nats; None where the proposer has none
    strangeness: float | None = None  # distance from what is demonstrated in such a situation; 1: 95 % of that is nearer; None: not known

    @property
    def knots(self) -> int:
        """Number of knots k."""
        return len(self.height_m)

    @property
    def duration_s(self) -> float:
        """How far the proposal reaches, s."""
        return self.knots * self.period_s


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the world model says of one proposal; `constraint` names the first one broken, or is empty."""

    accepted: bool
    constraint: str
    margin: float  # of that constraint (negative: broken by so much); of the tightest one when accepted
    unit: str
    score: float  # higher is better; -inf when rejected
    margins: Mapping[str, float] = field(default_factory=dict)  # every constraint that was evaluated
    dcm_end_m: tuple[float, float] | None = None  # predicted DCM from the stance sole at the horizon, heading frame


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """The estimate: base and feet in the world, what touches the ground, and how sure that is."""

    base_position_world: Array  # (3,) m
    base_orientation_wxyz: Array  # (4,)
    base_velocity_world: Array  # (3,) m/s
    base_angular_velocity_base: Array  # (3,) rad/s
    com_position_world: Array  # (3,) m
    com_velocity_world: Array  # (3,) m/s
    dcm_world: Array  # (2,) m
    sole_position_world: Array  # (2, 3) m
    sole_yaw: Array  # (2,) rad
    contact: Array  # (2,) probability
    foot_force_n: Array  # (2,) N, estimated vertical force
    position_std_m: Array  # (3,)
    velocity_std_mps: Array  # (3,)
    age_s: float
    external_force_world: Array | None = None  # (3,) N, that neither gravity nor the feet explain; None: not known
    planned_contact: Array | None = None  # (2,) 0 or 1, which feet the plan let stand when the estimator took the state
    updates: int | None = None  # states that the estimator has taken since it began; 1: this one began it


@dataclass(frozen=True, slots=True, eq=False)
class WalkPlan:
    """The plan in force: gait phase, coming footsteps, and the LIP references of this tick."""

    phase: str  # "stand", "shift", "step"
    stance: int  # LEFT or RIGHT
    time_in_phase_s: float
    step_duration_s: float
    footsteps: Array  # (m, 4) x, y (m), yaw (rad), world; time from now to touchdown (s)
    zmp_world: Array  # (2,) m, reference of this tick
    dcm_reference_world: Array  # (2,) m; on two feet of this tick, while stepping at the next touchdown
    height_m: float  # of the centre of mass over the stance sole, mean over a step
    mpc_age_s: float  # age of the MPC solution in use
    mpc_status: str


@dataclass(frozen=True, slots=True, eq=False)
class JointCommand:
    """What a motor driver takes, per joint in the order of `RobotModel.joint_names`."""

    q: Array  # (n,) rad
    v: Array  # (n,) rad/s
    kp: Array  # (n,) N·m/rad
    kd: Array  # (n,) N·m·s/rad
    tau: Array  # (n,) N·m feed-forward
    torque_limit: Array  # (n,) N·m

    def torque(self, q: Array, v: Array) -> Array:
        """Motor torque for measured joint position q (n,) rad and velocity v (n,) rad/s, clipped, (n,) N·m."""
        wanted = self.tau + self.kp * (self.q - q) + self.kd * (self.v - v)
        return np.minimum(np.maximum(wanted, -self.torque_limit), self.torque_limit)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What the safety certifier did to the requested command."""

    changed: bool
    reasons: tuple[str, ...]  # "torque left_knee_joint", …
    torque_change_nm: float  # largest over the joints
    method: str  # "unchanged", "clip", "qp", "brake", "best", "damping"
    # Bounds that the nearest torque meets, with their multipliers: what its cost would lose per N·m, rad/s² or m/s² of room.
    active: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Everything one tick decided, serialisable: the explanation of the command."""

    tick: int
    stamp_s: float
    status: str  # "ok", "degraded" (goes on, with a reason), "safe" (the safe command was sent)
    reason: str  # one sentence; empty when status is "ok"
    intent: Intent
    belief: Belief | None  # None when the state could not be used
    plan: WalkPlan | None
    command: JointCommand
    certificate: Certificate
    proposal: MotionProposal | None  # the one in force
    proposal_age_s: float
    proposals: tuple[MotionProposal, ...] = ()  # made at this tick; empty between proposals
    verdicts: tuple[Verdict, ...] = ()  # one for each of them
    chosen: int = -1  # index into proposals; -1: none of them (the scripted proposer acts)
    timings_us: Mapping[str, float] = field(default_factory=dict)  # thread CPU by part
    rung: str = RUNGS[0]  # of RUNGS
