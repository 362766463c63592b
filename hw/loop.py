"""The control loop: a step at every tick of a clock, and where its time went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .clock import Clock
from .histogram import Histogram


class Timing:
    """What a loop's ticks were like.

    Attributes:
        lateness: how long after its tick each step began.
        work: how long the steps took, by the clock on the wall.
        cpu: and by the thread's processor.
        ticks: steps taken.
        skipped_own: ticks that were skipped since the step before took more processor time than a period.
        skipped_stolen: and those it lost though it did not: the operating system, or the machine under it, ran something else.
    """

    def __init__(self) -> None:
        self.lateness, self.work, self.cpu = Histogram(), Histogram(), Histogram()
        self.ticks = self.skipped_own = self.skipped_stolen = 0

    @property
    def skipped(self) -> int:
        """All ticks that were due and not taken."""
        return self.skipped_own + self.skipped_stolen

    def plain(self) -> dict[str, Any]:
        """Counts, and µs of lateness, work and processor time."""
        counts = {"ticks": self.ticks, "skipped_own": self.skipped_own, "skipped_stolen": self.skipped_stolen}
        return {**counts, "lateness_us": self.lateness.plain(), "work_us": self.work.plain(), "cpu_us": self.cpu.plain()}


def run_loop(clock: Clock, step: Callable[[int], bool], timing: Timing) -> None:
    """Call `step` with the number of each tick from now on until it returns False; a step that raises ends the loop with what it raised."""
    clock.restart()
    going, cpu_s = True, 0.0
    while going:
        skipped = clock.wait()
        if cpu_s > clock.period_s:
            timing.skipped_own += skipped
        else:
            timing.skipped_stolen += skipped
        timing.lateness.add(clock.lateness_s)
        began_ns, cpu_ns = clock.time.now_ns(), clock.time.cpu_ns()
        going = step(clock.tick)
        cpu_s = 1e-9 * (clock.time.cpu_ns() - cpu_ns)
        timing.cpu.add(cpu_s)
        timing.work.add(1e-9 * (clock.time.now_ns() - began_ns))
        timing.ticks += 1
