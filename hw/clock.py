"""The clock of a control loop on hardware: absolute ticks, so that lateness never adds up."""

from __future__ import annotations

import time
from typing import Protocol

SPIN_S = 0.0002  # what is left to wait actively after sleeping: the operating system wakes a sleeper late by about so much


class TimeSource(Protocol):
    """Where a clock reads the time and how it sleeps."""

    def now_ns(self) -> int:
        """Monotonic time, ns."""
        ...

    def cpu_ns(self) -> int:
        """Processor time that this thread has had, ns."""
        ...

    def sleep(self, seconds: float) -> None:
        """Give the processor away for at least about this long."""
        ...


class SystemTime:
    """The operating system's monotonic time, and the thread's processor time."""

    def now_ns(self) -> int:
        """Monotonic time, ns."""
        return time.monotonic_ns()

    def cpu_ns(self) -> int:
        """Processor time that this thread has had, ns."""
        return time.thread_time_ns()

    def sleep(self, seconds: float) -> None:
        """Give the processor away for at least about this long."""
        time.sleep(seconds)


class Clock:
    """Tick k is due k periods after the start, whatever happened before it; a late caller loses whole ticks, never phase.

    Attributes:
        tick: the tick that the last `wait` returned at; 0 is the start.
        overruns: how many times `wait` was called after the next tick was due.
        skipped: how many ticks these overruns lost.
        lateness_s: how long after its tick the last `wait` returned, s.
        time: where it reads the time.
    """

    def __init__(self, period_s: float, time_source: TimeSource | None = None, spin_s: float = SPIN_S) -> None:
        """Start now.

        Args:
            period_s: from tick to tick, s, rounded to ns.
            time_source: the system's monotonic time where None.
            spin_s: how long before a tick sleeping ends and active waiting begins, s.
        """
        self._period_ns, self._spin_ns = round(1e9 * period_s), round(1e9 * spin_s)
        if self._period_ns <= 0 or self._spin_ns < 0:
            raise ValueError(f"a Clock takes a period of at least 1 ns and a spin of 0 s or more, got {period_s} and {spin_s}")
        self.time = time_source or SystemTime()
        self.restart()

    @property
    def period_s(self) -> float:
        """From tick to tick, s."""
        return 1e-9 * self._period_ns

    def restart(self) -> None:
        """Make now tick 0 and forget the counts: what was slow before the loop (warming up) is no overrun."""
        self._start_ns = self.time.now_ns()
        self.tick = self.overruns = self.skipped = 0
        self.lateness_s = 0.0

    def wait(self) -> int:
        """Wait for the next tick that is still to come and return how many were skipped, 0 when on time."""
        late_ns = self.time.now_ns() - self._due_ns(self.tick + 1)
        skipped = max(0, -(-late_ns // self._period_ns))  # rounded up: waking between two ticks would break the phase
        self.overruns += skipped > 0
        self.skipped += skipped
        self.tick += 1 + skipped
        self.lateness_s = 1e-9 * self._wait_until(self._due_ns(self.tick))
        return skipped

    def _due_ns(self, tick: int) -> int:
        return self._start_ns + tick * self._period_ns

    def _wait_until(self, due_ns: int) -> int:
        """Sleep, then spin; return by how many ns the time was missed."""
        sleep_ns = due_ns - self._spin_ns - self.time.now_ns()
        if sleep_ns > 0:
            self.time.sleep(1e-9 * sleep_ns)
        while (now_ns := self.time.now_ns()) < due_ns:
            pass
        return now_ns - due_ns
