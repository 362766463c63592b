"""Datasets for other tools, read back by others than who wrote them."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run_main
from sample_run import sample_run

from poise.learning import lerobot
from poise.learning.lerobot import frames_of, statistics, write_dataset
from poise.robots import RecordError, RobotModel, RobotState
from poise.robots.log_messages import Packer
from poise.robots.record import WHOLE, LogWriter, read_log

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
SECONDS, FPS, TASK = (1.0, 0.5, 0.7), 50, "walk on"


def record(robot: RobotModel, folder: Path, seconds: float, seed: int) -> Path:
    folder.mkdir()
    with LogWriter(folder / "log.mcap", robot, {}, **WHOLE) as writer:
        for state, decision, _ in sample_run(robot, seconds, seed):
            writer.write(state, decision)
    return folder


@pytest.fixture(scope="module")
def runs(g1: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs."""
    root = tmp_path_factory.mktemp("runs")
    for seed, seconds in enumerate(SECONDS):
        record(g1, root / f"run-{seed}", seconds, seed)
    return root


@pytest.fixture(scope="module")
def dataset(runs: Path) -> Path:
    out = runs / "out"
    assert run_main("demos", "export", str(runs), "--out", str(out), "--task", TASK) == 0
    return out


def read(dataset: Path) -> Any:
    return pq.read_table(dataset / "data/chunk-000/file-000.parquet")


def column(table: Any, name: str) -> Any:
    return np.array(table[name].to_pylist())


def test_frames_are_the_ticks_of_their_times(dataset: Path, g1: RobotModel) -> None:
    """At 50 frames and 500 ticks a second each tenth tick, in single precision."""
    table = read(dataset)
    state, action, episode = (column(table, name) for name in ("observation.state", "action", "episode_index"))
    for seed, seconds in enumerate(SECONDS):
        ticks = list(islice(sample_run(g1, seconds, seed), 0, None, 10))
        rows = episode == seed
        assert rows.sum() == len(ticks) == round(FPS * seconds)
        assert np.array_equal(state[rows], np.array([s.joint_position for s, _, _ in ticks], dtype=np.float32))
        sent = [np.hstack([c.q, c.v, c.kp, c.kd, c.tau]) for c in (d.command for _, d, _ in ticks)]
        assert np.array_equal(action[rows], np.array(sent, dtype=np.float32))


def test_the_columns_that_every_dataset_has(dataset: Path) -> None:
    table = read(dataset)
    lengths = [round(FPS * seconds) for seconds in SECONDS]
    assert column(table, "index").tolist() == list(range(sum(lengths)))
    assert column(table, "frame_index").tolist() == [k for length in lengths for k in range(length)]
    assert set(column(table, "task_index")) == {0}
    np.testing.assert_allclose(column(table, "timestamp"), column(table, "frame_index") / FPS, atol=1e-6)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["observation.state"] == "fixed_size_list<element: float>[29]" and types["action"].endswith("[145]")
    assert types["timestamp"] == "float" and types["index"] == "int64"


def test_the_head_says_what_is_there(dataset: Path, g1: RobotModel) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["fps"] == FPS and info["robot_type"] == "g1"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 110, 1)
    assert info["splits"] == {"train": "0:3"}
    assert (dataset / info["data_path"].format(chunk_index=0, file_index=0)).exists()
    table = read(dataset)
    assert list(info["features"]) == table.column_names
    assert "observation.accelerometer" not in info["features"]  # which the made-up run does not know
    assert info["features"]["observation.state"] == {"dtype": "float32", "shape": [29], "names": list(g1.joint_names)}
    action = info["features"]["action"]
    assert action["shape"] == [len(action["names"])] and action["names"][29] == f"v.{g1.joint_names[0]}"


def test_statistics_are_numpys_of_what_is_read(dataset: Path) -> None:
    table, stats = read(dataset), json.loads((dataset / "meta/stats.json").read_text())
    assert stats.keys() == set(table.column_names)
    for name in table.column_names:
        values = column(table, name).reshape(len(table), -1)
        wanted = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0), "count": [len(table)]}
        wanted |= {f"q{percent:02d}": np.percentile(values, percent, axis=0) for percent in (1, 10, 50, 90, 99)}
        assert stats[name].keys() == wanted.keys()
        for kind, value in wanted.items():
            np.testing.assert_allclose(stats[name][kind], value, rtol=1e-6, atol=1e-6, err_msg=f"{name} {kind}")


