from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from poise.hw import process
from poise.hw.process import THROTTLE, RealtimeConfig, enter_realtime

IN_A_PROCESS = """
import gc, os, subprocess, sys
from poise.hw.process import RealtimeConfig, enter_realtime
refused = enter_realtime(RealtimeConfig(priority=10, cpu=min(os.sched_getaffinity(0))))
child = subprocess.run([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], capture_output=True, text=True)
locked = next(line for line in open("/proc/self/status") if line.startswith("VmLck")).split()[1]
fifo = os.sched_getscheduler(0) == os.SCHED_FIFO
print(len(refused), fifo, os.sched_getparam(0).sched_priority, len(os.sched_getaffinity(0)), int(locked) > 0, gc.isenabled(), child.stdout)
"""


def test_a_process_is_what_was_asked_for_or_says_why_not() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, check=True)
    refused, fifo, priority, processors, locked, collects, child = done.stdout.split()
    assert (processors, collects) == ("1", "False")
    assert int(child) == (os.SCHED_FIFO if fifo == "True" else os.SCHED_OTHER)
    throttled = int(THROTTLE.read_text()) >= 0 and fifo == "True"
    granted = [(fifo, priority) == ("True", "10"), locked == "True", not throttled]
    assert int(refused) == granted.count(False)


@pytest.fixture
def nothing_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's own garbage goes on being collected."""
    for name in ("freeze", "disable"):
        monkeypatch.setattr(gc, name, lambda: None)


def refuse(*_: Any) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.usefixtures("nothing_collected")
def test_each_refusal_is_a_sentence_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64 * 1024, 64 * 1024))
    schedule, pin, lock = enter_realtime(RealtimeConfig(priority=80, cpu=4095))
    assert schedule == "not scheduled as real-time (SCHED_FIFO 80): Operation not permitted; run as root, or allow it by `ulimit -r 80`"
    assert pin.startswith("not bound to processor 4095: ") and pin.endswith(f"; name one of {sorted(os.sched_getaffinity(0))}")
    assert lock == "memory not locked: the limit is 64 kB; run as root, or allow it by `ulimit -l unlimited`"


@pytest.mark.usefixtures("nothing_collected")
def test_what_is_not_asked_for_is_not_refused() -> None:
    assert enter_realtime(RealtimeConfig(priority=None, cpu=None, lock_memory=False)) == []


@pytest.mark.usefixtures("nothing_collected")
def test_a_lock_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def mlockall(self, flags: int) -> int:
            assert flags == 3
            ctypes.set_errno(errno.ENOMEM)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Libc)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (sentence,) = enter_realtime(RealtimeConfig(priority=None))
    assert sentence.startswith("memory not locked: Cannot allocate memory; ")


@pytest.mark.usefixtures("nothing_collected")
def test_real_time_that_is_taken_away_again_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    throttle = tmp_path / "runtime_us"
    monkeypatch.setattr(process, "THROTTLE", throttle)
    config = RealtimeConfig(priority=80, lock_memory=False)
    throttle.write_text("950000\n")
    assert enter_realtime(config) == [
        f"real-time programs may be stopped for up to 50 ms a second: `echo -1 > {throttle}` as root forbids it"
    ]
    throttle.write_text("-1\n")
    assert enter_realtime(config) == []
