"""`poise bench compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from .arguments import File

if TYPE_CHECKING:
    from .comparison import BenchRun, Row
    from .output import Exit


@dataclass(frozen=True)
class Compare:
    """Runs of `bench locomotion` and `bench tour` side by side: a page, and the main figures with their differences from the first."""

    folders: Positional[Annotated[tuple[str, ...], arg(metavar="RUN", help_behavior_hint="")]]
    """Folders that the benchmarks have written; the first of each kind is what the others are held against."""
    out: str = "runs"
    """Where the folder of the page is made."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Read, lay out, print."""
        from poise.robots import PoiseError

        from .bench_figures import locomotion_figures, tour_figures
        from .compare_page import render
        from .comparison import check_figures, compare, read_run
        from .options import check_json, console_for
        from .output import Exit, write_json, write_page
        from .run_folder import RunFolder

        check_json(self.json)
        if len(self.folders) < 2:
            raise PoiseError("bench compare: give the folders of two runs or more")
        runs = [read_run(folder, _letter(k)) for k, folder in enumerate(self.folders)]
        kinds = {}
        for kind, figures in (("locomotion", locomotion_figures()), ("tour", tour_figures())):
            if of := [run for run in runs if run.kind == kind]:
                for run in of:
                    check_figures(run, figures)
                kinds[kind] = (of, compare(of, figures))
        folder = RunFolder.create(self.out, "compare")
        for kind, compared in kinds.items():
            self._print(kind, *compared)
        write_page(folder.report, render(kinds))
        result = {
            "runs": [{"name": run.name, "folder": str(run.folder), "kind": run.kind, "setup": run.setup} for run in runs],
            "figures": [_plain(kind, row) for kind, (_, rows) in kinds.items() for row in rows],
        }
        folder.write_summary(result)
        console_for(self.json).print(f"page: {folder.report.resolve()}", soft_wrap=True, highlight=False)
        if self.json is not None:
            write_json(self.json, result)
        return Exit.HELD

    def _print(self, kind: str, runs: Sequence[BenchRun], rows: Sequence[Row]) -> None:
        from .compare_page import cells, heads
        from .options import console_for
        from .output import print_rows

        console = console_for(self.json)
        for run in runs:
            console.print(f"{run.name}: {run.folder}", soft_wrap=True, highlight=False)
        named = ((f"{row.figure.group}: {row.figure.name}", row) for row in rows if row.figure.headline)
        columns = heads(runs)
        print_rows(kind, [{"figure": name, **dict(zip(columns, cells(runs, row), strict=True))} for name, row in named], console)


def _letter(k: int) -> str:
    return chr(ord("A") + k) if k < 26 else f"run {k + 1}"


def _plain(kind: str, row: Row) -> dict[str, Any]:
    name = {"kind": kind, "group": row.figure.group, "figure": row.figure.name}
    return {
        **name,
        "values": {run: asdict(value) for run, value in row.values.items()},
        "changes": {run: asdict(change) for run, change in row.changes.items()},
    }
