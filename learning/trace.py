"""What one demonstration episode leaves: the situations met, and what was really executed; and its file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from poise.control.protocols import Proposer, Situation
from poise.robots import Intent, MotionProposal, RecordError
from poise.robots.reading import parse_json
from poise.robots.types import Array, Belief

SCHEMA = "poise.demonstrations/1"
ROW_S = 0.1
MOST_ROWS = 10**9  # three years
PHASES = ("stand", "shift", "step")
# Of each row, but for joints and arms, whose number is the robot's; numbers alone are not listed.
_SHAPES = {
    "twist": (3,), "dcm_offset_m": (2,), "torso_reference_rpy": (3,), "executed.footstep_offset": (2, 2),
    "belief.base_position_world": (3,), "belief.base_orientation_wxyz": (4,), "belief.base_velocity_world": (3,),
    "belief.base_angular_velocity_base": (3,), "belief.com_position_world": (3,), "belief.com_velocity_world": (3,),
    "belief.dcm_world": (2,),
    "belief.sole_position_world": (2, 3), "belief.sole_yaw": (2,), "belief.contact": (2,), "belief.foot_force_n": (2,),
    "belief.position_std_m": (3,), "belief.velocity_std_mps": (3,),
}  # fmt: skip
_PER_JOINT = ("joint_position", "joint_velocity"), ("arm_reference", "arm_reference_velocity")


@dataclass(frozen=True, eq=False)
class EpisodeTrace:
    """One episode at 10 Hz: a row is a situation (with the references in force) and the gait parameters in force."""

    seed: int
    situations: tuple[Situation, ...]
    step_duration_s: Array  # (m,)
    footstep_offset: Array  # (m, 2, 2) m
    fell: bool


class TraceRecorder:
    """Stands between a stack and its proposer and keeps what the proposer was asked; `note` what the stack then executed."""

    def __init__(self, proposer: Proposer) -> None:
        """Record what `proposer` is asked."""
        self._proposer = proposer
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Start an episode."""
        self._seed = seed
        self._rows: list[tuple[Situation, float, Array]] = []
        self._in_force: MotionProposal | None = None
        self._proposer.reset(seed)

    def note(self, in_force: MotionProposal | None) -> None:
        """Say, each tick, which proposal is in force (`Decision.proposal`)."""
        self._in_force = in_force

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """Ask the proposer, and keep a row every 0.1 s."""
        if not self._rows or situation.stamp_s >= self._rows[-1][0].stamp_s + ROW_S - 1e-6:
            motion = self._in_force
            duration = motion.step_duration_s if motion else situation.step_duration_s
            self._rows.append((situation, duration, motion.footstep_offset if motion else np.zeros((2, 2))))
        return self._proposer.propose(situation)

    def trace(self, fell: bool) -> EpisodeTrace:
        """The episode so far."""
        return EpisodeTrace(
            seed=self._seed,
            situations=tuple(row[0] for row in self._rows),
            step_duration_s=np.array([row[1] for row in self._rows]),
            footstep_offset=np.array([row[2] for row in self._rows]).reshape(-1, 2, 2),
            fell=fell,
        )


def save_trace(path: Path, trace: EpisodeTrace, header: Mapping[str, Any]) -> None:
    """Write an episode file whole or not at all; the header's entries (seeds, configuration) are kept as JSON."""
    arrays = _pack(trace.situations)
    executed = {"executed.step_duration_s": trace.step_duration_s, "executed.footstep_offset": trace.footstep_offset}
    own = {"schema": SCHEMA, "seed": trace.seed, "fell": trace.fell, "rows": len(trace.situations)}
    head = json.dumps(own | dict(header), sort_keys=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **{"header": np.array(head), **executed, **arrays})  # type: ignore[arg-type]
    partial.replace(path)


def read_header(path: Path) -> dict[str, Any]:
    """The header of an episode file.

    Raises:
        RecordError: not an episode file, or one of another schema.
    """
    with _open(path) as file:
        return _header(path, file)


def load_trace(path: Path) -> EpisodeTrace:
    """Read an episode file.

    Raises:
        RecordError: not an episode file, one of another schema, or an incomplete one.
    """
    with _open(path) as file:
        header = _header(path, file)
        try:
            arrays = {name: file[name] for name in file.files if name != "header"}
            _check_arrays(arrays, int(header["rows"]))
            return EpisodeTrace(
                seed=int(header["seed"]),
                situations=_unpack(arrays),
                step_duration_s=arrays["executed.step_duration_s"],
                footstep_offset=arrays["executed.footstep_offset"],
                fell=bool(header["fell"]),
            )
        except Exception as error:  # an archive with damage makes numpy, zipfile and zlib raise errors of many kinds
            said = " ".join(str(error).split())[:200]
            raise RecordError(f"demonstration {path}: incomplete ({said}); delete it and generate it again") from error


