"""Densities against scipy, against a mixture worked by hand, and against the axiom that they integrate to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from poise.learning.likelihood import STD_FLOOR, fit_whitening, log_softmax, mixture_log_density, sample_mixture


def random_mixture(rng: np.random.Generator, components: int, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.normal(size=components), rng.normal(size=(components, rank)), rng.normal(-0.3, 0.3, (components, rank))


def test_two_components_by_hand() -> None:
    # 1/4 N(0, 1) + 3/4 N(2, 1/2) at 1: 1/4 · 0.2419707 + 3/4 · 0.1079819
    logits, mean, log_std = np.log([1.0, 3.0]), np.array([[0.0], [2.0]]), np.log([[1.0], [0.5]])
    density = math.exp(mixture_log_density(np.array([1.0]), logits, mean, log_std))
    assert density == pytest.approx(0.25 * 0.2419707 + 0.75 * 0.1079819, rel=1e-6)


def test_mixture_against_scipy() -> None:
    rng = np.random.default_rng(0)
    logits, mean, log_std = random_mixture(rng, 5, 7)
    for z in rng.normal(size=(10, 7)):
        parts = [multivariate_normal(m, np.diag(np.exp(2 * s))).logpdf(z) for m, s in zip(mean, log_std, strict=True)]
        assert mixture_log_density(z, logits, mean, log_std) == pytest.approx(logsumexp(log_softmax(logits) + parts))


def test_far_away_does_not_overflow() -> None:
    logits, mean, log_std = random_mixture(np.random.default_rng(1), 3, 4)
    assert np.isfinite(mixture_log_density(np.full(4, 1e4), logits, mean, log_std))


def correlated_chunks(rng: np.random.Generator, count: int = 500) -> np.ndarray:
    return rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6)) * [1.0, 1.0, 1.0, 0.1, 0.1, 0.1] + [3.0, 0, 0, 0.6, 0, 0]


def test_gaussian_is_the_training_gaussian() -> None:
    chunks = correlated_chunks(np.random.default_rng(2))
    whitening = fit_whitening(chunks, np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1]), rank=3)
    expected = multivariate_normal(chunks.mean(axis=0), np.cov(chunks.T, bias=True)).logpdf(chunks[:20])
    np.testing.assert_allclose(whitening.gaussian_log_density(chunks[:20]), expected, rtol=1e-8)


def test_a_standard_mixture_is_the_training_gaussian() -> None:
    chunks = correlated_chunks(np.random.default_rng(3))
    whitening = fit_whitening(chunks, np.ones(6), rank=4)
    logits, mean, log_std = np.zeros(3), np.zeros((3, 4)), np.zeros((3, 4))
    mixture = whitening.mixture_log_density(chunks, logits, mean, log_std)
    np.testing.assert_allclose(mixture, whitening.gaussian_log_density(chunks), rtol=1e-10)


def test_density_over_chunks_integrates_to_one() -> None:
    rng = np.random.default_rng(4)
    chunks = rng.normal(size=(300, 2)) @ np.array([[0.3, 0.1], [0.0, 0.05]])
    whitening = fit_whitening(chunks, np.array([1.0, 0.1]), rank=1)
    logits, mean, log_std = random_mixture(rng, 3, 1)
    axes = [np.linspace(-8 * s, 8 * s, 401) for s in chunks.std(axis=0)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) + whitening.mean
    density = np.exp(whitening.mixture_log_density(grid, logits, mean, log_std))
    assert density.sum() * (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0]) == pytest.approx(1.0, abs=2e-3)


def test_whitening_whitens_and_inverts() -> None:
    chunks = correlated_chunks(np.random.default_rng(5))
    whitening = fit_whitening(chunks, np.ones(6), rank=6)
    z = whitening.whiten(chunks)
    np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(6), atol=1e-8)
    np.testing.assert_allclose(whitening.chunk(z), chunks, atol=1e-10)


def test_what_never_changes_has_a_floor() -> None:
    chunks = correlated_chunks(np.random.default_rng(6))
    chunks[:, 1] = 0.2
    whitening = fit_whitening(chunks, np.ones(6), rank=5)
    assert whitening.std[-1] == STD_FLOOR
    assert np.isfinite(whitening.gaussian_log_density(chunks)).all()


def test_samples_have_the_mixtures_moments() -> None:
    logits, mean, log_std = np.log([1.0, 3.0]), np.array([[-1.0], [2.0]]), np.log([[0.5], [1.0]])
    drawn = sample_mixture(np.random.default_rng(7), 40_000, 1.0, logits, mean, log_std)
    assert drawn.mean() == pytest.approx(1.25, abs=0.03)
    assert drawn.var() == pytest.approx(0.25 * (0.25 + 1.0) + 0.75 * (1.0 + 4.0) - 1.25**2, rel=0.03)
    cold = sample_mixture(np.random.default_rng(7), 1000, 0.1, logits, mean, log_std)
    assert (np.abs(cold - 2.0) < 0.6).all()  # three times as likely at temperature 1: 3^10 times here
