"""The contract of a proposer file: what its network takes and gives, for which robot, and how it was trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from poise.robots import ContractError, RobotModel
from poise.robots.reading import parse_json, shown
from poise.robots.types import Array

from .chunk import ChunkLayout
from .entries import (
    Reader,
    as_array,
    as_array_above_zero,
    as_array_not_negative,
    as_count,
    as_names,
    as_quantity,
    as_table,
    as_text,
    read_table,
)
from .familiarity import Familiarity
from .features import Features, feature_names
from .likelihood import Whitening

SCHEMA = "poise.proposer/2"
METADATA_KEY = "poise"
FEATURE_CLIP = 6.0  # standard deviations


@dataclass(frozen=True, eq=False)
class Contract:
    """Everything that must agree between training and the robot; it travels in the weights' file."""

    robot: str
    joint_names: tuple[str, ...]
    arm_joints: tuple[str, ...]
    mass_kg: float
    model_hash: str  # of the description that the demonstrations were generated with
    feature_names: tuple[str, ...]
    feature_mean: Array  # (d,)
    feature_gain: Array  # (d,) 1/std; 0 for a feature that never changed in the demonstrations
    layout: ChunkLayout
    chunk_names: tuple[str, ...]
    whitening: Whitening
    familiarity: Familiarity  # of the leading whitened coordinates
    components: int  # M
    situation_rate_hz: float  # of the demonstrations
    training: Mapping[str, Any]  # command, seed, sizes and figures

    def normalise(self, features: Features) -> Features:
        """The network's input (..., d) float32 for features (..., d)."""
        return normalise(features, self.feature_mean, self.feature_gain)

    @property
    def shapes(self) -> dict[str, list[int]]:
        """Shape of each input and output of the network."""
        components = [1, self.components, self.whitening.rank]
        return {"features": [1, len(self.feature_names)], "logits": [1, self.components], "mean": components, "log_std": components}


def normalise(features: Features, mean: Array, gain: Array) -> Features:
    """Features (..., d) in standard deviations from their mean, clipped to what a network can be trusted with."""
    return np.clip((features - mean) * gain, -FEATURE_CLIP, FEATURE_CLIP).astype(np.float32)


