"""How well a proposer file predicts held-out demonstrations, against a Gaussian that ignores the situation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poise.robots.types import Array

from .dataset import Pairs
from .likelihood import Whitening
from .proposer import ProposerNetwork


@dataclass(frozen=True)
class HeldOut:
    """Mean log-likelihoods over held-out chunks, nats per chunk, in the full space of chunks."""

    log_likelihood: float  # of the network
    gaussian: float  # of the Gaussian with the training chunks' mean and covariance
    gain: float  # network - Gaussian
    gain_std_error: float  # over episodes
    first_knot_error_rad: float  # RMS over arm joints of the likeliest component's mean, 0.2 s ahead
    hold_error_rad: float  # the same for arms that stay where they are
    episodes: int
    chunks: int


def log_likelihoods(network: ProposerNetwork, pairs: Pairs) -> tuple[Array, Array]:
    """log density (N,) of each chunk under the network, and the likeliest component's mean chunk (N, D)."""
    whitening = network.contract.whitening
    densities, means = np.empty(len(pairs)), np.empty(pairs.chunks.shape)
    for i in range(len(pairs)):
        logits, mean, log_std = network.mixture(pairs.features[i])
        densities[i] = whitening.mixture_log_density(pairs.chunks[i], logits, mean, log_std)
        means[i] = whitening.chunk(mean[np.argmax(logits)])
    return densities, means


def evaluate(path: Path, held_out: Pairs) -> HeldOut:
    """Evaluate an exported proposer on pairs that it was not trained on; the Gaussian is its contract's whitening.

    Raises:
        ContractError: the file is not a proposer.
    """
    network = ProposerNetwork(path)
    whitening: Whitening = network.contract.whitening
    learned, means = log_likelihoods(network, held_out)
    gaussian = whitening.gaussian_log_density(held_out.chunks)
    gain = learned - gaussian
    episodes = np.unique(held_out.episode)
    by_episode = np.array([gain[held_out.episode == episode].mean() for episode in episodes])
    arms = slice(0, network.contract.layout.arms)
    return HeldOut(
        log_likelihood=float(learned.mean()),
        gaussian=float(gaussian.mean()),
        gain=float(gain.mean()),
        gain_std_error=float(by_episode.std(ddof=1) / np.sqrt(len(episodes))) if len(episodes) > 1 else float("nan"),
        first_knot_error_rad=float(np.sqrt(np.mean((means[:, arms] - held_out.chunks[:, arms]) ** 2))),
        hold_error_rad=float(np.sqrt(np.mean(held_out.chunks[:, arms] ** 2))),
        episodes=len(episodes),
        chunks=len(held_out),
    )
