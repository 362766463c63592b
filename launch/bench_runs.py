"""What benchmarks of many seeded runs share: their folder, going on with an interrupted one, progress, the stack that they build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Mode

if TYPE_CHECKING:
    from poise.control import Stack
    from poise.robots import RobotModel

RUNS_FILE = "runs.jsonl"


@dataclass(frozen=True)
class MakeStack:
    """Builds a stack of a mode; picklable, for runs in several processes."""

    mode: Mode

    def __call__(self, robot: RobotModel, seed: int) -> Stack:
        """The stack for a robot and a seed."""
        from .compose import build_stack

        return build_stack(robot, self.mode, seed=seed)


def folder_of(name: str, out: str, resume: str | None) -> Path:
    """A new folder of a benchmark, or the one to go on with.

    Raises:
        PoiseError: nothing was begun there.
    """
    from poise.robots import PoiseError

    from .run_folder import RunFolder

    if resume is None:
        return RunFolder.create(out, name).path
    folder = Path(resume)
    if not (folder / RUNS_FILE).is_file():
        raise PoiseError(f"--resume {folder}: no {name} there; give the folder that it has printed, for example runs/{name}-…")
    return folder


def show_progress(name: str, runs: Iterable[dict[str, Any]], done: int, total: int, said: Callable[[dict[str, Any]], str]) -> None:
    """Take every run as it is finished, with a bar that says what the last one came to."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, completed=done)
        for run in runs:
            progress.update(task, advance=1, description=f"{name}; last: {said(run)}")
