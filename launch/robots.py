"""`poise robots`: which robots there are, whether one is described soundly, and what of it touches itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg, subcommand

from .arguments import File

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class ListRobots:
    """The robots that are known by name."""

    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Print one row a robot."""
        from poise.robots import ROBOTS, load_robot

        from .options import check_json, console_for
        from .output import Exit, print_rows, write_json

        check_json(self.json)
        loaded = [load_robot(name) for name in ROBOTS]
        rows = [{"name": r.name, "joints": r.n, "mass_kg": r.mass, "description": str(r.description)} for r in loaded]
        print_rows("robots", list(rows), console_for(self.json))
        if self.json is not None:
            write_json(self.json, {"robots": rows})
        return Exit.HELD


@dataclass(frozen=True)
class CheckRobot:
    """Check a description, its overlay and its plant against each other; status 1 where there are findings."""

    name: Positional[Annotated[str, arg(metavar="NAME")]]
    """Name of a robot, or its MJCF or URDF (with --overlay)."""
    overlay: File = None
    """Overlay of a robot that is given by a file."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Print the findings."""
        from .options import check_json, console_for
        from .output import Exit, print_result

        check_json(self.json)
        found = findings(self.name, self.overlay)
        print_result("robot", {"name": self.name, "ok": not found, "findings": found}, self.json, console_for(self.json))
        return Exit.FAILED if found else Exit.HELD


@dataclass(frozen=True)
class Pairs:
    """Bodies of a robot that touch each other in postures drawn from its joints' ranges, first those that no capsules see."""

    name: Positional[Annotated[str, arg(metavar="NAME")]]
    """Name of a robot, or its MJCF or URDF (with --overlay)."""
    overlay: File = None
    """Overlay of a robot that is given by a file."""
    postures: int = 2000
    """How many are drawn."""
    seed: int = 0
    """Of the postures."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Print one row a pair."""
        from poise.robots import load_robot
        from poise.robots.touching import touching

        from .options import check_count, check_json, console_for
        from .output import Exit, print_rows, write_json

        check_count("--postures", self.postures)
        check_count("--seed", self.seed, 0)
        check_json(self.json)
        rows = [asdict(touch) for touch in touching(load_robot(self.name, self.overlay), self.postures, self.seed)]
        console, unseen = console_for(self.json), [row for row in rows if row["unseen"]]
        print_rows("bodies that touch, and that do so while no capsules of theirs are near, as shares of postures", list(unseen), console)
        console.print(f"{len(rows) - len(unseen)} more pairs touch, but never while no capsules of theirs are near", highlight=False)
        if self.json is not None:
            write_json(self.json, {"pairs": rows})
        return Exit.HELD


@dataclass(frozen=True)
class Robots:
    """Robots: list, check, pairs of bodies that touch."""

    action: Annotated[ListRobots, subcommand("list")] | Annotated[CheckRobot, subcommand("check")] | Annotated[Pairs, subcommand("pairs")]

    def __call__(self) -> Exit:
        """Do it."""
        return self.action()


def findings(name: str, overlay: str | None = None) -> list[str]:
    """What is wrong with a robot, a sentence each: its description, then how its plant keeps the backend contract.

    Raises:
        RobotDescriptionError: there is no such robot or file, or a file came without an overlay.
    """
    from poise.robots import ROBOTS, RobotDescriptionError, load_robot
    from poise.robots.conformance import check_backend
    from poise.sim import MujocoBackend

    try:
        robot = load_robot(name, overlay)
    except RobotDescriptionError as error:
        complete = overlay is not None and Path(overlay).is_file() and (name in ROBOTS or Path(name).is_file())
        if not complete:
            raise
        return [str(error)]
    return check_backend(lambda: MujocoBackend(robot), robot)
