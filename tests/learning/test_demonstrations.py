"""Generation: an episode a file, resumable, the same in one process or two."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import EPISODE_S, run_episode

from poise.learning.demonstrations import episode_path, episode_seed, generate
from poise.learning.operator import OperatorConfig, OperatorProposer
from poise.learning.trace import EpisodeTrace, load_trace, read_header
from poise.robots import RecordError, RobotModel


def test_writes_an_episode_a_file(demonstrations: Path) -> None:
    header = read_header(episode_path(demonstrations, 4))
    assert header["schema"] == "poise.demonstrations/1"
    assert header["seed"] == episode_seed(1, 4)
    assert header["seconds"] == EPISODE_S
    assert header["operator"]["arm_speed"] == 2.2
    assert header["rows"] == len(load_trace(episode_path(demonstrations, 4)).situations) == 120


def test_seeds_differ() -> None:
    seeds = {episode_seed(seed, index) for seed in range(5) for index in range(200)}
    assert len(seeds) == 1000


def test_interrupted_runs_are_resumed(robot: RobotModel, tmp_path: Path) -> None:
    calls: list[int] = []

    def interrupted(seed: int, operator: OperatorProposer) -> EpisodeTrace:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(seed)
        return run_episode(seed, operator)

    with pytest.raises(KeyboardInterrupt):
        generate(OperatorProposer(robot), 4, 8, EPISODE_S, interrupted, tmp_path, processes=1)
    kept = episode_path(tmp_path, 0).stat().st_mtime_ns
    progress: list[tuple[int, int]] = []
    report = generate(
        OperatorProposer(robot), 4, 8, EPISODE_S, run_episode, tmp_path, lambda done, total: progress.append((done, total)), processes=1
    )
    assert (report.episodes, report.kept, report.fell, report.rows) == (4, 2, 0, 480)
    assert progress == [(2, 4), (3, 4), (4, 4)]
    assert episode_path(tmp_path, 0).stat().st_mtime_ns == kept


def test_two_processes_make_the_same_episodes(robot: RobotModel, demonstrations: Path, tmp_path: Path) -> None:
    generate(OperatorProposer(robot), 2, 1, EPISODE_S, run_episode, tmp_path, processes=2)
    for index in range(2):
        here, there = load_trace(episode_path(tmp_path, index)), load_trace(episode_path(demonstrations, index))
        assert all(a.arm_reference.tobytes() == b.arm_reference.tobytes() for a, b in zip(here.situations, there.situations, strict=True))


@pytest.mark.parametrize("change", ["seed", "seconds", "operator"])
def test_refuses_to_mix_sets(robot: RobotModel, demonstrations: Path, change: str) -> None:
    operator = OperatorProposer(robot, OperatorConfig(gesture_share=0.9 if change == "operator" else 0.45))
    seed, seconds = 2 if change == "seed" else 1, 13.0 if change == "seconds" else EPISODE_S
    with pytest.raises(RecordError, match=f"differs from this set in .*{change}"):
        generate(operator, 2, seed, seconds, run_episode, demonstrations, processes=1)
