"""Tracking of commanded velocities: each is followed for a while, and judged over the last two thirds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poise.robots import Decision, RobotState
from poise.robots.types import LEFT, Array

from .batch import Case
from .disturbances import body_id, is_ground
from .intervals import wilson
from .metrics import path_length, pose, velocities
from .mujoco_backend import MujocoBackend
from .runner import Steps, constant, run
from .stride import SWING_LEAST_S, touches_ground

Velocity = tuple[float, float, float]

TRACKED: tuple[Velocity, ...] = (
    *((vx, 0.0, 0.0) for vx in (-0.5, -0.3, 0.3, 0.5, 0.8, 1.0)),
    *((0.0, vy, 0.0) for vy in (-0.3, 0.3)),
    *((0.0, 0.0, wz) for wz in (-1.0, 1.0)),
    (0.0, 0.0, 0.0),
)
TRACKING_S = 15.0
SAMPLE_S = 0.02  # the same for controllers of any period
STANDING_STRIDE_S = 0.84  # stands for the gait period where no foot is lifted
MOVED_M = 0.5  # on less of a way there is no cost of transport


def tracking_cases(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each commanded velocity with each seed."""
    return [{"case": "tracking", "command": list(command), "seed": seed} for command in TRACKED for seed in seeds]


def track(stack: Steps, backend: MujocoBackend, case: Case) -> dict[str, Any]:
    """Follow a command for TRACKING_S.

    Returns:
        fell, survival_s; drift_m: of the pelvis in the plane; tick_us; interventions: the share of
        ticks on which the certifier changed something or met a bound; and the figures of `Watch`, each None after a fall.
    """
    start, watch = backend.base_position_world, Watch(backend, case["command"])
    result = run(stack, backend, constant(case["command"]), TRACKING_S, watch)
    figures = watch.figures()
    return {
        "fell": result.fell,
        "survival_s": result.seconds,
        "drift_m": float(np.linalg.norm((backend.base_position_world - start)[:2])),
        "tick_us": result.tick_us,
        "interventions": result.interventions["rate"],
        **(dict.fromkeys(figures) if result.fell else figures),
    }


class Watch:
    """Samples a run from the simulator's truth; is told every tick."""

    def __init__(self, backend: MujocoBackend, command: Sequence[float]) -> None:
        self._backend, self._command = backend, np.array(command)
        self._every, self._ticks = max(1, round(SAMPLE_S / backend.period_s)), 0
        self._rows: list[tuple[float, ...]] = []
        self._foot = backend.model.geom_bodyid == body_id(backend.model, backend.robot.overlay.sole_bodies[LEFT])
        self._ground = is_ground(backend.model)

    def __call__(self, decision: Decision, state: RobotState) -> None:
        """Take a sample where one is due: pose, energies, whether the left foot touches the ground."""
        if self._ticks % self._every == 0:
            backend = self._backend
            touches = touches_ground(backend.data, self._foot, self._ground)
            self._rows.append((*pose(backend), backend.energy_j, backend.positive_energy_j, float(touches)))
        self._ticks += 1

    def figures(self) -> dict[str, Any]:
        """What the last two thirds came to.

        Returns:
            mean_velocity, rmse, rmse_gait (3,): of vx, vy (m/s) and wz (rad/s) in the heading frame, rmse_gait of the velocity
            averaged over gait_period_s; cost_of_transport: ∫Σ|τ·q̇|dt / (m g d), None where it hardly moved, and its positive part
            alone; power_w: mean of Σ|τ·q̇|.
        """
        rows, sample_s = np.array(self._rows[len(self._rows) // 3 :]), self._every * self._backend.period_s
        velocity, period_s = velocities(rows[:, :3], sample_s), gait_period_s(rows[:, 5] > 0.0, sample_s)
        energy_j, positive_j = rows[-1, 3:5] - rows[0, 3:5]
        model, distance_m = self._backend.model, path_length(rows, round(1.0 / sample_s))
        weight_n = float(model.body_subtreemass[0] * -model.opt.gravity[2])
        costs = [float(work / (weight_n * distance_m)) if distance_m > MOVED_M else None for work in (energy_j, positive_j)]
        return {
            "mean_velocity": velocity.mean(axis=0).tolist(),
            "rmse": rmse(velocity - self._command, 1),
            "rmse_gait": rmse(velocity - self._command, round(period_s / sample_s)),
            "gait_period_s": period_s,
            "cost_of_transport": costs[0],
            "positive_cost_of_transport": costs[1],
            "power_w": float(energy_j / (sample_s * len(velocity))),
        }


def rmse(error: Array, samples: int) -> list[float]:
    """Root mean square of each column of an error (k, m), averaged over that many samples in a row."""
    total = np.cumsum(np.vstack((np.zeros(error.shape[1]), error)), axis=0)
    samples = min(samples, len(error))
    return np.sqrt((((total[samples:] - total[:-samples]) / samples) ** 2).mean(axis=0)).tolist()


def gait_period_s(touches: NDArray[np.bool_], sample_s: float) -> float:
    """Mean time between touchdowns of a foot, of which samples (k,) bool say whether it touches; STANDING_STRIDE_S below two of them."""
    lifted = round(SWING_LEAST_S / sample_s)
    downs = [k for k in range(lifted, len(touches)) if touches[k] and not touches[k - lifted : k].any()]
    return sample_s * (downs[-1] - downs[0]) / (len(downs) - 1) if len(downs) > 1 else STANDING_STRIDE_S


def axis_of(command: Sequence[float]) -> int:
    """Of vx, vy, wz the one that is commanded most; vx for a stand."""
    return int(np.argmax(np.abs(command)))


def tracking_rows(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a command: means over the runs that did not fall, the worst error along the commanded axis, falls and their interval."""
    rows = []
    for command, of in _by_command(runs):
        held, axis = [run for run in of if not run["fell"]], axis_of(command)
        errors = [abs(run["mean_velocity"][axis] - command[axis]) for run in held]
        rows.append(
            {
                "command": list(command),
                "runs": len(of),
                "falls": len(of) - len(held),
                "falls_interval": wilson(len(of) - len(held), len(of)),
                **{name: mean_of(held, name) for name in ("mean_velocity", "rmse", "rmse_gait")},
                "worst_error": max(errors, default=None),
                "interventions": mean_of(of, "interventions"),
                "drift_m": max((run["drift_m"] for run in held), default=None) if not any(command) else None,
            }
        )
    return rows


def energy_rows(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a command: means over the runs that did not fall; costs of transport where it walks somewhere."""
    names = ("cost_of_transport", "positive_cost_of_transport", "power_w")
    return [
        {"command": list(command), **{name: mean_of(of, name) if name == "power_w" or any(command[:2]) else None for name in names}}
        for command, of in _by_command(runs)
    ]


def mean_of(runs: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Mean of a figure, a number or a list, over the runs that have it; None without one."""
    known = [run[name] for run in runs if run[name] is not None]
    return np.mean(known, axis=0).tolist() if known else None


def _by_command(runs: Sequence[Mapping[str, Any]]) -> list[tuple[Velocity, list[Mapping[str, Any]]]]:
    groups = [(command, [run for run in runs if tuple(run["command"]) == command]) for command in TRACKED]
    return [(command, of) for command, of in groups if of]
