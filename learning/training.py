"""Train the proposer on demonstrations, with early stopping; resumable after each epoch. Needs torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from poise.robots import RobotModel
from poise.robots.types import Array

from .augmentation import with_disturbed_copies
from .checkpoint import State, fingerprint, load_checkpoint, save_checkpoint
from .contract import Contract, model_hash, normalise
from .dataset import Dataset, Pairs, build_dataset
from .evaluation import HeldOut, evaluate
from .export import export
from .familiarity import fit_familiarity
from .features import feature_names
from .likelihood import Whitening, fit_whitening
from .network import MixtureNetwork, mixture_nll
from .trace import ROW_S

CONSTANT_STD = 1e-6
FAMILIAR_ARMS = 0.1  # of the arms' disturbance in what familiarity is fitted to: with all of it, strange arms pass as a way back


@dataclass(frozen=True)
class TrainingConfig:
    """Sizes and optimiser."""

    rank: int = 64
    components: int = 8
    hidden: int = 256
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    epochs: int = 60
    patience: int = 8  # epochs without a better validation
    seconds: float = 270.0


@dataclass(frozen=True)
class TrainingReport:
    """What `train` did; log-likelihoods in nats per chunk. `asdict` makes it plain."""

    out: str
    epochs: int
    best_epoch: int
    seconds: float
    training_chunks: int
    validation_chunks: int
    validation_log_likelihood: float
    held_out: HeldOut
    file_bytes: int


@dataclass(frozen=True)
class Progress:
    """What the progress callback gets after each epoch; log-likelihoods in nats per chunk."""

    epoch: int
    epochs: int
    training_log_likelihood: float
    validation_log_likelihood: float
    gaussian_log_likelihood: float
    seconds: float


def train(
    path: Path,
    out: Path,
    robot: RobotModel,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
    config: TrainingConfig | None = None,
    command: str = "",
) -> TrainingReport:
    """Train on the episodes in `path` and write an ONNX file with its contract to `out`.

    A checkpoint beside `out` is taken up again when it is of the same data, seed and configuration, and removed at the end.

    Raises:
        RecordError: the episodes cannot be used.
    """
    config = config or TrainingConfig()
    dataset = build_dataset(path, robot, seed)
    contract = _contract(dataset, robot, config, seed)
    network, state = _fit(dataset, contract, config, seed, _checkpoint_path(out), progress)
    validation = _log_likelihood(state.best, contract.whitening, dataset.validation)
    note = {
        "command": command, "seed": seed, "config": asdict(config), "epochs": state.epoch, "best_epoch": state.best_epoch,
        "training_chunks": len(dataset.training), "validation_log_likelihood": validation,
    }  # fmt: skip
    export(network, replace(contract, training=note), out)
    _checkpoint_path(out).unlink(missing_ok=True)
    return TrainingReport(
        out=str(out),
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        seconds=state.seconds,
        training_chunks=len(dataset.training),
        validation_chunks=len(dataset.validation),
        validation_log_likelihood=validation,
        held_out=evaluate(out, dataset.held_out),
        file_bytes=out.stat().st_size,
    )


def _contract(dataset: Dataset, robot: RobotModel, config: TrainingConfig, seed: int) -> Contract:
    seen, layout, names = dataset.training.features.astype(float), dataset.layout, feature_names(robot)
    mean, std = seen.mean(axis=0), seen.std(axis=0)
    gain = np.where(std > CONSTANT_STD, 1.0 / np.maximum(std, CONSTANT_STD), 0.0)
    whitening = fit_whitening(dataset.training.chunks, layout.unit(), config.rank)
    known = with_disturbed_copies(dataset.training, names, layout, seed, FAMILIAR_ARMS)
    fitted, unseen = ((normalise(pairs.features, mean, gain), whitening.leading(pairs.chunks)) for pairs in (known, dataset.validation))
    return Contract(
        robot=robot.name,
        joint_names=robot.joint_names,
        arm_joints=robot.arm_joints,
        mass_kg=robot.mass,
        model_hash=model_hash(robot),
        feature_names=names,
        feature_mean=mean,
        feature_gain=gain,
        layout=layout,
        chunk_names=layout.names(robot.arm_joints),
        whitening=whitening,
        familiarity=fit_familiarity(*fitted, *unseen),
        components=config.components,
        situation_rate_hz=1.0 / ROW_S,
        training={},
    )


def _tensors(pairs: Pairs, contract: Contract) -> tuple[torch.Tensor, torch.Tensor]:
    z = contract.whitening.leading(pairs.chunks)
    return torch.from_numpy(contract.normalise(pairs.features)), torch.from_numpy(z.astype(np.float32))


def _fit(
    dataset: Dataset, contract: Contract, config: TrainingConfig, seed: int, checkpoint: Path, progress: Callable[[Progress], None] | None
) -> tuple[MixtureNetwork, State]:
    """Train until validation stops improving; the network returned is the best of it."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # a small network: two threads wait for each other, forty times longer on a busy machine
    features, z = _tensors(with_disturbed_copies(dataset.training, contract.feature_names, contract.layout, seed), contract)
    validation = _tensors(dataset.validation, contract)
    network = MixtureNetwork(features.shape[1], contract.whitening.rank, config.components, config.hidden)
    _solve_linear(network, features, z)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    key = fingerprint(dataset, repr((config, seed)))
    fresh = State(0, 0, math.inf, 0.0, network.state_dict(), optimiser.state_dict(), network.state_dict())
    state = load_checkpoint(checkpoint, key) or fresh
    network.load_state_dict(state.network)
    optimiser.load_state_dict(state.optimiser)
    while state.epoch < config.epochs and state.epoch - state.best_epoch < config.patience and state.seconds < config.seconds:
        started = time.perf_counter()
        rate = 0.5 * config.learning_rate * (1 + math.cos(math.pi * state.epoch / config.epochs))
        order = np.random.default_rng((seed, state.epoch)).permutation(len(z))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _epoch(network, optimiser, features, z, torch.from_numpy(order), config.batch)
        nll = _nll(network, *validation)
        state.epoch += 1
        state.seconds += time.perf_counter() - started
        if nll < state.best:
            state.best, state.best_epoch = nll, state.epoch
            state.best_network = {name: value.clone() for name, value in network.state_dict().items()}
        state.network, state.optimiser = network.state_dict(), optimiser.state_dict()
        save_checkpoint(checkpoint, key, state)
        if progress:
            progress(_progress(state, config, contract.whitening, dataset, loss, nll))
    network.load_state_dict(state.best_network)
    return network, state


