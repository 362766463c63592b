"""A tiny policy as somebody else would bring it: an ONNX file and its contract, written for one test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poise.robots import RobotModel
from poise.robots.types import Array


def contract_entries(robot: RobotModel) -> dict[str, Any]:
    """A contract in which the network sees the command and moves every joint, in an order that is not the robot's."""
    names = list(reversed(robot.joint_names))
    n = len(names)
    joints = {"names": names, "default_position": [float(robot.posture[robot.joint_names.index(name)]) for name in names]}
    return {
        "schema": "poise.policy/1",
        "name": "tiny",
        "robot": robot.name,
        "rate_hz": 50,
        "joints": {**joints, "kp": [float(100 + i) for i in range(n)], "kd": [2.0] * n},
        "action": {"scale": 0.5, "clip": 2.0},
        "observation": {"terms": [{"name": "command"}]},
    }


def write_contract(path: Path, entries: Mapping[str, Any]) -> Path:
    """The entries as TOML."""
    path.write_text("\n".join(_lines(entries, "")), encoding="utf-8")
    return path


def write_linear(path: Path, weight: Array, bias: Array | None = None, before: str = "Identity", inputs: int = 1) -> Path:
    """A network: action = weight (a, d) · before(observation) + bias, `before` an operator of ONNX by elements."""
    a, d = weight.shape
    ends = [helper.make_tensor_value_info(f"in{i}", TensorProto.FLOAT, [1, d]) for i in range(inputs)]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, a])
    nodes = [helper.make_node(before, ["in0"], ["x"]), helper.make_node("Gemm", ["x", "w", "b"], ["out"], transB=1)]
    values = {"w": weight, "b": np.zeros(a) if bias is None else bias}
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "tiny", ends, [out], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _lines(table: Mapping[str, Any], name: str) -> list[str]:
    """Numbers, texts and lists of them are written as JSON writes them; tables and lists of tables get a heading."""
    plain, inner = [], []
    for key, value in table.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            inner += [f"[{path}]", *_lines(value, path)]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            inner += [line for item in value for line in (f"[[{path}]]", *_lines(item, path))]
        else:
            plain.append(f"{key} = {json.dumps(value)}")
    return plain + inner
