"""`poise bench locomotion`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .arguments import File, Mode

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Locomotion:
    """Tracking of velocities, and the largest push that is survived, in eight directions at three timings of the stride."""

    seeds: Annotated[str, tyro.conf.arg(metavar="0-19")] = "0-19"
    """Start postures and noises, as 0-19 or 0,2,5."""
    cases: Annotated[str, tyro.conf.arg(metavar="CASE,…")] = "tracking,push"
    """tracking: each velocity for 15 s; push: walking and standing, upward in steps of 5 N·s to the first fall."""
    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""
    noise: Literal["none", "nominal", "hard"] = "nominal"
    """Of the sensors."""
    friction: float = 0.8
    """Of the feet on the ground."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    processes: int = 0
    """Runs at a time; 0: one a processor."""
    resume: File = None
    """Folder of an interrupted run with the same options, to go on with."""
    out: str = "runs"
    """Where the run folder is made."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run what is not done yet, and report."""
        import os

        from poise.robots import load_robot
        from poise.sim.batch import Ledger, run_batch
        from poise.sim.locomotion import LocomotionConfig, LocomotionWork, summarise

        from .bench_runs import RUNS_FILE, MakeStack, folder_of, show_progress
        from .options import check_count, check_json, console_for
        from .output import Exit, print_rows, write_json
        from .run_folder import versions

        check_json(self.json)
        check_count("--processes", self.processes, least=0)
        cases = self._cases()
        config = LocomotionConfig(None if self.plant is None else Path(self.plant), self.noise, self.friction)
        work = LocomotionWork(load_robot("g1"), MakeStack(self.mode), config)
        work.backend(work.make_stack(work.robot, 0).period_s)  # unusable input is said before the work begins
        setup = {"locomotion": asdict(config), "mode": self.mode, "versions": versions()}
        folder = folder_of("locomotion", self.out, self.resume)
        ledger, console = Ledger(folder / RUNS_FILE, setup), console_for(self.json)
        console.print(f"every finished run is kept; after an interruption go on with --resume {folder}", soft_wrap=True, highlight=False)
        runs = run_batch(work, cases, ledger, self.processes or os.cpu_count() or 1)
        show_progress("locomotion", runs, sum(map(ledger.has, cases)), len(cases), _said)
        done = ledger.of(cases)
        rows = summarise(done)
        for case in dict.fromkeys(row["case"] for row in rows):
            print_rows(f"locomotion: {case}", [row for row in rows if row["case"] == case], console)
        result = {"summary": rows, "runs": done, **setup}
        write_json(folder / "summary.json", result)
        if self.json is not None:
            write_json(self.json, result)
        return Exit.HELD

    def _cases(self) -> list[dict[str, Any]]:
        from poise.robots import PoiseError
        from poise.sim.locomotion import push_cases, tracking_cases

        from .options import parse_seeds

        known = {"tracking": tracking_cases, "push": push_cases}
        names, seeds = [name.strip() for name in self.cases.split(",")], parse_seeds(self.seeds)
        if odd := [name for name in names if name not in known]:
            raise PoiseError(f"--cases {self.cases}: unknown case {odd[0]!r}; known: {', '.join(known)}")
        return [case for name in names for case in known[name](seeds)]


def _said(run: dict[str, Any]) -> str:
    command = " ".join(f"{part:g}" for part in run["command"])
    if run["case"] == "push":
        return f"push at {command}: {run['strict_ns']:g} N·s"
    return f"tracking {command}: " + ("fell" if run["fell"] else "held")
