from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poise.robots import RecordError
from poise.sim.batch import Case, Ledger, run_batch

CASES: list[Case] = [{"stage": stage, "seed": seed} for seed in range(3) for stage in ("own", "punches")]
SETUP = {"mode": "model", "seconds": 5.0}


def work(case: Case) -> dict[str, Any]:
    """Says who did it."""
    if case["seed"] == 9:
        raise RecordError("seed 9: does not work")
    return {**case, "value": 10.0 * case["seed"], "process": os.getpid()}


def test_every_case_is_run_once_and_noted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl", SETUP)
    runs = list(run_batch(work, CASES, ledger, processes=1))
    assert [{"stage": run["stage"], "seed": run["seed"]} for run in runs] == CASES
    assert ledger.runs == runs
    assert all(map(ledger.has, CASES))
    assert not ledger.has({"stage": "own", "seed": 3})
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"setup": SETUP}, *runs]


def test_an_interrupted_batch_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    batch: Iterator[dict[str, Any]] = run_batch(work, CASES, Ledger(path, SETUP), processes=1)
    first = [next(batch), next(batch)]
    path.write_text(path.read_text() + '{"stage": "own", "se')  # killed while it wrote
    again = Ledger(path, SETUP)
    assert again.runs == first
    rest = list(run_batch(work, CASES, again, processes=1))
    assert [(run["stage"], run["seed"]) for run in rest] == [(case["stage"], case["seed"]) for case in CASES[2:]]
    assert Ledger(path, SETUP).runs == first + rest
    assert list(run_batch(work, CASES, Ledger(path, SETUP), processes=2)) == []


def test_runs_of_another_setup_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    list(run_batch(work, CASES, Ledger(path, SETUP), processes=1))
    before = path.read_text()
    with pytest.raises(RecordError, match="another setup") as error:
        Ledger(path, {**SETUP, "mode": "hybrid"})
    assert "\n" not in str(error.value)
    assert path.read_text() == before


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be used"):
        Ledger(tmp_path / "missing" / "runs.jsonl", SETUP)
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="cannot be used"):
        Ledger(tmp_path / "bytes.jsonl", SETUP)


def test_in_several_processes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl", SETUP)
    runs = list(run_batch(work, CASES, ledger, processes=2))
    assert sorted((run["stage"], run["seed"], run["value"]) for run in runs) == sorted(
        (c["stage"], c["seed"], 10.0 * c["seed"]) for c in CASES
    )
    assert os.getpid() not in {run["process"] for run in runs}


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_ends_the_batch_and_keeps_what_is_done(tmp_path: Path, processes: int) -> None:
    cases = [*CASES, {"stage": "own", "seed": 9}]
    with pytest.raises(RecordError, match="does not work"):
        list(run_batch(work, cases, Ledger(tmp_path / "runs.jsonl", SETUP), processes))
    kept = Ledger(tmp_path / "runs.jsonl", SETUP).runs
    assert all(run in [{**work(case), "process": run["process"]} for case in CASES] for run in kept)
    assert processes > 1 or len(kept) == len(CASES)
