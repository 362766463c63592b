"""`poise demo`: a tour with pushes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .arguments import File, Folder, Mode, Record, Seeds, Switch

if TYPE_CHECKING:
    from .output import Exit


@dataclass(frozen=True)
class Demo:
    """A tour of 60 s: waypoints, turning in place, standing, moving arms, and four pushes of 10 N·s drawn from the seed."""

    seeds: Seeds = None
    """Several runs, as 0-9 or 0,2,5; one run has seed 0."""
    quick: Switch = False
    """Only the first 10 s of the tour."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    view: Switch = False
    """Show the run in the browser, in real time; the sliders there take over."""
    port: int = 8080
    """Of the page of --view, on 127.0.0.1."""
    out: Folder = "runs"
    """Where the run folders are made."""
    record: Record = "brief"
    """What they hold; full: every tick in float64, for `poise replay`; none: no folder is made."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run and report."""
        from poise.sim.scenarios import QUICK_TOUR_S, TOUR_S, demo_scenario

        from .batch import run_and_report
        from .closed_loop import RunPlan
        from .options import check_port

        check_port(self.port)
        scenario = partial(demo_scenario, seconds=QUICK_TOUR_S if self.quick else TOUR_S)
        port = self.port if self.view else None
        plan = RunPlan(command="demo", scenario=scenario, mode=self.mode, out=self.out, record=self.record, port=port)
        return run_and_report(plan, 0, self.seeds, self.json)
