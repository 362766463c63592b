"""Readers of JSON and TOML entries: each gives an entry in its type, or says in one line what it is instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from poise.robots.reading import shown
from poise.robots.types import Array

Reader = Callable[[Any, str], Any]
"""Takes a value and the name of its entry; raises ValueError where the value is not what the entry needs."""


def as_text(value: Any, name: str) -> str:
    """A text."""
    _demand(isinstance(value, str), name, value, "a text")
    return str(value)


def as_names(value: Any, name: str) -> tuple[str, ...]:
    """A list of texts."""
    _demand(isinstance(value, list) and all(isinstance(item, str) for item in value), name, value, "a list of texts")
    return tuple(value)


def as_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number from `least` on."""
    _demand(type(value) is int and value >= least, name, value, f"a whole number of at least {least}")
    return int(value)


def as_quantity(value: Any, name: str) -> float:
    """A finite number above 0."""
    _demand(type(value) in (int, float) and 0 < value < math.inf, name, value, "a finite number above 0")
    return float(value)


def as_table(value: Any, name: str) -> dict[str, Any]:
    """Entries by name, whatever they are."""
    _demand(isinstance(value, dict), name, value, "a table")
    return dict(value)


def as_array(value: Any, name: str) -> Array:
    """Finite numbers, in rows of the same length."""
    numbers = _numbers(value, name)
    _demand(bool(np.isfinite(numbers).all()), name, value, "finite throughout")
    return numbers


def as_array_not_negative(value: Any, name: str) -> Array:
    """Finite numbers of at least 0."""
    numbers = as_array(value, name)
    _demand(bool((numbers >= 0).all()), name, value, "at least 0 throughout")
    return numbers


def as_array_above_zero(value: Any, name: str) -> Array:
    """Finite numbers above 0."""
    numbers = as_array(value, name)
    _demand(bool((numbers > 0).all()), name, value, "above 0 throughout")
    return numbers


def as_numbers(value: Any, name: str) -> Array:
    """One finite number, or a list of them."""
    return as_array(value if isinstance(value, list) else [value], name)


def as_one_of(value: Any, name: str, known: Collection[str]) -> str:
    """One of some texts."""
    _demand(isinstance(value, str) and value in known, name, value, f"one of {', '.join(known)}")
    return str(value)


def read_table(readers: Mapping[str, Reader], value: Any, name: str) -> dict[str, Any]:
    """The entries of a table, each by its reader.

    Raises:
        ValueError: one of them is unknown, missing, or not what its reader needs.
    """
    entries = as_table(value, name)
    odd = {"lacks": readers.keys() - entries.keys(), "misspells": entries.keys() - readers.keys()}
    for verb, found in odd.items():
        if found:
            raise ValueError(f"{name} {verb} {shown(sorted(found))}")
    return {entry: readers[entry](item, f"{name}.{entry}") for entry, item in entries.items()}


def _numbers(value: Any, name: str) -> Array:
    try:
        numbers = np.array(value)
    except ValueError as error:  # numpy's own sentence does not name the entry
        raise ValueError(f"{name} has rows of different lengths") from error
    _demand(isinstance(value, list) and numbers.dtype.kind in "iuf", name, value, "a list of numbers")
    return numbers.astype(float)


def _demand(kept: bool, name: str, value: Any, wanted: str) -> None:
    if not kept:
        raise ValueError(f"{name} is {shown(value)}, not {wanted}")
