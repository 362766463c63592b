"""`poise record`: what a robot on the wire says, into a run folder; nothing is sent to it."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .arguments import DAY_S, File, Folder, Seconds
from .interrupt import held_back

if TYPE_CHECKING:
    from .output import Exit

WAIT_S, PERIOD_S = 0.1, 0.002  # of the robot's states
LONGEST_GAP = 30_000  # periods: a robot that was away for longer was switched off


@dataclass(frozen=True)
class Record:
    """Record the states of a robot on the wire, whoever drives it, and send nothing."""

    interface: str
    """Network interface the robot is on; lo: a simulated one on this machine."""
    domain: int = 0
    """DDS domain; real robots are on 0."""
    robot: str = "g1"
    """Name of a robot."""
    seconds: Seconds = None
    """How long, s."""
    out: Folder = "runs"
    """Where the run folder is made."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Record until the time is over, or Ctrl-C."""
        from poise.robots import RecordError

        from .options import check_count, check_json, check_seconds, console_for
        from .output import Exit, print_result
        from .run_folder import RunFolder

        check_json(self.json)
        check_count("--domain", self.domain, 0, 232)
        seconds = DAY_S if self.seconds is None else self.seconds
        check_seconds(seconds)
        result = self._record(seconds)
        try:
            RunFolder(result["folder"]).write_summary(result)
        except RecordError as error:  # how it went is printed all the same
            print(f"poise: {error}", file=sys.stderr)
        print_result("recorded", result, self.json, console_for(self.json))
        return Exit.FAILED if result["remark"] or result["dropped"] else Exit.HELD

    def _record(self, seconds: float) -> dict[str, Any]:
        from poise.hw.dds import LOW_STATE_TOPIC, Bus
        from poise.hw.recorder import Recorder
        from poise.hw.unitree import first_state
        from poise.hw.unitree_g1 import Wiring
        from poise.hw.unitree_hg import LOW_STATE
        from poise.robots import load_robot

        from .run_folder import RunFolder

        robot, states, missing, stamp_s = load_robot(self.robot), 0, 0, math.nan
        wiring = Wiring(robot)
        with Bus(self.interface, self.domain) as bus:
            reader = bus.reader(LOW_STATE_TOPIC, LOW_STATE)
            first_state(reader)
            folder = RunFolder.create(self.out, "record")
            meta = folder.write_config({"command": "record", "interface": self.interface, "domain": self.domain}, 0)
            print(f"recording into {folder.path}; Ctrl-C ends it", file=sys.stderr, flush=True)
            end = time.monotonic() + seconds
            with held_back():
                recorder = Recorder(folder.log, robot, meta)
            with recorder:
                try:
                    while time.monotonic() < end and not recorder.remark:
                        reader.wait(WAIT_S)
                        for record in reader.take():
                            state = wiring.state(record)
                            recorder.write(state)
                            states, missing, stamp_s = states + 1, missing + _between(stamp_s, state.stamp_s), state.stamp_s
                except KeyboardInterrupt:
                    print("poise: interrupted; what was recorded is kept", file=sys.stderr)
            kept = {"states": states, "missing": missing, "refused": reader.refused, "dropped": recorder.dropped, "remark": recorder.remark}
        return {**kept, "folder": folder.path}


def _between(before_s: float, stamp_s: float) -> int:
    """How many states are missing between two that came one after the other."""
    periods = (stamp_s - before_s) / PERIOD_S
    return round(periods) - 1 if 1.5 < periods < LONGEST_GAP else 0
