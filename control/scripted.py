"""The scripted proposer: the nominal posture and gait. It acts when nothing better was accepted."""

from __future__ import annotations

import math

import numpy as np

from poise.robots import MotionProposal, RobotModel
from poise.robots.types import LEFT, Array

from .motion import ARM_RATE, brisk_mps
from .protocols import Situation

KNOTS, PERIOD_S = 10, 0.1
ARM_SWING_RAD = 0.15  # of each shoulder's pitch, each way, at 1 m/s: it takes up some of the legs' yaw momentum
BRISKER_S = 0.1  # by which a step is shorter for each m/s, as `brisk_mps` counts it, that it is fast sideways


def stride_angle(situation: Situation) -> float:
    """Phase of the stride, rad: 0 to pi through a step on the left foot, pi to 2 pi on the right."""
    done = situation.time_in_phase_s / max(situation.step_duration_s, 1e-3)
    return math.pi * (min(max(done, 0.0), 1.0) + (0.0 if situation.stance == LEFT else 1.0))


def step_shortening_s(twist: Array) -> float:
    """By how much a step at a twist (3,) is shorter than the nominal one: where it is fast sideways."""
    return BRISKER_S * brisk_mps(0.0, float(twist[1]))


class ScriptedProposer:
    """Arms about the nominal posture, torso and height as the intent asks, nominal step time, no footstep shift."""

    def __init__(self, robot: RobotModel) -> None:
        self._gait = robot.overlay.gait
        self._arms = robot.posture[robot.arms]
        joints = [robot.joint_names[i] for i in robot.arms]
        side = [1.0 if joint.startswith("left_") else -1.0 for joint in joints]
        self._shoulders = np.where(["shoulder_pitch" in joint for joint in joints], side, 0.0)

    def reset(self, seed: int) -> None:
        """Nothing to forget: it has no memory and draws nothing."""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """One proposal, always feasible for a robot that stands or walks."""
        intent, gait = situation.intent, self._gait
        wanted = gait.com_height_m if intent.height_m is None else intent.height_m
        height = float(np.clip(wanted, *gait.height_range_m))
        torso = np.zeros(3) if intent.torso_rpy is None else np.clip(np.array(intent.torso_rpy), -0.4, 0.4)
        return (
            MotionProposal(
                origin="scripted",
                period_s=PERIOD_S,
                twist=situation.twist,
                height_m=np.full(KNOTS, height),
                torso_rpy=np.tile(torso, (KNOTS, 1)),
                arm_position=self._arms + np.outer(self._arm_swing(situation), self._shoulders),
                step_duration_s=gait.step_duration_s - step_shortening_s(situation.twist),
                footstep_offset=np.zeros((2, 2)),
            ),
        )

    def _arm_swing(self, situation: Situation) -> Array:
        """Pitch (KNOTS,) rad of the left shoulder against its leg, early by the lag of the filter that it goes through."""
        if situation.phase != "step":
            return np.zeros(KNOTS)
        rate = math.pi / max(situation.step_duration_s, 0.1)
        ahead = rate * PERIOD_S * np.arange(1, KNOTS + 1) + 2.0 * math.atan(rate / ARM_RATE)
        return ARM_SWING_RAD * situation.twist[0] * np.cos(stride_angle(situation) + ahead)
