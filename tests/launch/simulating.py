"""A simulated robot in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

POISE = (sys.executable, "-m", "poise.launch.cli")
PATIENCE_S = 120.0
TOO_SLOW = ("no sound command from the controller", "no state from the robot")  # a machine that is busy with something else


@contextmanager
def simulating(domain: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A simulated robot in a process of its own, once it speaks; it is told to end."""
    line = [*POISE, "simulate", "--dds", "--domain", str(domain), *options]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as simulate:
        try:
            status_of(simulate)
            yield simulate
            simulate.communicate("quit\n", timeout=PATIENCE_S)
        finally:
            simulate.kill()
    assert simulate.returncode == 0


def status_of(simulate: subprocess.Popen[str]) -> dict[str, Any]:
    assert simulate.stdin is not None and simulate.stdout is not None
    print("status", file=simulate.stdin, flush=True)
    told: dict[str, Any] = json.loads(simulate.stdout.readline())
    return told
