from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from poise.learning.processes import finished


def touched(file: Path) -> Path:
    """Leaves a file; takes a while."""
    file.touch()
    time.sleep(0.2)
    return file


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_every_job_is_done_once(processes: int) -> None:
    assert sorted(finished(math.sqrt, [1.0, 4.0, 9.0], processes)) == [1.0, 2.0, 3.0]
    assert list(finished(math.sqrt, [], processes)) == []


def test_an_error_is_the_callers() -> None:
    with pytest.raises(ValueError, match="math domain error"):
        list(finished(math.sqrt, [1.0, -1.0, 4.0], 2))


def test_what_is_left_alone_begins_nothing_more(tmp_path: Path) -> None:
    results = finished(touched, [tmp_path / str(i) for i in range(20)], 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) <= 4


def left_running(folder: Path) -> None:
    """Takes for ever, and touches a file all the while."""
    while True:
        (folder / str(os.getpid())).touch()
        time.sleep(0.1)


def until(sign: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes true in that time."""
    end = time.monotonic() + seconds
    while not sign() and time.monotonic() < end:
        time.sleep(0.05)
    return sign()


@pytest.mark.parametrize("signals", [(signal.SIGKILL,), (signal.SIGINT, signal.SIGINT)])
def test_no_process_outlives_the_one_that_began_it(signals: Sequence[signal.Signals], tmp_path: Path) -> None:
    """Killed, or interrupted once more while it waits for the jobs that have begun."""
    begin = f"from test_processes import *; list(finished(left_running, [Path({str(tmp_path)!r})] * 2, 2))"
    parent = subprocess.Popen([sys.executable, "-c", begin], cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: len(list(tmp_path.iterdir())) == 2, 60.0)
        for number in signals:
            assert parent.poll() is None
            parent.send_signal(number)
            time.sleep(0.3)
        parent.wait(10.0)
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: all(time.time() - file.stat().st_mtime > 1.0 for file in tmp_path.iterdir()), 10.0)
