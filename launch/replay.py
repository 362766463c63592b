"""`poise replay`: a recorded run again, three ways; or a recorded fall of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from .arguments import File, Switch

if TYPE_CHECKING:
    from rich.console import Console

    from .output import Exit

How = Literal["closed-loop", "open-loop", "estimator"]
ROWS = 12  # of the table of fields that differ


@dataclass(frozen=True)
class Replay:
    """Run a recording again, and compare each tick with it, bit for bit."""

    recording: Positional[Annotated[str, arg(metavar="RUN")]]
    """Folder of a run, its log.mcap, or the folder of a fall of a benchmark (runs/tour-…/falls/…), which is run from its seed."""
    how: How = "closed-loop"
    """closed-loop: the intents through the stack on a plant; open-loop: the commands to the plant; estimator: the states through it."""
    start: Annotated[float, arg(name="from", metavar="S")] = 0.0
    """Compare from there on, s since the first tick; the replay itself begins where the recording does."""
    end: Annotated[float | None, arg(name="to", metavar="S", help_behavior_hint="(default: its end)")] = None
    """Replay and compare up to there, s."""
    plant: File = None
    """closed-loop: MJCF of the robot that is simulated. None: the recorded one."""
    seed: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: the recorded one)")] = None
    """closed-loop: of start posture, noise and proposals."""
    view: Switch = False
    """Show it in the browser; with closed-loop and open-loop."""
    speed: float = 1.0
    """Of --view, times real time."""
    port: int = 8080
    """Of the page of --view, on 127.0.0.1."""
    plot: File = None
    """Draw recording and replay there, as .svg, .png or .pdf."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Say whether it is identical, or what differs and where first."""
        from poise.robots.record import read_log

        from .options import check_count, check_json, check_port, console_for
        from .output import Exit, write_json
        from .replay_fall import replay_fall
        from .replay_run import check_plot, log_in, replay_run
        from .run_folder import versions

        check_json(self.json)
        check_port(self.port)
        check_count("--seed", self.seed or 0, 0)
        check_plot(self.plot)
        log = read_log(log_in(self.recording))
        fall = "case" in log.meta and self.how != "estimator"
        result = replay_fall(self.recording) if fall else replay_run(log, self)
        known = log.meta.get("versions")
        was = known if isinstance(known, Mapping) else {}
        result["recorded_with"] = {name: version for name, version in was.items() if versions().get(name) != version}
        print_replay(result, console_for(self.json))
        if self.json is not None:
            write_json(self.json, result)
        return Exit.HELD if result.get("held", result["identical"]) else Exit.FAILED


def print_replay(result: Mapping[str, Any], console: Console) -> None:
    """What came out, in sentences and a table."""
    from .output import print_rows

    console.print(sentence(result), soft_wrap=True, highlight=False)
    if result.get("fields"):
        print_rows("fields that differ, in the order in which they begin to", result["fields"][:ROWS], console)
        if len(result["fields"]) > ROWS:
            console.print(f"… and {len(result['fields']) - ROWS} more")
    for line in result.get("remarks", ()):
        console.print(line, soft_wrap=True, highlight=False)
    if result["recorded_with"]:
        words = ", ".join(f"{name} {known}" for name, known in result["recorded_with"].items())
        console.print(f"it was recorded with {words}; runs repeat with the same versions, on the same machine", soft_wrap=True)


def sentence(result: Mapping[str, Any]) -> str:
    """Whether it is identical, or where it first differs."""
    difference = result["difference"]
    if difference is None:
        return f"identical over {result['ticks']} ticks"
    if difference["field"] == "end":
        return f"differs at tick {difference['tick']}: one of the two has ended"
    return "differs at tick {tick} in {field}: recorded {recorded!r}, now {replayed!r}".format(**difference)
