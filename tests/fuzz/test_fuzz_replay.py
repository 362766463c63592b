"""Any recording is refused in one line, or replayed; whatever comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutation import fuzzed, read_or_refused
from sample_run import sample_run
from test_fuzz_recording import records_of, rewritten, write_again

from poise.launch.replay import How, Replay
from poise.launch.replay_run import replay_run
from poise.robots import RobotModel
from poise.robots.record import WHOLE, Log, LogWriter, read_log

HOWS: tuple[How, ...] = ("open-loop", "estimator")


@pytest.fixture(scope="module")
def recording(folder: Path, g1: RobotModel) -> bytes:
    """A sound file of every tick from the first on, with what the estimator needs."""
    path = folder / "whole.mcap"
    with LogWriter(path, g1, {"seed": 0}, **WHOLE) as writer:
        for state, decision, _ in sample_run(g1, 0.06):
            truth = {"base_position_world": np.zeros(3), "base_orientation_wxyz": np.array([1.0, 0.0, 0.0, 0.0])}
            writer.write(replace(state, accelerometer_imu=np.array([0.0, 0.0, 9.81])), replace(decision, tick=decision.tick + 1), truth)
    return path.read_bytes()


def replays(log: Log, folder: Path) -> None:
    for how in HOWS:
        with np.errstate(all="ignore"):
            read_or_refused(lambda how=how: replay_run(log, Replay("run", how=how)))  # type: ignore[misc]


def test_a_sound_recording_is_replayed(folder: Path, recording: bytes) -> None:
    log = read_log(folder / "whole.mcap")
    result = replay_run(log, Replay("run", how="estimator"))
    assert result["ticks"] == 30 and not result["identical"]  # the made-up beliefs are nobody's
    replays(log, folder)


@fuzzed(12)
@given(data=st.data())
def test_a_recording_with_one_part_that_is_odd(folder: Path, recording: bytes, data: st.DataObject) -> None:
    records = records_of(recording, folder)
    path = folder / "again.mcap"
    write_again(records, path, data.draw(rewritten(records)))
    log = read_or_refused(lambda: read_log(path), path)
    if log is not None:
        replays(log, folder)
