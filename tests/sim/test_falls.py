"""Falls of the protocol, forced, recorded, and run again from their seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from holder import G1, Weak

from poise.launch.bench_runs import MakeStack
from poise.robots import Decision, RecordError, RobotModel, RobotState
from poise.robots.record import LogWriter, read_log
from poise.robots.types import Array
from poise.sim import pushing
from poise.sim.falls import LOG, Comparison, Difference, Tape, read_fall
from poise.sim.locomotion import LocomotionConfig, LocomotionWork, fall_name, run


@dataclass(frozen=True)
class Fall:
    """Of a stand of weak joints: who ran it, its folder, its ticks."""

    work: LocomotionWork
    folder: Path
    ticks: tuple[tuple[RobotState, Decision], ...]

    def difference(self, ticks: Iterable[tuple[RobotState, Decision]], folder: Path) -> Difference | None:
        """Where a run differs from a recording of these ticks."""
        tape = Tape(Weak())
        tape.ticks.extend(ticks)
        tape.write(folder, G1, read_fall(self.folder).meta)
        return self.work.replay(read_fall(folder)).difference()


@pytest.fixture(scope="module")
def fall(tmp_path_factory: pytest.TempPathFactory) -> Fall:
    root = tmp_path_factory.mktemp("falls")
    work = LocomotionWork(G1, Weak, LocomotionConfig(), root, {"mode": "weak"})
    case = {"case": "tracking", "command": [0.0, 0.0, 0.0], "seed": 3}
    assert work(case)["fell"]
    tape = Tape(Weak())
    run(case, tape, work.backend(tape.period_s, case))
    return Fall(work, root / fall_name(case), tuple(tape.ticks))


def test_a_pushed_walk_falls_again_bit_for_bit(g1: RobotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second push of a scan: the recording begins with it, and the replay goes straight to it."""
    monkeypatch.setattr(pushing, "SETTLE_S", 1.0)
    monkeypatch.setattr(pushing, "AFTER_S", 1.5)
    monkeypatch.setattr(pushing, "PUSH_STEP_NS", 110.0)
    work = LocomotionWork(g1, MakeStack("model"), LocomotionConfig(), tmp_path, {"mode": "model"})
    case = {"case": "push", "command": [0.4, 0.0, 0.0], "direction": 2, "timing": 1, "seed": 0}
    assert work({**case, "first_ns": 5.0})["felled_by_ns"] == 115.0
    log = read_fall(tmp_path / "push-0.4_0_0-direction2-timing1-seed0")
    assert log.meta["case"] == case | {"first_ns": 115.0} and log.meta["mode"] == "model"
    assert log.tick["time_s"][0] > 1.0 and log.decisions
    comparison = work.replay(log)
    assert comparison.difference() is None
    assert comparison.ticks == len(log.tick["tick"])


def test_a_fall_without_a_push_is_recorded_from_the_start(fall: Fall) -> None:
    log = read_fall(fall.folder)
    assert log.tick["time_s"][0] == 0.0 and log.meta["case"]["seed"] == 3
    assert json.loads((fall.folder / "config.json").read_text()) == log.meta
    comparison = fall.work.replay(log)
    assert comparison.difference() is None and comparison.ticks == len(fall.ticks) > 50


@pytest.mark.parametrize("field", ["state_joint_velocity", "command_q"])
def test_a_recording_that_was_tampered_with_differs_there(fall: Fall, tmp_path: Path, field: str) -> None:
    """By the least that a number can change."""
    ticks = list(fall.ticks)
    state, decision = ticks[40]
    if field == "command_q":
        ticks[40] = state, replace(decision, command=replace(decision.command, q=nudged(decision.command.q)))
    else:
        ticks[40] = replace(state, joint_velocity=nudged(state.joint_velocity)), decision
    difference = fall.difference(ticks, tmp_path)
    assert difference is not None
    assert (difference.tick, difference.field) == (decision.tick, field)
    assert difference.recorded == np.nextafter(difference.replayed, np.inf)


def test_ticks_between_those_of_a_recording_pass_and_numbers_are_compared_as_they_were_written(fall: Fall, tmp_path: Path) -> None:
    def found(ticks: Iterable[tuple[RobotState, Decision]], name: str) -> Difference | None:
        with LogWriter(tmp_path / name, G1, {}, every=7, dtype="float32") as writer:
            for state, decision in ticks:
                writer.write(state, decision)
        comparison = Comparison(Weak(), read_log(tmp_path / name))
        for state, decision in fall.ticks:
            comparison.note(state, decision)
        assert comparison.ticks <= 1 + len(fall.ticks) // 7
        return comparison.found

    ticks = [each for each in fall.ticks if each[1].tick <= fall.ticks[-1][1].tick // 7 * 7]
    trimmed = replace(fall, ticks=tuple(ticks))
    state, decision = ticks[41]
    assert decision.tick % 7 == 0
    fall = trimmed
    assert found(ticks, "same") is None
    ticks[41] = replace(state, joint_velocity=state.joint_velocity + 1e-3), decision
    difference = found(ticks, "other")
    assert difference is not None and (difference.tick, difference.field) == (decision.tick, "state_joint_velocity")


def test_one_that_ends_elsewhere_differs_at_its_end(fall: Fall, tmp_path: Path) -> None:
    state, decision = fall.ticks[-1]
    more = replace(state, stamp_s=state.stamp_s + 0.002), replace(decision, tick=decision.tick + 1)
    for ticks, tick in ((fall.ticks[:-5], decision.tick - 4), ((*fall.ticks, more), decision.tick + 1)):
        difference = fall.difference(ticks, tmp_path)
        assert difference is not None
        assert (difference.tick, difference.field) == (tick, "end")


def test_what_is_no_fall_is_refused(fall: Fall, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing", __file__):
        with pytest.raises(RecordError, match="no fall of a benchmark there; give one of its folders"):
            read_fall(folder)
    with LogWriter(tmp_path / LOG, G1, {"seed": 0}) as writer:
        writer.write(*fall.ticks[0])
    with pytest.raises(RecordError, match="not the fall of a benchmark"):
        read_fall(tmp_path)
    with pytest.raises(RecordError, match="not whole"):
        fall.difference((fall.ticks[0], fall.ticks[2]), tmp_path)


def nudged(values: Array) -> Array:
    changed = values.copy()
    changed[7] = np.nextafter(changed[7], np.inf)
    return changed
