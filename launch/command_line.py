"""What `poise` can be asked on the command line. What a command needs is imported when it runs."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import subcommand

from .bench import Realtime, Tour
from .bench_compare import Compare
from .bench_deployment import DeploymentFaults
from .bench_falls import Falls
from .bench_locomotion import Locomotion
from .bench_loop import Loop
from .bench_safety import Safety
from .demo import Demo
from .demos import Demos
from .deploy import Deploy
from .explain_command import Explain
from .record import Record
from .replay import Replay
from .robots import Robots
from .simulate import Simulate
from .teleop import Teleop
from .train import Train
from .walk import Walk

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Bench:
    """Benchmarks: locomotion, tour, realtime, loop, safety, falls, deployment; and their runs side by side."""

    action: (
        Annotated[Locomotion, subcommand("locomotion")]
        | Annotated[Tour, subcommand("tour")]
        | Annotated[Realtime, subcommand("realtime")]
        | Annotated[Loop, subcommand("loop")]
        | Annotated[Safety, subcommand("safety")]
        | Annotated[Falls, subcommand("falls")]
        | Annotated[DeploymentFaults, subcommand("deployment")]
        | Annotated[Compare, subcommand("compare")]
    )

    def __call__(self) -> Exit:
        """Do it."""
        return self.action()


Command = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Walk, subcommand("walk")]
    | Annotated[Teleop, subcommand("teleop")]
    | Annotated[Explain, subcommand("explain")]
    | Annotated[Replay, subcommand("replay")]
    | Annotated[Deploy, subcommand("deploy")]
    | Annotated[Record, subcommand("record")]
    | Annotated[Simulate, subcommand("simulate")]
    | Annotated[Robots, subcommand("robots")]
    | Annotated[Demos, subcommand("demos")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Bench, subcommand("bench")]
)

DESCRIPTION = "A hybrid, physics-informed control stack for humanoids."
KNOWN = "Available subcommands: "  # what tyro writes before their names


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
            words, said = sys.argv[1:] if arguments is None else arguments, one_line(errors.getvalue())
            known = takewhile(lambda word: not word.startswith("-") and not said.startswith(f"unknown command {word!r}"), words)
            command = " ".join(["poise", *known][:3])
            print(f"poise: {said.replace('poise --help', f'{command} --help')}", file=sys.stderr)
        raise


def one_line(box: str) -> str:
    """The sentence of a usage error, and where help is, out of the box that it is drawn in."""
    rows = [re.sub(r"^[│╭╰]\s?|\s*[│╮╯]$", "", row).strip() for row in box.splitlines()]
    groups = (" ".join(filter(None, group)) for rule, group in groupby(rows, lambda row: row.startswith("─")) if not rule)
    sentence, *hints = [group.partition(" Got errors:")[0].rstrip(".") for group in groups if group]
    known = next((hint for hint in hints if hint.startswith(KNOWN)), None)
    if known:  # where a command belongs, whatever else stands there is called an option
        odd = sentence.partition(": ")[2].split()[0].rstrip(",")
        sentence = f"unknown command {odd!r}; known: {known.removeprefix(KNOWN)}"
    return "; ".join((sentence, *hints[-1:]))
