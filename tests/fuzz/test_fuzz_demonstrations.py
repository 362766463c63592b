"""Any demonstration file is refused in one line, or the pairs that are made of it are finite."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import arrays
from mutation import ODD_VALUES, damaged, fuzzed, read_or_refused, spoilt
from synthetic import make_situation

from poise.launch.demos import episode_heads, totals
from poise.learning.dataset import build_dataset
from poise.learning.trace import EpisodeTrace, load_trace, read_header, save_trace
from poise.robots import RobotModel

ROWS = 14


@pytest.fixture(scope="module")
def episode(folder: Path, g1: RobotModel) -> bytes:
    """A sound file."""
    situations = tuple(make_situation(g1, i, stamp_s=0.1 * i) for i in range(ROWS))
    trace = EpisodeTrace(3, situations, np.full(ROWS, 0.45), np.zeros((ROWS, 2, 2)), False)
    (folder / "demos").mkdir(exist_ok=True)
    for i in range(3):
        path = folder / "demos" / f"episode_{i:05d}.npz"
        save_trace(path, trace, {"robot": g1.name, "joints": list(g1.joint_names)})
    return path.read_bytes()


def read(folder: Path, g1: RobotModel, content: bytes) -> int:
    """How many pairs a set gives that has a file with that content, beside three sound ones; 0 where it is refused."""
    path = folder / "demos" / "episode_00003.npz"
    path.write_bytes(content)
    for reader in (read_header, load_trace):
        read_or_refused(partial(reader, path), path)
    read_or_refused(lambda: totals(episode_heads(path.parent)), path)
    dataset = read_or_refused(lambda: build_dataset(path.parent, g1), path)
    if dataset is None:
        return 0
    for pairs in (dataset.training, dataset.validation, dataset.held_out):
        assert np.isfinite(pairs.features).all() and np.isfinite(pairs.chunks).all()
    return len(dataset.training) + len(dataset.validation) + len(dataset.held_out)


def rewritten(folder: Path, episode: bytes, changes: dict[str, Any]) -> bytes:
    """The sound file with some arrays put, or left out where they are None."""
    source, target = folder / "source.npz", folder / "target.npz"
    source.write_bytes(episode)
    with np.load(source) as file:
        entries = {name: file[name] for name in file.files} | changes
    np.savez(target, **{name: value for name, value in entries.items() if value is not None})
    return target.read_bytes()


def test_a_sound_episode_gives_pairs(folder: Path, g1: RobotModel, episode: bytes) -> None:
    assert read(folder, g1, episode) > 3


@fuzzed(30)
@given(data=st.data())
def test_an_episode_with_odd_arrays(folder: Path, g1: RobotModel, episode: bytes, data: st.DataObject) -> None:
    path = folder / "sound.npz"
    path.write_bytes(episode)
    with np.load(path) as file:
        sound = {name: file[name] for name in file.files if name != "header"}
    name = data.draw(st.sampled_from(sorted(sound)))
    value = data.draw(
        st.one_of(
            st.none(),
            arrays(),
            st.just(sound[name][:-1]),
            st.just(sound[name][None]),
            st.just(sound[name] * np.nan) if sound[name].dtype.kind == "f" else st.none(),
        )
    )
    read(folder, g1, rewritten(folder, episode, {name: value}))


@fuzzed(30)
@given(data=st.data())
def test_an_episode_with_an_odd_header(folder: Path, g1: RobotModel, episode: bytes, data: st.DataObject) -> None:
    path = folder / "sound.npz"
    path.write_bytes(episode)
    with np.load(path) as file:
        header = json.loads(str(file["header"]))
    text = json.dumps(data.draw(spoilt(header, ODD_VALUES)))
    if data.draw(st.booleans()):
        text = data.draw(damaged(text.encode())).decode(errors="replace")
    read(folder, g1, rewritten(folder, episode, {"header": np.array(text)}))


@fuzzed(50)
@given(data=st.data())
def test_a_damaged_episode(folder: Path, g1: RobotModel, episode: bytes, data: st.DataObject) -> None:
    read(folder, g1, data.draw(damaged(episode)))


@fuzzed(30)
@given(data=st.data())
def test_an_episode_with_a_damaged_array(folder: Path, g1: RobotModel, episode: bytes, data: st.DataObject) -> None:
    """The archive is whole and its sums are right, but what it holds is not."""
    source, target = folder / "source.npz", folder / "target.npz"
    source.write_bytes(episode)
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(members)))
    members[name] = data.draw(damaged(members[name][:400])) + members[name][400:]
    with zipfile.ZipFile(target, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    read(folder, g1, target.read_bytes())


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY\x01\x00"], ids=("empty", "archive", "array"))
@pytest.mark.usefixtures("episode")
def test_what_is_no_archive(folder: Path, g1: RobotModel, content: bytes) -> None:
    assert read(folder, g1, content) == 0


@pytest.mark.usefixtures("episode")
def test_a_single_array_is_no_episode(folder: Path, g1: RobotModel) -> None:
    np.save(folder / "one.npy", np.zeros(3))
    assert read(folder, g1, (folder / "one.npy").read_bytes()) == 0
