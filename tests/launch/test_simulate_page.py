"""The page of `poise simulate` in a real browser: its buttons do what they say to the robot on the wire."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chromium
import numpy as np
import pytest
from simulating import PATIENCE_S, POISE, status_of

from poise.hw.dds import LOW_STATE_TOPIC, Bus, Reader
from poise.hw.unitree import first_state
from poise.hw.unitree_hg import LOW_STATE
from poise.hw.wireless_remote import decode

pytestmark = pytest.mark.realtime

DOMAIN, PORT = 61, 18290


@contextmanager
def watched(folder: Path) -> Iterator[tuple[subprocess.Popen[str], chromium.Page]]:
    """A simulated robot that hangs, and its page."""
    line = [*POISE, "simulate", "--dds", "--domain", str(DOMAIN), "--view", "--port", str(PORT), "--hoist", "manual"]
    with (
        open(folder / "said.txt", "w+") as said,
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True) as simulate,
    ):
        try:
            until(lambda: re.search(r"http://127\.0\.0\.1:\d+", (folder / "said.txt").read_text()), "its page")
            address = re.search(r"http://127\.0\.0\.1:\d+", (folder / "said.txt").read_text())
            assert address
            with chromium.Page(address[0], folder / "profile") as page:
                yield simulate, page
            simulate.communicate("quit\n", timeout=PATIENCE_S)
        finally:
            simulate.kill()
    assert simulate.returncode == 0


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"it never came: {what}"
        time.sleep(0.2)


@pytest.mark.browser
@pytest.mark.skipif(chromium.BINARY is None, reason="no Chromium on this machine: apt-get install chromium")
def test_hoist_push_remote_and_faults_are_buttons(tmp_path: Path) -> None:
    with watched(tmp_path) as (simulate, page), Bus("lo", DOMAIN) as bus:
        reader = bus.reader(LOW_STATE_TOPIC, LOW_STATE)

        def press(name: str) -> None:
            page.evaluate(f"{chromium.button(name)}.click()")

        assert page.wait(lambda: page.evaluate("document.querySelectorAll('button').length > 5"))
        assert page.wait(lambda: chromium.dark_share(page.picture()) > 0.003), "the robot is drawn"
        hanging_m = status_of(simulate)["pelvis_height_m"]
        press("Lower")
        until(lambda: status_of(simulate)["pelvis_height_m"] < hanging_m - 0.05, "it is let down")
        press("Raise")
        until(lambda: status_of(simulate)["pelvis_height_m"] > hanging_m - 0.02, "and pulled up")
        begin = np.array(status_of(simulate)["position_m"])
        press("Push")
        until(lambda: np.linalg.norm((np.array(status_of(simulate)["position_m"]) - begin)[:2]) > 0.02, "it swings")
        press("Hold L2 and B: emergency stop")
        until(lambda: keys(reader) == {"L2", "B"}, "the remote's keys on the wire")
        press("Let go")
        until(lambda: not keys(reader), "and let go")
        press("Begin")
        until(lambda: gaps(reader), "one state in ten is dropped")
        (tmp_path / "page.png").write_bytes(page.picture())
        assert "Traceback" not in (tmp_path / "said.txt").read_text()


def gaps(reader: Reader) -> bool:
    """Whether a state is missing among some."""
    ticks = [int(first_state(reader)["tick"]) for _ in range(50)]
    return bool(np.diff(ticks).max() > 2)


def keys(reader: Reader) -> frozenset[str]:
    """Of the wireless remote, as the robot says."""
    remote = decode(first_state(reader)["wireless_remote"].tobytes())
    assert remote is not None
    return remote.keys