def _open(path: Path) -> Any:  # NpzFile is not a public type
    try:
        file = np.load(path, allow_pickle=False)
    except Exception as error:  # as above
        said = " ".join(str(error).split())[:200]
        raise RecordError(f"demonstration {path}: cannot be read ({said}); delete it and generate it again") from error
    if isinstance(file, np.ndarray):
        raise RecordError(f"demonstration {path}: has no header; delete it and generate it again")
    return file


def _header(path: Path, file: Any) -> dict[str, Any]:
    try:
        header = parse_json(str(file["header"]))
    except Exception as error:  # as above
        raise RecordError(f"demonstration {path}: has no header; delete it and generate it again") from error
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise RecordError(f'demonstration {path}: is not of schema "{SCHEMA}"; generate it again with this version')
    rows = header.get("rows")
    if type(header.get("seed")) is not int or type(header.get("fell")) is not bool or type(rows) is not int or not 0 <= rows < MOST_ROWS:
        raise RecordError(f"demonstration {path}: its header lacks seed, fell or rows; delete it and generate it again")
    return header


def _check_arrays(arrays: Mapping[str, Array], rows: int) -> None:
    """Refuse arrays that are not one row a situation, in its shape and of finite numbers.

    Raises:
        ValueError: with the first that is not.
    """
    joints, arms = (np.shape(arrays[names[0]])[1:] for names in _PER_JOINT)
    shapes = _SHAPES | dict.fromkeys(_PER_JOINT[0], joints) | dict.fromkeys(_PER_JOINT[1], arms)
    for name, array in arrays.items():
        given = name.startswith("intent.")  # what it leaves out is NaN, and Intent looks at the rest
        if array.shape[:1] != (rows,) or not (given or array.shape[1:] == shapes.get(name, ())):
            raise ValueError(f"{name} has shape {array.shape}")
        if array.dtype.kind not in ("U" if name == "phase" else "fiub") or not (given or name == "phase" or np.isfinite(array).all()):
            raise ValueError(f"{name} holds what is no finite number")
    if not set(arrays["phase"].tolist()) <= set(PHASES) or not set(arrays["stance"].tolist()) <= {0, 1}:
        raise ValueError("phase or stance is none that a walk has")
    if (np.diff(arrays["stamp_s"]) <= 0.0).any():
        raise ValueError("stamp_s does not rise")


def _pack(situations: Sequence[Situation]) -> dict[str, Array]:
    """One array a field, named `field`, `belief.field` or `intent.field`; what an intent leaves out is NaN."""
    plain = [f.name for f in fields(Situation) if f.name not in ("intent", "belief")]
    arrays = {name: np.array([getattr(s, name) for s in situations]) for name in plain}
    believed = [f.name for f in fields(Belief) if f.default is MISSING]  # the others are for the record of a run; no proposer looks at them
    arrays |= {f"belief.{name}": np.array([getattr(s.belief, name) for s in situations]) for name in believed}
    for field in fields(Intent):
        values = [getattr(s.intent, field.name) for s in situations]
        missing = np.full(np.shape(next((v for v in values if v is not None), np.nan)), np.nan)
        arrays[f"intent.{field.name}"] = np.array([missing if v is None else v for v in values])
    return arrays


def _unpack(arrays: Mapping[str, Array]) -> tuple[Situation, ...]:
    def part(prefix: str, i: int) -> dict[str, Any]:
        return {name.removeprefix(prefix): _plain(array[i]) for name, array in arrays.items() if name.startswith(prefix)}

    return tuple(
        Situation(
            **{f.name: _plain(arrays[f.name][i]) for f in fields(Situation) if f.name not in ("intent", "belief")},
            belief=Belief(**part("belief.", i)),
            intent=_intent(part("intent.", i)),
        )
        for i in range(len(arrays["stamp_s"]))
    )


def _plain(value: Any) -> Any:
    """Python scalars for scalar fields, arrays for the others."""
    return value.item() if np.ndim(value) == 0 else np.asarray(value)


def _intent(entries: Mapping[str, Any]) -> Intent:
    given = {name: value for name, value in entries.items() if not np.any(np.isnan(value))}
    given |= {name: tuple(value.tolist()) for name, value in given.items() if name in ("velocity", "waypoint", "torso_rpy")}
    return Intent(**given)
