"""Which figures `poise bench compare` lays side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from poise.sim.locomotion import words
from poise.sim.pushing import PUSHED
from poise.sim.tour import STAGES
from poise.sim.tracking import TRACKED, Velocity, axis_of

from .comparison import Figure, Run

HEADLINE_COSTS = ((0.5, 0.0, 0.0), (1.0, 0.0, 0.0))


def locomotion_figures() -> list[Figure]:
    """Tracking, pushes and energy."""
    return [
        Figure("falls of tracking", "all velocities", _is("tracking"), lambda run: run["fell"], "rate", headline=True),
        *(Figure("falls of tracking", words(c), _is("tracking", c), lambda run: run["fell"], "rate") for c in TRACKED),
        *_along("mean velocity along the commanded axis", "mean_velocity"),
        *_along("RMSE of the velocity", "rmse"),
        *_along("RMSE, averaged over a gait period", "rmse_gait", headline=True),
        *(
            Figure("strict push, N·s", f"{name}, {reduce}", _is("push", command), _number("strict_ns"), reduce, headline=True)
            for name, command in PUSHED.items()
            for reduce in ("least", "median")
        ),
        *(
            Figure("cost of transport", words(c), _is("tracking", c), _number("cost_of_transport"), headline=c in HEADLINE_COSTS)
            for c in TRACKED
            if any(c[:2])
        ),
        Figure("power, W", "standing", _is("tracking", (0.0, 0.0, 0.0)), _number("power_w"), headline=True),
    ]


def tour_figures() -> list[Figure]:
    """Of each stage; energy of complete runs only."""
    return [figure for stage in STAGES for figure in _stage(stage)]


def _along(group: str, name: str, headline: bool = False) -> list[Figure]:
    """Of a vector the commanded axis, for every velocity."""
    return [Figure(group, words(c), _is("tracking", c), _entry(name, axis_of(c)), headline=headline) for c in TRACKED]


def _stage(stage: str) -> Sequence[Figure]:
    def at(run: Run) -> bool:
        return run["stage"] == stage

    group = f"tour, {stage}"
    return (
        Figure(group, "survived, s", at, _number("survival_s"), headline=True),
        Figure(group, "complete", at, lambda run: run["complete"], "rate", headline=True),
        Figure(group, "position off by, cm", at, _number("pos_err_cm"), headline=True),
        Figure(group, "heading off by, °", at, _number("yaw_err_deg"), headline=True),
        Figure(group, "energy, kJ", lambda run: at(run) and run["complete"], _number("energy_kj"), headline=True),
    )


def _is(case: str, command: Velocity | None = None) -> Callable[[Run], bool]:
    return lambda run: run["case"] == case and (command is None or tuple(run["command"]) == command)


def _number(name: str) -> Callable[[Run], float | None]:
    return lambda run: run[name]


def _entry(name: str, axis: int) -> Callable[[Run], float | None]:
    return lambda run: None if run[name] is None else run[name][axis]
