"""The weights that come with poise, judged in situations of their own walk; the same weights in random order mostly are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from poise.control.protocols import Situation
from poise.launch import build_stack
from poise.learning.export import shuffle_weights
from poise.learning.proposer import LearnedProposer, packaged_weights
from poise.learning.trace import TraceRecorder
from poise.learning.world_model import LipWorldModel
from poise.robots import Intent, RobotModel, load_robot
from poise.sim.mujoco_backend import MujocoBackend
from poise.sim.runner import run


@pytest.fixture(scope="module")
def robot() -> RobotModel:
    return load_robot("g1")


@pytest.fixture(scope="module")
def situations(robot: RobotModel) -> tuple[Situation, ...]:
    """Two seconds of standing and three of walking, at 10 Hz."""
    recorder = TraceRecorder(LearnedProposer(robot))
    stack, backend = build_stack(robot, proposer=recorder), MujocoBackend(robot)
    backend.reset(0)
    stack.reset(0)
    result = run(stack, backend, lambda time_s, state: Intent(velocity=(0.4 * (time_s > 2.0), 0.0, 0.0)), seconds=5.0)
    return recorder.trace(result.fell).situations


def judged(robot: RobotModel, weights: Path, situations: tuple[Situation, ...]) -> dict[str, float]:
    """Share of the proposals that each constraint rejects; "" is the accepted share."""
    proposer, model = LearnedProposer(robot, weights), LipWorldModel(robot)
    verdicts = [verdict for situation in situations for verdict in model.imagine(situation, proposer.propose(situation))]
    return {name: count / len(verdicts) for name, count in Counter(verdict.constraint for verdict in verdicts).items()}


def test_the_policy_is_let_through(robot: RobotModel, situations: tuple[Situation, ...]) -> None:
    assert len(situations) == 50
    assert judged(robot, packaged_weights("g1"), situations)[""] > 0.9


def test_shuffled_weights_are_rejected_by_name(robot: RobotModel, situations: tuple[Situation, ...], tmp_path: Path) -> None:
    """Nine tenths are rejected, by their bodies' limits or, of what is within these, three quarters by `demonstrated`, the last asked.

    Of these situations the first two seconds are of standing, where demonstrations vary most. Not every order is told as well as
    these: of 20 s of walking 1 to 20 % pass with seeds 0 to 5; and one order leaves few within the limits, so three are counted together.
    """
    strange = passed = 0.0
    for seed in range(3):
        shares = judged(robot, shuffle_weights(packaged_weights("g1"), seed, tmp_path / f"shuffled{seed}.onnx"), situations)
        assert shares.get("", 0.0) < 0.1
        strange, passed = strange + shares.get("demonstrated", 0.0), passed + shares.get("", 0.0)
    assert strange > 0.75 * (strange + passed)
