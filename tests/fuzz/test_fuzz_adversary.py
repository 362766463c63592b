"""Any file of a trained adversary is refused in one line, or asks for finite torques."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from mutation import damaged, fuzzed, read_or_refused, root, spoilt

from poise.robots import RobotModel
from poise.sim.adversaries import Trained, trained_gains

CONTENT = (root() / "sim/adversary_data/trained.json").read_bytes()


def ask(folder: Path, g1: RobotModel, content: bytes) -> None:
    path = folder / "odd.json"
    path.write_bytes(content)
    trained_gains.cache_clear()
    gains = read_or_refused(lambda: trained_gains(path, g1.joint_names), path)
    if gains is not None:
        asked = Trained(g1, np.random.default_rng(0), 0.002, gains)(g1.posture, np.ones(g1.n)).tau
        assert (np.abs(asked) <= g1.torque_limit).all()


@fuzzed(80)
@given(table=spoilt(json.loads(CONTENT)))
def test_an_adversary_with_odd_entries(folder: Path, g1: RobotModel, table: Any) -> None:
    ask(folder, g1, json.dumps(table).encode())


@fuzzed(60)
@given(data=st.data())
def test_a_damaged_adversary(folder: Path, g1: RobotModel, data: st.DataObject) -> None:
    ask(folder, g1, data.draw(damaged(CONTENT)))
