"""The supervisor's and the controller's side of a deployment in one process, around a plant, with a clock of their own."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from copy import copy

import numpy as np

from poise.hw.controller import Controller, Steps
from poise.hw.exchange import MODES, Mailboxes, mailboxes, operation_record
from poise.hw.supervision import Supervision
from poise.hw.supervisor import Supervisor, SupervisorConfig
from poise.robots import Intent, JointCommand, RobotModel, RobotState
from poise.sim import MujocoBackend

PERIOD_S = 0.002
CONFIG = SupervisorConfig(stand_up_s=0.04)  # a robot that is held stiffly on its feet falls after a second


class Wire:
    """A plant as the supervisor sees a robot: what is sent moves it by a period, and so does silence, on what it heard last.

    Attributes:
        now_s: the time of all of this, s: it passes when a period does.
        sent: all that came to the motors; None where nothing was.
        speaks: whether a state comes.
    """

    def __init__(self, plant: MujocoBackend) -> None:
        self._plant, self.now_s, self.arrived_s, self.refused = plant, 100.0, 100.0, 0
        self.sent: list[JointCommand | None] = []
        self.speaks, self.turn_s = True, PERIOD_S
        self.spoil: Callable[[RobotState], RobotState] = lambda state: state
        self._state = plant.read()
        self._last: JointCommand | None = None

    def read(self) -> RobotState:
        return self._state

    def write(self, command: JointCommand) -> JointCommand:
        self.sent.append(command)
        self._last = command
        self._pass()
        return command

    def idle(self) -> None:
        self.sent.append(None)
        self._pass()

    def _pass(self) -> None:
        if self._last is not None:
            self._plant.write(self._last)
        self.now_s += self.turn_s
        if self.speaks:
            self._state, self.arrived_s = self.spoil(self._plant.read()), self.now_s


class Well:
    """A robot against which nothing speaks, unless the test says so."""

    def __init__(self) -> None:
        self.battery, self.against, self.stopped, self.remote = 90.0, "", "", bytes(40)

    def look(self) -> None:
        """Nothing to see."""

    def unfit(self) -> str:
        return self.against

    def stops(self) -> str:
        return self.stopped


class Deployed:
    """Both sides, the operator's word, and what the supervisor says of itself.

    The controller answers within the supervisor's wait for it: the semaphore that says that a state came runs it.
    """

    def __init__(self, robot: RobotModel, plant: MujocoBackend, stack: Steps) -> None:
        self.robot, self.wire, self.health = robot, Wire(plant), Well()
        self.boxes: Mailboxes = mailboxes(multiprocessing.get_context("spawn"), robot)
        self.boxes = self.boxes._replace(state_came=threading.Semaphore(0), command_came=Answered(self))
        self.supervisor = Supervisor(robot, PERIOD_S, CONFIG)
        self.supervision = Supervision(robot, self.wire, self.health, self.supervisor, self.boxes, lambda: self.wire.now_s)
        theirs = self.boxes._replace(operation=copy(self.boxes.operation))  # which of two processes has read what is their own affair
        self.controller = Controller(stack, theirs, lambda decision, state: "")
        self.answers, self.late = True, False
        self._requests, self.status = 0, np.zeros((), [("mode", "u1")])

    def tell(self, request: str = "", intent: Intent | None = None, emergency_stop: bool = False) -> None:
        """What the operator wants, from now on."""
        self._requests += bool(request)
        wanted = operation_record(intent or Intent(), len(self.robot.arms), request, self._requests, emergency_stop)
        self.boxes.operation.put(wanted)

    def turns(self, seconds: float, request: str = "", intent: Intent | None = None) -> list[JointCommand | None]:
        """Ask once, go on for a while, the operator speaking every 20 ms; what was sent in that while."""
        begin = len(self.wire.sent)
        self.tell(request, intent)
        for i in range(round(seconds / PERIOD_S)):
            if i % 10 == 9:
                self.tell("", intent)
            self.turn()
        return self.wire.sent[begin:]

    def turn(self) -> None:
        """One, in which the operator says nothing new."""
        self.supervision.turn()
        status = self.boxes.status.get()
        assert status is not None
        self.status = status

    @property
    def mode(self) -> str:
        """By the status that the operator sees."""
        return MODES[int(self.status["mode"])]

    @property
    def reason(self) -> str:
        return str(self.status["reason"].item().decode())

    def stand(self) -> None:
        """Through all stages to a stand."""
        self.turns(0.01, "arm")
        self.turns(CONFIG.stand_up_s + 0.02, "stand up")
        self.turns(0.4, "stand")
        assert self.mode == "stand"


class Answered:
    """In place of the semaphore that says that a command came: asked for one, it lets the controller turn first."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed, self._released = deployed, False

    def acquire(self, timeout: float) -> bool:
        assert timeout >= 0.0
        d = self._deployed
        if d.late and not self._released:
            if d.answers:
                d.controller.turn()  # too late for this state
            return False
        if not self._released and d.answers:
            d.controller.turn()
        came, self._released = self._released, False
        return came

    def release(self) -> None:
        self._released = True
