"""Between an operator and a deployment: stages one after another, what happens in words, and how it ended."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from poise.hw.exchange import DAMPING, DISARMED, FAULT, MODES, SAFE_STOP, STAND, STAND_UP, WALK
from poise.hw.operation import Operated, Operator
from poise.hw.route import RouteOperator
from poise.robots import Intent, RecordError
from poise.robots.types import RUNGS

from .deployment import Deployment
from .posed import Posed
from .sources import Sources

POLL_S, COME_DOWN_S = 0.02, 3.0
NEXT = {DISARMED: "arm", DAMPING: "stand up", STAND_UP: "stand", STAND: "walk", WALK: "stand", SAFE_STOP: "disarm", FAULT: "disarm"}
LOST = ("controlled descent", "damping")  # rungs of a robot that fell, or whose state was lost


class Conduct:
    """Runs until the robot is disarmed after it was armed, or the operator interrupts."""

    def __init__(self, deployment: Deployment, operator: Operator, folder: Path | None, posed: Posed | None = None) -> None:
        """What happens is written into a folder, and the robot is posed for the operator's page, where there is one."""
        self._posed = posed
        self._deployment, self._operator, self._folder = deployment, operator, folder
        self.mode, self._armed, self._told, self._lost = DISARMED, False, "not heard of yet", ""
        self._walked_s = 0.0
        self._begun_s = self._turned_s = time.monotonic()
        self._controller_said = self._remarked = ""
        self._reasons: list[str] = []
        self._sentences: list[str] = []

    def run(self) -> None:
        """Poll, pass on, tell; Ctrl-C brings the robot down."""
        print(self._operator.hint, file=sys.stderr, flush=True)
        try:
            while not (self._armed and self.mode == DISARMED) and not self._deployment.dead:
                self._turn(self._operator.poll(time.monotonic()))
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            self._come_down("interrupted")
        for name in self._deployment.dead:
            self._come_down(f"the {name} has died")
        if self._folder is not None and not self.as_asked:
            self._write_black_box(self._folder / "black-box.npz")

    @property
    def as_asked(self) -> bool:
        """Whether nothing happened but what was asked for."""
        return not (self._lost or self._reasons)

    def result(self) -> dict[str, Any]:
        """How it went."""
        status = self._deployment.status
        counts: dict[str, Any] = {}
        if status is not None:
            names = ("states", "missed", "refused", "longest_silence_s", "battery")
            counts = {name: float(status[name]) if name.endswith("_s") else status[name].item() for name in names}
            counts["age_ms"] = dict(zip(("p50", "p99"), status["age_ms"].tolist(), strict=True))
        return {
            "as_asked": self.as_asked,
            "lost": self._lost,
            "reasons": self._reasons,
            "seconds": time.monotonic() - self._begun_s,
            "walked_s": self._walked_s,
            "said": self._sentences,
            **counts,
        }

    def _turn(self, said: Operated) -> None:
        now_s = time.monotonic()
        self._walked_s += (now_s - self._turned_s) * (self.mode == WALK)
        self._turned_s = now_s
        request = said.request or (NEXT[self.mode] if said.next else "")
        heard = self._deployment.tell(said.intent, request, said.emergency_stop)
        for sentence in self._deployment.said():
            self._say(sentence)
        if said.remark != self._remarked and said.remark:
            self._say(said.remark)
        self._remarked = said.remark
        self._look(heard)

    def _look(self, heard: bool) -> None:
        """Tell what is new of the supervisor's word; `heard`: it has come since the last time."""
        status = self._deployment.status
        if status is None:
            return
        mode, reason, rung = MODES[int(status["mode"])], status["reason"].item().decode(errors="replace"), RUNGS[int(status["rung"])]
        if (mode, reason) != (self.mode, self._told):
            self._say(mode + (f": {reason}" if reason else ""))
            if mode in (SAFE_STOP, FAULT) and reason and reason != "asked for":
                self._reasons.append(reason)
        self.mode, self._told = mode, reason
        self._armed = self._armed or mode != DISARMED
        if (said := status["said"].item().decode(errors="replace")) != self._controller_said:
            self._controller_said = said
            self._say(f"controller: {said or 'all is well again'}")
        if mode in (STAND, WALK) and rung in LOST and not self._lost:
            self._lost = rung
            self._say(f"the robot has lost its balance: {rung}")
        self._operator_sees(mode, status["remote"].tobytes() if heard else None)

    def _operator_sees(self, mode: str, remote: bytes | None) -> None:
        operator = self._operator
        if isinstance(operator, RouteOperator):
            operator.sees(mode)
        elif isinstance(operator, Sources):
            if operator.remote is not None and remote is not None:
                operator.remote.feed(remote, time.monotonic())
            if operator.page is not None and self._posed is not None and (state := self._deployment.state()) is not None:
                self._posed.pose(state)
                operator.page.update(self._posed.data)
        if mode == DISARMED:
            operator.release()  # whoever stopped the robot has let go of it

    def _write_black_box(self, path: Path) -> None:
        try:
            self._deployment.write_black_box(path)
        except RecordError as error:
            self._say(str(error))

    def _come_down(self, why: str) -> None:
        """A safe stop, as far as the supervisor still listens; an emergency stop is heard meanwhile."""
        self._reasons.append(why)
        self._deployment.tell(Intent(), "safe stop")
        self._say(why)
        end = time.monotonic() + COME_DOWN_S
        while time.monotonic() < end and "supervisor" not in self._deployment.dead:
            self._look(self._deployment.tell(Intent(), "", self._operator.poll(time.monotonic()).emergency_stop))
            time.sleep(POLL_S)

    def _say(self, sentence: str) -> None:
        self._sentences.append(f"{time.monotonic() - self._begun_s:6.1f} s  {sentence}")
        with suppress(OSError):  # whoever read it may be gone, and the robot is not
            print(self._sentences[-1], file=sys.stderr, flush=True)
