"""Takeovers by `poise bench safety`: what is refused, what is run, and how a line shows its case again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro
from foreign_policy import contract_entries, write_contract, write_linear

from poise.control.safety import UNCHANGED, Certifier
from poise.launch.bench_safety import Safety
from poise.launch.output import Exit
from poise.launch.safety_suite import _named
from poise.robots import PoiseError, RecordError, RobotModel
from poise.sim.safety_scenario import packaged_scenarios

SHORT = 'about = "a & b"\nstart = "rig"\nseconds = 0.05\n'


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    file = tmp_path / "my rig.toml"
    file.write_text(SHORT)
    return str(file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenarios": "rig", "steps": 5}, "--steps is for steps on the model"),
        ({"policy": "a.onnx", "supports": "base"}, "--supports is for steps on the model"),
        ({"certifier": "off"}, "--certifier is for takeovers"),
        ({"save_baseline": "b.json"}, "--save-baseline is for takeovers"),
        ({"scenarios": ""}, "unknown ''; known: rig"),
        ({"scenarios": "rig,a/rig.toml"}, "rig and a/rig.toml have one name"),
        ({"scenarios": "missing.toml"}, "missing.toml: .*give a TOML file like the packaged scenarios"),
        ({"scenarios": "rig", "adversaries": "evil"}, "'evil' asks for nothing that is known"),
        ({"scenarios": "rig", "policy": "a.onnx"}, "--policy and --contract go together"),
        ({"policy": "a.onnx", "contract": "a.toml", "adversaries": "white"}, "--policy and --adversaries exclude each other"),
        ({"scenarios": "rig", "adversaries": "missing.json"}, "give a file that `poise train adversary` has written"),
        ({"scenarios": "rig", "certifier": "off", "save_baseline": "b.json"}, "leaves nothing to hold against a baseline"),
        ({"scenarios": "rig", "save_baseline": "no/b.json"}, "give a file in a folder that exists"),
        ({"scenarios": "rig", "baseline": "missing.json"}, "--baseline missing.json"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(PoiseError, match=words) as error:
        Safety(**options)()  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_all_scenarios_and_one_of_ones_own_may_be_named_together(scenario: str) -> None:
    assert list(_named(f"all,{scenario}")) == [*packaged_scenarios(), "my rig"] and list(_named(None)) == list(packaged_scenarios())


def test_it_compares_both_sides_on_a_page_and_with_a_baseline(tmp_path: Path, scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    baseline, file = str(tmp_path / "baseline.json"), tmp_path / "result.json"
    asked = {"scenarios": scenario, "adversaries": "saturated", "processes": 1, "out": str(tmp_path)}
    assert Safety(**asked, save_baseline=baseline, json=str(file))() is Exit.HELD  # type: ignore[arg-type]
    result = json.loads(file.read_text())
    assert [run["certified"] for run in result["runs"]] == [False, True] and result["table"][0]["sent"] > 0 == result["table"][1]["sent"]
    [folder] = tmp_path.glob("takeover-*")
    assert "a &amp; b" in (folder / "report.html").read_text()
    again = Safety(scenarios=scenario, adversaries="saturated", processes=1, resume=str(folder), baseline=baseline)
    assert again() is Exit.HELD and "held against the baseline: 1 cases" in capsys.readouterr().out
    with pytest.raises(PoiseError, match="holds none of the cases"):
        Safety(scenarios="rig", adversaries="white", seeds="7", certifier="on", processes=1, out=str(tmp_path), baseline=baseline)()
    with pytest.raises(PoiseError, match="--save-baseline /dev/full: cannot be written .*with --resume"):
        Safety(scenarios=scenario, adversaries="saturated", processes=1, resume=str(folder), save_baseline="/dev/full")()


def test_a_run_in_which_another_policy_asked_is_not_gone_on_with(g1: RobotModel, tmp_path: Path, scenario: str) -> None:
    policy = write_linear(tmp_path / "it.onnx", np.zeros((g1.n, 3)))
    contract = write_contract(tmp_path / "it.toml", contract_entries(g1))
    asked: dict[str, Any] = {"scenarios": scenario, "policy": str(policy), "contract": str(contract), "certifier": "on", "processes": 1}
    assert Safety(**asked, out=str(tmp_path))() is Exit.HELD
    [folder] = tmp_path.glob("takeover-*")
    assert Safety(**asked, resume=str(folder))() is Exit.HELD
    write_linear(policy, np.ones((g1.n, 3)))
    with pytest.raises(RecordError, match="runs of another setup"):
        Safety(**asked, resume=str(folder))()


def test_what_is_broken_is_shown_again_by_the_command_in_its_line(
    tmp_path: Path, scenario: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted fault: the certifier is left out."""
    monkeypatch.setattr(Certifier, "certify", lambda self, d, command, support, **_: (command, UNCHANGED))
    common = {"certifier": "on", "processes": 1, "out": str(tmp_path)}
    assert Safety(scenarios=scenario, adversaries="white", seeds="3", solver="osqp", **common)() is Exit.FAILED  # type: ignore[arg-type]
    line = next(line for line in capsys.readouterr().out.splitlines() if "; again: " in line)
    words = shlex.split(line.split("; again: ")[1])
    assert words[:3] == ["poise", "bench", "safety"]
    options = tyro.cli(Safety, args=words[3:])
    assert (options.scenarios, options.adversaries, options.seeds, options.solver) == (scenario, "white", "3", "osqp")


def test_a_folder_with_a_damaged_run_is_named(tmp_path: Path, scenario: str) -> None:
    asked = {"scenarios": scenario, "adversaries": "white", "processes": 1}
    assert Safety(**asked, out=str(tmp_path))() is Exit.HELD  # type: ignore[arg-type]
    [folder] = tmp_path.glob("takeover-*")
    runs = folder / "runs.jsonl"
    runs.write_text(runs.read_text().replace('"rungs"', '"wrongs"'))
    with pytest.raises(RecordError, match="a run in it is damaged"):
        Safety(**asked, resume=str(folder))()  # type: ignore[arg-type]
