"""From ticks to the messages of a recording: what its topics hold, and what of a run is worth explaining."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .log_vectors import CODES, VectorLayout, tick_layout, tick_values
from .model import RobotModel
from .types import RUNGS, Decision, RobotState

STAMP_MAX_S = 1.8e10  # beyond it ns do not fit into 64 bits
EXPLAINED, NOTE, TICK = ("/decision_explained",), ("/note",), ("/tick",)

_PULSE = (
    ("status", (), "0 ok, 1 degraded, 2 safe"),
    ("rung", (), ", ".join(f"{code} {rung}" for code, rung in enumerate(RUNGS))),
    ("certificate_changed", (), "0 or 1"),
    ("torque_change_nm", (), "N·m"),
)

Channel = tuple[Any, ...]  # a topic, and on what else its layout depends


class Entry(NamedTuple):
    """One message; picklable."""

    channel: Channel
    stamp_ns: int
    tick: int
    content: Any  # bytes of a vector; of EXPLAINED and NOTE what is to become JSON


class Packer:
    """Makes the messages of one run. A situation that stays the same is explained again at the rate of /tick only, another rung at once."""

    def __init__(self, robot: RobotModel, every: int, dtype: str) -> None:
        self._every, self._dtype = every, dtype
        self._layouts = {TICK: tick_layout(robot.n, len(robot.arms), dtype)}
        self._last: tuple[Any, ...] = ()
        self._last_tick = self._last_stamp = 0

    def layout(self, channel: Channel) -> VectorLayout | None:
        """How the vectors of a channel are laid out; None of one that holds JSON."""
        if channel in (EXPLAINED, NOTE):
            return None
        if channel not in self._layouts:
            topic, *rest = channel
            if topic == "/pulse":
                parts = ((f"{part}_us", (), "µs of thread CPU") for part in rest)
                self._layouts[channel] = VectorLayout((*_PULSE, *parts), "float32")
            else:
                self._layouts[channel] = VectorLayout(((name, shape, "") for name, shape in rest), self._dtype)
        return self._layouts[channel]

    def tick(self, state: RobotState, decision: Decision, truth: Mapping[str, Any] | None = None) -> list[Entry]:
        """The messages of one tick."""
        entries = [self._pulse(state.stamp_s, decision)]
        if decision.tick % self._every == 0:
            sources = {"state": state, "intent": decision.intent, "belief": decision.belief, "plan": decision.plan}
            values = tick_values(sources | {"command": decision.command, "decision": decision})
            entries.append(self._vector(TICK, state.stamp_s, decision.tick, values))
            if truth:
                channel = ("/truth", *((name, np.shape(value)) for name, value in truth.items()))
                entries.append(self._vector(channel, state.stamp_s, decision.tick, truth.values()))
        if self._worth_explaining(decision):
            entries.append(Entry(EXPLAINED, self._stamp_ns(state.stamp_s), decision.tick, decision))
        return entries

    def state(self, state: RobotState, tick: int) -> Entry:
        """The message of a state that nobody has decided on."""
        return self._vector(TICK, state.stamp_s, tick, tick_values({"state": state}))

    def note(self, stamp_s: float, tick: int, content: Mapping[str, Any]) -> Entry:
        """The message of something that happened."""
        return Entry(NOTE, self._stamp_ns(stamp_s), tick, content)

    def _pulse(self, stamp_s: float, decision: Decision) -> Entry:
        certificate, times = decision.certificate, decision.timings_us
        status = CODES["pulse_status"].get(decision.status, np.nan)
        rung = CODES["pulse_rung"].get(decision.rung, np.nan)
        values = (status, rung, certificate.changed, certificate.torque_change_nm, *times.values())
        return self._vector(("/pulse", *times), stamp_s, decision.tick, values)

    def _vector(self, channel: Channel, stamp_s: float, tick: int, values: Any) -> Entry:
        layout = self.layout(channel)
        assert layout is not None
        return Entry(channel, self._stamp_ns(stamp_s), tick, layout.pack(values))

    def _stamp_ns(self, stamp_s: float) -> int:
        """A time that MCAP takes; the last one where a sensor gave none."""
        if 0.0 <= stamp_s < STAMP_MAX_S:
            self._last_stamp = round(stamp_s * 1e9)
        return self._last_stamp

    def _worth_explaining(self, decision: Decision) -> bool:
        situation = (decision.status, decision.reason, decision.certificate.reasons, decision.rung)
        odd = decision.status != "ok" or decision.certificate.changed
        fresh = situation != self._last or decision.tick - self._last_tick >= self._every
        worth = bool(decision.proposals) or (odd and fresh) or not self._last or decision.rung != self._last[-1]
        if worth:
            self._last, self._last_tick = situation, decision.tick
        return worth
