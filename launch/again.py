"""A recorded run once more: built from what its recording says, compared with it tick by tick, and with one cause left out where asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from poise.control import Proposer, Situation
from poise.control.safety import Certifier, SafetyConfig
from poise.control.scripted import ScriptedProposer
from poise.learning import LearnedProposer
from poise.robots import Decision, Intent, JointCommand, MotionProposal, RecordError, RobotModel, RobotState
from poise.robots.record import Log
from poise.robots.types import Array
from poise.sim import MujocoBackend, run
from poise.sim.disturbances import Disturbance
from poise.sim.falls import Comparison, Difference
from poise.sim.locomotion import LocomotionWork
from poise.sim.pushing import LocomotionStack, until_push
from poise.sim.scenarios import Scenario, Segment

from .causes import Cause
from .closed_loop import Advance
from .compose import build_stack
from .replay_fall import work_of
from .scenario_of import plan_of

# A bound that is lifted, in rad, rad/s and W; for capsules, which may be so deep in each other; and in times the torque limit.
FREE, FREE_M, FREE_TIMES = 1e6, 10.0, 10.0


class Replaced:
    """The proposer of a run, in whose place the scripted one can be put at any moment."""

    def __init__(self, own: Proposer, scripted: Proposer) -> None:
        self.acting, self._scripted = own, scripted

    def reset(self, seed: int) -> None:
        """Start anew."""
        self.acting.reset(seed)

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """What the acting one proposes."""
        return self.acting.propose(situation)

    def leave_out(self) -> None:
        """Let the scripted one propose from now on."""
        self.acting = self._scripted


@dataclass(frozen=True)
class Begun:
    """A run at its start."""

    stack: Any
    backend: MujocoBackend
    proposer: Replaced | None = None
    always: tuple[Disturbance, ...] = ()  # what is done to the plant beside the scenario's pushes


def _proposer(robot: RobotModel, mode: str, own: Proposer | None = None) -> Replaced:
    scripted = ScriptedProposer(robot)
    return Replaced(own or (LearnedProposer(robot) if mode == "hybrid" else scripted), scripted)


def _begin_run(meta: Mapping[str, Any], scenario: Scenario) -> Begun:
    """Of `demo` or `walk`."""
    plan = plan_of(meta, scenario)
    if meta["config"]["steered"]:
        raise RecordError("the run was steered from its page, which is not recorded; to make one again record it without --view")
    robot, seed = plan.load(), int(meta["seed"])
    proposer = _proposer(robot, plan.mode, plan.proposer(robot))
    stack = plan.stack(robot, seed, proposer)
    return Begun(stack, plan.backend(robot, stack.period_s, scenario, seed), proposer)


def _begin_push_case(log: Log, scenario: Scenario) -> Begun:
    """Of a fall of `bench locomotion` under a push, at the push: what comes before is not recorded."""
    work, case = work_of("the recording", log.meta), log.meta["case"]
    if not isinstance(work, LocomotionWork) or case["case"] != "push":
        raise RecordError("the recording is no fall of bench locomotion under a push; only those and runs of demo or walk are made again")
    proposer = None if "policy" in log.meta else _proposer(work.robot, log.meta["mode"])
    seed = case["seed"]
    stack = work.make_stack(work.robot, seed) if proposer is None else build_stack(work.robot, log.meta["mode"], proposer, seed=seed)
    backend = work.backend(stack.period_s, case)
    backend.reset(seed)
    stack.reset(seed)
    until_push(stack, backend, case)
    begun = Begun(stack, backend, proposer, backend.disturbances)
    backend.disturbances = (*begun.always, *scenario.pushes)
    return begun


class Again:
    """The run of a recording: stack, plant, and where it is."""

    def __init__(self, log: Log, scenario: Scenario, advance: Advance | None) -> None:
        """Build it, at its first tick, or at that of the recording where this begins later.

        Raises:
            PoiseError: the recording does not say how it was run, or it cannot be run here.
        """
        self._begun = _begin_push_case(log, scenario) if "case" in log.meta else _begin_run(log.meta, scenario)
        self.scenario, self.stack, self.backend = scenario, self._begun.stack, self._begun.backend
        self.period_s: float = self.stack.period_s
        self.tick = self.first = round(float(self.backend.data.time) / self.period_s)
        self.comparison, self._advance = Comparison(self.stack, log), advance
        self._steps: LocomotionStack = self.comparison

    def go(self, until_s: float, note: Callable[[Decision, float], None] | None = None) -> bool:
        """Go on to a time, s; `note` is told each decision and its time. Whether it has fallen."""
        begin, period = self.tick, self.period_s

        def intent(time_s: float, state: RobotState) -> Intent:
            """What the scenario wants, at the tick's own time: a sum of two would round to another one."""
            return self.scenario.intent((begin + round(time_s / period)) * period)

        def on_tick(decision: Decision, state: RobotState) -> None:
            """Count and note a tick, and tell how far the run is."""
            if note is not None:
                note(decision, self.tick * period)
            self.tick += 1
            if self._advance is not None:
                self._advance(self.tick * period)

        return run(self._steps, self.backend, intent, (round(until_s / period) - begin) * period, on_tick).fell

    def check(self, log: Log) -> None:
        """Refuse a run that is not the one recorded: what it shows says nothing of that one.

        Raises:
            RecordError: it is not.
        """
        found = self.comparison.found
        if found is not None and found.tick <= log.tick["tick"][-1]:  # it may go on beyond its recording
            raise RecordError(_differs(found))

    def back(self, stack: Any, plant: Any, tick: int) -> None:
        """Go back to snapshots of stack and plant, and their tick."""
        self.stack.restore(stack)
        self.backend.restore(plant)
        self.tick = tick

    def leave_out(self, cause: Cause) -> None:
        """Take one cause away, from now on; nothing is compared any more."""
        self._steps, self._advance = self.stack, None
        begun, (kind, _, rest) = self._begun, cause.name.partition("-")
        if kind == "push":
            self.backend.disturbances = (*begun.always, *_but(self.scenario.pushes, int(rest)))
        elif kind == "fault":
            self.backend.faults = _but(self.scenario.faults, int(rest))
        elif kind == "request":
            self.scenario = _without_request(self.scenario, int(rest))
        elif kind == "bound":
            stack = self.stack
            lifted = Lifted(stack.robot, stack.config.safety, rest, stack.period_s)
            lifted.restore(stack.certifier.snapshot())
            stack.certifier = lifted
        elif begun.proposer is not None:
            begun.proposer.leave_out()


