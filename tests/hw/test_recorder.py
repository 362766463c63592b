"""A recorder beside a loop: nothing of the disk comes back into the loop, and what is on the disk can be read."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_run import sample_run, sample_state

from poise.hw.recorder import Recorder
from poise.robots import RecordError, RobotModel
from poise.robots.record import WHOLE, Log, LogWriter, read_log

PATIENCE_S = 60.0


def until(true: Callable[[], bool]) -> None:
    """Wait, for as long as a slow machine may need."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def recorded(recorder: Recorder, robot: RobotModel, seconds: float) -> None:
    """Hand in a made-up run."""
    for state, decision, _ in sample_run(robot, seconds):
        recorder.write(state, decision)


def equal(a: Log, b: Log, ticks: int) -> bool:
    """Whether the first ticks of two recordings are the same in every bit."""
    return all(np.array_equal(a.tick[name][:ticks], b.tick[name][:ticks], equal_nan=True) for name in b.tick)


@pytest.fixture(scope="module")
def plain(g1: RobotModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds as `LogWriter` writes them."""
    path = tmp_path_factory.mktemp("plain") / "log.mcap"
    with LogWriter(path, g1, {}, **WHOLE) as writer:
        for state, decision, _ in sample_run(g1, 2.0):
            writer.write(state, decision)
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if not mounted or mounted.returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_it_writes_what_the_writer_writes(g1: RobotModel, plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    with Recorder(path, g1, {"seed": 4}) as recorder:
        recorded(recorder, g1, 2.0)
    recorder.close()
    log = read_log(path)
    assert (recorder.dropped, recorder.remark, log.complete, log.meta) == (0, "", True, {"seed": 4})
    assert len(log.tick["tick"]) == 1000 and equal(log, read_log(plain), 1000)


def test_what_does_not_fit_is_dropped_and_counted(g1: RobotModel, tmp_path: Path) -> None:
    """Where what writes stands still for a while."""
    with Recorder(tmp_path / "log.mcap", g1, {}, waiting_bytes=100_000) as recorder:
        assert recorder.pid is not None
        os.kill(recorder.pid, signal.SIGSTOP)
        try:
            recorded(recorder, g1, 0.2)
        finally:
            os.kill(recorder.pid, signal.SIGCONT)
    assert 50 < recorder.dropped < 90  # of a hundred, of 4 kB and more each
    assert len(read_log(tmp_path / "log.mcap").tick["tick"]) == 100 - recorder.dropped


def test_the_death_of_what_writes_is_said(g1: RobotModel, tmp_path: Path) -> None:
    with Recorder(tmp_path / "log.mcap", g1, {}) as recorder:
        assert recorder.pid is not None and recorder.remark == ""
        os.kill(recorder.pid, signal.SIGKILL)
        until(lambda: bool(recorder.remark))
        recorded(recorder, g1, 0.1)
    assert "its process has died" in recorder.remark and recorder.dropped == 50


def test_a_full_disk_ends_the_recording_and_not_the_loop(g1: RobotModel, plain: Path, small_disk: Path) -> None:
    path = small_disk / "log.mcap"
    with Recorder(path, g1, {}) as recorder:
        for state, decision, _ in sample_run(g1, 2.0):
            recorder.write(state, decision)
        until(lambda: bool(recorder.remark))
        recorded(recorder, g1, 0.1)
    assert "No space left on device" in recorder.remark and "the loop goes on" in recorder.remark
    assert recorder.dropped == 50
    log = read_log(path)
    assert not log.complete and 100 < len(log.tick["tick"]) < 1000
    assert equal(log, read_log(plain), len(log.tick["tick"]))


def test_a_folder_that_vanishes_is_noticed(g1: RobotModel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with Recorder(folder / "log.mcap", g1, {}) as recorder:
        recorded(recorder, g1, 0.1)
        shutil.rmtree(folder)
        until(lambda: bool(recorder.remark))
    assert "its file is gone" in recorder.remark


def test_what_fills_no_chunk_comes_onto_the_disk_all_the_same(g1: RobotModel, tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    with Recorder(path, g1, {}) as recorder:
        recorded(recorder, g1, 0.01)
        until(lambda: path.stat().st_size > 0 and len(read_log(path).tick.get("tick", ())) == 5)
        assert not read_log(path).complete


def test_states_alone_are_recorded(g1: RobotModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    states = [sample_state(g1, tick, rng) for tick in range(100)]
    with Recorder(tmp_path / "log.mcap", g1, {}) as recorder:
        for state in states:
            recorder.write(state)
    log = read_log(tmp_path / "log.mcap")
    assert log.whole and not log.pulse
    for state, again in zip(states, log.states(), strict=True):
        assert again.stamp_s == state.stamp_s and again.accelerometer_imu is None
        assert np.array_equal(again.joint_position, state.joint_position)


def test_what_cannot_be_written_is_left_out(g1: RobotModel, tmp_path: Path) -> None:
    """Readings of the wrong size, and a stamp that is no number."""
    odd: dict[int, dict[str, Any]] = {3: {"joint_position": np.zeros(2)}, 5: {"stamp_s": float("nan")}}
    with Recorder(tmp_path / "log.mcap", g1, {}) as recorder:
        for tick, (state, decision, _) in enumerate(sample_run(g1, 0.1)):
            recorder.write(replace(state, **odd.get(tick, {})), decision)
    log = read_log(tmp_path / "log.mcap")
    assert recorder.dropped == 1 and recorder.remark == ""
    assert log.tick["tick"].tolist() == [tick for tick in range(50) if tick != 3]


def test_a_file_that_cannot_be_made_is_said_before_the_loop(g1: RobotModel, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be made"):
        Recorder(tmp_path / "none" / "log.mcap", g1, {})


ENDLESS = """
import sys, time
sys.path[:0] = sys.path_tests
from sample_run import sample_run
from poise.hw.recorder import Recorder
from poise.robots import load_robot
robot = load_robot("g1")
with Recorder(sys.argv[1], robot, {}) as recorder:
    print(recorder.pid, flush=True)
    for state, decision, _ in sample_run(robot, 2.0):
        recorder.write(state, decision)
        time.sleep(0.001)
    print("all", flush=True)
    time.sleep(1000)
"""


def endless(path: Path) -> tuple[subprocess.Popen[str], int]:
    """A program that records two seconds, and the number of its process that writes."""
    program = ENDLESS.replace("sys.path_tests", repr([str(Path(__file__).parents[1])]))
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("seed", range(3))
def test_what_is_killed_while_it_writes_leaves_what_can_be_read(g1: RobotModel, plain: Path, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "log.mcap"
    process, writes = endless(path)
    at = random.Random(seed).randrange(20_000, plain.stat().st_size // 2)
    try:
        until(lambda: path.stat().st_size > at)
    finally:
        os.kill(writes, signal.SIGKILL)
        process.kill()
        process.communicate()
    log = read_log(path)
    assert not log.complete and len(log.tick["tick"]) > 0
    assert equal(log, read_log(plain), len(log.tick["tick"]))


def test_when_the_loop_is_killed_what_it_handed_in_is_written(g1: RobotModel, plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    process, _ = endless(path)
    assert process.stdout is not None and process.stdout.readline() == "all\n"
    process.kill()
    process.communicate()
    until(lambda: read_log(path).complete)
    assert equal(read_log(path), read_log(plain), 1000)


def test_a_file_that_ends_at_any_byte_can_be_read(plain: Path, tmp_path: Path) -> None:
    data, whole, cut = plain.read_bytes(), read_log(plain), tmp_path / "cut.mcap"
    ends = random.Random(0).sample(range(40_000, len(data)), 40)
    lengths = []
    for end in sorted(ends):
        cut.write_bytes(data[:end])
        log = read_log(cut)
        lengths.append(len(log.tick.get("tick", ())))
        assert not log.complete and equal(log, whole, lengths[-1])
    assert lengths == sorted(lengths) and lengths[-1] > 900
