"""Episode files: everything comes back, and what is not one is refused in a line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_situation, run_episode

from poise.control.protocols import Situation
from poise.learning.operator import OperatorProposer
from poise.learning.trace import EpisodeTrace, TraceRecorder, load_trace, read_header, save_trace
from poise.robots import Intent, RecordError, RobotModel
from poise.robots.types import Belief


def same(first: object, second: object) -> bool:
    if isinstance(first, (Belief, Intent, Situation)):
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    if first is None or second is None:
        return first is second
    return type(first) is type(second) and bool(np.array_equal(first, second))  # type: ignore[arg-type]


def test_everything_comes_back(robot: RobotModel, tmp_path: Path) -> None:
    waypoint = Intent(waypoint=(1.0, 2.0, 0.5), height_m=0.6, arms=np.arange(14.0), arms_external=True)
    intents = [Intent(), Intent(velocity=(0.1, 0.0, 0.2)), waypoint]
    situations = tuple(make_situation(robot, i, intent=intent, stamp_s=0.1 * i) for i, intent in enumerate(intents))
    trace = EpisodeTrace(7, situations, np.array([0.4, 0.41, 0.42]), np.arange(12.0).reshape(3, 2, 2), fell=True)
    save_trace(tmp_path / "e.npz", trace, {"index": 3})
    read = load_trace(tmp_path / "e.npz")
    assert (read.seed, read.fell) == (7, True)
    assert all(same(a, b) for a, b in zip(situations, read.situations, strict=True))
    np.testing.assert_array_equal(read.footstep_offset, trace.footstep_offset)
    np.testing.assert_array_equal(read.step_duration_s, trace.step_duration_s)
    assert read_header(tmp_path / "e.npz")["index"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["e.npz"]


def test_recorder_keeps_ten_rows_a_second_and_what_is_in_force(robot: RobotModel) -> None:
    recorder = TraceRecorder(OperatorProposer(robot))
    recorder.reset(9)
    for tick in range(51):  # proposals at 50 Hz, over a second
        (motion,) = recorder.propose(make_situation(robot, stamp_s=0.02 * tick))
        recorder.note(motion)
    trace = recorder.trace(fell=False)
    assert trace.seed == 9
    np.testing.assert_allclose([s.stamp_s for s in trace.situations], np.arange(11) / 10)
    assert trace.step_duration_s[0] == 0.42  # none in force: the gait's own
    assert (trace.footstep_offset[0] == 0.0).all() and (trace.footstep_offset[1:] != 0.0).any()


@pytest.mark.parametrize("damage", ["missing", "text", "other", "cut"])
def test_refuses_what_is_no_episode(robot: RobotModel, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "e.npz"
    if damage == "text":
        path.write_text("not an episode")
    if damage == "other":
        np.savez(path, header=np.array('{"schema": "poise.demonstrations/0"}'))
    if damage == "cut":
        save_trace(path, run_episode(1, OperatorProposer(robot)), {})
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RecordError, match=r"e\.npz") as caught:
        load_trace(path)
    assert "\n" not in str(caught.value)
