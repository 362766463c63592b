"""The bench of faults while walking: what counts as held, and one fault of a real deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import run_main
from simulating import TOO_SLOW

from poise.launch import bench_deployment
from poise.launch.bench_deployment import FAULTS, GOES_ON, SAFE_MS, STOPPED, held, summary

pytestmark = pytest.mark.realtime

DOMAIN = 62


def run(fault: str, **said: Any) -> dict[str, Any]:
    stands = {"mode": "walk", "reason": "", "pelvis_height_m": 0.75, "safe_after_ms": None}
    return {"fault": fault, **stands, **said}


@pytest.mark.parametrize("fault", FAULTS)
def test_held_is_a_safe_command_in_time_or_a_walk_that_goes_on(fault: str) -> None:
    in_time, late = (run(fault, mode="safe stop", safe_after_ms=ms) for ms in (SAFE_MS, SAFE_MS + 1.0))
    walks, fallen = run(fault), run(fault, pelvis_height_m=0.2)
    wanted = [False, False, True, False] if fault in GOES_ON else [True, False, False, False]
    assert [held(each) for each in (in_time, late, walks, fallen)] == wanted


def test_a_summary_counts_and_takes_the_worst() -> None:
    runs = [run("killed", mode="safe stop", reason="silent", safe_after_ms=ms, pelvis_height_m=0.1) for ms in (31.0, 35.0)] + [
        run("killed")
    ]
    said = summary("killed", runs)
    assert (said["runs"], said["held"], said["safe_after_ms_most"], said["on_its_feet"]) == (3, 2, 35.0, 1)
    assert said["modes"] == ["safe stop", "walk"] and said["reasons"] == ["", "silent"]
    assert summary("killed", [])["safe_after_ms_most"] is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--fault earthquake", "--fault earthquake: unknown; known: killed"),
        ("--times 0", "--times 0"),
        ("--domain 233", "--domain 233"),
        ("--json no/such/x.json", "--json no/such/x.json"),
    ],
)
def test_unusable_options_are_one_line_and_status_2(line: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main("bench", "deployment", *line.split()) == 2
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1


def test_a_controller_that_is_killed_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("WALK_S", "AFTER_S"):
        monkeypatch.setattr(bench_deployment, name, 1.0)
    result = tmp_path / "result.json"
    line = f"bench deployment --times 1 --fault killed --mode model --domain {DOMAIN} --json {result}"
    status, told = run_main(*line.split()), json.loads(result.read_text())
    if any(reason in trip for trip in told["trips"] for reason in TOO_SLOW):
        pytest.skip(f"this machine was too slow: {told['trips']}")
    (one,) = told["runs"]
    assert (status, told["ended"], told["trips"]) == (0, "", [])
    assert one["mode"] in STOPPED and one["safe_after_ms"] <= SAFE_MS and "controller" in one["reason"]
