"""Any file of a benchmark's runs is gone on with, but for a line that was cut short, or refused in one line; and so it is compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from command import run_main
from hypothesis import example, given
from hypothesis import strategies as st
from mutation import DEEP, ODD_VALUES, damaged, fuzzed, read_or_refused, spoilt

from poise.launch import safety_suite
from poise.launch.bench_figures import locomotion_figures, tour_figures
from poise.launch.bench_runs import BatchFolder
from poise.launch.bench_safety import broken
from poise.launch.compare_page import render
from poise.launch.comparison import Row, check_figures, compare, read_run
from poise.launch.replay_fall import check_case, work_of
from poise.sim import certified_motion, locomotion, tour
from poise.sim.batch import Ledger, read_ledger
from poise.sim.safety_verdict import regressions

COMMON = {"mu": 0.8, "seed": 0}
TRACKED = {"case": "tracking", "command": [0.5, 0.0, 0.0], "fell": False, "mean_velocity": [0.5, 0.0, 0.0], "rmse": [0.1, 0.1, 0.1]}
COSTS = {"rmse_gait": [0.1, 0.1, 0.1], "cost_of_transport": 0.3, "positive_cost_of_transport": 0.4, "power_w": 90.0, "drift_m": 0.1}
PUSHED = {"case": "push", "command": [0.5, 0.0, 0.0], "fell": False, "direction": 2, "timing": 1, "strict_ns": 30.0, "felled_by_ns": 35.0}
PUNCHES = [{"body": "torso_link", "throw_m": 0.2, "fell": False, "impulse_ns": [1.0, 0.0, 0.0]}]
TOURED = {"stage": "own", "complete": True, "survival_s": 90.0, "targets": 18, "reached": 17, "pos_err_cm": 6.0, "yaw_err_deg": 3.0}
CERTIFIED = {"adversary": "white", "support": "base", "seed": 0, "steps": 60, "violations": {"torque": {"count": 0, "worst_margin": 0.1}}}
ANSWERED = {"methods": {"brake": 59, "qp": 1}, "unsolved": {"brake": 1}, "changed_us": {"105": 60}}
FIRST = {"step": 3, "bound": "torque", "of": "left_knee_joint", "excess": 0.1}
COUNTED = {what: {"position": {"ticks": 1, "worst": 0.1, "time_s": 0.1, "of": "left_knee_joint"}} for what in ("asked", "sent", "happened")}
TAKEN = {"scenario": "rig", "requester": "white", "seed": 0, "ticks": 9, "fell_s": None, "rungs": {"filtered": 9}, "unsolved": {}}
SETUPS: dict[str, dict[str, Any]] = {
    "safety": {"schema": "poise.safety/1", "block": 60},
    "takeover": {"schema": safety_suite.SCHEMA, "robot": "g1"},
    "tour": {"schema": tour.SCHEMA, "tour": {"seconds": 90.0}, "mode": "model"},
    "locomotion": {"schema": locomotion.SCHEMA, "locomotion": {"mu": 0.8}, "mode": "model"},
}
RUNS: dict[str, list[dict[str, Any]]] = {
    "safety": [{**CERTIFIED, **ANSWERED, "first": None}, {**CERTIFIED, **ANSWERED, "seed": 1, "first": FIRST}],
    "takeover": [{**TAKEN, **COUNTED, "certified": certified} for certified in (False, True)],
    "tour": [{**TOURED, **COMMON, "energy_kj": 4.0, "punches": PUNCHES}, {**TOURED, **COMMON, "energy_kj": 4.0, "stage": "punches"}],
    "locomotion": [{**TRACKED, **COSTS, **COMMON}, {**PUSHED, **COMMON}, {**TRACKED, **COSTS, **COMMON, "seed": 1}],
}
SUMMARISE: dict[str, Callable[[Sequence[dict[str, Any]]], Any]] = {
    "tour": tour.summarise,
    "locomotion": locomotion.summarise,
    "safety": lambda runs: (certified_motion.summarise(runs), broken(runs)),
    "takeover": lambda runs: (safety_suite.summarise(runs), regressions(runs, {})),
}
FIGURES = {"tour": tour_figures(), "locomotion": locomotion_figures()}
kinds = st.sampled_from(sorted(SETUPS))


def lines(kind: str) -> bytes:
    """A sound file."""
    return "".join(json.dumps(entry) + "\n" for entry in ({"setup": SETUPS[kind]}, *RUNS[kind])).encode()


def go_on(folder: Path, kind: str, content: bytes) -> Ledger | None:
    """The file taken up by the benchmark, its runs summed up, and the whole compared with itself."""
    path = folder / "runs" / "runs.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    _compared(path.parent, kind)
    ledger = read_or_refused(lambda: Ledger(path, SETUPS[kind]), path)
    if ledger is None:
        assert path.read_bytes() == content, "nothing is lost"
        return None
    assert read_ledger(path) == (SETUPS[kind], ledger.runs)
    ours = [run for run in ledger.runs if run.get("case", "tracking") in ("tracking", "push")]
    read_or_refused(lambda: BatchFolder(resume=str(path.parent)).summed(path.parent, SUMMARISE[kind], ours), path)
    return ledger


def _compared(folder: Path, kind: str) -> None:
    runs = read_or_refused(lambda: [read_run(folder, name) for name in "AB"], folder)
    if runs is None or runs[0].kind != kind:
        return

    def page() -> str:
        check_figures(runs[0], FIGURES[kind])
        rows: list[Row] = compare(runs, FIGURES[kind])
        return render({kind: (runs, rows)}) if not any(run.get("case") == "push" for run in runs[0].runs) else ""

    read_or_refused(page, folder)


@pytest.mark.parametrize("kind", SETUPS)
def test_sound_runs_are_gone_on_with(folder: Path, kind: str) -> None:
    ledger = go_on(folder, kind, lines(kind))
    assert ledger is not None and ledger.runs == RUNS[kind] and not ledger.remark


@fuzzed(40)
@given(kind=kinds, data=st.data())
def test_runs_that_were_cut_short_are_done_again(folder: Path, kind: str, data: st.DataObject) -> None:
    """At whatever byte it ends, the whole runs before it are kept, and the rest is not taken for one."""
    whole = lines(kind)
    at = data.draw(st.integers(0, len(whole)))
    ledger = go_on(folder, kind, whole[:at])
    kept = whole[: at + 1].count(b"\n") - 1  # a line that lacks but its end is whole
    assert ledger is not None and ledger.runs == RUNS[kind][: max(kept, 0)]
    cut = whole[:at].rpartition(b"\n")[2]
    assert bool(ledger.remark) == (cut not in (b"", *whole.splitlines()))


@fuzzed(60)
@given(kind=kinds, data=st.data())
def test_runs_with_odd_entries(folder: Path, kind: str, data: st.DataObject) -> None:
    entries = data.draw(spoilt([{"setup": SETUPS[kind]}, *RUNS[kind]], (*ODD_VALUES, None)))
    go_on(folder, kind, "".join(json.dumps(entry) + "\n" for entry in entries).encode())


@fuzzed(60)
@given(kind=kinds, data=st.data())
@example(kind="tour", data=None)
def test_damaged_runs(folder: Path, kind: str, data: st.DataObject | None) -> None:
    go_on(folder, kind, data.draw(damaged(lines(kind))) if data else f"{DEEP}\n".encode() + lines(kind))


def test_a_broken_line_in_the_middle_is_named(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *rest = lines("tour").splitlines(keepends=True)
    (folder / "middle").mkdir()
    monkeypatch.chdir(folder)
    (folder / "middle" / "runs.jsonl").write_bytes(b"".join((first, second[: len(second) // 2], b"\n", *rest)))
    assert run_main("bench", "compare", "middle", "middle") == 2
    said = capfd.readouterr()
    assert said.err.count("\n") == 1 and "line 2 is damaged" in said.err and not said.out


META: dict[str, Any] = {
    "schema": tour.SCHEMA,
    "mode": "model",
    "tour": {"seconds": 90.0, "plant": None, "mu": 0.8, "noise": "nominal"},
    "case": {"stage": "own", "seed": 3},
    "versions": {"numpy": "2.0"},
}


@fuzzed(30)
@given(meta=spoilt(META, (*ODD_VALUES, None)))
@example(meta=META | {"case": {"stage": "own"}})
@example(meta={key: value for key, value in META.items() if key != "mode"})
def test_what_a_fall_says_of_how_it_was_run(meta: dict[str, Any]) -> None:
    """A replay is set up from it, or it is refused."""
    read_or_refused(lambda: ready(meta))


def ready(meta: dict[str, Any]) -> Any:
    """What a replay is about to run."""
    check_case("folder", meta)
    return work_of("folder", meta)
