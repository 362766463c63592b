"""`poise demos export`: recorded runs as a dataset for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from .arguments import File, Folder

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Export:
    """Recorded runs as a LeRobot dataset, version 3.0: one episode a run, without videos."""

    runs: Positional[Annotated[tuple[str, ...], arg(metavar="RUN")]]
    """Folders of runs, their log.mcap, or folders with such folders."""
    out: Folder = "demos/lerobot"
    """New folder of the dataset."""
    fps: int = 50
    """Frames a second; at most the ticks a second that were recorded."""
    task: Annotated[str, arg(metavar="WORDS")] = "walk"
    """What is done in them, in words."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Read, sample and write."""
        from poise.learning.lerobot import frames_of, write_dataset
        from poise.robots import PoiseError, RecordError
        from poise.robots.record import read_log

        from .options import check_count, check_json, console_for
        from .output import Exit, print_result

        check_count("--fps", self.fps)
        check_json(self.json)
        out, episodes, robots = Path(self.out), [], set()
        if out.exists():
            raise PoiseError(f"--out {out}: exists; give a new folder")
        for path in recordings(self.runs):
            log = read_log(path)
            robots.add((log.robot, log.joint_names))
            try:
                episodes.append(frames_of(log, self.fps))
            except RecordError as error:
                raise RecordError(f"{path}: {error}") from error
        if len(robots) > 1:
            raise PoiseError("the recordings are of several robots; export those of each one by themselves")
        ((robot, joint_names),) = robots
        result = write_dataset(out, episodes, joint_names, robot, self.fps, self.task)
        print_result(f"dataset {out}", result, self.json, console_for(self.json))
        return Exit.HELD


def recordings(runs: Sequence[str]) -> list[Path]:
    """The recordings that are meant, each once, in the order of their names within a folder.

    Raises:
        PoiseError: one of the names leads to none.
    """
    from poise.robots import RecordError

    found: dict[Path, None] = {}
    for run in runs:
        path = Path(run)
        logs = [path] if path.is_file() else [path / "log.mcap"] if (path / "log.mcap").is_file() else sorted(path.glob("*/log.mcap"))
        if not logs:
            raise RecordError(f"{run}: no recording there; give the folder of a run, or one with such folders")
        found.update(dict.fromkeys(logs))
    return list(found)
