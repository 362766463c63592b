from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foreign_policy import contract_entries, write_contract, write_linear

from poise.launch.bench import Realtime, Tour
from poise.launch.bench_locomotion import Locomotion
from poise.launch.output import Exit
from poise.launch.replay import Replay
from poise.launch.replay_fall import work_of
from poise.robots import PoiseError, RecordError, RobotModel
from poise.sim import locomotion, pushing, tracking


def test_real_time_writes_what_it_measured(tmp_path: Path) -> None:
    file = tmp_path / "realtime.json"
    assert Realtime(seconds=0.5, mode="model", push=True, json=str(file))() is Exit.HELD
    result = json.loads(file.read_text())
    for figures in (result, result["pushed"]):
        assert 0.0 < figures["tick_us"]["p50"] <= figures["tick_us"]["p99"] <= figures["tick_us"]["p999"] <= figures["tick_us"]["max"]
        assert set(figures["parts_us"]) == {"estimate", "propose", "imagine", "refine", "track", "certify", "record"}
        assert all(0.0 <= part["p50"] <= part["p99"] for part in figures["parts_us"].values())
        assert figures["step_us"]["p50"] >= figures["tick_us"]["p50"]
        assert figures["seconds"] == pytest.approx(0.5)
    assert result["mode"] == "model"
    assert result["velocity"] == [0.5, 0.0, 0.0]


@pytest.mark.realtime
def test_the_loop_counts_every_tick_and_says_where_those_went_that_it_skipped(tmp_path: Path) -> None:
    file, processors = tmp_path / "loop.json", os.sched_getaffinity(0)
    line = [sys.executable, "-m", "poise.launch.cli", "bench", "loop", "--seconds", "2", "--mode", "model", "--json", str(file)]
    subprocess.run(line, check=True, timeout=300, capture_output=True)  # in a process of its own: it leaves locked memory behind
    result = json.loads(file.read_text())
    skipped = result["skipped_own"] + result["skipped_stolen"]
    assert 1000 <= result["ticks"] + skipped <= 1000 + skipped  # the last one may be skipped too
    assert result["skipped_percent"] == pytest.approx(skipped / 10.0)
    assert result["work_us"]["count"] == result["ticks"] == sum(result["rungs"].values())
    assert not result["sleepless"] or len(processors) > 1


def test_unusable_options_are_refused(tmp_path: Path) -> None:
    for command, words in (
        (Realtime(seconds=0.0), "--seconds"),
        (Realtime(velocity=(float("nan"), 0.0, 0.0)), "--velocity"),
        (Tour(seconds=7.0), "multiple of 5"),
        (Tour(seeds="all"), "--seeds all"),
        (Tour(mode="model", stages="dance"), "unknown stage 'dance'"),
        (Tour(mode="model", processes=-1), "--processes"),
        (Tour(mode="model", seconds=5.0, stages="own", resume=str(tmp_path)), "--resume"),
        (Tour(mode="model", plant="missing.xml"), "no such file"),
        (Locomotion(cases="tracking,swim"), "unknown case 'swim'"),
        (Locomotion(seeds="-1"), "--seeds -1"),
        (Locomotion(mode="model", friction=0.0), "friction 0"),
        (Locomotion(mode="model", plant="missing.xml"), "no such file"),
        (Locomotion(policy="policy.onnx"), "--policy and --contract go together"),
        (Tour(seconds=5.0, contract="contract.toml"), "--policy and --contract go together"),
        (Locomotion(policy="policy.onnx", contract="missing.toml"), "cannot be read"),
    ):
        with pytest.raises(PoiseError, match=words) as error:
            command()
        assert "\n" not in str(error.value)


def test_a_tour_can_be_gone_on_with(tmp_path: Path) -> None:
    pytest.importorskip("gaitkeeper.tour")
    file = tmp_path / "tour.json"
    first = Tour(seeds="3", stages="own", seconds=5.0, mode="model", processes=1, out=str(tmp_path), json=str(file))
    assert first() is Exit.HELD
    result = json.loads(file.read_text())
    figures = result["summary"]["own"]
    assert {"mean_survival_s", "complete", "runs", "pos_err_cm", "yaw_err_deg", "energy_kj"} <= set(figures)
    assert (figures["runs"], len(result["runs"])) == (1, 1)
    assert result["runs"][0]["seed"] == 3
    (folder,) = tmp_path.glob("tour-*")
    before = (folder / "runs.jsonl").read_text()
    again = Tour(seeds="3", stages="own", seconds=5.0, mode="model", resume=str(folder), json=str(file))
    assert again() is Exit.HELD  # nothing is left to do
    assert (folder / "runs.jsonl").read_text() == before
    assert json.loads(file.read_text()) == result
    with pytest.raises(PoiseError, match="another setup"):
        Tour(seeds="3", stages="own", seconds=10.0, mode="model", resume=str(folder))()


