"""`poise bench tour` and `poise bench realtime`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from .arguments import File, Mode, Switch
from .bench_runs import FALLS, BatchOptions, MakeStack, print_falls

if TYPE_CHECKING:
    from .output import Exit

WARMUP_S = 2.0


@dataclass(frozen=True)
class Tour(BatchOptions):
    """Waypoint tour of the teleop-walking-benchmark, by our own runner on its draws: survival, errors, energy."""

    seeds: Annotated[str, tyro.conf.arg(metavar="0-49")] = "0-49"
    """The benchmark's runs, as 0-49 or 0,2,5."""
    stages: Annotated[str, tyro.conf.arg(metavar="STAGE,…")] = "own,arms_hold,arms_walk,punches"
    """own: our arms; arms_hold, arms_walk: a harness moves them; punches: and punches the robot."""
    seconds: float = 90.0
    """Length of a tour, s; a waypoint takes 5 s."""

    def __call__(self) -> Exit:
        """Run what is not done yet, and report."""
        from poise.robots import load_robot
        from poise.sim.tour import SCHEMA, Harness, TourConfig, TourWork, summarise

        from .options import console_for, parse_seeds
        from .output import Exit, print_rows, write_json
        from .run_folder import versions

        self.check()
        config = TourConfig(self.seconds, None if self.plant is None else Path(self.plant).resolve())
        stages = [stage.strip() for stage in self.stages.split(",")]
        cases = [{"stage": stage, "seed": seed} for seed in parse_seeds(self.seeds) for stage in stages]
        robot, make_stack = load_robot("g1"), self.make_stack()
        period_s = make_stack(robot, 0).period_s
        for stage in stages:  # unusable input is said before the work begins
            Harness(robot, stage, 0, config, period_s)
        setup = {"schema": SCHEMA, "tour": asdict(config), **asdict(make_stack), "versions": versions()}
        folder = self.folder("tour")
        work = TourWork(robot, make_stack, config, folder / FALLS, setup)
        runs = self.run(folder, work, cases, setup, _said)
        summary = self.summed(folder, summarise, runs)
        write_json(folder / "summary.json", {"summary": summary, **setup})
        title = "tour: our own runner, at the controller's tick, on the benchmark's draws"
        console = console_for(self.json)
        print_rows(title, [_row(stage, figures) for stage, figures in summary.items()], console)
        for stage, figures in summary.items():
            if figures["by_throw"]:
                print_rows(f"{stage}, by how far they throw the DCM (docs/locomotion.md)", figures["by_throw"], console)
        print_falls(folder, console)
        if self.json is not None:
            write_json(self.json, {"summary": summary, "runs": runs, **setup})
        return Exit.HELD


@dataclass(frozen=True)
class Realtime:
    """CPU time of the tick and its parts, on one core, while the robot walks in simulation."""

    seconds: float = 20.0
    """How long to measure, simulated, s."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    velocity: Annotated[tuple[float, float, float], tyro.conf.arg(metavar="VX VY WZ")] = (0.5, 0.0, 0.0)
    """Forward and left, m/s, and turn to the left, rad/s, as seen by the robot."""
    push: Switch = False
    """Measure once more with pushes of 10 N·s on the torso, every 1.5 s."""
    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""
    seed: int = 0
    """Of start posture, noise and pushes."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Measure and report."""
        from .options import check_count, check_json, check_numbers, check_seconds, console_for
        from .output import Exit, print_result

        check_json(self.json)
        check_seconds(self.seconds)
        check_numbers("--velocity", self.velocity)
        check_count("--seed", self.seed, least=0)
        result = self._measure()
        print_result("real time", result, self.json, console_for(self.json))
        fell = result["fell"] or result.get("pushed", {}).get("fell", False)
        return Exit.FAILED if fell else Exit.HELD

    def _measure(self) -> dict[str, Any]:
        import time

        from poise.robots import Intent, load_robot
        from poise.robots.plant import compile_plant
        from poise.sim import MujocoBackend
        from poise.sim.realtime import measure, pushes

        start = time.perf_counter()
        robot = load_robot("g1")
        stack, intent = MakeStack(self.mode)(robot, self.seed), Intent(velocity=self.velocity)
        model = compile_plant(robot.description if self.plant is None else self.plant)
        stack.step(MujocoBackend(robot, model, period_s=stack.period_s).read(), intent)
        result: dict[str, Any] = {"mode": self.mode, "velocity": self.velocity, "cold_start_s": time.perf_counter() - start}
        for pushed in (False, True) if self.push else (False,):
            disturbances = pushes(robot.overlay.torso, WARMUP_S + self.seconds, self.seed) if pushed else ()
            backend = MujocoBackend(robot, model, period_s=stack.period_s, disturbances=disturbances)
            backend.reset(self.seed)
            stack.reset(self.seed)
            figures = measure(stack, backend, intent, self.seconds, WARMUP_S)
            result |= {"pushed": figures} if pushed else figures
        return result


def _row(stage: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "stage": stage,
        "mean_survival_s": figures["mean_survival_s"],
        "complete": f"{figures['complete']} of {figures['runs']}",
        **{name: figures[name] for name in ("pos_err_cm", "yaw_err_deg", "energy_kj")},
    }


def _said(run: dict[str, Any]) -> str:
    return f"{run['stage']} {run['seed']}, " + ("complete" if run["complete"] else f"fell at {run['survival_s']:.1f} s")
