"""Disturbed copies of demonstrations, so that a proposer which drifts from them learns the way back."""

from __future__ import annotations

import numpy as np

from .chunk import ChunkLayout
from .dataset import Pairs
from .operator import remaining_distance

SHARE = 0.3  # of the pairs get a copy
ARM_STD = 0.2  # rad
ARM_SPEED_STD = 0.2  # rad/s
TORSO_STD = 0.08  # rad
HEIGHT_STD_M = 0.02


def with_disturbed_copies(pairs: Pairs, names: tuple[str, ...], layout: ChunkLayout, seed: int, arms_share: float = 1.0) -> Pairs:
    """The pairs, and some of them once more with another reference in force at the start.

    The operator closes a small distance to what it wants by a linear law, so the copy's motion is the demonstrated one
    plus the disturbance, which dies away from knot to knot (`remaining_distance`). `names` are the features';
    `arms_share` is how much of the arms' disturbance is drawn.
    """
    rng, k = np.random.default_rng(seed), layout.knots
    rows = np.flatnonzero(rng.random(len(pairs)) < SHARE)
    n = len(rows)
    arms = rng.normal(0.0, arms_share * ARM_STD, (n, layout.arms))
    torso = rng.normal(0.0, TORSO_STD, (n, 3))
    height = rng.normal(0.0, HEIGHT_STD_M, (n, 1))
    disturbed = pairs.features[rows].astype(float)
    torso_first = names.index("torso_roll")
    disturbed[:, -2 * layout.arms : -layout.arms] += arms
    disturbed[:, -layout.arms :] += rng.normal(0.0, arms_share * ARM_SPEED_STD, arms.shape)
    disturbed[:, torso_first : torso_first + 3] += torso
    disturbed[:, names.index("height")] += height[:, 0]
    closed = 1.0 - remaining_distance(k, layout.knot_period_s)  # of the disturbance, by each knot
    shift = [-(closed[:, None] * values[:, None, :]).reshape(n, -1) for values in (arms, torso, height)]
    chunks = pairs.chunks[rows] + np.concatenate([*shift, np.zeros((n, layout.size - k * (layout.arms + 4)))], axis=1)
    return Pairs(
        features=np.concatenate([pairs.features, disturbed.astype(np.float32)]),
        chunks=np.concatenate([pairs.chunks, chunks]),
        episode=np.concatenate([pairs.episode, pairs.episode[rows]]),
    )
