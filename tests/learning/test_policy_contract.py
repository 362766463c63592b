"""The contract of a foreign policy: what is read, and what is refused in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_policy import contract_entries, write_contract

from poise.learning.policy_contract import TERMS, check_robot, read_policy_contract
from poise.robots import ContractError, RobotModel

SHIPPED = Path(__file__).parents[2] / "docs" / "policies" / "holosoma_g1.toml"


def test_what_is_left_out_has_its_default(robot: RobotModel, tmp_path: Path) -> None:
    contract = read_policy_contract(write_contract(tmp_path / "c.toml", contract_entries(robot)))
    check_robot(contract, robot, "c.toml")
    assert contract.joint_names == contract.action_joints == contract.observed_joints == tuple(reversed(robot.joint_names))
    assert contract.clocks is None
    assert (contract.history.order, contract.history.by, contract.history.start) == ("oldest_first", "term", "zeros")
    (term,) = contract.terms
    assert (term.name, term.scale.tolist(), term.history) == ("command", [1.0], 1)


def test_sizes_of_the_terms_by_hand(robot: RobotModel, tmp_path: Path) -> None:
    entries = contract_entries(robot)
    entries["action"]["joints"] = list(robot.joint_names[:12])
    entries["observation"] = {"joints": list(robot.joint_names[:15]), "terms": [{"name": name, "history": 2} for name in TERMS]}
    entries["phase"] = {"period_s": 0.8, "offset": [0.0, 0.5]}
    contract = read_policy_contract(write_contract(tmp_path / "c.toml", entries))
    assert [contract.size(name) for name in TERMS] == [3, 3, 3, 2, 1, 15, 15, 12, 2, 2]
    assert contract.observation_size == 2 * 58


def test_the_contract_that_is_shipped_fits_the_g1(robot: RobotModel) -> None:
    contract = read_policy_contract(SHIPPED)
    check_robot(contract, robot, str(SHIPPED))
    assert (contract.observation_size, len(contract.action_joints)) == (100, 29)
    knee = contract.joint_names.index("left_knee_joint")
    np.testing.assert_allclose([contract.default_position[knee], contract.kp[knee]], [0.669, 99.098427777])


Change = Callable[[dict[str, Any]], Any]


def term(**entries: Any) -> Change:
    return lambda e: e["observation"]["terms"][0].update(entries)


REFUSALS: dict[str, tuple[Change, str]] = {
    "schema": (lambda e: e.update(schema="poise.policy/2"), r"schema is 'poise.policy/2'; this version reads \"poise.policy/1\""),
    "lacks": (lambda e: e.pop("rate_hz"), r"contract lacks \['rate_hz'\]"),
    "extra": (lambda e: e["action"].update(offset=1.0), r"contract.action misspells \['offset'\]"),
    "rate": (lambda e: e.update(rate_hz=0), "contract.rate_hz is 0, not a finite number above 0"),
    "gains": (lambda e: e["joints"]["kp"].pop(), "joints.kp has 28 numbers, joints.names has 29"),
    "negative": (lambda e: e["joints"]["kd"].__setitem__(0, -1.0), "contract.joints.kd is .*, not at least 0 throughout"),
    "nan": (lambda e: e["joints"].update(default_position=["x"] * 29), "contract.joints.default_position is .*, not a list of numbers"),
    "twice": (lambda e: e["action"].update(joints=["left_knee_joint"] * 2), "action.joints repeats, .* left_knee_joint"),
    "unknown joint": (lambda e: e["observation"].update(joints=["tail_joint"]), "observation.joints repeats, .* tail_joint"),
    "scale": (lambda e: e["action"].update(scale=[1.0, 2.0]), "action.scale has 2 numbers, it takes 1 or 29"),
    "clip": (lambda e: e["action"].update(clip=-1.0), "contract.action.clip is -1.0, not a finite number above 0"),
    "no terms": (lambda e: e["observation"].update(terms=[]), "contract.observation.terms is not a list of terms"),
    "unknown term": (term(name="base_velocity"), r"terms\[0\].name is 'base_velocity', not one of angular_velocity, "),
    "term scale": (term(scale=[1.0, 1.0]), r"observation.terms\[0\].scale has 2 numbers, it takes 1 or 3"),
    "history": (term(history=0), r"terms\[0\].history is 0, not a whole number of at least 1"),
    "no clock": (term(name="phase_sin"), r"observation.terms\[0\] is phase_sin, which needs \[phase\]"),
    "order": (lambda e: e["observation"].update(history={"order": "random"}), "history.order is 'random', not one of oldest_first"),
    "frames": (
        lambda e: e["observation"].update(history={"by": "frame"}, terms=[{"name": "command"}, {"name": "last_action", "history": 2}]),
        "every term must have the same history",
    ),
    "clocks": (lambda e: e.update(phase={"period_s": 1.0, "offset": [[0.0, 0.5]]}), "phase.offset is not a list of numbers, one a clock"),
    "still": (
        lambda e: e.update(phase={"period_s": 1.0, "offset": [0.0], "still": {"command": 0.1, "phase": [0.5, 0.5]}}),
        "phase.still.phase has 2 numbers, it takes 1 or 1",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_unusable_contracts_are_refused_in_one_line(robot: RobotModel, tmp_path: Path, name: str) -> None:
    spoil, words = REFUSALS[name]
    entries = contract_entries(robot)
    spoil(entries)
    with pytest.raises(ContractError, match=words) as error:
        read_policy_contract(write_contract(tmp_path / "c.toml", entries))
    assert str(error.value).startswith("policy contract ")
    assert "\n" not in str(error.value)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("schema = ", encoding="utf-8")
    for file in ("c.toml", "missing.toml"):
        with pytest.raises(ContractError, match="cannot be read .*; give a readable TOML file") as error:
            read_policy_contract(tmp_path / file)
        assert "\n" not in str(error.value)


def test_infinity_and_nan_are_refused(robot: RobotModel, tmp_path: Path) -> None:
    for number in ("inf", "nan"):
        file = write_contract(tmp_path / "c.toml", contract_entries(robot))
        file.write_text(file.read_text(encoding="utf-8").replace("scale = 0.5", f"scale = {number}"), encoding="utf-8")
        with pytest.raises(ContractError, match="contract.action.scale is .*, not finite throughout"):
            read_policy_contract(file)
    assert math.isinf(read_policy_contract(write_contract(tmp_path / "c.toml", without_clip(robot))).action_clip)


def without_clip(robot: RobotModel) -> dict[str, Any]:
    entries = contract_entries(robot)
    del entries["action"]["clip"]
    return entries


def test_another_robot_s_contract_is_refused(robot: RobotModel, tmp_path: Path) -> None:
    entries = contract_entries(robot)
    entries["robot"] = "h1"
    with pytest.raises(ContractError, match="is for robot 'h1', this is 'g1'"):
        check_robot(read_policy_contract(write_contract(tmp_path / "c.toml", entries)), robot, "c.toml")
    entries = contract_entries(robot)
    entries["joints"] = {key: values[:28] for key, values in entries["joints"].items()}
    with pytest.raises(ContractError, match="look at left_hip_pitch_joint"):
        check_robot(read_policy_contract(write_contract(tmp_path / "c.toml", entries)), robot, "c.toml")
