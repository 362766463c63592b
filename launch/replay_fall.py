"""A recorded fall of a benchmark, run again from its seed and held against the recording bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from poise.robots import RecordError, load_robot
from poise.robots.plain import to_plain
from poise.sim import NOISE, locomotion, tour
from poise.sim.falls import read_fall
from poise.sim.locomotion import CASES_OF, LocomotionWork
from poise.sim.tour import STAGES, TourWork

from .bench_runs import MakePolicy, MakeStack


def replay_fall(folder: str) -> dict[str, Any]:
    """Whether it is identical, over how many ticks, and the first tick and field that differ.

    Raises:
        PoiseError: it is no fall, or this version cannot run it.
    """
    log = read_fall(folder)
    check_case(folder, log.meta)
    comparison = work_of(folder, log.meta).replay(log)
    found = comparison.difference()
    return {"identical": found is None, "ticks": comparison.ticks, "difference": None if found is None else asdict(found)}


def work_of(folder: str, meta: Mapping[str, Any]) -> LocomotionWork | TourWork:
    """What ran the case.

    Raises:
        PoiseError: this version cannot.
    """
    robot, schema = load_robot("g1"), meta.get("schema")
    if schema not in (locomotion.SCHEMA, tour.SCHEMA):
        raise RecordError(f"{folder}: the fall is of {schema}; this version runs {locomotion.SCHEMA} and {tour.SCHEMA} again")
    maker = MakePolicy if "policy" in meta else MakeStack
    try:
        make_stack = maker(**{field.name: meta[field.name] for field in fields(maker) if field.name in meta})
        if schema == locomotion.SCHEMA:
            return locomotion.LocomotionWork(robot, make_stack, locomotion.LocomotionConfig(**_config(meta["locomotion"])))
        return tour.TourWork(robot, make_stack, tour.TourConfig(**_config(meta["tour"])))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RecordError(f"{folder}: the recording does not say how it was run ({error!r}); run its case again to have another") from error


def check_case(folder: str, meta: Mapping[str, Any]) -> None:
    """Refuse a recording whose case is none of the benchmarks, or that was made by nobody knows what.

    Raises:
        RecordError: it is such a one.
    """
    case = meta.get("case")
    seed = case.get("seed") if isinstance(case, dict) else None
    known = []
    if type(seed) is int and seed >= 0:
        known = [{"stage": stage, "seed": seed} for stage in STAGES] + [one for cases in CASES_OF.values() for one in cases([seed])]
    told = {key: value for key, value in case.items() if key != "first_ns"} if isinstance(case, dict) else case
    if told not in [to_plain(one) for one in known] or not isinstance(meta.get("versions"), dict):
        raise RecordError(f"{folder}: the recording is of no case of a benchmark; run one again to have another")


def _config(recorded: Mapping[str, Any]) -> dict[str, Any]:
    if recorded["noise"] not in NOISE or type(recorded["mu"]) not in (int, float):
        raise ValueError("noise or mu are none")
    return {**recorded, "plant": None if recorded["plant"] is None else Path(recorded["plant"])}
