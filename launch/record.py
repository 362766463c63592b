"""`poise record`: what a robot on the wire says, into a run folder; nothing is sent to it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .arguments import File, Folder, Seconds

if TYPE_CHECKING:
    from .output import Exit

DAY_S = 86400.0
WAIT_S = 0.1


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
        from .options import check_count, check_json, check_seconds, console_for
        from .output import Exit, print_result
        from .run_folder import RunFolder

        check_json(self.json)
        check_count("--domain", self.domain, 0, 232)
        seconds = DAY_S if self.seconds is None else self.seconds
        check_seconds(seconds)
        result = self._record(seconds)
        RunFolder(result["folder"]).write_summary(result)
        print_result("recorded", result, self.json, console_for(self.json))
        return Exit.HELD

    def _record(self, seconds: float) -> dict[str, Any]:
        from poise.hw.dds import LOW_STATE_TOPIC, Bus
        from poise.hw.recorder import Recorder
        from poise.hw.unitree import first_state
        from poise.hw.unitree_g1 import Wiring
        from poise.hw.unitree_hg import LOW_STATE
        from poise.robots import load_robot

        from .run_folder import RunFolder

        robot, states = load_robot(self.robot), 0
        wiring = Wiring(robot)
        with Bus(self.interface, self.domain) as bus:
            reader = bus.reader(LOW_STATE_TOPIC, LOW_STATE)
            first_state(reader)
            folder = RunFolder.create(self.out, "record")
            meta = folder.write_config({"command": "record", "interface": self.interface, "domain": self.domain}, 0)
            print(f"recording into {folder.path}; Ctrl-C ends it", file=sys.stderr, flush=True)
            end = time.monotonic() + seconds
            with Recorder(folder.log, robot, meta) as recorder:
                try:
                    while time.monotonic() < end:
                        reader.wait(WAIT_S)
                        for record in reader.take():
                            states += 1
                            recorder.write(wiring.state(record))
                except KeyboardInterrupt:
                    print("poise: interrupted; what was recorded is kept", file=sys.stderr)
            kept = {"states": states, "refused": reader.refused, "dropped": recorder.dropped, "remark": recorder.remark}
        return {**kept, "folder": folder.path}
