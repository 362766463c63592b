"""The exported file gives what torch gave, and a shuffled one keeps its contract and loses its sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from poise.learning.dataset import build_dataset
from poise.learning.evaluation import evaluate
from poise.learning.export import export, shuffle_weights
from poise.learning.likelihood import STD_FLOOR
from poise.learning.network import MixtureNetwork
from poise.learning.proposer import LearnedProposer, ProposerNetwork
from poise.learning.training import TrainingReport
from poise.robots import ContractError, RobotModel


def test_onnx_gives_what_torch_gives(robot: RobotModel, trained: TrainingReport, tmp_path: Path) -> None:
    torch.manual_seed(1)
    contract = ProposerNetwork(Path(trained.out)).contract
    network = MixtureNetwork(len(contract.feature_names), contract.whitening.rank, contract.components, hidden=32)
    torch.nn.init.normal_(network.linear.weight, std=0.3)
    exported = ProposerNetwork(export(network, replace(contract, training={"seed": 1}), tmp_path / "p.onnx"))
    for row in np.random.default_rng(0).normal(size=(20, len(contract.feature_names))).astype(np.float32):
        seen = contract.feature_mean + np.where(contract.feature_gain > 0, row / np.maximum(contract.feature_gain, 1e-9), 0.0)
        with torch.no_grad():
            wanted = network(torch.from_numpy(contract.normalise(seen.astype(np.float32)))[None])
        for got, expected in zip(exported.mixture(seen.astype(np.float32)), wanted, strict=True):
            np.testing.assert_allclose(got, expected[0].numpy(), atol=1e-5)
    assert exported.contract.training == {"seed": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["p.onnx"]


def test_file_says_nothing_of_where_it_was_made(trained: TrainingReport) -> None:
    assert str(Path.cwd()).encode() not in Path(trained.out).read_bytes()
    assert b".py" not in Path(trained.out).read_bytes()


def test_shuffling_permutes_each_tensor(trained: TrainingReport, tmp_path: Path) -> None:
    path = Path(trained.out)
    shuffled = shuffle_weights(path, 4, tmp_path / "s.onnx")
    assert shuffled.read_bytes() == shuffle_weights(path, 4, tmp_path / "t.onnx").read_bytes()
    before, after = (onnx.load(str(file)).graph.initializer for file in (path, shuffled))
    changed = 0
    for a, b in zip(before, after, strict=True):
        first, second = numpy_helper.to_array(a), numpy_helper.to_array(b)
        assert first.shape == second.shape
        np.testing.assert_array_equal(np.sort(first, axis=None), np.sort(second, axis=None))
        changed += int(not np.array_equal(first, second))
    assert changed >= 7


def test_shuffled_predicts_worse_than_the_gaussian(
    robot: RobotModel, demonstrations: Path, trained: TrainingReport, tmp_path: Path
) -> None:
    shuffled = shuffle_weights(Path(trained.out), 4, tmp_path / "s.onnx")
    LearnedProposer(robot, shuffled)
    held_out = build_dataset(demonstrations, robot, seed=3).held_out
    assert evaluate(shuffled, held_out).gain < -30.0


def test_default_name_lies_beside(trained: TrainingReport) -> None:
    path = shuffle_weights(Path(trained.out), 2)
    assert path == Path(trained.out).with_name("proposer_shuffled_2.onnx")
    path.unlink()


def test_shuffle_refuses_what_is_no_onnx(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="missing.onnx: cannot be read"):
        shuffle_weights(tmp_path / "missing.onnx", 0)


def test_floor_is_in_the_contract(trained: TrainingReport) -> None:
    assert ProposerNetwork(Path(trained.out)).contract.whitening.std.min() >= STD_FLOOR
