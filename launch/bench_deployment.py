"""`poise bench deployment`: a walking robot on the wire, and what becomes of it when a part fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from .arguments import File, Mode

if TYPE_CHECKING:
    from .deployment import Deployment
    from .output import Exit

WALK_S, AFTER_S, PATIENCE_S = 4.0, 4.0, 30.0
STOPPED_S, WIRE_S = 0.2, 0.1  # how long the controller stands still, and how long the wire is bad
SAFE_MS = 100.0  # within which the safe command must be on the plant
STANDING_M = 0.6  # height of the pelvis of a robot on its feet
STOPPED, DRIVEN, ATTEMPTS = ("safe stop", "fault"), ("stand up", "stand", "walk"), 5
SAFE = ("stiffness", "damping")  # what a safe command asks of the motors; "nothing" is the robot's own doing, when it hears nobody
DEAF_S = {"silence": WIRE_S}  # how long a robot is deaf: a command can reach it after that
GOES_ON = ("garbage", "proposals killed")  # faults that must not stop it
RECOVERS = ("nan",)  # the controller itself damps the motors, and may catch the robot again


@dataclass(frozen=True)
class DeploymentFaults:
    """Let a simulated robot walk over DDS on this machine and make parts fail: how soon does a safe command reach it, and what follows?"""

    times: int = 20
    """How often each."""
    fault: tuple[str, ...] = ()
    """Which: killed, stopped, nan, garbage, checksum, silence, proposals killed; none: all."""
    domain: int = 51
    """DDS domain, on lo."""
    mode: Mode = "hybrid"
    """hybrid: learned proposals, judged by physics; model: scripted ones."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run, and say how each fault went."""
        from poise.robots import PoiseError

        from .options import check_count, check_json, console_for
        from .output import Exit, print_rows, write_json
        from .progress import progress_bar

        check_json(self.json)
        check_count("--times", self.times)
        check_count("--domain", self.domain, 0, 232)
        faults = self.fault or tuple(FAULTS)
        if unknown := [fault for fault in faults if fault not in FAULTS]:
            raise PoiseError(f"--fault {unknown[0]}: unknown; known: {', '.join(FAULTS)}")
        cases = [fault for fault in faults for _ in range(self.times)]
        runs, ended = list[dict[str, Any]](), ""
        with Walking(self.domain, self.mode) as walking, progress_bar("{task.completed:.0f} of {task.total:.0f} faults") as bar:
            task = bar.add_task("deployment", total=len(cases))
            try:
                for case in cases:
                    runs.append(walking.fail(case))
                    bar.advance(task)
            except PoiseError as error:
                ended = str(error)
            except KeyboardInterrupt:
                ended = "interrupted"
        rows: list[Mapping[str, Any]] = [summary(fault, [run for run in runs if run["fault"] == fault]) for fault in faults]
        print_rows("faults while walking", rows, console_for(self.json))
        if self.json is not None:
            write_json(self.json, {"runs": runs, "summary": rows, "trips": walking.trips, "ended": ended})
        if ended:
            print(f"poise: {ended}; {len(runs)} of {len(cases)} faults were tried", file=sys.stderr)
        return Exit.HELD if not (ended or walking.trips) and all(row["held"] == row["runs"] for row in rows) else Exit.FAILED


