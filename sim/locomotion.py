"""The locomotion protocol: tracking of commanded velocities, the largest push that is survived, terrain and robustness, by seeded cases.

A case is a mapping of plain values: what tells one run from the others and stands in its result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from poise.robots import RobotModel
from poise.robots.plant import compile_plant
from poise.robots.record import Log

from .batch import Case
from .disturbances import Disturbance, Friction, Payload, contact_friction
from .falls import Comparison, Tape
from .intervals import wilson
from .metrics import fallen
from .mujoco_backend import MujocoBackend
from .noise import NOISE
from .pushing import LocomotionStack, push, push_cases, push_summary
from .robustness import CONDITIONS, Condition, condition_cases, robustness_rows, terrain_cases, walk_on
from .terrain import TERRAINS
from .tracking import energy_rows, mean_of, track, tracking_cases, tracking_rows

SCHEMA = "poise.locomotion/2"  # of a run's figures
CASES: Mapping[str, Callable[[LocomotionStack, MujocoBackend, Case], dict[str, Any]]] = {
    "tracking": track,
    "push": push,
    "terrain": walk_on,
    "robustness": walk_on,
}
CASES_OF: Mapping[str, Callable[[Sequence[int]], list[dict[str, Any]]]] = {
    "tracking": tracking_cases,
    "push": push_cases,
    "terrain": partial(terrain_cases, tuple(TERRAINS)),
    "robustness": partial(condition_cases, tuple(CONDITIONS)),
    **{name: partial(terrain_cases, (name,)) for name in TERRAINS},
    **{name: partial(condition_cases, (name,)) for name in CONDITIONS},
}


@dataclass(frozen=True)
class LocomotionConfig:
    """What the cases of one run of the protocol have in common."""

    plant: Path | None = None  # MJCF of the robot; None: the one of its description
    noise: str = "nominal"
    mu: float = 0.8


@dataclass(frozen=True)
class LocomotionWork:
    """Runs one case; picklable."""

    robot: RobotModel
    make_stack: Callable[[RobotModel, int], LocomotionStack]
    config: LocomotionConfig
    falls: Path | None = None  # folder in which each fall leaves a folder; None: none does
    head: Mapping[str, Any] = field(default_factory=dict)  # what a fall's recording says of how it was run, beside its case

    def __call__(self, case: Case) -> dict[str, Any]:
        """The case, and what came of it."""
        tape = Tape(self.make_stack(self.robot, case["seed"]))
        backend = self.backend(tape.period_s, case)
        result = run(case, tape, backend)
        if self.falls is not None and fallen(backend):
            first = {} if result.get("felled_by_ns") is None else {"first_ns": result["felled_by_ns"]}
            tape.write(self.falls / fall_name(case), self.robot, {**self.head, "case": {**case, **first}, "seed": case["seed"]})
        return result

    def replay(self, log: Log) -> Comparison:
        """Run the case of a fall's recording again, held against it."""
        case = log.meta["case"]
        comparison = Comparison(self.make_stack(self.robot, case["seed"]), log)
        run(case, comparison, self.backend(comparison.period_s, case))
        return comparison

    def backend(self, period_s: float, case: Case) -> MujocoBackend:
        """The plant of a case.

        Raises:
            PoiseError: it is not one of the robot, or cannot be read.
        """
        c, condition = self.config, CONDITIONS.get(case.get("condition", ""), Condition())
        path, terrain = self.robot.description if c.plant is None else c.plant, TERRAINS.get(case.get("terrain", ""))
        plant = compile_plant(path) if terrain is None else compile_plant(path, lambda spec: terrain.lay(spec, case["seed"]))
        disturbances: list[Disturbance] = [Friction(c.mu if condition.mu is None else condition.mu)]
        if condition.payload_kg:
            disturbances.append(Payload(self.robot.overlay.torso, condition.payload_kg))
        return MujocoBackend(
            self.robot,
            plant,
            period_s=period_s,
            noise=NOISE[condition.noise or c.noise],
            disturbances=disturbances,
            latency_s=condition.latency_s,
            strength=condition.strength,
        )


def run(case: Case, stack: LocomotionStack, backend: MujocoBackend) -> dict[str, Any]:
    """Start a case anew; what tells it from others, and what came of it."""
    backend.reset(case["seed"])
    stack.reset(case["seed"])
    contacts = contact_friction(backend.model, backend.data)
    mu = float(contacts.min()) if contacts.size else None  # read back from what really touches
    return {**case, **CASES[case["case"]](stack, backend, case), "mu": mu}


def fall_name(case: Case) -> str:
    """A folder's name for a case, as push-0.5_0_0-direction2-timing1-seed0."""
    rest = (f"{key}{value}" for key, value in case.items() if key not in ("case", "command", "first_ns"))
    return "-".join((case["case"], "_".join(f"{part:g}" for part in case["command"]), *rest))


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of finished runs.

    Returns:
        summary: runs, the tracking ones that fell, and the share of their ticks in which the certifier stepped in; tracking: a row a
        command; push: {walking, standing}; cases: what was survived, and crossed where there is something to be crossed, of what; energy:
        standing_power_w and a row a command. Rates have a Wilson interval at 95 %.
    """
    tracked = [run for run in runs if run["case"] == "tracking"]
    falls, tracking, energy = sum(run["fell"] for run in tracked), tracking_rows(tracked), energy_rows(tracked)
    return {
        "summary": {
            "runs": len(runs),
            "tracking_runs": len(tracked),
            "tracking_falls": falls,
            "tracking_interventions": mean_of(tracked, "interventions"),
            "tracking_falls_interval": wilson(falls, len(tracked)) if tracked else None,
        },
        "tracking": tracking,
        "push": push_summary([run for run in runs if run["case"] == "push"]),
        "cases": [
            {"name": f"tracking {words(row['command'])}", "survived": row["runs"] - row["falls"], "crossed": None, "of": row["runs"]}
            for row in tracking
        ]
        + robustness_rows([run for run in runs if run["case"] in ("terrain", "robustness")]),
        "energy": {
            "standing_power_w": next((row["power_w"] for row in energy if not any(row["command"])), None),
            "commands": energy,
        },
    }


def words(command: Sequence[float]) -> str:
    """A velocity as it is given on the command line."""
    return " ".join(f"{part:g}" for part in command)
