"""Densities over chunks: whitening by principal components, and a Gaussian mixture in the whitened space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array

STD_FLOOR = 2e-3  # in the layout's units (2 mrad, 0.2 mm, 0.2 ms): below it demonstrations say nothing
LOG_TWO_PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Whitening:
    """Affine map between chunks x (D,) and whitened z (D,): x = mean + unit * (basis @ (std * z)).

    Directions are in order of falling variance. The first `rank` are modelled by the mixture; the others keep the
    standard normal that whitening gives them, so that the product is a proper density over whole chunks.
    """

    mean: Array  # (D,)
    unit: Array  # (D,)
    basis: Array  # (D, D) orthonormal columns
    std: Array  # (D,)
    rank: int

    @property
    def log_volume(self) -> float:
        """log |dx/dz|: the sum that turns a density over z into one over x."""
        return float(np.sum(np.log(self.std)) + np.sum(np.log(self.unit)))

    def whiten(self, chunks: Array) -> Array:
        """Whitened coordinates (..., D) of chunks (..., D)."""
        return np.asarray(((chunks - self.mean) / self.unit) @ self.basis / self.std)

    def leading(self, chunks: Array) -> Array:
        """The coordinates (..., rank) of chunks (..., D) that are modelled."""
        return self.whiten(chunks)[..., : self.rank]

    def chunk(self, leading: Array) -> Array:
        """Chunks (..., D) of leading coordinates (..., rank), the other directions at their mean."""
        return np.asarray(self.mean + self.unit * ((leading * self.std[: self.rank]) @ self.basis[:, : self.rank].T))

    def gaussian_log_density(self, chunks: Array) -> Array:
        """log density (...) of the Gaussian with the whitening's mean and (floored) covariance, nats per chunk."""
        return standard_normal_log_density(self.whiten(chunks)) - self.log_volume

    def mixture_log_density(self, chunks: Array, logits: Array, mean: Array, log_std: Array) -> Array:
        """log density (...) of chunks (..., D) under a mixture over the leading coordinates, nats per chunk.

        Takes logits (..., M), mean and log_std (..., M, rank).
        """
        z = self.whiten(chunks)
        trailing = standard_normal_log_density(z[..., self.rank :])
        return mixture_log_density(z[..., : self.rank], logits, mean, log_std) + trailing - self.log_volume


def fit_whitening(chunks: Array, unit: Array, rank: int) -> Whitening:
    """Whitening by the mean and covariance of training chunks (N, D); standard deviations are floored."""
    mean = chunks.mean(axis=0)
    scaled = (chunks - mean) / unit
    variance, basis = np.linalg.eigh(scaled.T @ scaled / len(chunks))
    std = np.sqrt(np.maximum(variance[::-1], STD_FLOOR**2))
    return Whitening(mean=mean, unit=unit, basis=basis[:, ::-1].copy(), std=std, rank=min(rank, len(mean)))


def standard_normal_log_density(z: Array) -> Array:
    """log density (...) of standard normal z (..., r)."""
    return np.asarray(-0.5 * (np.sum(z * z, axis=-1) + z.shape[-1] * LOG_TWO_PI))


def mixture_log_density(z: Array, logits: Array, mean: Array, log_std: Array) -> Array:
    """log density (...) of z (..., r) under a mixture of M diagonal Gaussians: logits (..., M), mean, log_std (..., M, r)."""
    standard = (z[..., None, :] - mean) * np.exp(-log_std)
    parts = log_softmax(logits) + standard_normal_log_density(standard) - np.sum(log_std, axis=-1)
    top = np.max(parts, axis=-1)
    return np.asarray(top + np.log(np.sum(np.exp(parts - top[..., None]), axis=-1)))


def log_softmax(logits: Array) -> Array:
    """Logarithm of the mixture weights, (..., M)."""
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True)))


def sample_mixture(rng: np.random.Generator, count: int, temperature: float, logits: Array, mean: Array, log_std: Array) -> Array:
    """`count` draws (count, r) from a mixture with logits (M,), mean and log_std (M, r); temperature narrows it."""
    weights = np.exp(log_softmax(logits / temperature))
    chosen = rng.choice(len(weights), size=count, p=weights / weights.sum())
    noise = rng.standard_normal((count, mean.shape[-1]))
    return np.asarray(mean[chosen] + temperature * np.exp(log_std[chosen]) * noise)
