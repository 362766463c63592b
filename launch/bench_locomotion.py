"""`poise bench locomotion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .bench_runs import FALLS, BatchOptions, print_falls

if TYPE_CHECKING:
    from rich.console import Console

    from .output import Exit


@dataclass(frozen=True)
class Locomotion(BatchOptions):
    """Tracking of velocities, the largest push that is survived, in eight directions at three timings of the stride, and walks where the
    ground, the load, the motors or the sensors are not what was planned."""

    seeds: Annotated[str, tyro.conf.arg(metavar="0-19")] = "0-19"
    """Start postures and noises, as 0-19 or 0,2,5."""
    cases: Annotated[str, tyro.conf.arg(metavar="CASE,…")] = "tracking,push"
    """tracking: each velocity for 15 s; push: walking and standing, upward in steps of 5 N·s to the first fall; terrain, robustness: 15 s
    each, or one of them, as slope_+10, step_-10, heightfield_4, blocks_4, stairs, friction_0.3, payload_10, latency_20, strength_0.8."""
    noise: Literal["none", "nominal", "hard"] = "nominal"
    """Of the sensors."""
    friction: float = 0.8
    """Of the feet on the ground."""

    def __call__(self) -> Exit:
        """Run what is not done yet, and report."""
        from poise.robots import load_robot
        from poise.sim.locomotion import SCHEMA, LocomotionConfig, LocomotionWork, summarise

        from .options import console_for
        from .output import Exit, write_json
        from .push_plot import write_push_polar
        from .run_folder import versions

        self.check()
        plant = None if self.plant is None else Path(self.plant).resolve()
        cases, config = self._cases(), LocomotionConfig(plant, self.noise, self.friction)
        make_stack = self.make_stack()
        work = LocomotionWork(load_robot("g1"), make_stack, config)
        work.backend(make_stack(work.robot, 0).period_s, {})  # unusable input is said before the work begins
        setup = {"schema": SCHEMA, "locomotion": asdict(config), **asdict(make_stack), "versions": versions()}
        folder = self.folder("locomotion")
        work = replace(work, falls=folder / FALLS, head=setup)
        runs = self.run(folder, work, cases, setup, _said)
        result, console = {**self.summed(folder, summarise, runs), "runs": runs, **setup}, console_for(self.json)
        _print(result, console)
        if result["push"]:
            write_push_polar(result["push"], folder / "pushes.svg")
            console.print(f"plot: {folder / 'pushes.svg'}", soft_wrap=True, highlight=False)
        print_falls(folder, console)
        write_json(folder / "summary.json", result)
        if self.json is not None:
            write_json(self.json, result)
        return Exit.HELD

    def _cases(self) -> list[dict[str, Any]]:
        from poise.robots import PoiseError
        from poise.sim.locomotion import CASES_OF

        from .options import parse_seeds

        names, seeds = [name.strip() for name in self.cases.split(",")], parse_seeds(self.seeds)
        if odd := [name for name in names if name not in CASES_OF]:
            raise PoiseError(f"--cases {self.cases}: unknown case {odd[0]!r}; known: {', '.join(CASES_OF)}")
        return [case for name in names for case in CASES_OF[name](seeds)]


def _print(result: Mapping[str, Any], console: Console) -> None:
    from .output import print_result, print_rows

    if tracking := result["tracking"]:
        print_rows("tracking: along the commanded axis, heading frame, last two thirds", [_along(row) for row in tracking], console)
        print_rows("energy", result["energy"]["commands"], console)
    if push := result["push"]:
        print_rows("push: the last survived before the first that was not", [_pushed(name, of) for name, of in push.items()], console)
    if walked := [row for row in result["cases"] if row["crossed"] is not None]:
        print_rows("not what was planned: 15 s without a fall, and far enough", walked, console)
    print_result("locomotion", result["summary"], None, console)


def _along(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of tracking for people: of vectors the commanded axis, in m/s or rad/s."""
    from poise.sim.locomotion import words
    from poise.sim.tracking import axis_of

    axis = axis_of(row["command"])
    mean, raw, gait = ("–" if row[name] is None else f"{row[name][axis]:.3f}" for name in ("mean_velocity", "rmse", "rmse_gait"))
    figures = {"mean": mean, "worst error": row["worst_error"], "RMSE": raw, "RMSE a stride": gait, "drift, m": row["drift_m"]}
    figures["certifier, %"] = 100.0 * row["interventions"]
    return {"command": words(row["command"]), "fell": f"{row['falls']} of {row['runs']}", **figures}


def _pushed(name: str, of: Mapping[str, Any]) -> dict[str, Any]:
    figures = {key: of[key] for key in ("min_newton_second", "median_newton_second")}
    return {"push": name, "scans": of["runs"], "fell before": of["falls"], **figures}


def _said(run: dict[str, Any]) -> str:
    from poise.sim.locomotion import words

    if run["case"] == "push":
        return f"push at {words(run['command'])}: {run['strict_ns']:g} N·s"
    return f"tracking {words(run['command'])}: " + ("fell" if run["fell"] else "held")
