"""Any policy contract is refused in one line, or holds finite numbers in the sizes that it names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given
from mutation import DEEP, fuzzed, read_or_refused, root, spoilt, texts, toml

from poise.learning.observation import Observer
from poise.learning.policy_contract import PolicyContract, check_robot, read_policy_contract
from poise.robots import RobotModel

TEXT = (root() / "docs/policies/holosoma_g1.toml").read_text(encoding="utf-8")


def read(folder: Path, robot: RobotModel, content: bytes | str) -> PolicyContract | None:
    """The contract of a file with that content, if it is one of the robot."""
    path = folder / "contract.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    contract = read_or_refused(lambda: read_policy_contract(path), path)
    if contract is not None:
        read_or_refused(lambda: check_robot(contract, robot, str(path)), path)
    return contract


def assert_sound(contract: PolicyContract, robot: RobotModel) -> None:
    n = len(contract.joint_names)
    for part in (contract.default_position, contract.kp, contract.kd):
        assert part.shape == (n,) and np.isfinite(part).all()
    assert contract.observation_size > 0 and 0.0 < contract.rate_hz < np.inf
    if sorted(contract.joint_names) == sorted(robot.joint_names):
        Observer(robot, contract)


@fuzzed(60)
@given(table=spoilt(tomllib.loads(TEXT)))
def test_a_contract_with_odd_entries(folder: Path, g1: RobotModel, table: dict[str, Any]) -> None:
    if (contract := read(folder, g1, toml(table))) is not None:
        assert_sound(contract, g1)


@fuzzed(60)
@given(content=texts(TEXT))
@example(content=f"schema = {'1' * 5000}".encode())
@example(content=f"schema = {DEEP}".encode())
def test_a_damaged_contract(folder: Path, g1: RobotModel, content: bytes) -> None:
    if (contract := read(folder, g1, content)) is not None:
        assert_sound(contract, g1)
