"""Many independent runs: in several processes, with a file of what is done, so that an interrupted batch goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from poise.learning.processes import finished
from poise.robots import RecordError
from poise.robots.plain import to_plain
from poise.robots.reading import parse_json

Case = Mapping[str, Any]
"""What tells one run of a batch from the others; its entries are in the run's result, too."""

Work = Callable[[Case], dict[str, Any]]
"""Does one run; picklable for more than one process."""


class Ledger:
    """A JSON-lines file: first the setup that all runs share, then one finished run a line.

    `remark` is a sentence where the last line was cut short, as by a crash: its run is not done.
    """

    def __init__(self, path: str | Path, setup: Mapping[str, Any]) -> None:
        """Open a file, or begin it.

        Raises:
            RecordError: it holds runs of another setup or a line that is none, or cannot be read or written.
        """
        self._path = Path(path)
        wanted = {"setup": to_plain(setup)}
        entries, cut = _entries(self._path) if self._path.exists() else ([], b"")
        if cut and not entries and not json.dumps(wanted).encode().startswith(cut):
            raise RecordError(f"{path}: cannot be used (its first line is damaged); begin another folder")
        if entries and entries[0] != wanted:
            raise RecordError(f"{path}: holds runs of another setup; give the options it was begun with, or another folder")
        self.remark = f"{path}: its last line was cut short; that run is done again" if cut else ""
        self.runs: list[dict[str, Any]] = entries[1:]
        self._write_whole([wanted, *self.runs])

    def has(self, case: Case) -> bool:
        """Whether a case is done."""
        return any(_is_of(run, case) for run in self.runs)

    def of(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """The finished runs of some cases."""
        return [run for run in self.runs if any(_is_of(run, case) for case in cases)]

    def add(self, run: dict[str, Any]) -> None:
        """Note a finished run, at once."""
        self.runs.append(to_plain(run))
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.runs[-1]) + "\n")
        except OSError as error:
            raise RecordError(f"{self._path}: cannot be written ({error.strerror}); make room, and go on with --resume") from error

    def _write_whole(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write the file anew, so that the next line begins one; through another file, so that an interruption loses no run."""
        partial = self._path.with_suffix(".partial")
        try:
            partial.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            raise RecordError(f"{self._path}: cannot be used ({error.strerror}); give a folder that can be written") from error


def read_ledger(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The setup and the finished runs of a file that a `Ledger` has written.

    Raises:
        RecordError: it cannot be read, or is no such file.
    """
    entries, _ = _entries(Path(path))
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


def _entries(path: Path) -> tuple[list[dict[str, Any]], bytes]:
    """The entries of a file, and its last line where that was cut short: it has no end, and is no entry.

    Raises:
        RecordError: it cannot be read, or another line is no entry.
    """
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); give a folder that a benchmark has written") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if (entry := _parsed(line)) is None:
            if number == 1:
                raise RecordError(f"{path}: not the runs of a benchmark (line 1 is damaged); give a folder that a benchmark has written")
            raise RecordError(f"{path}: line {number} is damaged; delete that line to have its run done again")
        entries.append(entry)
    whole = _parsed(last)
    return (entries, last) if whole is None else ([*entries, whole], b"")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line's entry; None for one that is none."""
    try:
        entry = parse_json(line.decode())
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
