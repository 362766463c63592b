"""`poise bench loop`: how well a real-time loop keeps its ticks on this machine."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnContext
from typing import TYPE_CHECKING, Any

from .arguments import File, Mode

if TYPE_CHECKING:
    from poise.hw.elsewhere import Adviser, Chooser
    from poise.hw.mailbox import Mailbox

    from .output import Exit

READY_S = 120.0
PRIORITY, ADVISER_PRIORITY, PLANT_PRIORITY = 80, 75, 70


@dataclass(frozen=True)
class Loop:
    """Control a walk in a loop of 2 ms by the clock on the wall: how late its ticks begin, how many are lost, and to what.

    The plant runs in a process of its own, as a robot would."""

    seconds: float = 60.0
    """How long, s."""
    realtime: bool = True
    """Be scheduled before other programs, with memory locked."""
    load: bool = True
    """Keep the other processors busy meanwhile."""
    own_processor: bool = True
    """Give the loop a processor of its own, where there are two, and wait for ticks without sleeping: what sleeps finds its caches cold."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, made in a process of its own; model: scripted ones."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run the loop."""
        from .options import check_json, check_seconds, console_for
        from .output import Exit, print_result

        check_seconds(self.seconds)
        check_json(self.json)
        context, processors = multiprocessing.get_context("spawn"), os.sched_getaffinity(0)
        own = max(processors) if self.own_processor and len(processors) > 1 else None
        os.sched_setaffinity(0, processors - {own})  # and what it starts
        loads = [context.Process(target=_spin, daemon=True) for _ in range(len(processors) - 1 if self.load else 0)]
        for load in loads:
            load.start()
        try:
            result = self._run(context, own)
        finally:
            for load in loads:
                load.kill()
            os.sched_setaffinity(0, processors)
        print_result("loop", result, self.json, console_for(self.json))
        return Exit.HELD

    def _run(self, context: SpawnContext, own: int | None) -> dict[str, Any]:
        from poise.hw.clock import SPIN_S, Clock
        from poise.hw.elsewhere import AdviserProcess, ElsewhereProcess
        from poise.hw.exchange import command_record, command_type, state_of, state_type
        from poise.hw.loop import Timing, run_loop
        from poise.hw.mailbox import Mailbox
        from poise.hw.process import RealtimeConfig, enter_realtime, throttled
        from poise.robots import Intent, PoiseError, load_robot

        from .compose import build_stack

        robot, timing, intent = load_robot("g1"), Timing(), Intent(velocity=(0.4, 0.0, 0.0))
        states, commands = Mailbox(context, state_type(robot.n)), Mailbox(context, command_type(robot.n))
        with ExitStack() as held:
            elsewhere = held.enter_context(ElsewhereProcess(context, partial(_chooser, self.mode)))
            adviser = held.enter_context(AdviserProcess(context, partial(_adviser, self.realtime)))
            stack = build_stack(robot, self.mode, elsewhere=elsewhere, advises=adviser)
            if not (elsewhere.wait(READY_S) and adviser.wait(READY_S)):
                raise PoiseError("a process that the loop needs did not start")
            plant = context.Process(target=_plant, args=(states, commands, self.realtime), daemon=True)
            plant.start()
            held.callback(plant.kill)
            while (record := states.get()) is None:
                if not plant.is_alive():
                    raise PoiseError("the process of the plant has died")
                time.sleep(0.01)
            for refused in enter_realtime(RealtimeConfig(PRIORITY if self.realtime else None, own, self.realtime)):
                print(f"poise: {refused}", file=sys.stderr)
            sleepless = own is not None and not (self.realtime and throttled())
            ticks, rungs = round(self.seconds / stack.period_s), Counter[str]()

            def step(tick: int) -> bool:
                """Answer the newest state; whether to go on."""
                nonlocal record
                newest = states.get()
                record = record if newest is None else newest
                assert record is not None  # there was a first one
                decision = stack.step(state_of(record), intent)
                commands.put(command_record(decision.command, tick, 0.0, decision.rung))
                stack.think()
                rungs[decision.rung] += 1
                return tick < ticks

            run_loop(Clock(stack.period_s, spin_s=stack.period_s if sleepless else SPIN_S), step, timing)
        return {**timing.plain(), "skipped_percent": 100.0 * timing.skipped / ticks, "sleepless": sleepless, "rungs": dict(rungs)}


def _plant(states: Mailbox, commands: Mailbox, realtime: bool) -> None:
    """A robot that moves by its own clock."""
    from poise.hw.clock import Clock
    from poise.hw.exchange import command_of, state_record
    from poise.hw.loop import Timing, run_loop
    from poise.hw.process import schedule
    from poise.robots import load_robot
    from poise.robots.commands import hold_command
    from poise.sim import MujocoBackend

    if realtime:
        schedule(PLANT_PRIORITY)
    robot = load_robot("g1")
    backend, command = MujocoBackend(robot), hold_command(robot, robot.posture)

    def step(tick: int) -> bool:
        """Move by the newest command."""
        nonlocal command
        newest = commands.get()
        command = command if newest is None else command_of(newest)
        backend.write(command)
        states.put(state_record(backend.read(), tick, 0))
        return True

    run_loop(Clock(backend.period_s), step, Timing())


def _adviser(realtime: bool) -> Adviser:
    from poise.hw.process import schedule
    from poise.robots import load_robot

    from .compose import build_advisor

    if realtime:
        schedule(ADVISER_PRIORITY)
    return build_advisor(load_robot("g1")).ask


def _chooser(mode: str) -> Chooser:
    from poise.robots import load_robot

    from .compose import build_chooser

    return build_chooser(load_robot("g1"), mode)


def _spin() -> None:
    """Keep a processor busy."""
    while True:
        pass
