"""The supervisor's process: it reads the robot, shows the state to the controller, and writes what the supervisor lets through."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from poise.control.lip import GRAVITY
from poise.robots import JointCommand, RobotModel, RobotState
from poise.robots.types import RUNGS

from .black_box import BlackBox
from .exchange import FAULT, MODES, STATUS, Mailboxes, command_of, command_record, state_record
from .histogram import Histogram
from .mailbox import Record
from .operation import REQUESTS
from .supervisor import CONTROLLED, LONGEST_S, Supervisor

ANSWER_S = 0.0016  # how long a command is waited for after a state, of a period of 2 ms
FALLEN, FALLEN_S = RUNGS.index("controlled descent"), 3.0  # from this rung on, for so long: the robot is down
LATE = 5  # states: an answer to an older one counts no more
AGES_EVERY = 50  # states between two looks at how old they were at the command


class Wired(Protocol):
    """A Backend that can also keep still, and knows when its state came."""

    arrived_s: float

    @property
    def refused(self) -> int:
        """States that were not whole."""
        ...

    def read(self) -> RobotState:
        """The newest state."""
        ...

    def write(self, command: JointCommand) -> JointCommand:
        """Send a command and wait for the next state."""
        ...

    def idle(self) -> None:
        """Send nothing and wait for the next state."""
        ...


class Health(Protocol):
    """What the robot says of itself beside its state."""

    def look(self) -> None:
        """Called once a period."""
        ...

    def unfit(self) -> str:
        """Why it must not be armed; empty where nothing speaks against it."""
        ...

    def stops(self) -> str:
        """Who on the robot's side asks for an emergency stop; empty: nobody."""
        ...

    battery: float  # %, NaN: not known

    @property
    def remote(self) -> bytes:
        """The 40 bytes of the wireless remote."""
        ...


class Supervision:
    """One turn for each state of the robot: show it, wait for the answer, send."""

    def __init__(
        self,
        robot: RobotModel,
        backend: Wired,
        health: Health,
        supervisor: Supervisor,
        boxes: Mailboxes,
        now: Callable[[], float],
        black_box: BlackBox | None = None,
    ) -> None:
        """Begin with the state the backend has; `now` is the clock that `arrived_s` is read from, s."""
        self._robot, self._backend, self._health, self._supervisor = robot, backend, health, supervisor
        self._boxes, self._now, self._black_box = boxes, now, black_box
        unknown = np.full(robot.n, np.nan)
        self._nothing = command_record(JointCommand(*[unknown] * 6), 0, np.nan, RUNGS[0])
        self._number = self._missed = self._rung = 0
        before = boxes.operation.get()  # what was asked for before it listened is not meant
        self._requests = 0 if before is None else int(before["requests"])
        self._carried_n = self._unspoken_s = self._fallen_s = self._period_s = 0.0
        self._turned_s, self._said = now(), b""
        self._weight_n = GRAVITY * robot.mass
        self._stamp = math.nan
        self._ages, self._age_ms = Histogram(), (math.nan, math.nan)

    def turn(self) -> None:
        """Of the whole loop: nothing in it raises for what the robot, the controller or the operator send."""
        boxes, supervisor = self._boxes, self._supervisor
        state = self._backend.read()
        new = state.stamp_s != self._stamp
        self._stamp = state.stamp_s
        self._number += 1
        shown = state_record(state, self._number, MODES.index(supervisor.mode))
        boxes.state.put(shown)
        boxes.state_came.release()
        self._health.look()
        self._obey(boxes.operation.get())
        if who := self._health.stops():
            supervisor.emergency_stop(who)
        self._watch_over(self._elapsed())
        command = self._answer() if supervisor.mode in CONTROLLED else None
        sent = supervisor.step(state, new, command, self._period_s)
        if self._black_box is not None:
            self._black_box.note(self._now(), shown, self._record_of(sent))
        if sent is None:
            self._backend.idle()
        else:
            if supervisor.mode in CONTROLLED:
                self._ages.add(self._now() - self._backend.arrived_s)
            self._backend.write(sent)
        self.tell()

    def tell(self) -> None:
        """Say how it stands."""
        self._boxes.status.put(self._status())

    def _obey(self, operation: Record | None) -> None:
        if operation is None:
            return
        self._unspoken_s, before, faulty = 0.0, self._requests, self._supervisor.mode == FAULT
        self._requests = int(operation["requests"])
        if operation["emergency_stop"]:
            self._supervisor.emergency_stop("operator")
            if not faulty:
                return  # whatever is asked for beside it
        if self._requests != before:
            wanted = REQUESTS[min(int(operation["request"]), len(REQUESTS) - 1)]
            unfit = self._health.unfit() if wanted == "arm" else ""
            self._supervisor.request(wanted, unfit, self._carried_n / self._weight_n)

    def _elapsed(self) -> float:
        """Since the last turn, s; a clock that jumps counts little."""
        now = self._now()
        self._period_s, self._turned_s = min(max(now - self._turned_s, 0.0), LONGEST_S), now
        return self._period_s

    def _watch_over(self, elapsed_s: float) -> None:
        """How long the operator has been silent, and the controller has been letting the robot down."""
        self._unspoken_s += elapsed_s
        self._supervisor.operator_silent(self._unspoken_s)
        self._fallen_s = self._fallen_s + elapsed_s if self._rung >= FALLEN and self._supervisor.mode in CONTROLLED else 0.0
        if self._fallen_s > FALLEN_S:
            self._supervisor.has_fallen(RUNGS[self._rung])

    def _answer(self) -> JointCommand | None:
        """The controller's command for the state it was just shown, or one for a state shortly before; None where there is none yet."""
        boxes, end, newest = self._boxes, self._now() + ANSWER_S, None
        while boxes.command_came.acquire(timeout=min(max(0.0, end - self._now()), ANSWER_S)):
            record = boxes.command.get()
            if record is None or not 0 <= self._number - int(record["answers"]) <= LATE:
                continue
            newest, self._carried_n, self._rung = command_of(record), float(record["carried_n"]), int(record["rung"])
            self._said = record["said"].item()
            if int(record["answers"]) == self._number:
                return newest
        self._missed += 1
        return newest

    def _record_of(self, sent: JointCommand | None) -> Record:
        if sent is None:
            return self._nothing
        return command_record(sent, self._number, self._carried_n, RUNGS[self._rung])

    def _status(self) -> Record:
        supervisor, record = self._supervisor, np.zeros((), STATUS)
        record["mode"], record["reason"] = MODES.index(supervisor.mode), supervisor.reason.encode()
        record["states"], record["missed"], record["longest_silence_s"] = self._number, self._missed, supervisor.longest_silence_s
        if self._number % AGES_EVERY == 0:
            self._age_ms = 1e3 * self._ages.quantile(0.5), 1e3 * self._ages.quantile(0.99)
        record["age_ms"] = self._age_ms
        record["battery"], record["carried_n"], record["rung"] = self._health.battery, self._carried_n, self._rung
        record["remote"] = np.frombuffer(self._health.remote, np.uint8)
        record["refused"], record["said"] = self._backend.refused, self._said
        return record