class Plant:
    """A simulated robot in a process of its own, which takes orders."""

    def __init__(self, domain: int) -> None:
        command = [sys.executable, "-m", "poise.launch.cli", "simulate", "--dds", "--domain", str(domain), "--hoist", "manual"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def order(self, line: str) -> None:
        """Give an order.

        Raises:
            PoiseError: it has ended.
        """
        stream: IO[str] | None = self._process.stdin
        assert stream is not None
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except OSError as error:
            raise self._ended() from error

    def status(self) -> dict[str, Any]:
        """What it does.

        Raises:
            PoiseError: it has ended.
        """
        self.order("status")
        stream: IO[str] | None = self._process.stdout
        assert stream is not None
        line = stream.readline()
        if not line:
            raise self._ended()
        told: dict[str, Any] = json.loads(line)
        return told

    def __enter__(self) -> Plant:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate("quit\n", PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()

    def _ended(self) -> Exception:
        from poise.robots import PoiseError

        return PoiseError("the simulated robot has ended")


class Walking:
    """A plant and a deployment that walks it, again and again; a context manager.

    Attributes:
        trips: what stopped it before anything was made to fail.
    """

    def __init__(self, domain: int, mode: str) -> None:
        from .deployment import Deployment, DeployPlan

        plan = DeployPlan("g1", mode, "lo", domain, release=True, read_only=False, realtime=True, seed=0)
        self._plant, self._deployment = Plant(domain), Deployment(plan, plan.load())
        self._held = ExitStack()
        self.trips = list[str]()

    def __enter__(self) -> Walking:
        with ExitStack() as held:
            held.enter_context(self._plant).status()
            held.enter_context(self._deployment)
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def fail(self, fault: str) -> dict[str, Any]:
        """Hang it up, stand it up, let it walk, make a part fail, and look."""
        self._walk()
        refused = self._plant.status()["refused"]
        begun_s = time.monotonic() + DEAF_S.get(fault, 0.0)
        FAULTS[fault](self._deployment, self._plant)
        self._tell("", AFTER_S, walking=True)
        status = self._plant.status()
        changes = [1e3 * (when - begun_s) for when, what in status["changes"] if when > begun_s and what in SAFE]
        mode, reason = self._mode()
        self._mend(fault)
        return {
            "fault": fault,
            "safe_after_ms": changes[0] if changes else None,
            "commanded": status["commanded"],
            "mode": mode,
            "reason": reason,
            "pelvis_height_m": status["pelvis_height_m"],
            "tilt_rad": status["tilt_rad"],
            "refused": status["refused"] - refused,
        }

    def _walk(self) -> None:
        """From the hoist to a walk; what stops it before anything was made to fail is told, and it is begun with again."""
        from poise.robots import PoiseError

        for attempt in range(ATTEMPTS):
            try:
                self._walk_once()
                return
            except PoiseError as error:
                print(f"poise: {error}", file=sys.stderr, flush=True)
                self.trips.append(str(error))
                if attempt == ATTEMPTS - 1:
                    raise

    def _walk_once(self) -> None:
        if self._mode()[0] in DRIVEN:  # it went on, and nobody disarms a robot that is driven
            self._until("safe stop", "safe stop")
        self._until("disarm", "disarmed")
        self._plant.order("hang")
        self._tell("", 1.0)
        for request, mode in (("arm", "damping"), ("stand up", "stand up"), ("stand", "stand")):
            self._until(request, mode)
        self._plant.order("lower")
        self._tell("", 2.0)
        self._until("walk", "walk")
        self._tell("", WALK_S, walking=True)
        self._until("", "walk")  # or it has stopped by itself

    def _until(self, request: str, mode: str) -> None:
        """Ask for something until it has its effect.

        Raises:
            PoiseError: it does not.
        """
        from poise.robots import PoiseError

        end = time.monotonic() + PATIENCE_S
        while self._mode()[0] != mode:
            if time.monotonic() > end or (self._mode()[0] in STOPPED and mode not in ("disarmed", *STOPPED)):
                raise PoiseError(f"the robot does not come to {mode}: {self._mode()}")
            self._tell(request, 0.2)

    def _tell(self, request: str, seconds: float, walking: bool = False) -> None:
        """Go on telling what is wanted for so long; the request once."""
        from poise.robots import Intent

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._deployment.tell(Intent(velocity=(0.4 if walking else 0.0, 0.0, 0.0)), request)
            request = ""
            time.sleep(0.02)

    def _mode(self) -> tuple[str, str]:
        from poise.hw.exchange import MODES

        self._tell("", 0.02)
        status = self._deployment.status
        return ("", "") if status is None else (MODES[int(status["mode"])], status["reason"].item().decode())

    def _mend(self, fault: str) -> None:
        """Start anew what has died."""
        if fault == "proposals killed":
            _kill(self._deployment, self._plant)
            self._deployment.processes["controller"].join(PATIENCE_S)
        for name in self._deployment.dead:
            self._deployment.start(name)


def summary(fault: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of one fault: how many runs, how many held, and the times to the safe command."""
    times = [run["safe_after_ms"] for run in runs if run["safe_after_ms"] is not None]
    return {
        "fault": fault,
        "runs": len(runs),
        "held": sum(map(held, runs)),
        "safe_after_ms_most": max(times, default=None),
        "on_its_feet": sum(run["pelvis_height_m"] > STANDING_M for run in runs),
        "modes": sorted({run["mode"] for run in runs}),
        "reasons": sorted({run["reason"] for run in runs}),
    }


def held(run: Mapping[str, Any]) -> bool:
    """Whether a run went as it must: on, or a safe command in time."""
    if run["fault"] in GOES_ON:
        return bool(run["mode"] == "walk" and run["pelvis_height_m"] > STANDING_M)
    return run["safe_after_ms"] is not None and run["safe_after_ms"] <= SAFE_MS and (run["mode"] in STOPPED or run["fault"] in RECOVERS)


def _kill(deployment: Deployment, plant: Plant) -> None:
    _signal(deployment, signal.SIGKILL)


def _stop(deployment: Deployment, plant: Plant) -> None:
    _signal(deployment, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    _signal(deployment, signal.SIGCONT)


def _kill_proposals(deployment: Deployment, plant: Plant) -> None:
    controller = deployment.processes["controller"].pid
    children = [int(pid) for pid in open(f"/proc/{controller}/task/{controller}/children").read().split()]
    for pid in children:
        if "spawn_main" in open(f"/proc/{pid}/cmdline").read():
            os.kill(pid, signal.SIGKILL)


def _signal(deployment: Deployment, number: signal.Signals) -> None:
    pid = deployment.processes["controller"].pid
    assert pid is not None
    os.kill(pid, number)


def _order(line: str) -> Callable[[Deployment, Plant], None]:
    return lambda deployment, plant: plant.order(line)


def _checksum(deployment: Deployment, plant: Plant) -> None:
    plant.order("fault corrupt 1")
    time.sleep(WIRE_S)
    plant.order("fault corrupt 0")


FAULTS: dict[str, Callable[[Deployment, Plant], None]] = {
    "killed": _kill,
    "stopped": _stop,
    "nan": _order(f"fault nan {WIRE_S}"),
    "garbage": _order(f"fault garbage {WIRE_S}"),
    "checksum": _checksum,
    "silence": _order(f"fault silence {WIRE_S}"),
    "proposals killed": _kill_proposals,
}
