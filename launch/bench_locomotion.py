"""`poise bench locomotion`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .bench_runs import BatchOptions

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Locomotion(BatchOptions):
    """Tracking of velocities, and the largest push that is survived, in eight directions at three timings of the stride."""

    seeds: Annotated[str, tyro.conf.arg(metavar="0-19")] = "0-19"
    """Start postures and noises, as 0-19 or 0,2,5."""
    cases: Annotated[str, tyro.conf.arg(metavar="CASE,…")] = "tracking,push"
    """tracking: each velocity for 15 s; push: walking and standing, upward in steps of 5 N·s to the first fall."""
    noise: Literal["none", "nominal", "hard"] = "nominal"
    """Of the sensors."""
    friction: float = 0.8
    """Of the feet on the ground."""

    def __call__(self) -> Exit:
        """Run what is not done yet, and report."""
        from poise.robots import load_robot
        from poise.sim.locomotion import LocomotionConfig, LocomotionWork, summarise

        from .options import console_for
        from .output import Exit, print_rows, write_json
        from .push_plot import write_push_polar
        from .run_folder import versions

        self.check()
        cases, config = self._cases(), LocomotionConfig(None if self.plant is None else Path(self.plant), self.noise, self.friction)
        make_stack = self.make_stack()
        work = LocomotionWork(load_robot("g1"), make_stack, config)
        work.backend(make_stack(work.robot, 0).period_s)  # unusable input is said before the work begins
        setup = {"locomotion": asdict(config), **asdict(make_stack), "versions": versions()}
        folder, runs = self.run("locomotion", work, cases, setup, _said)
        rows = summarise(runs)
        for case in dict.fromkeys(row["case"] for row in rows):
            print_rows(f"locomotion: {case}", [row for row in rows if row["case"] == case], console_for(self.json))
        if pushed := [run for run in runs if run["case"] == "push"]:
            write_push_polar(pushed, folder / "pushes.svg")
            console_for(self.json).print(f"plot: {folder / 'pushes.svg'}", soft_wrap=True, highlight=False)
        result = {"summary": rows, "runs": runs, **setup}
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
