"""The contract of a locomotion policy that somebody else trained: what its network takes and gives, read from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from poise.robots import ContractError, RobotModel
from poise.robots.reading import read_toml, shown
from poise.robots.types import Array

from .entries import (
    Reader,
    as_array,
    as_array_not_negative,
    as_count,
    as_names,
    as_numbers,
    as_one_of,
    as_quantity,
    as_table,
    as_text,
    read_table,
)

SCHEMA = "poise.policy/1"
FIXED_SIZES = {"angular_velocity": 3, "projected_gravity": 3, "command": 3, "command_linear": 2, "command_angular": 1}
TERMS = (*FIXED_SIZES, "joint_position", "joint_velocity", "last_action", "phase_sin", "phase_cos")


@dataclass(frozen=True, eq=False)
class Term:
    """One part of the observation: it is multiplied by `scale` and given for the last `history` periods."""

    name: str  # one of TERMS
    scale: Array  # (1,) for all of its numbers, or (size,)
    history: int


@dataclass(frozen=True)
class History:
    """How the periods of the observation are put in a row."""

    order: str  # "oldest_first" or "newest_first"
    by: str  # "term": all periods of a term, then the next term; "frame": all terms of a period, then the next period
    start: str  # what stands for periods before the first: "zeros", or "first", the first one again


@dataclass(frozen=True, eq=False)
class Still:
    """The rule for a command of zero: every clock stands at `phase`; afterwards the clocks begin anew."""

    command: float  # m/s and rad/s, below which both its parts count as zero
    phase: Array  # (1,) or (k,) cycles


@dataclass(frozen=True, eq=False)
class Clocks:
    """The gait's clocks: at time t each is at phase offset + t/period, in cycles."""

    period_s: float
    offset: Array  # (k,) cycles, one a clock
    still: Still | None  # None: the clocks run on


@dataclass(frozen=True, eq=False)
class PolicyContract:
    """What a policy's network takes and gives: position target = default + scale · clipped output, for the joints that it moves."""

    name: str
    robot: str
    rate_hz: float
    joint_names: tuple[str, ...]
    default_position: Array  # (n,) rad, in the order of `joint_names`, as the gains
    kp: Array  # (n,) N·m/rad
    kd: Array  # (n,) N·m·s/rad
    observed_joints: tuple[str, ...]
    action_joints: tuple[str, ...]  # (a,); the other joints are held at their default
    action_scale: Array  # (1,) or (a,) rad
    action_clip: float  # of the network's output
    terms: tuple[Term, ...]
    history: History
    clocks: Clocks | None

    def size(self, term: str) -> int:
        """How many numbers a term has in one period."""
        if term in FIXED_SIZES:
            return FIXED_SIZES[term]
        if term == "last_action":
            return len(self.action_joints)
        if term in ("joint_position", "joint_velocity"):
            return len(self.observed_joints)
        return 0 if self.clocks is None else len(self.clocks.offset)

    @property
    def observation_size(self) -> int:
        """How many numbers the network takes."""
        return sum(self.size(term.name) * term.history for term in self.terms)


def read_policy_contract(path: Path) -> PolicyContract:
    """Read a contract.

    Raises:
        ContractError: the file cannot be read, has another schema, or an entry is missing, unknown or not what it must be.
    """
    try:
        raw = read_toml(path)
    except ValueError as error:
        raise ContractError(f"policy contract {path}: cannot be read ({error}); give a readable TOML file") from error
    schema = raw.pop("schema", None)
    if schema != SCHEMA:
        raise ContractError(f'policy contract {path}: schema is {shown(schema)}; this version reads "{SCHEMA}"')
    try:
        contract = _parse(raw)
        _check_sizes(contract)
    except (ValueError, OverflowError) as error:
        raise ContractError(f"policy contract {path}: {error}; its entries are described in docs/learning.md") from error
    return contract


def check_robot(contract: PolicyContract, robot: RobotModel, file: str) -> None:
    """Refuse a contract that does not name each joint of the robot once.

    Raises:
        ContractError: one line: what differs.
    """
    if contract.robot != robot.name:
        raise ContractError(f"policy contract {file}: is for robot {contract.robot!r}, this is {robot.name!r}; give one for it")
    odd = sorted(set(contract.joint_names) ^ set(robot.joint_names))
    if odd:
        raise ContractError(f"policy contract {file}: joints.names must be those of robot {robot.name!r}; look at {', '.join(odd)[:200]}")


