"""`poise replay`: a recorded fall, run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from .arguments import File
from .bench_runs import MakePolicy, MakeStack

if TYPE_CHECKING:
    from poise.sim.locomotion import LocomotionWork
    from poise.sim.tour import TourWork

    from .output import Exit


@dataclass(frozen=True)
class Replay:
    """Run a fall of `bench locomotion` or `bench tour` again from its seed, and compare each tick with its recording, bit for bit."""

    folder: Positional[Annotated[str, arg(metavar="FALL")]]
    """Its folder, as runs/tour-…/falls/…"""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Say whether it is identical, or the first tick and field that differ."""
        from poise.sim.falls import read_fall

        from .options import check_json, console_for
        from .output import Exit, write_json
        from .run_folder import versions

        check_json(self.json)
        log = read_fall(self.folder)
        comparison = work_of(self.folder, log.meta).replay(log)
        difference = comparison.difference()
        others = {name: known for name, known in log.meta["versions"].items() if versions().get(name) != known}
        result = {"identical": difference is None, "ticks": comparison.ticks, "difference": None, "recorded_with": others}
        if difference is not None:
            result["difference"] = asdict(difference)
        console = console_for(self.json)
        console.print(_sentence(result), soft_wrap=True, highlight=False)
        if others:
            words = ", ".join(f"{name} {known}" for name, known in others.items())
            console.print(f"it was recorded with {words}; runs repeat with the same versions, on the same machine", soft_wrap=True)
        if self.json is not None:
            write_json(self.json, result)
        return Exit.HELD if difference is None else Exit.FAILED


def work_of(folder: str, meta: Mapping[str, Any]) -> LocomotionWork | TourWork:
    """What ran the case.

    Raises:
        PoiseError: this version cannot.
    """
    from poise.robots import RecordError, load_robot
    from poise.sim import locomotion, tour

    robot, schema = load_robot("g1"), meta.get("schema")
    if schema not in (locomotion.SCHEMA, tour.SCHEMA):
        raise RecordError(f"{folder}: the fall is of {schema}; this version runs {locomotion.SCHEMA} and {tour.SCHEMA} again")
    maker = MakePolicy if "policy" in meta else MakeStack
    make_stack = maker(**{field.name: meta[field.name] for field in fields(maker)})
    if schema == locomotion.SCHEMA:
        return locomotion.LocomotionWork(robot, make_stack, locomotion.LocomotionConfig(**_config(meta["locomotion"])))
    return tour.TourWork(robot, make_stack, tour.TourConfig(**_config(meta["tour"])))


def _config(recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {**recorded, "plant": None if recorded["plant"] is None else Path(recorded["plant"])}


def _sentence(result: Mapping[str, Any]) -> str:
    difference = result["difference"]
    if difference is None:
        return f"identical over {result['ticks']} ticks"
    if difference["field"] == "end":
        return f"differs at tick {difference['tick']}: one of the two has ended"
    return "differs at tick {tick} in {field}: recorded {recorded!r}, now {replayed!r}".format(**difference)
