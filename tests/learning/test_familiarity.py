"""The distance from what was demonstrated: a case by hand, the model behind it, and how much its edge holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from poise.learning.familiarity import Familiarity, fit_familiarity
from poise.learning.features import Features
from poise.robots.types import Array

D, R = 4, 3
GAIN = np.array([[1.0, 0.0, 0.5], [0.0, -1.0, 0.0], [0.3, 0.3, 0.3], [0.0, 0.0, 0.0]])
OFFSET = np.array([0.2, 0.0, -0.4])
SPREAD = np.array([[0.3, 0.0, 0.0], [0.1, 0.2, 0.0], [0.0, 0.4, 1.0]])


def draw(rng: np.random.Generator, count: int) -> tuple[Features, Array]:
    """Pairs of the linear Gaussian model with these parameters."""
    f = rng.normal(size=(count, D)).astype(np.float32)
    return f, f @ GAIN + OFFSET + rng.normal(size=(count, R)) @ SPREAD.T


def test_distance_by_hand() -> None:
    # z expected at f = 2: (2, 1); off by (3, -8); whitened (3, -4); root of 25 / 2 over a threshold of 2.5
    known = Familiarity(gain=np.array([[1.0, 0.0]]), offset=np.array([0.0, 1.0]), root=np.diag([1.0, 0.5]), threshold=2.5)
    seen = np.array([2.0], dtype=np.float32)
    assert known.distance(seen, np.array([5.0, -7.0])) == pytest.approx(np.sqrt(2.0))
    assert known.distance(seen, np.array([2.0, 1.0])) == 0.0
    assert known.distance(seen, np.full((5, 3, 2), 1.0)).shape == (5, 3)


def test_fit_finds_the_model_that_made_the_pairs() -> None:
    rng = np.random.default_rng(0)
    known = fit_familiarity(*draw(rng, 50_000), *draw(rng, 1000))
    np.testing.assert_allclose(known.gain, GAIN, atol=0.02)
    np.testing.assert_allclose(known.offset, OFFSET, atol=0.02)
    np.testing.assert_allclose(np.linalg.inv(known.root @ known.root.T), SPREAD @ SPREAD.T, atol=0.02)


def test_distance_against_scipy() -> None:
    rng = np.random.default_rng(1)
    known = fit_familiarity(*draw(rng, 500), *draw(rng, 100))
    for f, z in zip(*draw(rng, 20), strict=True):
        expected = mahalanobis(z, f @ known.gain + known.offset, known.root @ known.root.T) / np.sqrt(R) / known.threshold
        assert known.distance(f, z) == pytest.approx(expected)


def test_the_edge_holds_95_percent_of_fresh_draws() -> None:
    """Over many fits, because the promise is one about the mean: small fits, which know their training pairs too well."""
    rng = np.random.default_rng(2)
    inside = [np.mean(known_to(rng).distance(*draw(rng, 500)) <= 1.0) for _ in range(300)]
    assert 0.95 - 0.003 <= np.mean(inside) <= 0.95 + 1 / 60 + 0.003


def known_to(rng: np.random.Generator) -> Familiarity:
    return fit_familiarity(*draw(rng, 30), *draw(rng, 59))  # ⌈60 · 0.95⌉ = 57 of 59


@pytest.mark.parametrize(("count", "rank"), [(59, 57), (100, 96), (18, 18), (1, 1)])
def test_the_edge_is_a_validation_pairs_distance(count: int, rank: int) -> None:
    rng = np.random.default_rng(3)
    unseen = draw(rng, count)
    known = fit_familiarity(*draw(rng, 200), *unseen)
    assert np.sort(known.distance(*unseen))[rank - 1] == pytest.approx(1.0, abs=1e-12)


def test_what_the_situation_fixes_exactly_has_a_finite_distance() -> None:
    f = np.random.default_rng(4).normal(size=(100, D)).astype(np.float32)
    known = fit_familiarity(f, np.zeros((100, R)), f, np.full((100, R), 0.1))
    assert known.distance(f, np.full((100, R), 0.2)) == pytest.approx(2.0)


def test_numbers_are_short() -> None:
    rng = np.random.default_rng(5)
    known = fit_familiarity(*draw(rng, 200), *draw(rng, 50))
    for values in (known.gain, known.offset, known.root):
        assert all(float(f"{value:.6g}") == value for value in values.ravel())
