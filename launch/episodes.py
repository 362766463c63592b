"""Demonstration episodes: the operator model drives the stack in simulation, with pushes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.control import Stack
from poise.learning import EpisodeTrace, OperatorProposer, TraceRecorder
from poise.learning.world_model import LipWorldModel
from poise.robots import Decision, RobotState
from poise.sim import Disturbance, MujocoBackend, Push, run

PUSH_EVERY_S = 6.0
PUSH_IMPULSE = (5.0, 16.0)  # N·s


@dataclass(frozen=True)
class DemonstrationEpisode:
    """Runs one seeded episode; picklable, so that episodes run in several processes."""

    seconds: float = 30.0

    def __call__(self, seed: int, operator: OperatorProposer) -> EpisodeTrace:
        """The trace of an episode: operator, pushes and plant are drawn from the seed."""
        robot = operator.robot
        recorder = TraceRecorder(operator)
        stack = Stack(robot, proposer=recorder, world_model=LipWorldModel(robot))
        backend = MujocoBackend(robot, disturbances=draw_pushes(seed, self.seconds, robot.overlay.torso))
        backend.reset(seed)
        stack.reset(seed)

        def note(decision: Decision, state: RobotState) -> None:
            recorder.note(decision.proposal)

        result = run(stack, backend, lambda t, state: operator.intent(state.stamp_s), self.seconds, note)
        return recorder.trace(result.fell)


def draw_pushes(seed: int, seconds: float, body: str) -> tuple[Disturbance, ...]:
    """Pushes on a body, one about every PUSH_EVERY_S, in any direction."""
    rng = np.random.default_rng((seed, 1))
    starts = np.arange(4.0, seconds - 2.0, PUSH_EVERY_S) + rng.uniform(0.0, 2.0)
    angles, impulses = rng.uniform(-np.pi, np.pi, starts.size), rng.uniform(*PUSH_IMPULSE, starts.size)
    return tuple(
        Push(body, (float(np.cos(a)), float(np.sin(a)), 0.0), float(i), float(t)) for t, a, i in zip(starts, angles, impulses, strict=True)
    )
