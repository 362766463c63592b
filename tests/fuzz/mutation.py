"""Sound things made unsound: values, tables, files and bytes that are nearly what they should be, and the property that all readers share.

`POISE_FUZZ=2000 pytest tests/fuzz` draws so many examples for each target, other ones each time; without it a few, always the same.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from poise.robots import PoiseError

T = TypeVar("T")
Path_ = tuple[Any, ...]  # keys and indices from the root of a tree

EXAMPLES = int(os.environ.get("POISE_FUZZ", "0"))
HUGE = 10**400  # a number beyond all floats
DEEP = "[" * 3000 + "]" * 3000  # deeper than a recursive reader can go
ODD_NUMBERS = (0, -1, 1, 2, 3, 10**6, HUGE, 0.0, -0.5, 1e-300, 1e12, 1e300, math.nan, math.inf, -math.inf)
ODD_VALUES: tuple[Any, ...] = (
    *ODD_NUMBERS,
    True,
    False,
    "",
    "x",
    "nan",
    "two\nlines",
    "ß☃",
    [],
    [[]],
    [1.0],
    [math.nan] * 3,
    [[1.0], [1.0, 2.0]],
    {},
    {"x": 1},
)


def fuzzed(few: int) -> settings:
    """Settings of a fuzz test: a few fixed examples in the suite, as many as `POISE_FUZZ` says and new ones each time by hand."""
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=bool(EXAMPLES),
    )


def places(tree: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Every place in a nesting of tables and lists, the root left out; of a long list its ends."""
    if isinstance(tree, dict):
        inner: list[Any] = list(tree)
    else:
        inner = sorted({0, 1, len(tree) - 1} & set(range(len(tree)))) if isinstance(tree, list) else []
    for key in inner:
        yield (*here, key)
        yield from places(tree[key], (*here, key))


@st.composite
def spoilt(draw: st.DrawFn, tree: Any, odd: tuple[Any, ...] = ODD_VALUES, most: int = 2) -> Any:
    """A tree of tables and lists with one to `most` of its places left out, renamed, repeated, or holding something else."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        every = list(places(tree))
        if not every:
            break
        *way, key = draw(st.sampled_from(every))
        holder = tree
        for step in way:
            holder = holder[step]
        _spoil(draw, holder, key, odd)
    return tree


def _spoil(draw: st.DrawFn, holder: Any, key: Any, odd: tuple[Any, ...]) -> None:
    how = draw(st.sampled_from(("put", "put", "put", "drop", "rename", "repeat", "wrap", "scale")))
    value = holder[key]
    if how == "drop":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from(("x", "default", "*", "[", "two\nlines", f"{key}s")))] = holder.pop(key)
    elif how == "repeat" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
    elif how == "wrap":
        holder[key] = [value]
    elif how == "scale" and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < HUGE:
        holder[key] = value * draw(st.sampled_from((-1, 0.5, 1e3, 1e9)))
    else:
        holder[key] = copy.deepcopy(draw(st.sampled_from(odd)))


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes that were cut short, or some of which were flipped, lost, doubled or overwritten."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(("cut", "flip", "flip", "lose", "double", "write", "zero")))
        size = draw(st.sampled_from((1, 2, 4, 8, 64, 1000)))
        if how == "cut":
            data = data[:at]
        elif how == "flip":
            data = data[:at] + bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1]) + data[at + 1 :]
        elif how == "lose":
            data = data[:at] + data[at + size :]
        elif how == "double":
            data = data[: at + size] + data[at:]
        else:
            new = (
                bytes(size) if how == "zero" else draw(st.sampled_from((b"\xff" * 8, b"\n", b"\x00", b"[[[[", b'"', b"\xf0\x9f", b"1e999")))
            )
            data = data[:at] + new + data[at + len(new) :]
    return data


def texts(text: str) -> st.SearchStrategy[bytes]:
    """A text file's bytes, damaged."""
    return damaged(text.encode())


def toml(table: dict[str, Any]) -> str:
    """A table as TOML: its own entries a line each, what is inside them inline."""
    return "\n".join(f"{_word(key)} = {_toml(value)}" for key, value in table.items()) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_word(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _word(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def one_sentence(error: Exception, *named: object) -> None:
    """A message that the command line can print: one line, not endless, that names what is to be mended."""
    said = str(error)
    assert said and said.isprintable(), repr(said)
    assert len(said) < 1000, said
    assert all(str(name) in said for name in named), f"{named} not in: {said}"


def read_or_refused(read: Callable[[], T], *named: object) -> T | None:
    """What is read, or None where it is refused as all files are: by a `PoiseError` in one line that names the file."""
    try:
        return read()
    except PoiseError as error:
        one_sentence(error, *named)
        return None


@lru_cache
def root() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]
