"""What one demonstration episode leaves: the situations met, and what was really executed; and its file."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from poise.control.protocols import Proposer, Situation
from poise.robots import Intent, MotionProposal, RecordError
from poise.robots.types import Array, Belief

SCHEMA = "poise.demonstrations/1"
ROW_S = 0.1


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
    head = json.dumps({"schema": SCHEMA, "seed": trace.seed, "fell": trace.fell, **header}, sort_keys=True)
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
            return EpisodeTrace(
                seed=int(header["seed"]),
                situations=_unpack({name: file[name] for name in file.files if name != "header"}),
                step_duration_s=file["executed.step_duration_s"],
                footstep_offset=file["executed.footstep_offset"],
                fell=bool(header["fell"]),
            )
        except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise RecordError(f"demonstration {path}: incomplete ({error}); delete it and generate it again") from error


def _open(path: Path) -> Any:  # NpzFile is not a public type
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(f"demonstration {path}: cannot be read ({error}); delete it and generate it again") from error


def _header(path: Path, file: Any) -> dict[str, Any]:
    try:
        header = json.loads(str(file["header"]))
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        raise RecordError(f"demonstration {path}: has no header; delete it and generate it again") from error
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise RecordError(f'demonstration {path}: is not of schema "{SCHEMA}"; generate it again with this version')
    return header


def _pack(situations: Sequence[Situation]) -> dict[str, Array]:
    """One array a field, named `field`, `belief.field` or `intent.field`; what an intent leaves out is NaN."""
    plain = [f.name for f in fields(Situation) if f.name not in ("intent", "belief")]
    arrays = {name: np.array([getattr(s, name) for s in situations]) for name in plain}
    arrays |= {f"belief.{f.name}": np.array([getattr(s.belief, f.name) for s in situations]) for f in fields(Belief)}
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
