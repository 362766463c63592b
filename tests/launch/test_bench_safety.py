from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from poise.control.safety import UNCHANGED, Certifier
from poise.launch import bench_safety
from poise.launch.bench_safety import Safety
from poise.launch.output import Exit
from poise.robots import PoiseError


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_safety, "BLOCK", 60)


def test_it_writes_what_it_counted_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "safety.json"
    first = Safety(steps=200, adversaries="white,jumping", supports="base,left", processes=1, out=str(tmp_path), json=str(file))
    assert first() is Exit.HELD
    result = json.loads(file.read_text())
    assert result["steps"] == 240 and len(result["cases"]) == 4, "rounded up to whole runs of every kind"
    assert all(figures["count"] == 0 for figures in result["violations"].values())
    assert {case["support"] for case in result["cases"]} == {"base", "left"}
    [folder] = tmp_path.glob("safety-*")
    more = Safety(steps=480, adversaries="white,jumping", supports="base,left", processes=1, resume=str(folder), json=str(file))
    assert more() is Exit.HELD
    assert json.loads(file.read_text())["steps"] == 480
    assert len((folder / "runs.jsonl").read_text().splitlines()) == 9


def test_a_broken_bound_is_told_with_the_command_that_shows_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted fault: the certifier is left out."""
    monkeypatch.setattr(Certifier, "certify", lambda self, d, command, support, **_: (command, UNCHANGED))
    failed = Safety(steps=60, adversaries="white", supports="right", seed=5, processes=1, out=str(tmp_path))
    assert failed() is Exit.FAILED
    said = capsys.readouterr().out
    assert re.search(r"white on right: torque of \w+_joint broken by 0\.\d+ of the bound at step 0", said)
    assert "again: poise bench safety --adversaries white --supports right --seed 5 --steps 60" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "--steps 0"),
        ({"seed": -1}, "--seed -1"),
        ({"adversaries": "white,evil"}, "unknown 'evil'; known: white"),
        ({"supports": "hands"}, "unknown 'hands'; known: base"),
        ({"robot": "h7"}, "unknown robot 'h7'"),
        ({"processes": -1}, "--processes"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(PoiseError, match=words) as error:
        Safety(**options)()  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
