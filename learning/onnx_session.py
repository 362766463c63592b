"""Opening an ONNX file in onnxruntime, on one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from poise.robots import ContractError


def open_session(path: Path, what: str, remedy: str) -> Any:  # onnxruntime has no types
    """An inference session of a file.

    Args:
        what: what the file is, and remedy: what to do where there is none, for the sentence of the error.

    Raises:
        ContractError: missing or unreadable.
    """
    if not path.is_file():
        raise ContractError(f"{what} {path}: no such file; {remedy}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own untyped exceptions
        raise ContractError(f"{what} {path}: cannot be read ({first_line(error)}); give an ONNX file") from error


def first_line(error: Exception) -> str:
    """What onnxruntime said, without the rest of its report."""
    return next(iter(str(error).splitlines()), type(error).__name__)
