"""One seeded run of a scenario in simulation: the loop on the estimated state, its recording, summary and report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poise.control import Proposer, Stack
from poise.learning import LearnedProposer
from poise.robots import Decision, Intent, PoiseError, RecordError, RobotModel, RobotState, load_robot
from poise.robots.plant import compile_plant
from poise.robots.record import WHOLE, LogWriter
from poise.sim import NOISE, MujocoBackend, run
from poise.sim.metrics import truth
from poise.sim.scenarios import Scenario

from .compose import build_stack
from .live import Live, Watched
from .report import write_report
from .run_folder import RunFolder

PLANTS = (".xml", ".mjcf", ".urdf")
OPTIONS = ("robot", "overlay", "mode", "policy", "plant", "noise")
Advance = Callable[[float], None]
"""Is told the time of the run after each tick, s."""


@dataclass(frozen=True)
class RunPlan:
    """What runs of a command have in common; called with a seed it makes one. Picklable."""

    command: str
    scenario: Callable[[int], Scenario]
    robot: str = "g1"
    overlay: str | None = None
    mode: str = "hybrid"
    policy: str | None = None
    plant: str | None = None
    noise: str = "nominal"
    out: str = "runs"
    record: str = "brief"  # "full": every tick in float64; "none": no folder
    port: int | None = None  # of the live page; None: no page, and as fast as it goes
    sources: tuple[str, ...] = ()  # who steers in place of the scenario, of `teleoperation.SOURCES`
    stream: tuple[str, int] = ("127.0.0.1", 8090)  # address and port where the source "stream" listens

    def __call__(self, seed: int, stop: Callable[[], bool] | None = None, advance: Advance | None = None) -> dict[str, Any]:
        """Run, and write what belongs into the run's folder.

        Raises:
            PoiseError: robot, plant, policy or folder cannot be used.
        """
        robot, scenario = self.load(), self.scenario(seed)
        stack = self.stack(robot, seed)
        backend = self.backend(robot, stack.period_s, scenario, seed)
        with ExitStack() as held:
            live = self._live(robot, backend, seed)
            if live is not None:
                held.enter_context(live)
            folder = RunFolder.create(self.out, f"{self.command}-{seed}") if self.record != "none" else None
            writer = held.enter_context(self._writer(folder, robot, stack, seed)) if folder else None

            def intent(time_s: float, state: RobotState) -> Intent:
                """What the scenario wants at a time since the start, s, unless the page steers."""
                wanted = scenario.intent(time_s)
                return wanted if live is None else live.intent(wanted)

            def on_tick(decision: Decision, state: RobotState) -> None:
                """Record a decision and the state it was made on, show it, and tell how far the run is."""
                if writer is not None:
                    writer.write(state, decision, truth(backend))
                push = None if live is None else live.show(decision)
                if push is not None and writer is not None:
                    writer.note(state.stamp_s, decision.tick, {"push": push})
                if advance is not None:
                    advance(float(backend.data.time))

            def ended() -> bool:
                """Whether the user asked to stop, or what steers did."""
                return (stop is not None and stop()) or (live is not None and live.ended)

            result = run(stack if live is None else live.over(stack), backend, intent, scenario.seconds, on_tick, ended)
            outcome = {} if live is None else live.outcome(result.fell)
        summary = {"seed": seed, **result.to_dict(), "ticks": round(result.seconds / stack.period_s), **outcome}
        return summary | _finish(folder, summary)

    def load(self) -> RobotModel:
        """The robot.

        Raises:
            PoiseError: there is none of that name, or its files cannot be used.
        """
        return load_robot(self.robot, self.overlay)

    def proposer(self, robot: RobotModel) -> Proposer | None:
        """What proposes beside the mode's own; None where nothing does.

        Raises:
            PoiseError: the policy cannot be used.
        """
        if self.policy is None:
            return None
        if self.mode == "model":
            raise PoiseError(f'--policy {self.policy}: mode "model" takes no policy; leave it out or use --mode hybrid')
        return LearnedProposer(robot, self.policy)

    def stack(self, robot: RobotModel, seed: int, proposer: Proposer | None = None) -> Stack:
        """The controller, with a proposer in place of its own where one is given.

        Raises:
            PoiseError: the policy cannot be used.
        """
        return build_stack(robot, self.mode, proposer or self.proposer(robot), seed=seed)

    def backend(self, robot: RobotModel, period_s: float, scenario: Scenario, seed: int) -> MujocoBackend:
        """The plant, at the start of a scenario.

        Raises:
            PoiseError: the plant is not one of the robot, or cannot be read.
        """
        if self.plant is not None and Path(self.plant).suffix not in PLANTS:
            raise PoiseError(f"--plant {self.plant}: not a file ending in {' or '.join(PLANTS)}; give an MJCF of the robot")
        plant = None if self.plant is None else compile_plant(self.plant)
        backend = MujocoBackend(
            robot, plant, period_s=period_s, noise=NOISE[self.noise], disturbances=scenario.pushes, faults=scenario.faults
        )
        backend.reset(seed)
        return backend

    def _live(self, robot: RobotModel, backend: MujocoBackend, seed: int) -> Watched | None:
        if self.port is None:
            return None
        if not self.sources:
            return Live(robot, backend, self.port, seed)
        from .teleoperation import Teleoperation  # needs more to be installed

        return Teleoperation(robot, backend, self.sources, self.port, self.stream, seed)

    def _writer(self, folder: RunFolder, robot: RobotModel, stack: Stack, seed: int) -> LogWriter:
        options: dict[str, Any] = {name: getattr(self, name) for name in OPTIONS} | {"steered": self.port is not None}
        head = folder.write_config({"command": self.command, **options, "scenario": self.scenario(seed), "stack": stack.config}, seed)
        return LogWriter(folder.log, robot, head, **WHOLE if self.record == "full" else {})


def _finish(folder: RunFolder | None, summary: dict[str, Any]) -> dict[str, Any]:
    """Write summary and report; where they are, for who reads the result."""
    if folder is None:
        return {"folder": None, "report": None}
    folder.write_summary(summary)
    try:
        report: Path | None = write_report(folder)
    except RecordError:  # ended before there was anything to show
        report = None
    return {"folder": str(folder.path), "report": None if report is None else str(report)}
