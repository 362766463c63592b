"""Generate demonstrations: the operator model in closed loop, an episode a file, in parallel, resumable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import RecordError

from .operator import OperatorProposer
from .processes import finished
from .trace import SCHEMA, EpisodeTrace, read_header, save_trace

RunEpisode = Callable[[int, OperatorProposer], EpisodeTrace]
"""Runs one episode of a seed with an operator; it is given by the caller and, for more than one process, picklable."""

_Job = tuple[OperatorProposer, RunEpisode, Path, dict[str, Any]]


@dataclass(frozen=True)
class GenerationReport:
    """What `generate` did."""

    episodes: int
    kept: int  # found from an earlier run
    fell: int
    rows: int
    path: str


def generate(
    operator: OperatorProposer,
    episodes: int,
    seed: int,
    seconds: float,
    run_episode: RunEpisode,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
    processes: int = 2,
) -> GenerationReport:
    """Run episodes and write one file each to `path`; files of an interrupted run are kept, and the rest is made.

    `run_episode` makes episodes of `seconds`, and `progress(done, episodes)` is called after each.

    Raises:
        RecordError: `path` holds an episode of another seed, length, robot or configuration.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"demonstrations {path}: cannot be written ({error.strerror}); give a folder that can") from error
    wanted = [_header(operator, seed, seconds, i) for i in range(episodes)]
    missing = [i for i in range(episodes) if not _is_kept(episode_path(path, i), wanted[i])]
    done = episodes - len(missing)
    if progress:
        progress(done, episodes)
    jobs = [(operator, run_episode, episode_path(path, i), wanted[i]) for i in missing]
    for _ in finished(_make, jobs, processes):
        done += 1
        if progress:
            progress(done, episodes)
    headers = [read_header(episode_path(path, i)) for i in range(episodes)]
    return GenerationReport(
        episodes=episodes,
        kept=episodes - len(missing),
        fell=sum(bool(header["fell"]) for header in headers),
        rows=sum(int(header["rows"]) for header in headers),
        path=str(path),
    )


def episode_path(path: Path, index: int) -> Path:
    """File of the i-th episode."""
    return path / f"episode_{index:05d}.npz"


def episode_seed(seed: int, index: int) -> int:
    """Seed of the i-th episode of a set."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])


def _header(operator: OperatorProposer, seed: int, seconds: float, index: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "set_seed": seed,
        "index": index,
        "seconds": seconds,
        "seed": episode_seed(seed, index),
        "robot": operator.robot.name,
        "joints": list(operator.robot.joint_names),
        "operator": {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(operator.config).items()},
    }


def _is_kept(file: Path, wanted: dict[str, Any]) -> bool:
    if not file.exists():
        return False
    header = read_header(file)
    odd = [key for key, value in wanted.items() if header.get(key) != value]
    if odd:
        raise RecordError(f"demonstration {file}: differs from this set in {', '.join(odd)}; give another folder or delete it")
    return True


def _make(job: _Job) -> None:
    operator, run_episode, file, header = job
    operator.reset(header["seed"])
    trace = run_episode(header["seed"], operator)
    save_trace(file, trace, header)
