"""Two tables of ticks side by side: which fields differ, on how many ticks, from which on, and by how much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .types import Array

Rows = NDArray[np.intp]
Table = Mapping[str, Array]
"""`tick` (k,) and fields (k, ...) by name, as `Log.tick` and `TickTable.fields`."""


@dataclass(frozen=True)
class FieldDifference:
    """One field that is not the same in every bit; numbers are those of its first entry that differs."""

    field: str
    differing: int  # ticks on which it is not
    first_tick: int
    recorded: float  # NaN: unknown
    replayed: float
    largest: float  # over all ticks and entries; NaN where one of the two is never known


@dataclass(frozen=True)
class Differences:
    """What two tables that hold the same ticks differ in; fields in the order in which they begin to."""

    ticks: int  # compared
    missing: int  # that one of the two has not
    fields: tuple[FieldDifference, ...]

    @property
    def identical(self) -> bool:
        """Whether all ticks are there, and the same in every bit."""
        return not self.missing and not self.fields


def common(recorded: Table, replayed: Table) -> tuple[Rows, Rows]:
    """Rows of the ticks that both have."""
    _, mine, others = np.intersect1d(recorded["tick"], replayed["tick"], return_indices=True)
    return mine, others


def differences(recorded: Table, replayed: Table, dtype: str, names: Collection[str]) -> Differences:
    """Compare fields that both tables have in the same shape, as numbers of the recording's type."""
    mine, others = common(recorded, replayed)
    ticks = recorded["tick"][mine].astype(int)
    found = []
    for name in names:
        if len(ticks) and name in recorded and name in replayed and recorded[name].shape[1:] == replayed[name].shape[1:]:
            a, b = (table[name][rows].astype(dtype).reshape(len(ticks), -1) for table, rows in ((recorded, mine), (replayed, others)))
            found.append(_difference(name, ticks, a, b))
    fields = sorted((field for field in found if field), key=lambda field: field.first_tick)
    return Differences(len(ticks), len(recorded["tick"]) + len(replayed["tick"]) - 2 * len(ticks), tuple(fields))


def _difference(name: str, ticks: Rows, recorded: Array, replayed: Array) -> FieldDifference | None:
    bits = f"i{recorded.itemsize}"
    unlike = recorded.view(bits) != replayed.view(bits)
    rows = np.flatnonzero(unlike.any(axis=1))
    if not len(rows):
        return None
    entry = rows[0], int(np.flatnonzero(unlike[rows[0]])[0])
    with np.errstate(invalid="ignore"):  # of two infinities
        apart = np.abs(recorded - replayed)
    largest = float("nan") if np.isnan(apart).all() else float(np.nanmax(apart))
    return FieldDifference(name, len(rows), int(ticks[rows[0]]), float(recorded[entry]), float(replayed[entry]), largest)
