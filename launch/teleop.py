"""`poise teleop`: an operator steers the simulated robot."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from .arguments import DAY_S, File, Folder, Mode, Noise, Record

if TYPE_CHECKING:
    from .output import Exit

Sources = Annotated[
    list[Literal["page", "keyboard", "gamepad", "stream"]], tyro.conf.UseAppendAction, tyro.conf.arg(help_behavior_hint="(default: page)")
]
Length = Annotated[float, tyro.conf.arg(metavar="S", help_behavior_hint="(default: until Ctrl-C)")]


@dataclass(frozen=True)
class Teleop:
    """Steer the simulated robot, in real time; leaves a run folder. Status 1 where it fell, but not after an emergency stop."""

    source: Sources = field(default_factory=list)
    """Who steers; may be given several times: any emergency stop counts, and the source that moved last steers."""
    port: int = 8080
    """Of the page, on 127.0.0.1."""
    stream_port: int = 8090
    """Where the stream of poses is listened for, over UDP and WebSocket."""
    stream_host: str = "127.0.0.1"
    """And on which address of this machine: others can be reached, and then moved by, whoever is on their network."""
    robot: str = "g1"
    """Name of a robot, or its MJCF or URDF (with --overlay)."""
    overlay: File = None
    """Overlay of a robot that is given by a file."""
    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""
    noise: Noise = "nominal"
    """Of the sensors."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    policy: File = None
    """Weights of the proposer, ONNX. None: those packaged for the robot."""
    seconds: Length = DAY_S
    """How long, s."""
    seed: int = 0
    """Of start posture, noise and proposals."""
    out: Folder = "runs"
    """Where the run folder is made."""
    record: Record = "full"
    """Leave a run folder: summary, recording, configuration, report. full: every tick in float64, for `poise replay`."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run and report."""
        from poise.robots import Intent
        from poise.sim.scenarios import steady_scenario

        from .batch import run_and_report
        from .closed_loop import RunPlan
        from .options import check_port, check_seconds

        check_port(self.port)
        check_port(self.stream_port, "--stream-port")
        check_seconds(self.seconds)
        plan = RunPlan(
            command="teleop",
            scenario=partial(steady_scenario, intent=Intent(), seconds=self.seconds),
            robot=self.robot,
            overlay=self.overlay,
            mode=self.mode,
            policy=self.policy,
            plant=self.plant,
            noise=self.noise,
            out=self.out,
            record=self.record,
            port=self.port,
            sources=tuple(self.source) or ("page",),
            stream=(self.stream_host, self.stream_port),
        )
        return run_and_report(plan, self.seed, None, self.json)
