"""Write a trained network and its contract as one ONNX file. Needs torch and onnx: for training only."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from poise.robots import ContractError

from .contract import METADATA_KEY, Contract, to_json
from .network import MixtureNetwork

OPSET = 18
OUTPUTS = ("logits", "mean", "log_std")


def export(network: MixtureNetwork, contract: Contract, out: Path) -> Path:
    """Write weights and contract to `out`, whole or not at all: input `features` (1, d), outputs `logits`, `mean`, `log_std`."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # the exporter reports its progress on stdout
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.eval(),
            (torch.zeros(1, len(contract.feature_names)),),
            input_names=["features"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    for node in model.graph.node:  # source lines and module paths of the exporter, of no use to a reader of the file
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, {METADATA_KEY: to_json(contract)})
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    onnx.save(model, str(partial))
    partial.replace(out)
    return out


def shuffle_weights(path: Path, seed: int, out: Path | None = None) -> Path:
    """A copy of a proposer with the entries of each weight tensor in random order; its contract stays.

    Raises:
        ContractError: the file cannot be read.
    """
    out = out or path.with_name(f"{path.stem}_shuffled_{seed}.onnx")
    try:
        model = onnx.load(str(path))
    except Exception as error:  # onnx raises protobuf's own types
        raise ContractError(f"proposer {path}: cannot be read ({str(error).splitlines()[0]}); give an ONNX file") from error
    rng = np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if np.issubdtype(values.dtype, np.floating) and values.size > 1:
            tensor.CopyFrom(numpy_helper.from_array(rng.permutation(values.ravel()).reshape(values.shape), tensor.name))
    onnx.save(model, str(out))
    return out