def _parse(raw: Mapping[str, Any]) -> PolicyContract:
    top: dict[str, Reader] = {"name": as_text, "robot": as_text, "rate_hz": as_quantity}
    readers = top | {"joints": _joints, "action": _action, "observation": _observation, "phase": _clocks}
    tables = read_table(readers, {"phase": None, **raw}, "contract")
    joints, action, observation = tables["joints"], tables["action"], tables["observation"]
    return PolicyContract(
        name=tables["name"],
        robot=tables["robot"],
        rate_hz=tables["rate_hz"],
        joint_names=joints["names"],
        default_position=joints["default_position"],
        kp=joints["kp"],
        kd=joints["kd"],
        observed_joints=observation["joints"] or joints["names"],
        action_joints=action["joints"] or joints["names"],
        action_scale=action["scale"],
        action_clip=action["clip"],
        terms=observation["terms"],
        history=observation["history"],
        clocks=tables["phase"],
    )


def _joints(value: Any, name: str) -> dict[str, Any]:
    gains = {"kp": as_array_not_negative, "kd": as_array_not_negative}
    return read_table({"names": as_names, "default_position": as_array, **gains}, value, name)


def _action(value: Any, name: str) -> dict[str, Any]:
    readers: dict[str, Reader] = {"joints": as_names, "scale": as_numbers, "clip": _clip}
    return read_table(readers, {"joints": [], "clip": inf, **as_table(value, name)}, name)


def _clip(value: Any, name: str) -> float:
    return inf if value == inf else as_quantity(value, name)


def _observation(value: Any, name: str) -> dict[str, Any]:
    readers: dict[str, Reader] = {"joints": as_names, "history": _history, "terms": _terms}
    return read_table(readers, {"joints": [], "history": {}, **as_table(value, name)}, name)


def _history(value: Any, name: str) -> History:
    choices = {"order": ("oldest_first", "newest_first"), "by": ("term", "frame"), "start": ("zeros", "first")}
    readers = {entry: partial(as_one_of, known=known) for entry, known in choices.items()}
    return History(**read_table(readers, {entry: known[0] for entry, known in choices.items()} | as_table(value, name), name))


def _terms(value: Any, name: str) -> tuple[Term, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} is not a list of terms")
    readers: dict[str, Reader] = {"name": partial(as_one_of, known=TERMS), "scale": as_numbers, "history": as_count}
    entries = [({"scale": 1.0, "history": 1} | as_table(item, f"{name}[{i}]"), f"{name}[{i}]") for i, item in enumerate(value)]
    return tuple(Term(**read_table(readers, entry, where)) for entry, where in entries)


def _clocks(value: Any, name: str) -> Clocks | None:
    if value is None:
        return None
    readers: dict[str, Reader] = {"period_s": as_quantity, "offset": as_array, "still": _still}
    return Clocks(**read_table(readers, {"still": None, **as_table(value, name)}, name))


def _still(value: Any, name: str) -> Still | None:
    if value is None:
        return None
    return Still(**read_table({"command": as_quantity, "phase": as_numbers}, value, name))


def _check_sizes(c: PolicyContract) -> None:
    n = len(c.joint_names)
    for what in ("default_position", "kp", "kd"):
        _demand(np.shape(getattr(c, what)) == (n,), f"joints.{what} has {np.size(getattr(c, what))} numbers, joints.names has {n}")
    for what, names in (("joints.names", c.joint_names), ("action.joints", c.action_joints), ("observation.joints", c.observed_joints)):
        odd = sorted({name for name in names if names.count(name) > 1} | set(names) - set(c.joint_names))
        _demand(not odd, f"{what} repeats, or has and joints.names has not, {', '.join(odd)[:200]}")
    _check_width("action.scale", c.action_scale, len(c.action_joints))
    for i, term in enumerate(c.terms):
        _demand(c.size(term.name) > 0, f"observation.terms[{i}] is {term.name}, which needs [phase]")
        _check_width(f"observation.terms[{i}].scale", term.scale, c.size(term.name))
    _demand(c.clocks is None or np.ndim(c.clocks.offset) == 1, "phase.offset is not a list of numbers, one a clock")
    if c.clocks is not None and c.clocks.still is not None:
        _check_width("phase.still.phase", c.clocks.still.phase, len(c.clocks.offset))
    alike = len({term.history for term in c.terms}) == 1
    _demand(c.history.by == "term" or alike, 'observation.history.by is "frame", for which every term must have the same history')


def _check_width(what: str, numbers: Array, size: int) -> None:
    _demand(np.shape(numbers) in ((1,), (size,)), f"{what} has {np.size(numbers)} numbers, it takes 1 or {size}")


def _demand(kept: bool, sentence: str) -> None:
    if not kept:
        raise ValueError(sentence)
