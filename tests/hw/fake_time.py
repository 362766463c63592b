"""Time for tests of what waits."""

from __future__ import annotations

from poise.hw.clock import Clock

PERIOD_NS = 2_000_000
READ_NS = 1_000  # what reading the time costs


class FakeTime:
    """Time that passes only when it is read, slept or worked away; sleeping lasts too long by `oversleep_ns`."""

    def __init__(self, oversleep_ns: int = 0) -> None:
        self.ns, self.oversleep_ns = 123_456_789, oversleep_ns
        self.slept_ns: list[int] = []
        self.worked_ns = 0

    def now_ns(self) -> int:
        self.ns += READ_NS
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.slept_ns.append(round(1e9 * seconds))
        self.ns += self.slept_ns[-1] + self.oversleep_ns

    def cpu_ns(self) -> int:
        return self.worked_ns

    def work(self, ns: int) -> None:
        """Pass, and be the thread's own doing."""
        self.ns += ns
        self.worked_ns += ns

    def steal(self, ns: int) -> None:
        """Pass while something else runs."""
        self.ns += ns


def fake_clock(oversleep_ns: int = 0, spin_s: float = 0.0002) -> tuple[Clock, FakeTime, int]:
    """A clock of 2 ms, its time, and when it started, ns."""
    source = FakeTime(oversleep_ns)
    clock = Clock(1e-9 * PERIOD_NS, source, spin_s)
    return clock, source, source.ns
