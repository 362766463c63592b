"""What the control layer takes from above: proposers of motion and a world model that judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from poise.robots.types import Array, Belief, Intent, MotionProposal, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What is known when a proposal is made: the input of proposers and of the world model."""

    tick: int
    stamp_s: float
    intent: Intent
    twist: Array  # (3,) velocity command in force: vx, vy m/s and wz rad/s, heading frame, within the gait's limits
    belief: Belief
    phase: str  # "stand", "shift", "step"
    stance: int  # LEFT or RIGHT
    time_in_phase_s: float
    step_duration_s: float
    dcm_offset_m: Array  # (2,) DCM from the stance sole, in the stance foot's yaw frame
    joint_position: Array  # (n,) rad, measured
    joint_velocity: Array  # (n,) rad/s, measured
    arm_reference: Array  # (n_arms,) rad, what the arms are asked to do now
    arm_reference_velocity: Array  # (n_arms,) rad/s
    torso_reference_rpy: Array  # (3,) rad
    height_reference_m: float  # centre of mass above the stance sole, mean over a step


class Proposer(Protocol):
    """Gives motions over the next second or so, best first by its own likelihood; may give none."""

    def reset(self, seed: int) -> None:
        """Start a run: forget the past and seed the random numbers."""
        ...

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """Propose motions for this situation."""
        ...


class WorldModel(Protocol):
    """Imagines proposals and judges them by physics."""

    def imagine(self, situation: Situation, proposals: tuple[MotionProposal, ...]) -> tuple[Verdict, ...]:
        """One verdict for each proposal, in order; never raises, whatever the proposal holds."""
        ...
