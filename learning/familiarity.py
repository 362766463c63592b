"""How far a chunk lies from what was demonstrated in such a situation, with an edge that most demonstrations keep within."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array

from .features import Features

COVERAGE = 0.95  # share of demonstrations that lies within the edge
RIDGE = 1e-3  # of the features' mean square
VARIANCE_FLOOR = 1e-6  # of a residual: a direction that the training pairs fix exactly stays invertible
DIGITS = 6  # significant ones that are kept: the contract's JSON stays small


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Linear Gaussian model of what is done in a situation, z ~ N(f @ gain + offset, S), and the distance that is its edge.

    f are normalised features and z leading whitened coordinates. The root W, W Wᵀ = S⁻¹, whitens residuals.
    """

    gain: Array  # (d, r)
    offset: Array  # (r,)
    root: Array  # (r, r)
    threshold: float  # root mean square of a whitened residual at the edge

    def distance(self, features: Features, z: Array) -> Array:
        """Mahalanobis distance (...) of z (..., r) given features (..., d), over √r and the threshold: 1 is the edge."""
        residual = (z - features @ self.gain - self.offset) @ self.root
        return np.asarray(np.sqrt(np.mean(residual**2, axis=-1)) / self.threshold)


def fit_familiarity(features: Features, z: Array, validation_features: Features, validation_z: Array) -> Familiarity:
    """Ridge regression and residual covariance of training pairs, edge from the validation pairs.

    The edge is split conformal: of n distances that the fit has not seen, the ⌈(n + 1) · 0.95⌉-th smallest (the largest where
    n < 19). A new pair that is exchangeable with them lies within it with a probability of at least 0.95. Pairs of one episode
    depend on each other, so that this holds only about for a new episode.

    References: V. Vovk, A. Gammerman and G. Shafer, Algorithmic Learning in a Random World, Springer 2005; A. Angelopoulos and
    S. Bates, Conformal Prediction: A Gentle Introduction, Foundations and Trends in Machine Learning 16(4), 2023.

    Args:
        features: normalised, (N, d).
        z: leading whitened coordinates of the chunks, (N, r).
        validation_features: normalised, (n, d), of other episodes.
        validation_z: (n, r).
    """
    f = np.column_stack([features, np.ones(len(features))]).astype(float)
    gain = np.linalg.solve(f.T @ f + RIDGE * len(f) * np.eye(f.shape[1]), f.T @ z)
    residual = z - f @ gain
    covariance = residual.T @ residual / len(f) + VARIANCE_FLOOR * np.eye(z.shape[1])
    gain, root = _rounded(gain), _rounded(np.linalg.cholesky(np.linalg.inv(covariance)))
    unscaled = Familiarity(gain[:-1], gain[-1], root, 1.0)
    seen = np.sort(unscaled.distance(validation_features, validation_z))
    edge = seen[min(math.ceil((len(seen) + 1) * COVERAGE), len(seen)) - 1]
    return Familiarity(gain[:-1], gain[-1], root, float(edge))


def _rounded(values: Array) -> Array:
    return np.array([float(f"{value:.{DIGITS}g}") for value in values.ravel()]).reshape(values.shape)
