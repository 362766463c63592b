"""Pairs: the chunk is what was executed in the following second, and no episode is on both sides of the split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import EPISODES, make_situation

from poise.learning.chunk import ChunkLayout
from poise.learning.dataset import build_dataset, episode_pairs
from poise.learning.demonstrations import episode_path
from poise.learning.features import features
from poise.learning.trace import EpisodeTrace, load_trace
from poise.robots import RecordError, RobotModel, load_robot


@pytest.fixture(scope="module")
def trace(demonstrations: Path) -> EpisodeTrace:
    return load_trace(episode_path(demonstrations, 0))


def test_chunk_is_the_following_second(robot: RobotModel, trace: EpisodeTrace) -> None:
    layout = ChunkLayout(arms=len(robot.arms))
    pairs = episode_pairs(trace, robot, layout, 0)
    assert len(pairs) == len(trace.situations) - 10
    now = trace.situations[40]
    motion = layout.decode(pairs.chunks[40], now, "", 0.0)
    for knot in range(5):
        later = trace.situations[40 + 2 * (knot + 1)]
        np.testing.assert_allclose(motion.arm_position[knot], later.arm_reference, atol=1e-9)
        np.testing.assert_allclose(motion.torso_rpy[knot], later.torso_reference_rpy, atol=1e-9)
        assert motion.height_m[knot] == pytest.approx(later.height_reference_m)
    np.testing.assert_array_equal(motion.footstep_offset, trace.footstep_offset[42])
    assert motion.step_duration_s == trace.step_duration_s[42]
    np.testing.assert_array_equal(pairs.features[40], features(now, robot))


def test_knots_between_rows_are_interpolated(robot: RobotModel) -> None:
    """Rows every 0.15 s, arms at constant speed: every knot lies on the line."""
    layout, stamps = ChunkLayout(arms=len(robot.arms)), 0.15 * np.arange(9)
    rows = tuple(make_situation(robot, stamp_s=t, arm_reference=np.full(len(robot.arms), 0.5 * t)) for t in stamps.tolist())
    pairs = episode_pairs(EpisodeTrace(0, rows, np.full(9, 0.4), np.zeros((9, 2, 2)), fell=False), robot, layout, 0)
    motion = layout.decode(pairs.chunks[0], rows[0], "", 0.0)
    np.testing.assert_allclose(motion.arm_position[:, 3], 0.5 * 0.2 * np.arange(1, 6), atol=1e-9)


def test_the_end_of_a_fall_is_not_learned(robot: RobotModel, trace: EpisodeTrace) -> None:
    layout = ChunkLayout(arms=len(robot.arms))
    assert len(episode_pairs(replace(trace, fell=True), robot, layout, 0)) == len(episode_pairs(trace, robot, layout, 0)) - 20
    short = replace(trace, situations=trace.situations[:15], fell=True)
    assert episode_pairs(short, robot, layout, 0).features.shape == (0, 60)


def test_split_by_episode(robot: RobotModel, demonstrations: Path) -> None:
    dataset = build_dataset(demonstrations, robot, seed=1)
    parts = [set(part.episode.tolist()) for part in (dataset.training, dataset.validation, dataset.held_out)]
    assert [len(part) for part in parts] == [12, 2, 2]
    assert len(set.union(*parts)) == EPISODES
    again = build_dataset(demonstrations, robot, seed=1)
    assert again.held_out.chunks.tobytes() == dataset.held_out.chunks.tobytes()


def test_refuses_too_few_and_other_robots(robot: RobotModel, demonstrations: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="0 usable episodes"):
        build_dataset(tmp_path, robot)
    other = replace(load_robot("g1"), name="g2", joint_names=tuple(reversed(robot.joint_names)))
    with pytest.raises(RecordError, match="its joints are robot 'g1'"):
        build_dataset(demonstrations, other)
