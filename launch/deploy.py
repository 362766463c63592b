"""`poise deploy`: walk the robot itself, or a simulated one that speaks like it, by the same program."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from .arguments import File, Folder, Mode, Switch

if TYPE_CHECKING:
    from poise.hw.operation import Operator
    from poise.robots import RobotModel

    from .output import Exit
    from .posed import Posed


DeploySources = Annotated[
    list[Literal["page", "keyboard", "gamepad", "stream", "remote"]],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(help_behavior_hint="(default: keyboard)"),
]


@dataclass(frozen=True)
class Deploy:
    """Walk a robot on the wire: pre-flight checks, arm, stand up, stand, walk, stop, disarm. Status 1 where it ended otherwise."""

    interface: str
    """Network interface the robot is on; lo: a simulated one on this machine."""
    domain: int = 0
    """DDS domain; real robots are on 0."""
    robot: str = "g1"
    """Name of a robot."""
    source: DeploySources = field(default_factory=list)
    """Who steers; may be given several times: any emergency stop counts, and the source that moved last steers."""
    route: File = None
    """Go through all stages and along these legs instead: `seconds vx vy wz`, one a line."""
    port: int = 8080
    """Of the page, on 127.0.0.1."""
    stream_port: int = 8090
    """Where the stream of poses is listened for, on 127.0.0.1."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    release: bool = True
    """Make the robot's own motion program let go of the motors."""
    read_only: Switch = False
    """Look and compute, and send nothing."""
    wiggle: Switch = False
    """Before it is armed move each joint of the hanging robot a little, and refuse to go on where one does not move as it is told."""
    realtime: bool = True
    """Be scheduled before other programs, where the system allows it."""
    seed: int = 0
    """Of proposals."""
    out: Folder = "runs"
    """Where the run folder is made."""
    record: bool = True
    """Leave a run folder: recording of every tick, summary, and after a fault the last half minute as the supervisor saw it."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Deploy until it is disarmed again."""
        from poise.robots import PoiseError, RecordError

        from .deploy_operator import Conduct
        from .deployment import Deployment, DeployPlan
        from .options import check_count, check_json, check_port, console_for
        from .output import Exit, print_result
        from .posed import Posed
        from .run_folder import RunFolder

        check_json(self.json)
        check_count("--domain", self.domain, 0, 232)
        check_count("--seed", self.seed, 0)
        check_port(self.port)
        check_port(self.stream_port, "--stream-port")
        if self.source and self.route is not None:
            raise PoiseError("--route and --source exclude each other; leave one of them out")
        way = (self.release, self.read_only, self.realtime, self.seed, self.wiggle)
        plan = DeployPlan(self.robot, self.mode, self.interface, self.domain, *way)
        robot = plan.load()
        folder = RunFolder.create(self.out, "deploy") if self.record else None
        if folder is not None:
            plan = replace(plan, log=folder.log, meta=folder.write_config({"command": "deploy", "plan": plan}, self.seed))
        posed = None if self.route is not None else Posed(robot)
        operator = self._operator(robot, posed)
        try:
            print("compiling and looking for the robot", file=sys.stderr, flush=True)
            with Deployment(plan, robot) as deployment:
                conduct = Conduct(deployment, operator, folder.path if folder else None, posed)
                conduct.run()
                result = conduct.result()
        finally:
            operator.close()
        if folder is not None:
            result["folder"] = folder.path
            try:
                folder.write_summary(result)
            except RecordError as error:  # how it went is printed all the same
                print(f"poise: {error}", file=sys.stderr)
        result.pop("said")
        print_result("deployed", result, self.json, console_for(self.json))
        return Exit.HELD if result["as_asked"] else Exit.FAILED

    def _operator(self, robot: RobotModel, posed: Posed | None) -> Operator:
        if posed is None:
            from poise.hw.route import RouteOperator, read_route

            return RouteOperator(read_route(self.route or ""))
        from .sources import Sources

        names = tuple(self.source) or ("keyboard",)
        return Sources(names, robot, posed.model, self.port, ("127.0.0.1", self.stream_port))
