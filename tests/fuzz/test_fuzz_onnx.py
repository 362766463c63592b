"""Any ONNX file is refused in one line, or gives finite numbers of the right size; the proposer's and somebody else's policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_policy import contract_entries, write_contract, write_linear
from hypothesis import example, given
from hypothesis import strategies as st
from messages import WALK, sound_state
from mutation import DEEP, ODD_VALUES, damaged, fuzzed, read_or_refused, spoilt
from onnx import TensorProto, numpy_helper
from synthetic import make_situation

from poise.control.proposals import judged, well_formed
from poise.control.stopwatch import Stopwatch
from poise.learning.contract import METADATA_KEY
from poise.learning.policy import PolicyController
from poise.learning.proposer import LearnedProposer, packaged_weights
from poise.robots import RobotModel

WEIGHTS = packaged_weights("g1").read_bytes()
CONTRACT: dict[str, Any] = json.loads(next(p.value for p in onnx.load_from_string(WEIGHTS).metadata_props if p.key == METADATA_KEY))
TYPES = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING, TensorProto.FLOAT16, TensorProto.BOOL, 99)


def with_contract(text: str) -> bytes:
    """The packaged weights with another contract in them."""
    model = onnx.load_from_string(WEIGHTS)
    for entry in model.metadata_props:
        entry.value = text if entry.key == METADATA_KEY else entry.value
    return model.SerializeToString()


@st.composite
def networks(draw: st.DrawFn, data: bytes) -> bytes:
    """A network whose ends have other names, types or shapes, whose nodes are lost, or whose numbers are others."""
    model = onnx.load_from_string(data)
    graph = model.graph
    for _ in range(draw(st.integers(1, 2))):
        end = draw(st.sampled_from([*graph.input, *graph.output]))
        how = draw(
            st.sampled_from(("name", "type", "size", "rank", "free", "lose node", "numbers", "lose end", "double end", "opset", "key"))
        )
        if how == "name":
            end.name = draw(st.sampled_from(("x", "", "features", "logits", "mean")))
        elif how == "type":
            end.type.tensor_type.elem_type = draw(st.sampled_from(TYPES))
        elif how in ("size", "free", "rank"):
            _reshape(draw, end.type.tensor_type.shape, how)
        elif how == "lose node" and graph.node:
            graph.node.pop(draw(st.integers(0, len(graph.node) - 1)))
        elif how == "numbers" and graph.initializer:
            _renumber(draw, draw(st.sampled_from(list(graph.initializer))))
        elif how == "lose end" and len(graph.output) > 1:
            graph.output.pop()
        elif how == "double end":
            graph.input.append(onnx.ValueInfoProto.FromString(end.SerializeToString()))
        elif how == "opset" and model.opset_import:
            model.opset_import[0].version = draw(st.sampled_from((0, 1, 7, 99, -1)))
        else:
            for entry in model.metadata_props:
                entry.key = "x"
    return model.SerializeToString()


def _reshape(draw: st.DrawFn, shape: Any, how: str) -> None:
    if how == "rank":
        shape.dim.add().dim_value = draw(st.sampled_from((0, 1, 7)))
    elif shape.dim and how == "free":
        shape.dim[-1].dim_param = "n"
    elif shape.dim:
        shape.dim[-1].dim_value = draw(st.sampled_from((0, 1, 7, -3, 2**40)))


def _renumber(draw: st.DrawFn, tensor: onnx.TensorProto) -> None:
    values = numpy_helper.to_array(tensor)
    if values.dtype.kind == "f":
        values = np.full_like(values, draw(st.sampled_from((np.nan, np.inf, 0.0, 1e30, -1e30))))
    if draw(st.booleans()):
        values = values.reshape(-1)[:-1]
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def propose(folder: Path, g1: RobotModel, content: bytes) -> None:
    """Refused, or what it proposes can be followed where it is not left out: in a common situation, and in one that is half unknown."""
    path = folder / "proposer.onnx"
    path.write_bytes(content)
    proposer = read_or_refused(lambda: LearnedProposer(g1, path), path)
    if proposer is None:
        return
    for situation in (make_situation(g1), replace(make_situation(g1), step_duration_s=np.nan)):
        with np.errstate(all="ignore"):
            proposals, verdicts, scores, fault = judged(proposer, None, situation, len(g1.arms), Stopwatch())
        assert fault.isprintable() and len(proposals) == len(verdicts) == len(scores)
        assert all(well_formed(p, len(g1.arms)) for p, score in zip(proposals, scores, strict=True) if score > -np.inf)


@fuzzed(25)
@given(contract=spoilt(CONTRACT, (*(value for value in ODD_VALUES if value == value), 5, "g1")))
def test_a_proposer_with_an_odd_contract(folder: Path, g1: RobotModel, contract: Any) -> None:
    propose(folder, g1, with_contract(json.dumps(contract)))


@fuzzed(25)
@given(contract=damaged(json.dumps(CONTRACT).encode()))
@example(contract=DEEP.encode())
@example(contract=b'{"schema": ' + b"1" * 5000 + b"}")
def test_a_proposer_with_a_damaged_contract(folder: Path, g1: RobotModel, contract: bytes) -> None:
    propose(folder, g1, with_contract(contract.decode(errors="replace")))


@fuzzed(25)
@given(content=networks(WEIGHTS))
def test_a_proposer_of_another_network(folder: Path, g1: RobotModel, content: bytes) -> None:
    propose(folder, g1, content)


@fuzzed(25)
@given(content=damaged(WEIGHTS))
def test_a_damaged_proposer(folder: Path, g1: RobotModel, content: bytes) -> None:
    propose(folder, g1, content)


@pytest.fixture(scope="module")
def policy(folder: Path, g1: RobotModel) -> Callable[[bytes], None]:
    """Refused with these bytes, or it drives the robot by finite numbers."""
    contract = write_contract(folder / "contract.toml", contract_entries(g1))
    path, state = folder / "policy.onnx", sound_state(g1)

    def drive(content: bytes) -> None:
        path.write_bytes(content)
        controller = read_or_refused(lambda: PolicyController(g1, path, contract), path)
        if controller is not None:
            decision = controller.step(state, WALK)
            assert np.isfinite(decision.command.q).all() and decision.command.q.shape == (g1.n,)

    return drive


def tiny(folder: Path) -> bytes:
    """A sound policy's file."""
    return write_linear(folder / "tiny.onnx", np.full((29, 3), 0.1)).read_bytes()


@fuzzed(40)
@given(data=st.data())
def test_another_network_as_a_policy(folder: Path, policy: Callable[[bytes], None], data: st.DataObject) -> None:
    policy(data.draw(networks(tiny(folder))))


@fuzzed(40)
@given(data=st.data())
def test_a_damaged_policy(folder: Path, policy: Callable[[bytes], None], data: st.DataObject) -> None:
    policy(data.draw(damaged(tiny(folder))))
