"""The processes of a deployment: the supervisor owns the motors, the controller computes, this one is the operator's."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from poise.control import StackConfig
from poise.hw.black_box import BlackBox
from poise.hw.controller import Controller
from poise.hw.dds import Bus
from poise.hw.elsewhere import Adviser, AdviserProcess, Chooser, ElsewhereProcess
from poise.hw.exchange import DISARMED, Mailboxes, mailboxes, operation_record, state_of
from poise.hw.health import RATE_STATES, UnitreeHealth
from poise.hw.mailbox import Record
from poise.hw.motion_switcher import MotionSwitcherClient
from poise.hw.process import RealtimeConfig, abandoned, enter_realtime, leave_signals, schedule
from poise.hw.recorder import Recorder
from poise.hw.supervision import Supervision
from poise.hw.supervisor import Supervisor
from poise.hw.unitree import UnitreeBackend
from poise.hw.wiggle import wiggle
from poise.robots import Decision, Intent, PoiseError, RobotModel, RobotState, load_robot
from poise.robots.commands import damping_command

from .compose import build_advisor, build_chooser, build_stack
from .interrupt import ENDS, held_back

SUPERVISOR_PRIORITY, CONTROLLER_PRIORITY, ADVISER_PRIORITY, PROPOSALS_PRIORITY = 85, 80, 75, 10
READY_S, END_S = 120.0, 5.0


@dataclass(frozen=True)
class DeployPlan:
    """What the processes have to know. Picklable."""

    robot: str
    mode: str
    interface: str
    domain: int
    release: bool  # make the robot's own motion program let go of the motors
    read_only: bool
    realtime: bool
    seed: int
    wiggle: bool = False  # move each joint a little first
    log: Path | None = None  # of the controller's ticks
    meta: Mapping[str, Any] = field(default_factory=dict)  # that the log says of the run

    def load(self) -> RobotModel:
        """The robot."""
        return load_robot(self.robot)


def supervise(plan: DeployPlan, boxes: Mailboxes, black_box: BlackBox, ready: Any, faults: Any) -> None:
    """The supervisor's process. Told to end, or left alone, it first brings down a robot that is up."""
    _leave_signals()
    try:
        robot = plan.load()
        with ExitStack() as held:
            _begin(plan, SUPERVISOR_PRIORITY, faults)
            bus = held.enter_context(Bus(plan.interface, plan.domain))
            backend = UnitreeBackend(robot, bus, read_only=plan.read_only)
            if plan.release and not plan.read_only:
                _release(bus)
            health, supervisor = UnitreeHealth(robot, backend, bus), Supervisor(robot, StackConfig().period_s)
            supervision = Supervision(robot, backend, health, supervisor, boxes, time.monotonic, black_box)
            for _ in range(RATE_STATES):  # until it is known how often states come
                supervision.turn()
            if plan.wiggle:
                _wiggle(robot, backend, health, lambda: boxes.end.is_set() or abandoned())
            ready.set()
            try:
                while not (leaving := boxes.end.is_set() or abandoned()) or not supervisor.over:
                    if leaving:
                        supervisor.request("safe stop")
                    supervision.turn()
                boxes.end.set()
            except Exception as error:  # a fault of its own: the last that it can do
                faults.put(f"the supervisor has failed ({error!r}): motors are damped")
                if supervisor.mode == DISARMED:
                    return
                supervisor.emergency_stop(f"the supervisor has failed ({error!r})")
                while not (boxes.end.is_set() or abandoned()):
                    backend.write(damping_command(robot))
                    supervision.tell()
    except PoiseError as error:
        faults.put(str(error))


def _wiggle(robot: RobotModel, backend: UnitreeBackend, health: UnitreeHealth, ended: Callable[[], bool]) -> None:
    """Refuse to go on where a joint does not move as it is told, or the robot is not fit to be moved."""

    def stops() -> str:
        return health.stops() or ("it was told to end" if ended() else "")

    if said := health.unfit() or wiggle(robot, backend, StackConfig().period_s, stops):
        raise PoiseError(f"not moved any further: {said}")


def control(plan: DeployPlan, boxes: Mailboxes, black_box: BlackBox, ready: Any, faults: Any) -> None:
    """The controller's process."""
    _leave_signals()
    try:
        context = multiprocessing.get_context("spawn")
        with ExitStack() as held:
            elsewhere = held.enter_context(ElsewhereProcess(context, partial(_chooser, plan)))
            robot = plan.load()
            adviser = held.enter_context(AdviserProcess(context, partial(_adviser, plan)))
            stack = build_stack(robot, plan.mode, seed=plan.seed, elsewhere=elsewhere, advises=adviser)
            if not (elsewhere.wait(READY_S) and adviser.wait(READY_S)):
                raise PoiseError("a process that the controller needs did not start")
            recorder = None if plan.log is None else held.enter_context(Recorder(_free(plan.log), robot, plan.meta))
            _begin(plan, CONTROLLER_PRIORITY, faults)

            def on_tick(decision: Decision, state: RobotState) -> str:
                """Record, and say where that fails."""
                if recorder is None:
                    return ""
                recorder.write(state, decision)
                return recorder.remark

            ready.set()
            Controller(stack, boxes, on_tick, plan.seed).run(abandoned)
    except PoiseError as error:
        faults.put(str(error))


