"""`poise train adversary`: what it writes, where it goes on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poise.launch.output import Exit
from poise.launch.train import TrainAdversary
from poise.robots import PoiseError
from poise.sim import adversary_training


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries of a few steps."""
    monkeypatch.setattr(adversary_training.Trial, "__call__", lambda self, gains, seed: -np.abs(gains - 0.5).sum(axis=0))


def test_it_keeps_every_round_and_goes_on(tmp_path: Path) -> None:
    whole, halves, said = tmp_path / "new" / "whole.json", tmp_path / "halves.json", tmp_path / "said.json"
    assert TrainAdversary(out=str(whole), rounds=4, json=str(said))() is Exit.HELD
    assert json.loads(said.read_text())["rounds"] == 4 == json.loads(whole.read_text())["done"]
    for rounds in (2, 4):
        assert TrainAdversary(out=str(halves), rounds=rounds)() is Exit.HELD
    assert whole.read_text() == halves.read_text()
    before = whole.read_text()
    assert TrainAdversary(out=str(whole), rounds=1)() is Exit.HELD
    assert whole.read_text() == before, "more than is asked for is done already"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rounds": 0}, "--rounds 0"),
        ({"seed": 1}, "is of another training"),
        ({"json": "OUT"}, "is what --out is"),
        ({"out": "/proc/nowhere/it.json"}, "cannot be written"),
        ({"out": "/"}, "give another file"),
        ({"robot": "h7"}, "unknown robot"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_file_is_kept(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    out = tmp_path / "it.json"
    TrainAdversary(out=str(out), rounds=1)()
    before = out.read_text()
    given: dict[str, Any] = {
        "out": str(out),
        "rounds": 2,
        **{name: str(out) if value == "OUT" else value for name, value in options.items()},
    }
    with pytest.raises(PoiseError, match=said) as caught:
        TrainAdversary(**given)()
    assert "\n" not in str(caught.value) and out.read_text() == before


def test_a_file_that_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "it.json"
    TrainAdversary(out=str(out), rounds=1)()
    before = out.read_text()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PoiseError, match="No space left"):
        TrainAdversary(out=str(out), rounds=2)()
    assert out.read_text() == before and [file.name for file in tmp_path.iterdir()] == ["it.json"]
