"""What a proposal says about the next second, as one vector: the space in which proposals have a density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.control.protocols import Situation
from poise.robots.types import Array, MotionProposal

# How large a change of each quantity is in everyday use: puts rad, m and s on one scale before principal components.
ANGLE_UNIT_RAD = 1.0
LENGTH_UNIT_M = 0.1
TIME_UNIT_S = 0.1


@dataclass(frozen=True)
class ChunkLayout:
    """Order of a chunk: arms (k·n_arms), torso rpy (k·3), height (k), step duration (1), footstep offsets (4).

    Arms, torso and height are differences from the reference in force when the proposal is made, so that every chunk
    starts where the robot is; knot i is due (i + 1) * knot_period_s later.
    """

    arms: int
    knots: int = 5
    knot_period_s: float = 0.2

    @property
    def size(self) -> int:
        """Length D of a chunk."""
        return self.knots * (self.arms + 4) + 5

    def unit(self) -> Array:
        """Scale of each entry, (D,) rad, m or s."""
        angles = np.full(self.knots * (self.arms + 3), ANGLE_UNIT_RAD)
        return np.concatenate([angles, np.full(self.knots, LENGTH_UNIT_M), [TIME_UNIT_S], np.full(4, LENGTH_UNIT_M)])

    def names(self, arm_joints: tuple[str, ...]) -> tuple[str, ...]:
        """Name of each entry."""
        groups = (arm_joints, ("roll", "pitch", "yaw"), ("height",))
        per_knot = [f"{name}@{i}" for group in groups for i in range(self.knots) for name in group]
        return (*per_knot, "step_duration", "forward@0", "outward@0", "forward@1", "outward@1")

    def encode(self, situation: Situation, motion: MotionProposal) -> Array:
        """The chunk (D,) of a motion that starts in a situation."""
        return np.concatenate(
            [
                (motion.arm_position - situation.arm_reference).ravel(),
                (motion.torso_rpy - situation.torso_reference_rpy).ravel(),
                motion.height_m - situation.height_reference_m,
                [motion.step_duration_s],
                motion.footstep_offset.ravel(),
            ]
        )

    def decode(
        self, chunk: Array, situation: Situation, origin: str, log_likelihood: float, strangeness: float | None = None
    ) -> MotionProposal:
        """The motion that a chunk (D,) means in a situation; its twist is the command in force."""
        k, n = self.knots, self.arms
        arms, torso, height, duration, offset = np.split(chunk, np.cumsum([k * n, k * 3, k, 1]))
        return MotionProposal(
            origin=origin,
            period_s=self.knot_period_s,
            twist=situation.twist,
            height_m=situation.height_reference_m + height,
            torso_rpy=situation.torso_reference_rpy + torso.reshape(k, 3),
            arm_position=situation.arm_reference + arms.reshape(k, n),
            step_duration_s=float(duration[0]),
            footstep_offset=offset.reshape(2, 2),
            log_likelihood=log_likelihood,
            strangeness=strangeness,
        )
