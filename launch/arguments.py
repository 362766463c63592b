"""Types of command-line arguments. Nothing heavy is imported here: `poise --help` reads it."""

from __future__ import annotations

from typing import Annotated, Literal

import tyro

DAY_S = 86400.0  # what goes on until somebody ends it lasts so long

Mode = Literal["hybrid", "model"]
Noise = Literal["nominal", "none", "hard"]
Record = Literal["brief", "full", "none"]
File = Annotated[str | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[str, tyro.conf.arg(metavar="DIR")]
Seeds = Annotated[str | None, tyro.conf.arg(metavar="0-4", help_behavior_hint="(default: one run)")]
Velocity = Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="VX VY WZ", help_behavior_hint="(default: 0.5 0 0)")]
Waypoint = Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="X Y YAW", help_behavior_hint="")]
Seconds = Annotated[float | None, tyro.conf.arg(metavar="S", help_behavior_hint="(default: 20; with --view until Ctrl-C)")]
Switch = tyro.conf.FlagCreatePairsOff[bool]
