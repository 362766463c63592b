"""Runs side by side, from made-up folders of the benchmarks."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_rel

from poise.launch.bench_compare import Compare
from poise.launch.output import Exit
from poise.robots import PoiseError
from poise.sim.batch import Ledger
from poise.sim.intervals import wilson
from poise.sim.locomotion import SCHEMA

SETUP = {"schema": SCHEMA, "locomotion": {"noise": "nominal", "mu": 0.8}, "mode": "model"}
WALK, STAND = [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]
SEEDS = range(4)


def tracked(command: list[float], seed: int, error: float, fell: bool = False) -> dict[str, Any]:
    figures = {
        "mean_velocity": [command[0] - error, 0.0, 0.0],
        "rmse": [2.0 * error, 0.1, 0.1],
        "rmse_gait": [error, 0.1, 0.1],
        "cost_of_transport": 0.4 + error if any(command) else None,
        "positive_cost_of_transport": 0.2 if any(command) else None,
        "power_w": 5.0,
    }
    return {"case": "tracking", "command": command, "seed": seed, "fell": fell, "interventions": 0.0} | (
        dict.fromkeys(figures) if fell else figures
    )


def pushed(command: list[float], seed: int, direction: int, strict: float) -> dict[str, Any]:
    return {"case": "push", "command": command, "direction": direction, "timing": 0, "seed": seed, "fell": False, "strict_ns": strict}


def toured(seed: int, complete: bool) -> dict[str, Any]:
    figures = {"survival_s": 90.0, "energy_kj": 6.0} if complete else {"survival_s": 30.0, "energy_kj": 2.0}
    return {"stage": "punches", "seed": seed, "complete": complete, "pos_err_cm": 10.0 + seed, "yaw_err_deg": 5.0, **figures}


def written(folder: Path, setup: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    folder.mkdir()
    ledger = Ledger(folder / "runs.jsonl", setup)
    for run in runs:
        ledger.add(run)
    return str(folder)


def locomotion(folder: Path, error: float, strict: float, setup: dict[str, Any] = SETUP) -> str:
    """Errors grow with the seed; the push to the right takes 10 N·s less than that forward."""
    runs = [tracked(WALK, seed, error * (1 + seed)) for seed in SEEDS] + [tracked(STAND, seed, 0.001) for seed in SEEDS]
    pushes = [pushed(c, seed, k, strict + 5.0 * seed - 10.0 * k) for c in (WALK, STAND) for seed in SEEDS for k in (0, 1)]
    return written(folder, setup, runs + pushes)


def figure(result: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    (found,) = (f for f in result["figures"] if (f["group"], f["figure"]) == (group, name))
    return dict(found)


def compared(tmp_path: Path, *folders: str) -> tuple[dict[str, Any], str]:
    """The result, and the page."""
    assert Compare(folders, out=str(tmp_path / "out"), json=str(tmp_path / "compare.json"))() is Exit.HELD
    (page,) = (tmp_path / "out").glob("compare-*/report.html")
    return json.loads((tmp_path / "compare.json").read_text()), page.read_text(encoding="utf-8")


def test_means_are_compared_by_seed(tmp_path: Path) -> None:
    result, _ = compared(tmp_path, locomotion(tmp_path / "a", 0.01, 30.0), locomotion(tmp_path / "b", 0.02, 30.0))
    row = figure(result, "RMSE a stride", "0.5 0 0")
    assert row["values"]["A"]["value"] == pytest.approx(0.025) and row["values"]["B"]["value"] == pytest.approx(0.05)
    expected = ttest_rel([0.02, 0.04, 0.06, 0.08], [0.01, 0.02, 0.03, 0.04]).confidence_interval()
    change = row["changes"]["B"]
    assert change["value"] == pytest.approx(0.025) and change["ratio"] == pytest.approx(2.0)
    assert change["interval"] == pytest.approx([expected.low, expected.high])
    assert figure(result, "RMSE", "0.5 0 0")["values"]["B"]["value"] == pytest.approx(0.1)
    assert figure(result, "energy", "power of a stand, W")["values"]["A"]["value"] == 5.0
    assert not any(f["figure"] == "cost of transport, 0 0 0" for f in result["figures"])


def test_pushes_under_hard_noise_are_a_share_of_the_nominal_ones(tmp_path: Path) -> None:
    hard = SETUP | {"locomotion": {"noise": "hard", "mu": 0.8}}
    result, page = compared(tmp_path, locomotion(tmp_path / "a", 0.01, 30.0), locomotion(tmp_path / "b", 0.02, 20.0, hard))
    median, least = (figure(result, "strict push, N·s", f"walking, {name}") for name in ("median", "least"))
    # 30 and 20 forward, 20 and 10 to the side, each 5 more a seed: of eight the medians are 32.5 and 22.5.
    assert (median["values"]["A"]["value"], median["values"]["B"]["value"]) == (32.5, 22.5)
    assert median["changes"]["B"]["ratio"] == pytest.approx(22.5 / 32.5)
    assert (least["values"]["A"]["value"], least["changes"]["B"]["value"]) == (20.0, -10.0)
    assert "nominal" in page and "hard" in page
    pictures = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 1 and ElementTree.fromstring(base64.b64decode(pictures[0])).tag.endswith("svg")
    assert not re.search(r'(src|href)="(?!data:)', page) and "<script" not in page


def test_falls_are_rates_over_the_cases_that_both_have(tmp_path: Path) -> None:
    first = written(tmp_path / "a", SETUP, [tracked(WALK, seed, 0.01) for seed in range(6)])
    second = written(tmp_path / "b", SETUP, [tracked(WALK, seed, 0.01, fell=seed < 3) for seed in range(4)])
    result, page = compared(tmp_path, first, second)
    falls = figure(result, "falls", "all")
    assert (falls["values"]["B"]["count"], falls["values"]["B"]["of"], falls["values"]["A"]["of"]) == (3, 4, 6)
    assert falls["values"]["B"]["interval"] == wilson(3, 4)
    change = falls["changes"]["B"]
    assert change["value"] == 0.75 and change["interval"][0] < 0.75 < change["interval"][1] and change["ratio"] is None
    rmse = figure(result, "RMSE a stride", "0.5 0 0")["changes"]["B"]
    assert rmse["value"] == 0.0 and rmse["interval"] is None  # one seed is left that neither fell with
    assert "3 of 4 [30.1, 95.4] %" in page and "+75 [" in page


def test_tours_stand_beside_locomotion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    four, two = ([toured(seed, seed < complete) for seed in range(4)] for complete in (4, 2))
    tours = [written(tmp_path / "four", {"tour": {}}, four), written(tmp_path / "two", {"tour": {}}, two)]
    result, page = compared(tmp_path, tours[0], locomotion(tmp_path / "a", 0.01, 30.0), tours[1])
    assert [run["kind"] for run in result["runs"]] == ["tour", "locomotion", "tour"]
    survived = figure(result, "tour, punches", "survived, s")
    assert (survived["values"]["C"]["value"], survived["changes"]["C"]["value"]) == (60.0, -30.0)
    assert figure(result, "tour, punches", "energy, kJ")["values"]["C"]["value"] == 6.0  # complete runs only
    assert figure(result, "energy", "power of a stand, W")["changes"] == {}
    assert "tour, punches" in page and "C − A" in page
    assert "strict push" in capsys.readouterr().out


def test_unusable_folders_are_one_line(tmp_path: Path) -> None:
    good, odd = locomotion(tmp_path / "a", 0.01, 30.0), tmp_path / "odd"
    odd.mkdir()
    (odd / "runs.jsonl").write_text("[]\n")
    for folders, words in (
        ((good,), "two runs or more"),
        ((good, str(tmp_path)), "cannot be read"),
        ((good, str(odd)), "not the runs of a benchmark"),
        ((good, written(tmp_path / "none", SETUP, [])), "no finished run"),
        ((good, written(tmp_path / "old", {"locomotion": {}}, [tracked(WALK, 0, 0.1)])), "older version"),
        ((good, written(tmp_path / "other", {"realtime": {}}, [{"seed": 0}])), "not runs of bench"),
        ((good, written(tmp_path / "cut", {"tour": {}}, [{"seed": 0}])), "not runs of bench"),
    ):
        with pytest.raises(PoiseError, match=words) as error:
            Compare(folders, out=str(tmp_path / "out"))()
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_page_that_cannot_be_written_is_said_before_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, file = locomotion(tmp_path / "a", 0.01, 30.0), tmp_path / "file"
    file.touch()
    with pytest.raises(PoiseError, match="cannot be made"):
        Compare((good, good), out=str(file))()
    assert capsys.readouterr().out == ""
