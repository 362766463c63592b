"""Which figures `poise bench compare` lays side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from poise.sim.locomotion import words
from poise.sim.pushing import PUSHED
from poise.sim.tour import STAGES
from poise.sim.tracking import TRACKED, Velocity, axis_of

from .comparison import Figure, Run

HEADLINE_COSTS: tuple[Velocity, ...] = ((0.5, 0.0, 0.0), (1.0, 0.0, 0.0))


def locomotion_figures() -> list[Figure]:
    """Tracking, along the commanded axis, pushes and energy."""
    return [
        Figure("falls", "all", _is("tracking"), lambda run: run["fell"], "rate", headline=True),
        *(Figure("falls", words(c), _is("tracking", c), lambda run: run["fell"], "rate") for c in TRACKED),
        *_along("mean velocity", "mean_velocity"),
        *_along("RMSE", "rmse"),
        *_along("RMSE a stride", "rmse_gait", headline=True),
        *(
            Figure("strict push, N·s", f"{name}, {reduce}", _is("push", command), _number("strict_ns"), reduce, headline=True)
            for name, command in PUSHED.items()
            for reduce in ("least", "median")
        ),
        *_costs("cost of transport", "cost_of_transport", HEADLINE_COSTS),
        *_costs("positive work alone", "positive_cost_of_transport"),
        Figure("energy", "power of a stand, W", _is("tracking", (0.0, 0.0, 0.0)), _number("power_w"), headline=True),
    ]


def tour_figures() -> list[Figure]:
    """Of each stage; energy of complete runs only."""
    return [figure for stage in STAGES for figure in _stage(stage)]


def _along(group: str, name: str, headline: bool = False) -> list[Figure]:
    """Of a vector the commanded axis, for every velocity."""
    return [Figure(group, words(c), _is("tracking", c), _entry(name, axis_of(c)), headline=headline) for c in TRACKED]


def _costs(title: str, name: str, headline: Sequence[Velocity] = ()) -> list[Figure]:
    walked = [c for c in TRACKED if any(c[:2])]
    return [Figure("energy", f"{title}, {words(c)}", _is("tracking", c), _number(name), headline=c in headline) for c in walked]


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
