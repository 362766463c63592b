"""Many independent runs: in several processes, with a file of what is done, so that an interrupted batch goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from poise.learning.processes import finished
from poise.robots import RecordError
from poise.robots.plain import to_plain

Case = Mapping[str, Any]
"""What tells one run of a batch from the others; its entries are in the run's result, too."""

Work = Callable[[Case], dict[str, Any]]
"""Does one run; picklable for more than one process."""


class Ledger:
    """A JSON-lines file: first the setup that all runs share, then one finished run a line."""

    def __init__(self, path: str | Path, setup: Mapping[str, Any]) -> None:
        """Open a file, or begin it.

        Raises:
            RecordError: it holds runs of another setup, or cannot be read or written.
        """
        self._path = Path(path)
        wanted = {"setup": to_plain(setup)}
        try:
            entries = _entries(self._path) if self._path.exists() else []
            if entries and entries[0] != wanted:
                raise RecordError(f"{path}: holds runs of another setup; give the options it was begun with, or another folder")
            self.runs: list[dict[str, Any]] = entries[1:]
            # Written anew: a line that an interruption cut short must not swallow the next one.
            self._path.write_text("".join(json.dumps(entry) + "\n" for entry in (wanted, *self.runs)), encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"{path}: cannot be used ({error}); give a folder that can be written") from error

    def has(self, case: Case) -> bool:
        """Whether a case is done."""
        return any(_is_of(run, case) for run in self.runs)

    def of(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """The finished runs of some cases."""
        return [run for run in self.runs if any(_is_of(run, case) for case in cases)]

    def add(self, run: dict[str, Any]) -> None:
        """Note a finished run, at once."""
        self.runs.append(to_plain(run))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.runs[-1]) + "\n")


def read_ledger(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The setup and the finished runs of a file that a `Ledger` has written.

    Raises:
        RecordError: it cannot be read, or is no such file.
    """
    try:
        entries = _entries(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); give a folder that a benchmark has written") from error
    if not entries or not isinstance(entries[0].get("setup"), dict):
        raise RecordError(f"{path}: not the runs of a benchmark; give a folder that a benchmark has written")
    return entries[0]["setup"], entries[1:]


def run_batch(work: Work, cases: Sequence[Case], ledger: Ledger, processes: int) -> Iterator[dict[str, Any]]:
    """Run the cases that are not in the ledger, note each when it is done, and yield it."""
    for run in finished(work, [case for case in cases if not ledger.has(case)], processes):
        ledger.add(run)
        yield run


def _is_of(run: Mapping[str, Any], case: Case) -> bool:
    return all(run.get(key) == value for key, value in case.items())


def _entries(path: Path) -> list[dict[str, Any]]:
    return [entry for line in path.read_text(encoding="utf-8").splitlines() if (entry := _parsed(line)) is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    """A line's entry; None for one that was cut short."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
