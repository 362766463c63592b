"""What `poise` can be asked on the command line. What a command needs is imported when it runs."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import subcommand

from .bench import Realtime, Tour
from .demo import Demo
from .demos import Demos
from .explain_command import Explain
from .robots import Robots
from .train import Train
from .walk import Walk

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Bench:
    """Benchmarks: tour, realtime."""

    action: Annotated[Tour, subcommand("tour")] | Annotated[Realtime, subcommand("realtime")]

    def __call__(self) -> Exit:
        """Do it."""
        return self.action()


Command = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Walk, subcommand("walk")]
    | Annotated[Explain, subcommand("explain")]
    | Annotated[Robots, subcommand("robots")]
    | Annotated[Demos, subcommand("demos")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Bench, subcommand("bench")]
)

DESCRIPTION = "A hybrid, physics-informed control stack for humanoids."


def parse(arguments: list[str] | None = None) -> Command:
    """The command that the command line asks for.

    Raises:
        SystemExit: after --help (0), or with one line on stderr (2).
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
            return tyro.cli(Command, args=arguments, prog="poise", description=DESCRIPTION, config=config)
    except SystemExit as end:
        if end.code:
            print(f"poise: {one_line(errors.getvalue())}", file=sys.stderr)
        raise


def one_line(box: str) -> str:
    """The sentence of a usage error, and where help is, out of the box that it is drawn in."""
    rows = [re.sub(r"^[│╭╰]\s?|\s*[│╮╯]$", "", row).strip() for row in box.splitlines()]
    rule = next((i for i, row in enumerate(rows) if row and set(row) == {"─"}), len(rows))
    sentence = " ".join(row for row in rows[:rule] if row and not row.startswith("─")).partition(" Got errors:")[0].rstrip(".")
    return f"{sentence}; {rows[-2].rstrip('.')}" if rule < len(rows) - 1 else sentence
