"""An interrupted training's state, so that what is done is not lost. Needs torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from poise.robots import RecordError

from .dataset import Dataset


@dataclass
class State:
    """How far a training is; it changes with each epoch."""

    epoch: int
    best_epoch: int
    best: float  # validation's mean negative log-likelihood over the leading coordinates
    seconds: float
    network: dict[str, Any]
    optimiser: dict[str, Any]
    best_network: dict[str, Any]


def fingerprint(dataset: Dataset, settings: str) -> str:
    """Changes with the data and with the settings: a state is only taken up for the work that it was made by."""
    digest = hashlib.sha256(settings.encode())
    for pairs in (dataset.training, dataset.validation):
        digest.update(pairs.features.tobytes())
        digest.update(pairs.chunks.tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, key: str, state: State) -> None:
    """Write a state whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    torch.save({"key": key, **vars(state)}, partial)
    partial.replace(path)


def load_checkpoint(path: Path, key: str) -> State | None:
    """The state of an interrupted run of the same work, or None.

    Raises:
        RecordError: the checkpoint cannot be read.
    """
    if not path.exists():
        return None
    try:
        entries = torch.load(path, weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever it happens to decode to
        raise RecordError(f"checkpoint {path}: cannot be read; delete it to train from the start") from error
    if entries.pop("key") != key:
        return None
    return State(**entries)
