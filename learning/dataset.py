"""Turn demonstration episodes into pairs: what was seen, and what was executed over the following second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poise.robots import MotionProposal, RecordError, RobotModel
from poise.robots.types import Array

from .chunk import ChunkLayout
from .features import feature_names, features
from .trace import EpisodeTrace, load_trace, read_header

DISCARDED_BEFORE_FALL_S = 2.0
HELD_OUT_SHARE = 0.1  # of the episodes, for validation and again for the final figure


@dataclass(frozen=True, eq=False)
class Pairs:
    """Features and the chunks that followed them."""

    features: NDArray[np.float32]  # (N, d)
    chunks: Array  # (N, D)
    episode: NDArray[np.int64]  # (N,) index of the episode

    def __len__(self) -> int:
        """Number of pairs N."""
        return len(self.episode)

    def of(self, episodes: NDArray[np.int64]) -> Pairs:
        """The pairs of some episodes."""
        mask = np.isin(self.episode, episodes)
        return Pairs(self.features[mask], self.chunks[mask], self.episode[mask])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pairs split by episode: no second of a held-out episode was trained on."""

    layout: ChunkLayout
    training: Pairs
    validation: Pairs  # stops the training
    held_out: Pairs  # for the reported figures


def build_dataset(path: Path, robot: RobotModel, seed: int = 0, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Read a folder of episodes and split it by episode with `seed`.

    Raises:
        RecordError: fewer than 3 usable episodes, or one that is unreadable or of another robot.
    """
    files = sorted(path.glob("episode_*.npz"))
    layout = ChunkLayout(arms=len(robot.arms))
    parts = []
    for index, file in enumerate(files):
        _check_robot(file, robot)
        trace = load_trace(file)
        if trace.situations and trace.situations[0].arm_reference.shape != robot.arms.shape:
            raise RecordError(f"demonstration {file}: its arms are not robot {robot.name!r}'s; delete it and generate it again")
        parts.append(episode_pairs(trace, robot, layout, index))
        if progress:
            progress(index + 1, len(files))
    usable = np.array([i for i, part in enumerate(parts) if len(part)], dtype=np.int64)
    if len(usable) < 3:
        raise RecordError(f"demonstrations {path}: {len(usable)} usable episodes, training needs at least 3; generate more")
    pairs = Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "chunks", "episode")))
    order = np.random.default_rng(seed).permutation(usable)
    count = max(1, round(HELD_OUT_SHARE * len(order)))
    return Dataset(layout, pairs.of(order[2 * count :]), pairs.of(order[count : 2 * count]), pairs.of(order[:count]))


def episode_pairs(trace: EpisodeTrace, robot: RobotModel, layout: ChunkLayout, index: int) -> Pairs:
    """Pairs of one episode: a row whose following second was recorded and, in an episode that fell, lies well before the fall."""
    stamps = np.array([s.stamp_s for s in trace.situations])
    end = stamps[-1] - (DISCARDED_BEFORE_FALL_S if trace.fell else 0.0) if len(stamps) else 0.0
    rows = [i for i in range(len(stamps)) if stamps[i] + layout.knots * layout.knot_period_s <= end + 1e-6]
    seen = [features(trace.situations[i], robot) for i in rows]
    chunks = [executed_chunk(trace, stamps, i, layout) for i in rows]
    return Pairs(
        features=np.array(seen, dtype=np.float32).reshape(len(rows), len(feature_names(robot))),
        chunks=np.array(chunks).reshape(len(rows), layout.size),
        episode=np.full(len(rows), index, dtype=np.int64),
    )


def executed_chunk(trace: EpisodeTrace, stamps: Array, row: int, layout: ChunkLayout) -> Array:
    """The chunk (D,) that was executed after a row: the references in force at each knot, linear between rows."""
    situations = trace.situations
    times = stamps[row] + layout.knot_period_s * np.arange(1, layout.knots + 1)
    first = max(int(np.searchsorted(stamps, times[0] + 1e-6)) - 1, 0)
    after = range(row, min(int(np.searchsorted(stamps, times[-1] - 1e-6)) + 1, len(stamps)))

    def at_knots(values: list[Array]) -> Array:
        table = np.array(values).reshape(len(values), -1)
        return np.stack([np.interp(times, stamps[after.start : after.stop], column) for column in table.T], axis=1)

    motion = MotionProposal(
        origin="executed",
        period_s=layout.knot_period_s,
        twist=situations[row].twist,
        height_m=at_knots([np.array([situations[i].height_reference_m]) for i in after])[:, 0],
        torso_rpy=at_knots([situations[i].torso_reference_rpy for i in after]),
        arm_position=at_knots([situations[i].arm_reference for i in after]),
        # What was asked of the gait takes effect a little after it was asked: read it at the first knot.
        step_duration_s=float(trace.step_duration_s[first]),
        footstep_offset=trace.footstep_offset[first],
    )
    return layout.encode(situations[row], motion)


def _check_robot(file: Path, robot: RobotModel) -> None:
    header = read_header(file)
    if header.get("joints") != list(robot.joint_names):
        raise RecordError(f"demonstration {file}: its joints are robot {header.get('robot')!r}'s, not {robot.name!r}'s; generate it again")
