"""`poise bench falls`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from .arguments import File, Mode
from .bench_runs import BatchFolder, MakeStack

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Falls(BatchFolder):
    """Falls that cannot be saved, from the same states limp, damped and as the stack falls: what hits the ground how hard."""

    seeds: Annotated[str, tyro.conf.arg(metavar="0-23")] = "0-23"
    """Pushes of 70 to 100 N·s at the torso, standing (even) and walking (odd), as 0-23 or 0,2,5."""
    mode: Mode = "model"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""

    def __call__(self) -> Exit:
        """Run what is not done yet, and report."""
        from poise.robots import load_robot
        from poise.robots.plant import compile_plant
        from poise.sim import MujocoBackend
        from poise.sim.protective_falls import FallWork, summarise

        from .options import console_for, parse_seeds
        from .output import Exit, print_rows, write_json
        from .run_folder import versions

        self.check()
        plant, make_stack = None if self.plant is None else Path(self.plant).resolve(), MakeStack(self.mode)
        work = FallWork(load_robot("g1"), make_stack, plant)
        MujocoBackend(work.robot, compile_plant(work.robot.description if plant is None else plant))  # what cannot be used is said first
        cases = [{"seed": seed} for seed in parse_seeds(self.seeds)]
        setup = {"schema": "poise.falls/1", "plant": plant, **asdict(make_stack), "versions": versions()}
        folder = self.folder("falls")
        runs = self.run(folder, work, cases, setup, _said)
        result = {"summary": self.summed(folder, summarise, runs), "runs": runs, **setup}
        rows: list[Mapping[str, Any]] = [_row(part, result["summary"]["medians"]) for part in result["summary"]["medians"]["limp"]]
        print_rows(f"medians of {result['summary']['falls']} falls: peak N, impulse N·s, speed m/s", rows, console_for(self.json))
        write_json(folder / "summary.json", result)
        if self.json is not None:
            write_json(self.json, result)
        return Exit.HELD


def _row(part: str, medians: dict[str, Any]) -> dict[str, Any]:
    return {"part": part} | {way: ", ".join(f"{value:.3g}" for value in of[part].values()) for way, of in medians.items()}


def _said(run: dict[str, Any]) -> str:
    return f"{run['seed']}: " + ("fell" if run["fell"] else "stands")