def test_locomotion_runs_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "TRACKED", ((0.0, 0.0, 0.0),))
    monkeypatch.setattr(tracking, "TRACKING_S", 1.0)
    file = tmp_path / "locomotion.json"
    first = Locomotion(seeds="0,2", cases="tracking", mode="model", processes=1, out=str(tmp_path), json=str(file))
    assert first() is Exit.HELD
    result = json.loads(file.read_text())
    (row,) = result["tracking"]
    assert (row["runs"], row["falls"]) == (2, 0) and row["drift_m"] < 0.03
    assert [run["seed"] for run in result["runs"]] == [0, 2]
    (folder,) = tmp_path.glob("locomotion-*")
    before = (folder / "runs.jsonl").read_text()
    assert Locomotion(seeds="2", cases="tracking", mode="model", resume=str(folder), json=str(file))() is Exit.HELD
    assert (folder / "runs.jsonl").read_text() == before
    assert [run["seed"] for run in json.loads(file.read_text())["runs"]] == [2]


def test_a_fall_is_kept_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("SETTLE_S", 0.6), ("AFTER_S", 1.5), ("PUSH_STEP_NS", 110.0)):
        monkeypatch.setattr(pushing, name, value)
    monkeypatch.setattr(locomotion, "CASES_OF", {"push": lambda seeds: pushing.push_cases(seeds)[-1:]})
    first = Locomotion(seeds="4", cases="push", mode="model", processes=1, out=str(tmp_path), json=str(tmp_path / "locomotion.json"))
    assert first() is Exit.HELD
    result = json.loads((tmp_path / "locomotion.json").read_text())
    assert result["push"]["standing"]["min_newton_second"] == 0.0
    (fall,) = tmp_path.glob("locomotion-*/falls/*")
    assert "poise replay" in capsys.readouterr().out
    assert Replay(str(fall), json=str(tmp_path / "replay.json"))() is Exit.HELD
    replayed = json.loads((tmp_path / "replay.json").read_text())
    assert replayed["identical"] and replayed["ticks"] > 100
    assert f"identical over {replayed['ticks']} ticks" in capsys.readouterr().out
    assert Replay(str(fall), how="estimator")() is Exit.FAILED
    assert "lacks ticks, or its beginning" in capsys.readouterr().out
    monkeypatch.setattr(pushing, "PUSH_STEP_NS", 5.0)  # the recording names its push
    monkeypatch.setattr(pushing, "SETTLE_S", 0.602)
    assert Replay(str(fall))() is Exit.FAILED
    assert "differs at tick" in capsys.readouterr().out
    with pytest.raises(PoiseError, match="has no log.mcap"):
        Replay(str(tmp_path))()
    with pytest.raises(RecordError, match=r"the fall is of poise\.locomotion/1; this version runs"):
        work_of("folder", {"schema": "poise.locomotion/1"})


def test_a_foreign_policy_is_measured(g1: RobotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that holds its default posture, leaning back by the ankles when it is to walk: it stands, and falls."""
    monkeypatch.setattr(tracking, "TRACKED", ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    monkeypatch.setattr(tracking, "TRACKING_S", 2.0)
    entries = contract_entries(g1)
    entries["joints"]["kp"] = [300.0] * g1.n
    entries["action"]["joints"] = ["left_ankle_pitch_joint", "right_ankle_pitch_joint"]
    policy = str(write_linear(tmp_path / "policy.onnx", np.array([[1.0, 0.0, 0.0]] * 2)))
    contract, file = str(write_contract(tmp_path / "contract.toml", entries)), tmp_path / "locomotion.json"
    bench = Locomotion(seeds="0", cases="tracking", policy=policy, contract=contract, processes=1, out=str(tmp_path), json=str(file))
    assert bench() is Exit.HELD
    result = json.loads(file.read_text())
    assert (result["mode"], result["policy"], result["contract"]) == ("learned", policy, contract)
    assert [run["fell"] for run in result["runs"]] == [False, True]
    (fall,) = tmp_path.glob("locomotion-*/falls/*")
    assert Replay(str(fall))() is Exit.HELD
    assert Tour(seeds="0", stages="own", seconds=5.0, policy=policy, contract=contract, processes=1, out=str(tmp_path))() is Exit.HELD
    (fall,) = tmp_path.glob("tour-*/falls/own-seed0")
    assert Replay(str(fall))() is Exit.HELD
    slow = str(write_contract(tmp_path / "slow.toml", entries | {"rate_hz": 25}))
    with pytest.raises(PoiseError, match="a control period of 0.04 s does not divide that"):
        Tour(seeds="0", stages="own", seconds=5.0, policy=policy, contract=slow)()
