"""Figures of a run from the simulator's truth: falls, velocity, drift, energy, and what the stack decided on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from poise.control.rotation import matrix_from_quat, wrap_angle, yaw_of
from poise.robots import Decision
from poise.robots.types import Array

from .mujoco_backend import MujocoBackend

FALL_HEIGHT_M = 0.45  # pelvis above the ground under it
FALL_TILT = np.radians(60.0)


def fallen(backend: MujocoBackend) -> bool:
    """Whether the robot has fallen: its pelvis is low, or tilted too far, or not a number."""
    return not (backend.pelvis_height >= FALL_HEIGHT_M and backend.tilt <= FALL_TILT)


@dataclass(frozen=True)
class RunResult:
    """What one run came to; vectors are vx, vy (m/s), wz (rad/s) in the heading frame. None: not known in this run."""

    fell: bool
    seconds: float
    mean_velocity: tuple[float, float, float]  # of the base, over the last two thirds
    velocity_error: tuple[float, float, float] | None  # |mean - mean command| there; None where no velocity was commanded
    tick_us: dict[str, float | None]  # p50, p99: thread CPU
    interventions: dict[str, Any]  # rate (share of ticks with a change, or a bound met), count, max_torque_change_nm, reasons {kind: count}
    proposals: dict[str, Any]  # made, rejected, reasons {constraint: count}
    learned_share: float  # of the ticks, those that acted on a learned proposal
    unlearned_reasons: dict[str, int]  # ticks without one, by reason
    energy_j: float  # ∫Σ|τ·q̇|dt
    distance_m: float  # path of the base, sampled once a second so that sway does not count
    position_drift_m: float | None  # of the estimate against the truth since the start, horizontal
    yaw_drift: float | None  # rad, the same for the heading

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass
class Meter:
    """Collects one run, tick by tick."""

    period_s: float
    poses: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, yaw of the base, before each tick
    commands: list[tuple[float, float, float] | None] = field(default_factory=list)
    believed: list[tuple[int, float, float, float]] = field(default_factory=list)  # tick, x, y, yaw
    tick_us: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    unlearned: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    torque_change_nm: float = 0.0
    made: int = 0
    energy_start_j: float = 0.0
    last_rejection: str = ""

    def before(self, backend: MujocoBackend) -> None:
        """Note the pose that the coming tick decides on."""
        if not self.poses:
            self.energy_start_j = backend.energy_j
        self.poses.append(pose(backend))

    def decided(self, decision: Decision) -> None:
        """Note what one tick decided."""
        intent, belief, certificate = decision.intent, decision.belief, decision.certificate
        standing = intent.velocity is None and intent.waypoint is None
        self.commands.append((0.0, 0.0, 0.0) if standing else intent.velocity)
        if belief is not None:
            x, y, _ = belief.base_position_world
            self.believed.append((len(self.poses) - 1, float(x), float(y), _yaw(belief.base_orientation_wxyz)))
        if "tick" in decision.timings_us:
            self.tick_us.append(decision.timings_us["tick"])
        self.changed += certificate.changed or bool(certificate.active)
        self.torque_change_nm = max(self.torque_change_nm, certificate.torque_change_nm)
        self.reasons.update({reason.split()[0] for reason in certificate.reasons})
        self._count_proposals(decision)

    def _count_proposals(self, decision: Decision) -> None:
        self.made += len(decision.proposals)
        rejected = [verdict.constraint for verdict in decision.verdicts if not verdict.accepted]
        self.rejections.update(rejected)
        if decision.proposals:
            self.last_rejection = f"rejected: {rejected[0]}" if rejected and decision.chosen < 0 else ""
        origin = "none" if decision.proposal is None else decision.proposal.origin
        if decision.status == "safe":
            self.unlearned["safe command"] += 1
        elif origin != "learned":
            self.unlearned[self.last_rejection or f"origin: {origin}"] += 1

    def result(self, fell: bool, backend: MujocoBackend) -> RunResult:
        """Sum up; the pose after the last tick is read from the plant."""
        self.before(backend)
        ticks, poses = len(self.commands), np.array(self.poses)
        start = ticks // 3
        mean = mean_velocity(poses[start:], self.period_s)
        position_drift, yaw_drift = self._drift(poses)
        return RunResult(
            fell=fell,
            seconds=ticks * self.period_s,
            mean_velocity=mean,
            velocity_error=_error(mean, self.commands[start:]),
            tick_us={name: float(np.percentile(self.tick_us, q)) if self.tick_us else None for name, q in (("p50", 50), ("p99", 99))},
            interventions={
                "rate": self.changed / max(ticks, 1),
                "count": self.changed,
                "max_torque_change_nm": self.torque_change_nm,
                "reasons": dict(self.reasons),
            },
            proposals={"made": self.made, "rejected": sum(self.rejections.values()), "reasons": dict(self.rejections)},
            learned_share=(ticks - sum(self.unlearned.values())) / max(ticks, 1),
            unlearned_reasons=dict(self.unlearned),
            energy_j=backend.energy_j - self.energy_start_j,
            distance_m=path_length(poses, round(1.0 / self.period_s)),
            position_drift_m=position_drift,
            yaw_drift=yaw_drift,
        )

    def _drift(self, poses: Array) -> tuple[float | None, float | None]:
        """Error of the believed displacement since the first belief, in the frame of that first pose."""
        if not self.believed:
            return None, None
        (first, *start), (last, *end) = self.believed[0], self.believed[-1]
        believed, true = displacement(np.array(start), np.array(end)), displacement(poses[first], poses[last])
        return float(np.linalg.norm((believed - true)[:2])), float(wrap_angle(believed[2] - true[2]))


def truth(backend: MujocoBackend) -> dict[str, Any]:
    """What only the simulator knows, at the moment that the last decision was made on."""
    base = backend.model.body(backend.robot.overlay.base).id
    data = backend.data
    # MuJoCo's derived quantities are those before its last integration step: of the decision's moment, not one tick later.
    return {
        "base_position_world": data.xpos[base].copy(),
        "base_orientation_wxyz": data.xquat[base].copy(),
        "com_position_world": data.subtree_com[base].copy(),
    }


def pose(backend: MujocoBackend) -> tuple[float, float, float]:
    """Truth: x, y (m) and yaw (rad) of the base."""
    x, y, _ = backend.base_position_world
    return float(x), float(y), backend.yaw


def velocities(poses: Array, period_s: float) -> Array:
    """vx, vy (m/s) and wz (rad/s), (k, 3), of poses (k + 1, 3) x, y (m), yaw (rad), each move seen in the heading it began with."""
    moves, yaw = np.diff(poses, axis=0), poses[:-1, 2]
    cos, sin = np.cos(yaw), np.sin(yaw)
    forward = cos * moves[:, 0] + sin * moves[:, 1]
    sideways = -sin * moves[:, 0] + cos * moves[:, 1]
    return np.column_stack((forward, sideways, np.diff(np.unwrap(poses[:, 2])))) / period_s


def mean_velocity(poses: Array, period_s: float) -> tuple[float, float, float]:
    """Mean of `velocities`; 0 where there is no move."""
    if len(poses) < 2:
        return 0.0, 0.0, 0.0
    vx, vy, wz = velocities(poses, period_s).mean(axis=0)
    return float(vx), float(vy), float(wz)


def displacement(start: Array, end: Array) -> Array:
    """Pose `end`, or poses (..., 3), x, y (m), yaw (rad), seen from pose `start` (3,)."""
    cos, sin = np.cos(start[2]), np.sin(start[2])
    dx, dy, turn = np.moveaxis(end - start, -1, 0)
    return np.stack([cos * dx + sin * dy, -sin * dx + cos * dy, np.arctan2(np.sin(turn), np.cos(turn))], axis=-1)


def _error(mean: tuple[float, float, float], commands: list[tuple[float, float, float] | None]) -> tuple[float, float, float] | None:
    given = [command for command in commands if command is not None]
    if not given or len(given) < len(commands):
        return None
    x, y, turn = (float(value) for value in np.abs(np.array(mean) - np.mean(given, axis=0)))
    return x, y, turn


def path_length(poses: Array, stride: int) -> float:
    """Length of the way over every stride-th pose (k, 2 or more) x, y and the last one, m."""
    path = np.vstack((poses[:-1:stride, :2], poses[-1:, :2]))
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def _yaw(quat_wxyz: Array) -> float:
    return float(yaw_of(matrix_from_quat(quat_wxyz)))