def _solve_linear(network: MixtureNetwork, features: torch.Tensor, z: torch.Tensor) -> None:
    """Start the linear path at the ridge regression of z on the features: the network then learns what is not linear."""
    gram = features.T @ features + 1e-3 * len(features) * torch.eye(features.shape[1])
    with torch.no_grad():
        network.linear.weight.copy_(torch.linalg.solve(gram, features.T @ z).T)


def _epoch(
    network: MixtureNetwork, optimiser: torch.optim.Optimizer, features: torch.Tensor, z: torch.Tensor, order: torch.Tensor, batch: int
) -> float:
    """One pass over the pairs in an order; mean loss."""
    network.train()
    total = 0.0
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        loss = mixture_nll(z[rows], *network(features[rows]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / len(z)


def _nll(network: MixtureNetwork, features: torch.Tensor, z: torch.Tensor) -> float:
    network.eval()
    with torch.no_grad():
        return float(mixture_nll(z, *network(features)))


def _log_likelihood(leading_nll: float, whitening: Whitening, pairs: Pairs) -> float:
    """Nats per chunk in the full space, from the mean loss over the leading coordinates."""
    trailing = whitening.whiten(pairs.chunks)[:, whitening.rank :]
    constant: Array = -0.5 * (np.sum(trailing**2, axis=1) + trailing.shape[1] * math.log(2 * math.pi))
    return float(constant.mean() - whitening.log_volume - leading_nll)


def _progress(state: State, config: TrainingConfig, whitening: Whitening, dataset: Dataset, loss: float, nll: float) -> Progress:
    return Progress(
        epoch=state.epoch,
        epochs=config.epochs,
        training_log_likelihood=_log_likelihood(loss, whitening, dataset.training),
        validation_log_likelihood=_log_likelihood(nll, whitening, dataset.validation),
        gaussian_log_likelihood=float(whitening.gaussian_log_density(dataset.validation.chunks).mean()),
        seconds=state.seconds,
    )


def _checkpoint_path(out: Path) -> Path:
    return out.with_suffix(".checkpoint")
