"""Walks where something is not as it was planned: the ground, the load, the motors, the sensors. Each case is one entry of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from poise.robots import Decision, RobotState

from .batch import Case
from .intervals import wilson
from .mujoco_backend import MujocoBackend
from .runner import Steps, constant, run
from .terrain import TERRAINS

WALKED_S, SPEED_MPS, SPEEDS_MPS = 15.0, 0.5, (0.5, 1.0)
KEPT_UP = 0.8  # share of the commanded distance that a walk must have come


@dataclass(frozen=True)
class Condition:
    """What is not as planned; None: as everywhere else."""

    mu: float | None = None
    payload_kg: float = 0.0  # at the torso's centre of mass
    latency_s: float = 0.0  # from a reading to the command's effect
    strength: float = 1.0  # factor on all torque
    noise: str | None = None


CONDITIONS: Mapping[str, Condition] = {
    **{f"friction_{mu:g}": Condition(mu=mu) for mu in (1.0, 0.4, 0.3, 0.2)},
    **{f"payload_{mass:g}": Condition(payload_kg=mass) for mass in (5.0, 10.0, 15.0)},
    **{f"latency_{milliseconds}": Condition(latency_s=1e-3 * milliseconds) for milliseconds in (10, 20, 40)},
    **{f"strength_{factor:g}": Condition(strength=factor) for factor in (0.8, 0.6)},
    "noise_hard": Condition(noise="hard"),
}


def terrain_cases(names: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each terrain with each seed, at 0.5 m/s."""
    return [{"case": "terrain", "command": [SPEED_MPS, 0.0, 0.0], "terrain": name, "seed": seed} for name in names for seed in seeds]


def condition_cases(names: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each condition with each seed, at 0.5 and 1.0 m/s."""
    return [
        {"case": "robustness", "command": [speed, 0.0, 0.0], "condition": name, "seed": seed}
        for name in names
        for speed in SPEEDS_MPS
        for seed in seeds
    ]


def walk_on(stack: Steps, backend: MujocoBackend, case: Case) -> dict[str, Any]:
    """Walk for WALKED_S.

    Returns:
        fell, survival_s; reached_m: the furthest the pelvis was along x; distance_m: how far from its start it ended, in the plane;
        crossed: did not fall, and came beyond the terrain, or as far as KEPT_UP of what was commanded.
    """
    start, reached = backend.base_position_world, [0.0]

    def watch(decision: Decision, state: RobotState) -> None:
        reached[0] = max(reached[0], float(backend.base_position_world[0]))

    result = run(stack, backend, constant(case["command"]), WALKED_S, watch)
    distance_m = float(np.linalg.norm((backend.base_position_world - start)[:2]))
    if case["case"] == "terrain":
        enough = reached[0] >= TERRAINS[case["terrain"]].crossed_m
    else:
        enough = distance_m >= KEPT_UP * WALKED_S * case["command"][0]
    figures = {"fell": result.fell, "survival_s": result.seconds, "reached_m": reached[0], "distance_m": distance_m}
    return {**figures, "crossed": enough and not result.fell, "interventions": result.interventions["rate"]}


def robustness_rows(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a case: how many survived and crossed of how many, its interval at 95 %, and the median of how far they came (m)."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for each in runs:
        groups.setdefault(f"{each.get('terrain') or each['condition']} at {each['command'][0]:g} m/s", []).append(each)
    return [
        {
            "name": name,
            "survived": sum(not each["fell"] for each in of),
            "crossed": (crossed := sum(each["crossed"] for each in of)),
            "of": len(of),
            "crossed_interval": wilson(crossed, len(of)),
            "distance_m": float(np.median([each["distance_m"] for each in of])),
        }
        for name, of in groups.items()
    ]
