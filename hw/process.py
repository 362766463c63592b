"""Make a process one that a control loop may run in: scheduled before all others, its memory held, its garbage left alone.

Each is asked of the operating system and may be refused; then the process goes on without it and says so.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

_CURRENT_AND_FUTURE = 1 | 2  # MCL_CURRENT | MCL_FUTURE
THROTTLE = Path("/proc/sys/kernel/sched_rt_runtime_us")
SWITCH_S = 1e-4  # after which a thread that computes lets another have the interpreter


@dataclass(frozen=True)
class RealtimeConfig:
    """What is asked for."""

    priority: int | None = 80  # of SCHED_FIFO, 1 to 99; None: scheduled as everything else is
    cpu: int | None = None  # the one processor it runs on; None: any
    lock_memory: bool = True  # pages are never swapped out


def enter_realtime(config: RealtimeConfig) -> list[str]:
    """Ask for it, for this thread and the threads and processes it starts, until the process ends; a sentence for each that was refused.

    Whatever holds the interpreter's lock must be scheduled as the loop is, or other programs hold the loop up: start such threads after
    this, DDS's own too, and processes that are none of the loop's before it. Garbage is no longer collected by itself: a loop must leave
    no cycles.
    """
    scheduled = schedule(config.priority)
    stopped = None if config.priority is None or scheduled else throttled()
    refused = [said for said in (scheduled, stopped, _pin(config.cpu), _lock() if config.lock_memory else None) if said]
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.disable()
    return refused


def leave_signals() -> None:
    """End only by what the process that began this one says, or when that has died: no terminal's key, nor its end, does it."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def abandoned() -> bool:
    """Whether the process that began this one has died."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def schedule(priority: int | None) -> str | None:
    """Schedule this thread, and what it starts, as real-time; why not, in a sentence, where that is refused. None: as everything else."""
    if priority is None:
        return None
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return f"not scheduled as real-time (SCHED_FIFO {priority}): {error.strerror}; run as root, or allow it by `ulimit -r {priority}`"
    return None


def throttled() -> str | None:
    """Whether Linux stops what is scheduled as real-time for the rest of each second of which it has had nearly all, and for how long."""
    try:
        runtime_us = int(THROTTLE.read_text())
    except (OSError, ValueError):
        return None
    if runtime_us < 0:
        return None
    return (
        f"real-time programs may be stopped for up to {1000 - runtime_us / 1000:.0f} ms a second: `echo -1 > {THROTTLE}` as root forbids it"
    )


def _pin(cpu: int | None) -> str | None:
    if cpu is None:
        return None
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, ValueError) as error:
        return f"not bound to processor {cpu}: {error}; name one of {sorted(os.sched_getaffinity(0))}"
    return None


def _lock() -> str | None:
    """Only without a limit: under one, locking goes well and a later allocation fails."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    advice = "run as root, or allow it by `ulimit -l unlimited`"
    if os.geteuid() != 0 and soft != resource.RLIM_INFINITY:
        return f"memory not locked: the limit is {soft // 1024} kB; {advice}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_CURRENT_AND_FUTURE) != 0:
        return f"memory not locked: {os.strerror(ctypes.get_errno())}; {advice}"
    return None
