"""The contract: comes back from its file whole, and refuses in one line what does not fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from poise.learning.contract import METADATA_KEY, Contract, check, from_json, model_hash, normalise, to_json
from poise.learning.proposer import LearnedProposer, ProposerNetwork
from poise.learning.training import TrainingReport
from poise.robots import ContractError, RobotModel


@pytest.fixture(scope="module")
def contract(trained: TrainingReport) -> Contract:
    return ProposerNetwork(Path(trained.out)).contract


def edited(trained: TrainingReport, out: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The trained file with its contract's JSON edited."""
    model = onnx.load(trained.out)
    (entry,) = (prop for prop in model.metadata_props if prop.key == METADATA_KEY)
    entries = json.loads(entry.value)
    edit(entries)
    entry.value = json.dumps(entries)
    onnx.save(model, str(out))
    return out


def refusal(robot: RobotModel, path: Path) -> str:
    with pytest.raises(ContractError) as caught:
        LearnedProposer(robot, path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_says_what_was_trained(robot: RobotModel, trained: TrainingReport, contract: Contract) -> None:
    check(contract, robot)
    assert contract.joint_names == robot.joint_names
    assert contract.arm_joints == robot.arm_joints
    assert contract.mass_kg == pytest.approx(33.34, abs=0.01)
    assert contract.model_hash == model_hash(robot)
    assert (contract.training["command"], contract.training["seed"]) == ("poise train proposer", 3)
    assert contract.training["best_epoch"] == trained.best_epoch
    assert contract.layout.knot_period_s == 0.2


def test_json_comes_back_bit_for_bit(contract: Contract) -> None:
    back = from_json(to_json(contract), "x")
    for field in fields(Contract):
        first, second = getattr(contract, field.name), getattr(back, field.name)
        if field.name in ("whitening", "familiarity"):
            assert all(np.array_equal(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
        else:
            assert np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second


def test_hash_tells_models_apart(robot: RobotModel) -> None:
    assert model_hash(replace(robot, position_max=robot.position_max + 0.1)) != model_hash(robot)


def test_normalise() -> None:
    seen = np.array([3.0, 1.0, -100.0], dtype=np.float32)
    normal = normalise(seen, mean=np.array([1.0, 0.0, 0.0]), gain=np.array([0.5, 0.0, 1.0]))
    assert normal.dtype == np.float32
    assert normal.tolist() == [1.0, 0.0, -6.0]


def swap_joints(entries: dict[str, Any]) -> None:
    names = entries["joint_names"]
    names[0], names[1] = names[1], names[0]


REFUSALS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "schema": (lambda e: e.update(schema="poise.proposer/1"), r'schema is \'poise.proposer/1\'; this version reads "poise.proposer/2"'),
    "order": (swap_joints, "joint order differs"),
    "arms": (lambda e: e["arm_joints"].pop(), "arm joints differs .*13 joints for 14"),
    "robot": (lambda e: e.update(robot="h1"), "trained for robot 'h1', this is 'g1'"),
    "features": (lambda e: e["feature_names"].reverse(), "features are not this version's"),
    "mean": (lambda e: e["feature_mean"].pop(), "feature mean has size"),
    "basis": (lambda e: e["whitening"]["basis"].pop(), "whitening basis has size"),
    "knots": (lambda e: e["layout"].update(knots=6), "chunk names has size"),
    "familiarity gain": (lambda e: e["familiarity"]["gain"].pop(), r"familiarity gain has size \(59, 48\), its contract means \(60, 48\)"),
    "familiarity offset": (lambda e: e["familiarity"]["offset"].pop(), "familiarity offset has size"),
    "familiarity root": (lambda e: e["familiarity"]["root"].pop(), "familiarity root has size"),
    "rank": (lambda e: e["whitening"].update(rank=31), "mean has shape .* its contract says"),
    "components": (lambda e: e.update(components=5), "logits has shape"),
    "lacks": (lambda e: e.pop("whitening"), r"contract lacks \['whitening'\]; export it again"),
    "ragged": (lambda e: e["whitening"]["basis"][0].pop(), "contract.whitening.basis has rows of different lengths"),
    "extra": (lambda e: e.update(colour="blue"), r"contract misspells \['colour'\]"),
    "arms as text": (lambda e: e["layout"].update(arms="14"), "contract.layout.arms is '14', not a whole number of at least 0; export"),
    "layout as list": (lambda e: e.update(layout=[14, 5, 0.2]), "contract.layout is .*, not a table"),
    "no knots": (lambda e: e["layout"].update(knots=0), "contract.layout.knots is 0, not a whole number of at least 1"),
    "no time": (lambda e: e["layout"].update(knot_period_s=math.nan), "contract.layout.knot_period_s is nan, not a finite number above 0"),
    "whitening as list": (lambda e: e.update(whitening=[]), r"contract.whitening is \[\], not a table"),
    "rank as fraction": (lambda e: e["whitening"].update(rank=48.0), "contract.whitening.rank is 48.0, not a whole number"),
    "components as bool": (lambda e: e.update(components=True), "contract.components is True, not a whole number"),
    "names as text": (lambda e: e.update(joint_names="left"), "contract.joint_names is 'left', not a list of texts"),
    "robot as number": (lambda e: e.update(robot=1), "contract.robot is 1, not a text"),
    "training as text": (lambda e: e.update(training="long"), "contract.training is 'long', not a table"),
    "numbers as texts": (lambda e: e["feature_mean"].__setitem__(0, "0"), "contract.feature_mean is .*, not a list of numbers"),
    "number for a list": (lambda e: e.update(feature_mean=1.0), "contract.feature_mean is 1.0, not a list of numbers"),
    "mean nan": (lambda e: e["feature_mean"].__setitem__(3, math.nan), "contract.feature_mean is .*, not finite throughout"),
    "gain below 0": (lambda e: e["feature_gain"].__setitem__(3, -1.0), "contract.feature_gain is .*, not at least 0 throughout"),
    "basis infinite": (lambda e: e["whitening"]["basis"][1].__setitem__(0, math.inf), "contract.whitening.basis is .*, not finite"),
    "std 0": (lambda e: e["whitening"]["std"].__setitem__(3, 0.0), "contract.whitening.std is .*, not above 0 throughout"),
    "unit nan": (lambda e: e["whitening"]["unit"].__setitem__(0, math.nan), "contract.whitening.unit is .*, not finite throughout"),
    "no familiarity": (lambda e: e.update(familiarity=None), "contract.familiarity is None, not a table"),
    "no edge": (lambda e: e["familiarity"].update(threshold=0.0), "contract.familiarity.threshold is 0.0, not a finite number above 0"),
    "root nan": (lambda e: e["familiarity"]["root"][0].__setitem__(0, math.nan), "contract.familiarity.root is .*, not finite throughout"),
    "too large": (lambda e: e.update(mass_kg=10**400), "proposer .*; export it again"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses_what_does_not_fit(robot: RobotModel, trained: TrainingReport, tmp_path: Path, case: str) -> None:
    edit, message = REFUSALS[case]
    assert re.search(message, refusal(robot, edited(trained, tmp_path / "edited.onnx", edit)))


def test_refuses_a_network_that_does_not_run(robot: RobotModel, trained: TrainingReport, tmp_path: Path) -> None:
    model = onnx.load(trained.out)
    for end in model.graph.input:
        end.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(float), tensor.name))
    for end in model.graph.output:
        end.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    del model.graph.value_info[:]
    onnx.save(model, str(tmp_path / "double.onnx"))
    assert "its network does not run" in refusal(robot, tmp_path / "double.onnx")


@pytest.mark.parametrize("tensor", ["trunk.0.weight", "linear.weight", "logits.bias", "mean.weight", "log_std.bias"])
def test_refuses_weights_with_nan(robot: RobotModel, trained: TrainingReport, tmp_path: Path, tensor: str) -> None:
    model = onnx.load(trained.out)
    (weights,) = (t for t in model.graph.initializer if t.name == tensor)
    values = numpy_helper.to_array(weights).copy()
    values.flat[-1] = np.nan
    weights.CopyFrom(numpy_helper.from_array(values, tensor))
    onnx.save(model, str(tmp_path / "nan.onnx"))
    assert "gives numbers that are not finite; train it again" in refusal(robot, tmp_path / "nan.onnx")


def test_refuses_a_file_without_a_contract(robot: RobotModel, trained: TrainingReport, tmp_path: Path) -> None:
    model = onnx.load(trained.out)
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "bare.onnx"))
    assert "has no contract" in refusal(robot, tmp_path / "bare.onnx")


def test_refuses_an_unreadable_or_missing_file(robot: RobotModel, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    assert "cannot be read" in refusal(robot, tmp_path / "text.onnx")
    assert "no such file" in refusal(robot, tmp_path / "missing.onnx")


def test_refuses_a_contract_that_is_not_json() -> None:
    for text in ("{", "[]", "3"):
        with pytest.raises(ContractError, match="proposer file"):
            from_json(text, "file")