def model_hash(robot: RobotModel) -> str:
    """Fingerprint of a robot's joints, limits and inertias."""
    digest = hashlib.sha256("\n".join(robot.joint_names).encode())
    parts = [robot.position_min, robot.position_max, *(inertia.toDynamicParameters() for inertia in robot.pinocchio.inertias)]
    for part in parts:
        digest.update(np.round(part, 6).astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def _layout(value: Any, name: str) -> ChunkLayout:
    readers: dict[str, Reader] = {"arms": partial(as_count, least=0), "knots": as_count, "knot_period_s": as_quantity}
    return ChunkLayout(**read_table(readers, value, name))


def _whitening(value: Any, name: str) -> Whitening:
    readers: dict[str, Reader] = {
        "mean": as_array,
        "unit": as_array_above_zero,
        "basis": as_array,
        "std": as_array_above_zero,
        "rank": as_count,
    }
    return Whitening(**read_table(readers, value, name))


def _familiarity(value: Any, name: str) -> Familiarity:
    readers: dict[str, Reader] = {"gain": as_array, "offset": as_array, "root": as_array, "threshold": as_quantity}
    return Familiarity(**read_table(readers, value, name))


ENTRIES: dict[str, Reader] = {
    "robot": as_text,
    "joint_names": as_names,
    "arm_joints": as_names,
    "mass_kg": as_quantity,
    "model_hash": as_text,
    "feature_names": as_names,
    "feature_mean": as_array,
    "feature_gain": as_array_not_negative,
    "layout": _layout,
    "chunk_names": as_names,
    "whitening": _whitening,
    "familiarity": _familiarity,
    "components": as_count,
    "situation_rate_hz": as_quantity,
    "training": as_table,
}


def to_json(contract: Contract) -> str:
    """The contract as JSON, its schema first."""
    entries = {"schema": SCHEMA} | {f.name: _jsonable(getattr(contract, f.name)) for f in fields(Contract)}
    return json.dumps(entries)


def from_json(text: str, file: str) -> Contract:
    """Read a contract.

    Raises:
        ContractError: not JSON, of another schema version, incomplete, or with an entry of another type or not finite.
    """
    try:
        entries = parse_json(text)
    except ValueError as error:
        raise ContractError(f"proposer {file}: its contract is not JSON ({error}); export it again") from error
    schema = entries.pop("schema", None) if isinstance(entries, dict) else None
    if schema != SCHEMA:
        raise ContractError(f'proposer {file}: contract schema is {shown(schema)}; this version reads "{SCHEMA}": train it again')
    try:
        return Contract(**read_table(ENTRIES, entries, "contract"))
    except (ValueError, OverflowError) as error:
        raise ContractError(f"proposer {file}: {error}; export it again") from error


def check(contract: Contract, robot: RobotModel, file: str = "proposer") -> None:
    """Refuse a contract that does not fit a robot.

    Raises:
        ContractError: one line: what differs, and what to do.
    """
    if contract.robot != robot.name:
        raise ContractError(f"proposer {file}: trained for robot {contract.robot!r}, this is {robot.name!r}; train one for it")
    orders = {"joint order": (contract.joint_names, robot.joint_names), "arm joints": (contract.arm_joints, robot.arm_joints)}
    for what, (theirs, ours) in orders.items():
        if theirs != ours:
            odd = next((f"{a} for {b}" for a, b in zip(theirs, ours, strict=False) if a != b), f"{len(theirs)} joints for {len(ours)}")
            raise ContractError(f"proposer {file}: {what} differs from robot {robot.name!r} ({odd}); train one for this robot")
    if contract.feature_names != feature_names(robot):
        raise ContractError(f"proposer {file}: its features are not this version's; train it again")
    _check_sizes(contract, file)


def _check_sizes(contract: Contract, file: str) -> None:
    layout, whitening, familiarity = contract.layout, contract.whitening, contract.familiarity
    d, size, rank = len(contract.feature_names), layout.size, whitening.rank
    wanted = {
        "feature mean": (np.shape(contract.feature_mean), (d,)),
        "feature gain": (np.shape(contract.feature_gain), (d,)),
        "chunk names": ((len(contract.chunk_names),), (size,)),
        "arms of a chunk": ((layout.arms,), (len(contract.arm_joints),)),
        "whitening mean": (np.shape(whitening.mean), (size,)),
        "whitening unit": (np.shape(whitening.unit), (size,)),
        "whitening basis": (np.shape(whitening.basis), (size, size)),
        "whitening std": (np.shape(whitening.std), (size,)),
        "familiarity gain": (np.shape(familiarity.gain), (d, rank)),
        "familiarity offset": (np.shape(familiarity.offset), (rank,)),
        "familiarity root": (np.shape(familiarity.root), (rank, rank)),
    }
    for what, (got, expected) in wanted.items():
        if got != expected:
            raise ContractError(f"proposer {file}: {what} has size {got}, its contract means {expected}; export it again")
    if not 0 < rank <= size:
        raise ContractError(f"proposer {file}: whitening rank is {rank}, a chunk has {size} entries; export it again")


def check_shapes(contract: Contract, shapes: Mapping[str, list[Any]], file: str) -> None:
    """Refuse a network whose inputs and outputs are not what its contract says.

    Raises:
        ContractError: one line: what differs.
    """
    for name, expected in contract.shapes.items():
        if list(shapes.get(name, [])) != expected:
            raise ContractError(f"proposer {file}: {name} has shape {shapes.get(name)}, its contract says {expected}; export it again")


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Whitening | Familiarity):
        return {f.name: _jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, ChunkLayout):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else value