def test_statistics_by_hand() -> None:
    found = statistics(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 4.0]]))
    assert (found["min"], found["max"], found["mean"], found["count"]) == ([0.0, 1.0], [2.0, 4.0], [1.0, 2.0], [3])
    assert (
        found["q50"] == [1.0, 1.0]
        and found["q10"] == pytest.approx([0.2, 1.0])
        and found["std"] == pytest.approx([np.sqrt(2 / 3), np.sqrt(2)])
    )


def test_episodes_lead_to_their_frames(dataset: Path) -> None:
    table = read(dataset)
    episodes = pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for number, row in enumerate(episodes):
        begin, end = row["dataset_from_index"], row["dataset_to_index"]
        assert row["episode_index"] == number and row["length"] == end - begin and row["tasks"] == [TASK]
        assert set(column(table, "episode_index")[begin:end]) == {number}
        assert row["stats/observation.state/max"] == column(table, "observation.state")[begin:end].max(axis=0).tolist()
    assert len(episodes) == 3 and episodes[-1]["dataset_to_index"] == len(table)


def test_tasks_are_found_by_their_words(dataset: Path) -> None:
    table = pq.read_table(dataset / "meta/tasks.parquet")
    assert table.to_pylist() == [{"task_index": 0, "task": TASK}]
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_large_sets_are_split_into_files_and_folders(runs: Path, g1: RobotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lerobot, "FILE_MB", 0)
    monkeypatch.setattr(lerobot, "FILES", 2)
    episodes = [frames_of(read_log(path), FPS) for path in sorted(runs.glob("*/log.mcap"))]
    write_dataset(tmp_path / "out", episodes, g1.joint_names, "g1", FPS, TASK)
    rows = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(row["data/chunk_index"], row["data/file_index"]) for row in rows] == [(0, 0), (0, 1), (1, 0)]
    for number, path in enumerate(("chunk-000/file-000", "chunk-000/file-001", "chunk-001/file-000")):
        assert set(column(pq.read_table(tmp_path / f"out/data/{path}.parquet"), "episode_index")) == {number}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", "501"], "the recording holds 500 ticks a second; give --fps of at most that"),
        (["--fps", "0"], "--fps 0: give a whole number of at least 1"),
        (["--out", "."], "--out .: exists; give a new folder"),
        (["elsewhere"], "elsewhere: no recording there"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(runs: Path, options: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    given = ["--out", str(runs / "none")] if "--out" not in options else []
    assert run_main("demos", "export", str(runs / "run-0"), *options, *given) == 2
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (runs / "none").exists()


def test_states_that_nobody_decided_on_are_no_demonstration(g1: RobotModel, tmp_path: Path) -> None:
    packer = Packer(g1, **WHOLE)
    with LogWriter(tmp_path / "log.mcap", g1, {}, **WHOLE) as writer:
        for tick in range(50):
            writer.add(packer.state(RobotState(0.002 * tick, g1.posture, g1.posture), tick + 1))
    with pytest.raises(RecordError, match="does not know action"):
        frames_of(read_log(tmp_path / "log.mcap"), FPS)


def test_lerobot_s_own_reader_takes_it(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reason = "lerobot-dataset, which wants torchvision, is not installed"
    module = pytest.importorskip("ledataset.datasets.lerobot_dataset", reason=reason, exc_type=ImportError)
    read_back = module.LeRobotDataset("poise/walk", root=str(dataset))
    assert (len(read_back), read_back.num_episodes, read_back.fps) == (110, 3, FPS)
    frame, table = read_back[60], read(dataset)
    assert frame["task"] == TASK and int(frame["episode_index"]) == 1
    assert np.array_equal(frame["action"].numpy(), column(table, "action")[60].astype(np.float32))
    part = module.LeRobotDataset("poise/walk", root=str(dataset), episodes=[2], delta_timestamps={"action": [0.0, 0.02]})
    assert len(part) == 35 and tuple(part[0]["action"].shape) == (2, 145)
