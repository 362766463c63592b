"""`poise demos`: generate, list, show and export demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg, subcommand

from .arguments import File, Folder
from .demos_export import Export

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Generate:
    """Let the operator model drive the robot in simulation; an interrupted set is completed by the same command."""

    episodes: int = 60
    """How many."""
    seed: int = 0
    """Of operators, pushes and noise."""
    seconds: float = 30.0
    """Of each episode, s."""
    out: Folder = "demos/g1"
    """Where the episodes are written."""
    robot: str = "g1"
    """Name of a robot."""
    processes: int = 2
    """How many episodes run at a time."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Generate what is missing."""
        from poise.learning import OperatorProposer, generate
        from poise.robots import PoiseError, load_robot

        from .episodes import DemonstrationEpisode
        from .options import check_count, check_json, check_seconds, console_for
        from .output import Exit, print_result
        from .progress import progress_bar

        check_count("--episodes", self.episodes)
        check_count("--seed", self.seed, 0)
        check_count("--processes", self.processes)
        check_seconds(self.seconds)
        check_json(self.json)
        out = Path(self.out)
        if out.exists() and not out.is_dir():
            raise PoiseError(f"--out {out}: is a file; give a folder")
        operator = OperatorProposer(load_robot(self.robot))
        with progress_bar("{task.completed:.0f} of {task.total:.0f} episodes") as bar:
            task = bar.add_task("demonstrations", total=self.episodes)

            def note(done: int, episodes: int) -> None:
                bar.update(task, completed=done)

            episode = DemonstrationEpisode(self.seconds)
            report = generate(operator, self.episodes, self.seed, self.seconds, episode, out, note, self.processes)
        print_result("demonstrations", report.__dict__, self.json, console_for(self.json))
        return Exit.HELD


@dataclass(frozen=True)
class ListSets:
    """Sets of demonstrations in a folder."""

    root: Positional[Annotated[str, arg(metavar="DIR")]] = "demos"
    """Folder with one folder a set."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Print one row a set."""
        from poise.robots import PoiseError

        from .options import check_json, console_for
        from .output import Exit, print_rows, write_json

        check_json(self.json)
        root = Path(self.root)
        if not root.is_dir():
            raise PoiseError(f"demonstrations {root}: no such folder; generate some with `poise demos generate`")
        sets = [{"path": str(path)} | totals(episode_heads(path)) for path in sorted(root.iterdir()) if any(path.glob(EPISODES))]
        print_rows(f"sets in {root}", list(sets), console_for(self.json))
        if self.json is not None:
            write_json(self.json, {"sets": sets})
        return Exit.HELD


@dataclass(frozen=True)
class Show:
    """Episodes of a set."""

    path: Positional[Annotated[str, arg(metavar="DIR")]]
    """Folder of the set."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Print one row an episode, and the totals."""
        from poise.robots import PoiseError

        from .options import check_json, console_for
        from .output import Exit, print_result, print_rows, write_json

        check_json(self.json)
        heads = episode_heads(Path(self.path))
        if not heads:
            raise PoiseError(f"demonstrations {self.path}: no episodes there; give the folder that `poise demos generate` wrote")
        console = console_for(self.json)
        print_rows(str(self.path), list(heads), console)
        print_result("in all", totals(heads), None, console)
        if self.json is not None:
            write_json(self.json, {"path": self.path, **totals(heads), "episodes": heads})
        return Exit.HELD


@dataclass(frozen=True)
class Demos:
    """Demonstrations: generate, list, show; export recorded runs."""

    action: (
        Annotated[Generate, subcommand("generate")]
        | Annotated[ListSets, subcommand("list")]
        | Annotated[Show, subcommand("show")]
        | Annotated[Export, subcommand("export")]
    )

    def __call__(self) -> Exit:
        """Do it."""
        return self.action()


EPISODES = "episode_*.npz"


def episode_heads(path: Path) -> list[dict[str, Any]]:
    """What the head of each episode file in a folder says.

    Raises:
        RecordError: one of them is unreadable.
    """
    from poise.learning.trace import ROW_S, read_header

    heads = [(file.name, read_header(file)) for file in sorted(path.glob(EPISODES))]
    return [
        {"file": name, "robot": h.get("robot"), "seed": h.get("seed"), "rows": h["rows"], "seconds": h["rows"] * ROW_S, "fell": h["fell"]}
        for name, h in heads
    ]


def totals(heads: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over episodes."""
    robots = sorted({str(head["robot"]) for head in heads})
    counts = {"rows": sum(head["rows"] for head in heads), "seconds": sum(head["seconds"] for head in heads)}
    return {"robot": ", ".join(robots), "count": len(heads), "fell": sum(head["fell"] for head in heads), **counts}
