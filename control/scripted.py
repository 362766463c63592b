"""The scripted proposer: the nominal posture and gait. It acts when nothing better was accepted."""

from __future__ import annotations

import numpy as np

from poise.robots import MotionProposal, RobotModel

from .protocols import Situation

KNOTS, PERIOD_S = 5, 0.2


class ScriptedProposer:
    """Arms to the nominal posture, torso and height as the intent asks, nominal step time, no footstep shift."""

    def __init__(self, robot: RobotModel) -> None:
        self._gait = robot.overlay.gait
        self._arms = robot.posture[robot.arms]

    def reset(self, seed: int) -> None:
        """Nothing to forget: it has no memory and draws nothing."""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """One proposal, always feasible for a robot that stands or walks."""
        intent, gait = situation.intent, self._gait
        height = gait.com_height_m if intent.height_m is None else float(np.clip(intent.height_m, *gait.height_range_m))
        torso = np.zeros(3) if intent.torso_rpy is None else np.clip(np.array(intent.torso_rpy), -0.4, 0.4)
        return (
            MotionProposal(
                origin="scripted",
                period_s=PERIOD_S,
                twist=situation.twist,
                height_m=np.full(KNOTS, height),
                torso_rpy=np.tile(torso, (KNOTS, 1)),
                arm_position=np.tile(self._arms, (KNOTS, 1)),
                step_duration_s=gait.step_duration_s,
                footstep_offset=np.zeros((2, 2)),
            ),
        )
