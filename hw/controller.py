"""The controller's process: each state that the supervisor shows is answered by the stack's command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from poise.robots import Decision, Intent, JointCommand, RobotState

from .exchange import MODES, WALK, Mailboxes, command_record, intent_of, state_of
from .supervisor import CONTROLLED

WAIT_S = 0.1  # how long a state is waited for before the end of everything is looked for


class Steps(Protocol):
    """What is needed of a stack."""

    def reset(self, seed: int = 0) -> None:
        """Start anew."""
        ...

    def step(self, state: RobotState, intent: Intent, request: JointCommand | None = None) -> Decision:
        """Decide one control period."""
        ...

    def think(self) -> None:
        """What can be done once the command is out."""
        ...


class Controller:
    """Answers while the supervisor says stand or walk, from a stand anew each time; `on_tick` may have something to say."""

    def __init__(self, stack: Steps, boxes: Mailboxes, on_tick: Callable[[Decision, RobotState], str], seed: int = 0) -> None:
        self._stack, self._boxes, self._on_tick, self._seed = stack, boxes, on_tick, seed
        self._idle = True
        self._intent, self._remark = Intent(), ""

    def run(self, abandoned: Callable[[], bool]) -> None:
        """Answer until everything ends, or nobody is left who could end it."""
        while not (self._boxes.end.is_set() or abandoned()):
            if self._boxes.state_came.acquire(timeout=WAIT_S):
                self.turn()

    def turn(self) -> None:
        """Answer the newest state, if it is a new one and an answer is wanted."""
        record = self._boxes.state.get()
        if record is None:
            return
        mode = MODES[int(record["mode"])]
        if mode not in CONTROLLED:
            self._idle = True
            return
        if self._idle:
            self._stack.reset(self._seed)
            self._idle, self._intent = False, Intent()
        state = state_of(record)
        operation = self._boxes.operation.get()
        if operation is not None:
            self._intent = intent_of(operation, state.stamp_s)
        intent = self._intent if mode == WALK else replace(self._intent, velocity=None, waypoint=None)
        decision = self._stack.step(state, intent)
        standing = decision.plan is not None and decision.belief is not None
        carried_n = float(decision.belief.foot_force_n.sum()) if standing and decision.belief else 0.0
        said = "; ".join(filter(None, (decision.reason, self._remark)))
        self._boxes.command.put(command_record(decision.command, int(record["number"]), carried_n, decision.rung, said))
        self._boxes.command_came.release()
        self._stack.think()
        self._remark = self._on_tick(decision, state)
