"""One small demonstration set and one short training for all tests of the proposer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synthetic import EPISODE_S, EPISODES, SHORT, run_episode

from poise.learning.demonstrations import generate
from poise.learning.operator import OperatorProposer
from poise.learning.training import TrainingReport, train
from poise.robots import RobotModel, load_robot


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small are slower in several threads, and by far where cores are busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def robot() -> RobotModel:
    """The G1."""
    return load_robot("g1")


@pytest.fixture(scope="session")
def demonstrations(robot: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of episodes with the gait clock."""
    path = tmp_path_factory.mktemp("demonstrations")
    generate(OperatorProposer(robot), EPISODES, 1, EPISODE_S, run_episode, path, processes=1)
    return path


@pytest.fixture(scope="session")
def trained(robot: RobotModel, demonstrations: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    """A proposer trained for a few seconds; its file is `trained.out`."""
    out = tmp_path_factory.mktemp("weights") / "proposer.onnx"
    return train(demonstrations, out, robot, seed=3, config=SHORT, command="poise train proposer")
