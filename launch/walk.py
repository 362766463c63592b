"""`poise walk`: one intent in closed loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .arguments import DAY_S, File, Folder, Mode, Noise, Record, Seconds, Seeds, Switch, Velocity, Waypoint

if TYPE_CHECKING:
    from poise.robots import Intent

    from .output import Exit

SECONDS = 20.0


@dataclass(frozen=True)
class Walk:
    """Walk in simulation, on the estimated state; leaves a run folder with a report."""

    robot: str = "g1"
    """Name of a robot, or its MJCF or URDF (with --overlay)."""
    overlay: File = None
    """Overlay of a robot that is given by a file."""
    velocity: Velocity = None
    """Forward and left, m/s, and turn to the left, rad/s, as seen by the robot."""
    waypoint: Waypoint = None
    """Go there instead: m, m and rad from where the robot starts, facing along x."""
    seconds: Seconds = None
    """How long, s."""
    seed: int = 0
    """Of start posture, noise and proposals."""
    seeds: Seeds = None
    """Several runs, as 0-4 or 0,2,5."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    policy: File = None
    """Weights of the proposer, ONNX. None: those packaged for the robot."""
    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""
    noise: Noise = "nominal"
    """Of the sensors."""
    view: Switch = False
    """Show the run in the browser, in real time, with sliders for the velocity and a button that pushes 10 N·s."""
    port: int = 8080
    """Of the page of --view, on 127.0.0.1."""
    out: Folder = "runs"
    """Where the run folder is made."""
    record: Record = "brief"
    """Leave a run folder: summary, recording, configuration, report. full: every tick in float64, for `poise replay`."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run and report."""
        from poise.sim.scenarios import steady_scenario

        from .batch import run_and_report
        from .closed_loop import RunPlan
        from .options import check_port, check_seconds

        check_port(self.port)
        seconds = (DAY_S if self.view else SECONDS) if self.seconds is None else self.seconds
        check_seconds(seconds)
        plan = RunPlan(
            command="walk",
            scenario=partial(steady_scenario, intent=self._intent(), seconds=seconds),
            robot=self.robot,
            overlay=self.overlay,
            mode=self.mode,
            policy=self.policy,
            plant=self.plant,
            noise=self.noise,
            out=self.out,
            record=self.record,
            port=self.port if self.view else None,
        )
        return run_and_report(plan, self.seed, self.seeds, self.json)

    def _intent(self) -> Intent:
        from poise.robots import Intent, PoiseError

        from .options import check_numbers

        if self.velocity is not None and self.waypoint is not None:
            raise PoiseError("--velocity and --waypoint exclude each other; leave one of them out")
        if self.waypoint is not None:
            check_numbers("--waypoint", self.waypoint)
            return Intent(waypoint=self.waypoint)
        if self.velocity is None:
            return Intent(velocity=(0.0, 0.0, 0.0) if self.view else (0.5, 0.0, 0.0))
        check_numbers("--velocity", self.velocity)
        return Intent(velocity=self.velocity)
