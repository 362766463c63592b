"""What benchmarks of many seeded runs share: their folder, going on with an interrupted one, progress, the controller that they build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from .arguments import File, Mode

if TYPE_CHECKING:
    from rich.console import Console

    from poise.control import Stack
    from poise.learning.policy import PolicyController
    from poise.robots import RobotModel
    from poise.sim.batch import Case, Work

T = TypeVar("T")
Said = Callable[[dict[str, Any]], str]
"""What the last run came to, in some words."""

RUNS_FILE = "runs.jsonl"
FALLS = "falls"


@dataclass(frozen=True)
class MakeStack:
    """Builds a stack of a mode; picklable, for runs in several processes."""

    mode: Mode
    certified: bool = True

    def __call__(self, robot: RobotModel, seed: int) -> Stack:
        """The stack for a robot and a seed."""
        from .compose import build_stack

        return build_stack(robot, self.mode, seed=seed, certified=self.certified)


@dataclass(frozen=True)
class MakePolicy:
    """Builds the controller of a foreign policy; picklable, for runs in several processes."""

    policy: str
    contract: str
    mode: str = "learned"

    def __call__(self, robot: RobotModel, seed: int) -> PolicyController:
        """The controller for a robot; the policy draws nothing from the seed."""
        from poise.learning.policy import PolicyController

        return PolicyController(robot, self.policy, self.contract)


@dataclass(frozen=True)
class BatchFolder:
    """Options of any benchmark of many runs: how many at a time, and where they are kept."""

    processes: int = 0
    """Runs at a time; 0: one a processor."""
    resume: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of an interrupted run with the same options, to go on with."""
    out: str = "runs"
    """Where the run folder is made."""
    json: File = None
    """Write the result there; - is standard output."""

    def check(self) -> None:
        """Refuse options that cannot be used, before the work begins.

        Raises:
            PoiseError: one of them is such a one.
        """
        from .options import check_count, check_json

        check_json(self.json)
        check_count("--processes", self.processes, least=0)

    def folder(self, name: str) -> Path:
        """A new folder of a benchmark, or the one to go on with.

        Raises:
            PoiseError: nothing was begun there.
        """
        from poise.robots import PoiseError

        from .run_folder import RunFolder

        if self.resume is None:
            return RunFolder.create(self.out, name).path
        folder = Path(self.resume)
        if not (folder / RUNS_FILE).is_file():
            raise PoiseError(f"--resume {folder}: no {name} there; give the folder that it has printed, for example runs/{name}-…")
        return folder

    def run(self, folder: Path, work: Work, cases: Sequence[Case], setup: Mapping[str, Any], said: Said) -> list[dict[str, Any]]:
        """Do the cases that are not done yet; the results of all cases."""
        import os

        from poise.sim.batch import Ledger, run_batch

        from .options import console_for

        ledger = Ledger(folder / RUNS_FILE, setup)
        words = f"every finished run is kept; after an interruption go on with --resume {folder}"
        for line in filter(None, (ledger.remark, words)):
            console_for(self.json).print(line, soft_wrap=True, highlight=False)
        batch = run_batch(work, cases, ledger, self.processes or os.cpu_count() or 1)
        _show_progress(folder.name, batch, sum(map(ledger.has, cases)), len(cases), said)
        return ledger.of(cases)

    def summed(self, folder: Path, summarise: Callable[[Sequence[dict[str, Any]]], T], runs: Sequence[dict[str, Any]]) -> T:
        """What runs come to.

        Raises:
            RecordError: one that an earlier run of the command has left is not as this version writes it.
        """
        from poise.robots import RecordError

        try:
            return summarise(runs)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            if self.resume is None:
                raise
            sentence = f"{folder / RUNS_FILE}: a run in it is damaged ({type(error).__name__}: {error})"
            raise RecordError(f"{sentence}; delete its line to have it done again") from error


@dataclass(frozen=True)
class BatchOptions(BatchFolder):
    """Options of a benchmark of controllers."""

    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones. Of the stack, which --policy replaces."""
    certifier: Literal["on", "off"] = "on"
    """off: the stack sends whatever it asks for, to see what the certifier changes."""
    policy: File = None
    """Measure a locomotion policy of somebody else's instead, ONNX; its results have mode learned."""
    contract: File = None
    """What that policy takes and gives, TOML."""

    def make_stack(self) -> MakeStack | MakePolicy:
        """What builds the controller that is measured.

        Raises:
            PoiseError: a policy without its contract, a contract without its policy, or a mode of the stack that neither has.
        """
        from poise.robots import PoiseError

        if self.policy is None and self.contract is None:
            return MakeStack(self.mode, self.certifier == "on")
        if self.policy is None or self.contract is None:
            raise PoiseError("--policy and --contract go together: give the ONNX file and the TOML file that says what it takes and gives")
        if self.mode == "model":
            raise PoiseError("--mode model and --policy exclude each other: the policy replaces the stack; leave one of them out")
        return MakePolicy(str(Path(self.policy).resolve()), str(Path(self.contract).resolve()))


def print_falls(folder: Path, console: Console) -> None:
    """Say where the recordings of falls are, if there are any."""
    if (folder / FALLS).exists():
        words = f"each fall has a folder in {folder / FALLS}: poise replay runs one again, poise explain says what was done"
        console.print(words, soft_wrap=True, highlight=False)


def _show_progress(name: str, runs: Iterable[dict[str, Any]], done: int, total: int, said: Callable[[dict[str, Any]], str]) -> None:
    """Take every run as it is finished, with a bar that says what the last one came to."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, completed=done)
        for run in runs:
            progress.update(task, advance=1, description=f"{name}; last: {said(run)}")
