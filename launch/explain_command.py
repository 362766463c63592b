"""`poise explain`: why the robot did what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from .arguments import File

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Explain:
    """Say in sentences what the stack did at one time of a recorded run and why, and what caused what went wrong near it."""

    folder: Positional[Annotated[str, arg(metavar="RUN")]]
    """Folder of the run."""
    at: Annotated[float | None, arg(metavar="T", help_behavior_hint="(default: when something first went wrong, else the end)")] = None
    """Time in the run, s."""
    without: Annotated[str | None, arg(metavar="CAUSE", help_behavior_hint="(default: nothing is run)")] = None
    """Leave a cause out, by its name as explain lists it: the run is made again, and from a snapshot before the incident without it."""
    json: File = None
    """Write the whole decision, incident and causes there; - is standard output."""

    def __call__(self) -> Exit:
        """Print the sentences."""
        from .explain import explain
        from .options import check_json, check_numbers, console_for
        from .output import Exit, write_json
        from .progress import progress_bar

        check_json(self.json)
        if self.at is not None:
            check_numbers("--at", (self.at,))
        with progress_bar("{task.completed:.0f} s") as progress:
            task = progress.add_task("run again", total=None, visible=self.without is not None)
            told = explain(self.folder, self.at, self.without, lambda time_s: progress.update(task, completed=time_s))
        console_for(self.json).print("\n".join(told["sentences"]), soft_wrap=True, highlight=False, markup=False)
        if self.json is not None:
            write_json(self.json, told)
        return Exit.HELD