def _leave_signals() -> None:
    """Signals are for the operator's process; they were held back while this one was loaded."""
    leave_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _chooser(plan: DeployPlan) -> Chooser:
    """In the process that proposes, which waits for the loop and for nobody else."""
    if plan.realtime:
        schedule(PROPOSALS_PRIORITY)  # where the others were refused, and said so, it is as well
    return build_chooser(plan.load(), plan.mode, plan.seed)


def _adviser(plan: DeployPlan) -> Adviser:
    """In the process that solves the MPC."""
    if plan.realtime:
        schedule(ADVISER_PRIORITY)
    return build_advisor(plan.load()).ask


def _begin(plan: DeployPlan, priority: int, faults: Any) -> None:
    """Be scheduled before all others."""
    for refused in enter_realtime(RealtimeConfig(priority=priority)) if plan.realtime else []:
        faults.put(refused)


def _release(bus: Bus) -> None:
    switcher = MotionSwitcherClient(bus)
    if switcher.mode():
        switcher.release()
    if mode := switcher.mode():
        raise PoiseError(f"the robot's own motion program {mode!r} does not let go of the motors; switch it to debug mode by its remote")


def _free(path: Path) -> Path:
    """A path that nothing is at yet: a controller that was started anew records into a file of its own."""
    return next(free for i in count(1) if not (free := path if i == 1 else path.with_stem(f"{path.stem}-{i}")).exists())


TARGETS = {"controller": control, "supervisor": supervise}


class Deployment:
    """Starts the processes, passes on what the operator says, and ends them; a context manager.

    Attributes:
        status: the supervisor's newest word, a record of `exchange.STATUS`; None before the first.
    """

    def __init__(self, plan: DeployPlan, robot: RobotModel) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._plan, self._robot = plan, robot
        self.boxes = mailboxes(self._context, robot)
        self.status: Record | None = None
        self._faults: Any = self._context.Queue()
        self._requests, self._request = 0, ""
        self._black_box = BlackBox(self._context, robot.n)
        self.processes: dict[str, BaseProcess] = {}

    def __enter__(self) -> Deployment:
        """Both processes, once they are ready.

        Raises:
            PoiseError: one of them ended before it was.
        """
        try:
            ready = {name: self._begin(name) for name in TARGETS}
            for name in reversed(TARGETS):  # the supervisor knows first that there is no robot
                self._wait(name, ready[name])
        except BaseException:  # Ctrl-C as well: Python waits for processes that it has not ended
            self.__exit__()
            raise
        return self

    def start(self, name: str) -> None:
        """Start the process of that name, in place of one that has died, and wait until it is ready.

        Raises:
            PoiseError: it ended before it was.
        """
        self._wait(name, self._begin(name))

    def _begin(self, name: str) -> Any:
        ready = self._context.Event()
        process = self._context.Process(
            target=TARGETS[name], args=(self._plan, self.boxes, self._black_box, ready, self._faults), name=name
        )
        self.processes[name] = process
        with held_back():
            process.start()
        return ready

    def _wait(self, name: str, ready: Any) -> None:
        process, end = self.processes[name], time.monotonic() + READY_S
        while not ready.wait(0.1):
            if not process.is_alive() or time.monotonic() > end:
                process.join(END_S)  # then what it had to say has come
                raise PoiseError("; ".join(self.said()) or f"the {name} did not start")

    def __exit__(self, *_: object) -> None:
        self.boxes.end.set()
        for process in self.processes.values():
            process.join(END_S)
            if process.is_alive():
                process.kill()

    def said(self) -> list[str]:
        """What the processes had to say since the last time."""
        said = []
        while not self._faults.empty():
            said.append(str(self._faults.get()))
        return said

    def tell(self, intent: Intent, request: str = "", emergency_stop: bool = False) -> bool:
        """Pass on what the operator wants, and take the supervisor's word; returns whether that is new.

        A request stands until the next one: none is missed.
        """
        if request:
            self._requests, self._request = self._requests + 1, request
        self.boxes.operation.put(operation_record(intent, len(self._robot.arms), self._request, self._requests, emergency_stop))
        status = self.boxes.status.get()
        self.status = self.status if status is None else status
        return status is not None

    def state(self) -> RobotState | None:
        """The robot's newest state, if there is one that was not looked at yet."""
        record = self.boxes.state.get()
        return None if record is None else state_of(record)

    def write_black_box(self, path: Path) -> None:
        """Write down the last half minute.

        Raises:
            RecordError: it cannot be written.
        """
        self._black_box.write(path, self._robot.joint_names)

    @property
    def dead(self) -> tuple[str, ...]:
        """Names of the processes that have ended."""
        return tuple(name for name, process in self.processes.items() if not process.is_alive())
