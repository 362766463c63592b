"""Text files that a user hands in: whatever is wrong with one becomes a `ValueError` with a sentence."""

from __future__ import annotations

import json
import reprlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def shown(value: Any) -> str:
    """A value from a file for a sentence, cut short."""
    text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ValueError: it cannot be read, or is none.
    """
    table: dict[str, Any] = parsed(tomllib.loads, read_text(path))
    return table


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it cannot be read, or is none.
    """
    return parse_json(read_text(path))


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is none.
    """
    return parsed(json.loads, text)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def parsed(parse: Callable[[Any], Any], text: str | bytes) -> Any:
    """What a parser makes of a text.

    Raises:
        ValueError: the parser's own, or the text is nested deeper than a recursive parser can follow.
    """
    try:
        return parse(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
