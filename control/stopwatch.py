"""Where the time of a tick goes."""

from __future__ import annotations

import time


class Stopwatch:
    """Thread CPU time by part, µs."""

    def __init__(self) -> None:
        self._last = time.thread_time_ns()
        self.parts: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """Book the time since the last lap to a part."""
        now = time.thread_time_ns()
        self.parts[part] = self.parts.get(part, 0.0) + (now - self._last) * 1e-3
        self._last = now

    def with_total(self) -> dict[str, float]:
        """The parts and the `tick`: everything but proposing and imagining, which have a thread of their own on the robot."""
        parts = self.parts
        return {**parts, "tick": sum(parts.values()) - parts.get("propose", 0.0) - parts.get("imagine", 0.0)}
