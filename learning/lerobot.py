"""Recorded runs as a LeRobot dataset, version 3.0, that other tools train on: tables of frames at a steady rate, without videos.

The format is that of `LeRobotDataset` (huggingface/lerobot, docs/source/lerobot-dataset-v3.mdx); it is written with pyarrow alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poise.robots import PoiseError, RecordError
from poise.robots.record import Log
from poise.robots.types import Array

if TYPE_CHECKING:
    import pyarrow

VERSION = "v3.0"
FILE_MB, FILES = 100, 1000  # of a data file, and files in a folder
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
JOINTS = ("",)  # names of the entries of a field with one entry a joint
AXES = ("x", "y", "z")
# Of a frame: fields of `Log.tick` one behind the other, and the names of their entries.
FEATURES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "observation.state": (("state_joint_position",), JOINTS),
    "observation.velocity": (("state_joint_velocity",), JOINTS),
    "observation.torque": (("state_joint_torque",), JOINTS),
    "observation.orientation": (("state_base_orientation_wxyz",), ("w", *AXES)),
    "observation.gyro": (("state_gyro_imu",), AXES),
    "observation.accelerometer": (("state_accelerometer_imu",), AXES),
    "observation.velocity_command": (("intent_velocity",), ("vx", "vy", "wz")),
    "action": (tuple(f"command_{name}" for name in ("q", "v", "kp", "kd", "tau")), JOINTS),
}
NEEDED = ("observation.state", "observation.velocity", "action")
Frames = Mapping[str, NDArray[np.float32]]
"""(k, size) by name of `FEATURES`: one episode."""


def frames_of(log: Log, fps: int) -> dict[str, NDArray[np.float32]]:
    """Frames of a recording at a steady rate, each of the last tick until its time; only of what every one of them knows.

    Raises:
        RecordError: it holds too few ticks, or not even joints and commands.
    """
    if not log.tick or log.tick["time_s"][-1] - log.tick["time_s"][0] < 1.0 / fps:
        raise RecordError("the recording is shorter than a frame; give a longer one")
    time_s = log.tick["time_s"] - log.tick["time_s"][0]
    rate = 1.0 / float(np.median(np.diff(time_s)))
    if fps > rate + 1e-6:
        raise RecordError(f"the recording holds {rate:.0f} ticks a second; give --fps of at most that, or record with --record full")
    due = np.arange(int(time_s[-1] * fps + 1e-6) + 1) / fps
    rows = np.searchsorted(time_s, due + 1e-6, side="right") - 1
    columns = {name: np.hstack([log.tick[field][rows] for field in fields]) for name, (fields, _) in FEATURES.items()}
    known = {name: values.astype(np.float32) for name, values in columns.items() if np.isfinite(values).all()}
    if missing := [name for name in NEEDED if name not in known]:
        raise RecordError(f"the recording does not know {', '.join(missing)} in every frame; give one of a run that was commanded")
    return known


def write_dataset(out: Path, episodes: Sequence[Frames], joint_names: Sequence[str], robot: str, fps: int, task: str) -> dict[str, Any]:
    """Write episodes into a new folder; what one of them does not know is left out of all.

    Returns:
        `episodes`, `frames`, `seconds`, `features` (names), `left_out` (names).

    Raises:
        PoiseError: pyarrow is not installed, or the folder cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise PoiseError("the export needs pyarrow: pip install -e '.[lerobot]' in the checkout") from error
    features = [name for name in FEATURES if all(name in episode for episode in episodes)]
    tables = list(_tables(episodes, features, fps))
    try:
        places = _write_data(out, tables, {name: tables[0][name].shape[1] for name in features})
        rows = [_episode_row(table, place, task) for table, place in zip(tables, places, strict=True)]
        (out / "meta/episodes/chunk-000").mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), out / "meta/episodes/chunk-000/file-000.parquet")
        pq.write_table(_tasks(task), out / "meta/tasks.parquet")
        whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        _write_json(out / "meta/stats.json", {name: statistics(values) for name, values in whole.items()})
        _write_json(out / "meta/info.json", _info(whole, features, joint_names, robot, fps, len(tables)))
    except OSError as error:
        raise PoiseError(f"--out {out}: cannot be written ({error.strerror}); give another folder, or make room") from error
    frames = len(whole["index"])
    left_out = [name for name in FEATURES if name not in features]
    return {"episodes": len(tables), "frames": frames, "seconds": frames / fps, "features": features, "left_out": left_out}


