"""Training: the loss is the density's, it beats the Gaussian, repeats from its seed, and can be interrupted."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from synthetic import SHORT

from poise.learning.checkpoint import State, load_checkpoint, save_checkpoint
from poise.learning.dataset import build_dataset
from poise.learning.evaluation import evaluate
from poise.learning.likelihood import mixture_log_density
from poise.learning.network import MixtureNetwork, mixture_nll
from poise.learning.proposer import ProposerNetwork
from poise.learning.training import Progress, TrainingReport, train
from poise.robots import RecordError, RobotModel

TINY = replace(SHORT, epochs=2, hidden=16, components=2, rank=8)


def weights(path: Path) -> bytes:
    return b"".join(tensor.raw_data for tensor in onnx.load(str(path)).graph.initializer)


def test_loss_is_the_mixtures_log_density() -> None:
    torch.manual_seed(0)
    network = MixtureNetwork(features=6, rank=5, components=3, hidden=16).double()
    features, z = torch.randn(20, 6, dtype=torch.float64), torch.randn(20, 5, dtype=torch.float64)
    mixture = network(features)
    expected = -mixture_log_density(z.numpy(), *(part.detach().numpy() for part in mixture)).mean()
    assert mixture_nll(z, *mixture).item() == pytest.approx(expected, rel=1e-6)


def test_beats_the_gaussian_on_held_out_episodes(trained: TrainingReport) -> None:
    held_out = trained.held_out
    assert held_out.gain == pytest.approx(held_out.log_likelihood - held_out.gaussian)
    assert held_out.gain > 10.0
    assert (held_out.episodes, held_out.chunks) == (2, 220)
    assert set(asdict(trained)["held_out"]) >= {"log_likelihood", "gaussian", "gain_std_error"}
    assert trained.file_bytes < 2_000_000


def test_most_held_out_demonstrations_are_familiar(demonstrations: Path, robot: RobotModel, trained: TrainingReport) -> None:
    """Although all pairs of an episode come from one style, and the edge from two episodes."""
    held_out, contract = build_dataset(demonstrations, robot, seed=3).held_out, ProposerNetwork(Path(trained.out)).contract
    distance = contract.familiarity.distance(contract.normalise(held_out.features), contract.whitening.leading(held_out.chunks))
    assert np.mean(distance <= 1.0) > 0.85


def test_reported_validation_is_the_files(robot: RobotModel, demonstrations: Path, trained: TrainingReport) -> None:
    """What training counted over leading coordinates is the density that the exported file gives to whole chunks."""
    validation = build_dataset(demonstrations, robot, seed=3).validation
    assert evaluate(Path(trained.out), validation).log_likelihood == pytest.approx(trained.validation_log_likelihood, abs=1e-2)


def test_same_seed_same_weights_and_interruption_changes_nothing(robot: RobotModel, demonstrations: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    epochs: list[int] = []
    train(demonstrations, tmp_path / "a.onnx", robot, seed=5, config=TINY)
    with pytest.raises(KeyboardInterrupt):
        train(demonstrations, tmp_path / "b.onnx", robot, seed=5, config=TINY, progress=interrupt)
    assert (tmp_path / "b.checkpoint").exists() and not (tmp_path / "b.onnx").exists()
    train(demonstrations, tmp_path / "b.onnx", robot, seed=5, config=TINY, progress=lambda p: epochs.append(p.epoch))
    assert epochs == [2]
    assert weights(tmp_path / "a.onnx") == weights(tmp_path / "b.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_other_works_checkpoint_is_not_taken_up(tmp_path: Path) -> None:
    state = State(3, 2, 1.0, 9.0, {}, {}, {})
    save_checkpoint(tmp_path / "c", "this work", state)
    assert load_checkpoint(tmp_path / "c", "this work") == state
    assert load_checkpoint(tmp_path / "c", "other work") is None
    assert load_checkpoint(tmp_path / "none", "this work") is None


def test_refuses_a_broken_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.checkpoint").write_bytes(b"broken")
    with pytest.raises(RecordError, match="delete it to train from the start"):
        load_checkpoint(tmp_path / "a.checkpoint", "")


def test_stops_when_validation_no_longer_improves(robot: RobotModel, demonstrations: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    hasty = replace(TINY, epochs=15, patience=1, learning_rate=0.05)
    report = train(demonstrations, tmp_path / "a.onnx", robot, config=hasty, progress=seen.append)
    assert report.epochs == report.best_epoch + 1 < 15
    best = max(seen, key=lambda p: p.validation_log_likelihood)
    assert best.epoch == report.best_epoch
    assert np.isclose(best.validation_log_likelihood, report.validation_log_likelihood)
