"""What a command prints, writes and returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from poise.robots import PoiseError
from poise.robots.plain import to_plain

from .labels import label


class Exit(IntEnum):
    """Exit status of every command."""

    HELD = 0  # done, and the robot held
    FAILED = 1  # ran, and the robot fell, a bound was broken, or the result is worse than its baseline
    UNUSABLE = 2  # unusable input
    INTERRUPTED = 130  # by the user; what was done is kept


def run_command(command: Callable[[], Exit]) -> int:
    """Run a command; unusable input becomes one line on stderr and status 2."""
    try:
        return int(command())
    except PoiseError as error:
        print(f"poise: {error}", file=sys.stderr)
        return int(Exit.UNUSABLE)


def write_json(path: str | Path, result: Mapping[str, Any]) -> None:
    """Write a result as JSON; "-" is standard output.

    Raises:
        PoiseError: the file cannot be written.
    """
    text = json.dumps(to_plain(result), indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PoiseError(f"--json {path}: cannot be written ({error.strerror}); give a file in a folder that exists") from error


def write_page(path: Path, page: str) -> None:
    """Write a page into a run's folder.

    Raises:
        PoiseError: it cannot be written.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PoiseError(f"{path}: cannot be written ({error.strerror}); make room, or give another --out") from error


def print_result(title: str, result: Mapping[str, Any], json_path: str | Path | None = None, console: Console | None = None) -> None:
    """Print a result as a table of labels and values; write it, under its own names, to json_path where given."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in flatten(to_plain(result)):
        table.add_row(label(name), show(value))
    (console or Console()).print(table)
    if json_path is not None:
        write_json(json_path, result)


def print_rows(title: str, rows: list[Mapping[str, Any]], console: Console | None = None) -> None:
    """Print results of the same kind as a table with one row each."""
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(name for row in rows for name, _ in flatten(to_plain(row))))
    for column in columns:
        table.add_column(label(column), justify="right")
    for row in rows:
        values = dict(flatten(to_plain(row)))
        table.add_row(*(show(values.get(column)) for column in columns))
    (console or Console()).print(table)


def flatten(result: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names joined by dots, and values that are no mapping; lists of mappings are left out (they are for --json)."""
    for key, value in result.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif not (isinstance(value, list) and value and isinstance(value[0], Mapping)):
            yield name, value


def show(value: Any) -> str:
    """A value for people: three significant digits, yes and no, none for an empty list, a dash for what is unknown."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value) or "none"
    return str(value)