def _tables(episodes: Sequence[Frames], features: Sequence[str], fps: int) -> Iterator[dict[str, NDArray[Any]]]:
    """The columns of each episode: its features and the five that every dataset has."""
    first = 0
    for number, episode in enumerate(episodes):
        k = len(episode["action"])
        frame = np.arange(k)
        yield {name: episode[name] for name in features} | {
            "timestamp": (frame / fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(k, number),
            "index": first + frame,
            "task_index": np.zeros(k, dtype=np.int64),
        }
        first += k


def _write_data(out: Path, tables: Sequence[Mapping[str, NDArray[Any]]], sizes: Mapping[str, int]) -> list[tuple[int, int]]:
    """One episode after the other, into files of limited size. Folder and file of each."""
    import pyarrow.parquet as pq

    places, written, writer = list[tuple[int, int]](), 0, None
    try:
        for table in tables:
            data = _arrow(table, sizes)
            if writer is None or written + data.nbytes > FILE_MB * 2**20:
                if writer is not None:
                    writer.close()
                count = places[-1][0] * FILES + places[-1][1] + 1 if places else 0
                path, written = out / f"data/chunk-{count // FILES:03d}/file-{count % FILES:03d}.parquet", 0
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(path, data.schema)
            writer.write_table(data)
            written += data.nbytes
            places.append(divmod(count, FILES))
    finally:
        if writer is not None:
            writer.close()
    return places


def _arrow(table: Mapping[str, NDArray[Any]], sizes: Mapping[str, int]) -> pyarrow.Table:
    import pyarrow as pa

    columns = {}
    for name, values in table.items():
        flat = pa.array(values.reshape(-1))
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, sizes[name]) if name in sizes else flat
    return pa.table(columns)


def _episode_row(table: Mapping[str, NDArray[Any]], place: tuple[int, int], task: str) -> dict[str, Any]:
    chunk, file = place
    row = {
        "episode_index": int(table["episode_index"][0]),
        "tasks": [task],
        "length": len(table["index"]),
        "data/chunk_index": chunk,
        "data/file_index": file,
        "dataset_from_index": int(table["index"][0]),
        "dataset_to_index": int(table["index"][-1]) + 1,
    }
    for name, values in table.items():
        row |= {f"stats/{name}/{kind}": value for kind, value in statistics(values).items()}
    return row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}


def statistics(values: NDArray[Any]) -> dict[str, list[float] | list[int]]:
    """Over the frames of a column (k,) or (k, size): least, most, mean, deviation, quantiles, each with one number an entry; and count."""
    columns: Array = values.reshape(len(values), -1).astype(float)
    found = {"min": columns.min(axis=0), "max": columns.max(axis=0), "mean": columns.mean(axis=0), "std": columns.std(axis=0)}
    found |= {name: np.quantile(columns, share, axis=0) for name, share in QUANTILES.items()}
    return {name: value.tolist() for name, value in found.items()} | {"count": [len(values)]}


def _tasks(task: str) -> pyarrow.Table:
    """The one task, as the index of a pandas table: readers look it up by its words."""
    import pyarrow as pa

    column = {"field_name": "task", "name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"field_name": "task_index", "name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": [number, column], "pandas_version": "2.0.0"}
    return pa.table({"task_index": [0], "task": [task]}).replace_schema_metadata({"pandas": json.dumps(pandas)})


def _info(
    whole: Mapping[str, NDArray[Any]], features: Sequence[str], joint_names: Sequence[str], robot: str, fps: int, episodes: int
) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for name, values in whole.items():
        names = _names(name, joint_names) if name in features else None
        described[name] = {"dtype": values.dtype.name, "shape": list(values.shape[1:]) or [1], "names": names}
    return {
        "codebase_version": VERSION,
        "robot_type": robot,
        "total_episodes": episodes,
        "total_frames": len(whole["index"]),
        "total_tasks": 1,
        "chunks_size": FILES,
        "data_files_size_in_mb": FILE_MB,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "features": described,
    }


def _names(feature: str, joint_names: Sequence[str]) -> list[str]:
    """Of the entries of a feature; of several fields "FIELD.JOINT"."""
    fields, entries = FEATURES[feature]
    if entries is not JOINTS:
        return list(entries)
    if len(fields) == 1:
        return list(joint_names)
    return [f"{field.removeprefix('command_')}.{joint}" for field in fields for joint in joint_names]


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