def _but(items: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return items[: number - 1] + items[number:]


def _without_request(scenario: Scenario, number: int) -> Scenario:
    """The request before it goes on in its place."""
    segments = list(scenario.segments)
    segments[number - 1] = Segment(segments[number - 1].until_s, segments[number - 2].intent)
    return replace(scenario, segments=tuple(segments))


class Lifted(Certifier):
    """A certifier without one of its bounds; the motors keep their own limits, and what it damps with is as it was."""

    def __init__(self, robot: RobotModel, config: SafetyConfig, bound: str, period_s: float) -> None:
        self._whole = Certifier(robot, config, period_s)
        free = np.full(robot.n, FREE)
        if bound == "clearance":
            config = replace(
                config,
                clearance=config.clearance._replace(least_m=-FREE_M),
                clearance_moving=config.clearance_moving._replace(least_m=-FREE_M),
            )
        elif bound == "motion":
            robot = replace(robot, position_min=-free, position_max=free, velocity_limit=free)
            config = replace(config, resting=replace(config.resting, speed_max=FREE))
        elif bound == "torque":  # by so much only: torques are changed, and looked at, in shares of their limits
            robot = replace(robot, torque_limit=FREE_TIMES * robot.torque_limit)
            config = replace(config, reported_change=config.reported_change / FREE_TIMES)
        else:
            robot = replace(robot, power_limit=free)
        super().__init__(robot, config, period_s)

    def damping(self, q: Array) -> JointCommand:
        """The safe command."""
        return self._whole.damping(q)


def _differs(found: Difference) -> str:
    where = f"tick {found.tick} in {found.field}: recorded {found.recorded!r}, now {found.replayed!r}"
    return (
        f"made again, the run differs from its recording at {where}; use the versions of its config.json, on the machine that recorded it"
    )
