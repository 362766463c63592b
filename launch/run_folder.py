"""The folder that a run leaves behind: configuration, recording, summary, report."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from poise.robots import RecordError
from poise.robots.plain import to_plain
from poise.robots.reading import read_json

VERSIONED = ("poise", "numpy", "mujoco", "pin", "osqp", "daqp", "onnxruntime")


@dataclass(frozen=True)
class RunFolder:
    """One run's folder; `create` makes a new one, `open` takes an existing one."""

    path: Path

    @classmethod
    def create(cls, root: str | Path = "runs", name: str = "run") -> RunFolder:
        """Make a new folder root/name-DATE-TIME; a number is added where it exists.

        Raises:
            RecordError: the folder cannot be made.
        """
        stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
        for count in range(1, 1000):
            path = Path(root) / (stem if count == 1 else f"{stem}-{count}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise RecordError(f"run folder {path}: cannot be made ({error.strerror}); give a folder that can be written") from error
            return cls(path)
        raise RecordError(f"run folder {root}/{stem}: a thousand of them exist; clear {root}")

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Take the folder of an earlier run.

        Raises:
            RecordError: there is no recording in it.
        """
        folder = cls(Path(path))
        if not folder.log.is_file():
            raise RecordError(f"run folder {path}: has no log.mcap; give the folder that a run has written, for example runs/walk-…")
        return folder

    @property
    def log(self) -> Path:
        """The recording."""
        return self.path / "log.mcap"

    @property
    def report(self) -> Path:
        """The report, a page for the browser."""
        return self.path / "report.html"

    def write_config(self, config: Any, seed: int) -> dict[str, Any]:
        """Write config.json: configuration, seed, versions, machine. Returns it, as the head of the recording."""
        content = {"config": to_plain(config), "seed": seed, "versions": versions(), "machine": platform.platform()}
        self._write("config.json", content)
        return content

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json."""
        self._write("summary.json", to_plain(summary))

    def read_summary(self) -> dict[str, Any]:
        """The summary; empty where the run ended before it was written.

        Raises:
            RecordError: summary.json is not JSON.
        """
        path = self.path / "summary.json"
        try:
            content = read_json(path) if path.exists() else {}
        except ValueError as error:
            raise RecordError(f"{path}: not readable as JSON ({error}); delete it to do without") from error
        if not isinstance(content, dict):
            raise RecordError(f"{path}: holds no table of results; delete it to do without")
        return content

    def _write(self, name: str, content: Any) -> None:
        path = self.path / name
        try:
            path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise RecordError(f"{path}: cannot be written ({error.strerror}); make room, or give another folder") from error


def versions() -> dict[str, str]:
    """Versions of what a run's result depends on."""
    return {package: version(package) for package in VERSIONED} | {"python": platform.python_version()}
