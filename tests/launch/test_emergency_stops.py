"""Each way to an emergency stop, on a robot that `poise deploy` has armed over DDS: from then on its motors are damped."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from simulating import PATIENCE_S, POISE, simulating, status_of

pytestmark = pytest.mark.realtime

DOMAIN = 59
BUTTON = "[...document.querySelectorAll('button')].find(b => b.textContent.trim() === 'Emergency stop')"


class Deploying:
    """`poise deploy` in a pseudo-terminal."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._person, program = pty.openpty()
        line = [*POISE, "deploy", "--interface", "lo", "--domain", str(DOMAIN), "--mode", "model", *options]
        self._process = subprocess.Popen(line, cwd=folder, stdin=program, stdout=program, stderr=program, start_new_session=True)
        os.close(program)
        self.text = ""

    def press(self, keys: str) -> None:
        os.write(self._person, keys.encode())

    def read_until(self, words: str) -> None:
        """Of what is said from now on."""
        end = time.monotonic() + PATIENCE_S
        while words not in self.text:
            assert time.monotonic() < end, self.text[-2000:]
            if select.select([self._person], [], [], 1.0)[0]:
                self.text += os.read(self._person, 65536).decode(errors="replace")

    def read_for(self, seconds: float) -> None:
        """So long, or until something is said."""
        if select.select([self._person], [], [], seconds)[0]:
            self.text += os.read(self._person, 65536).decode(errors="replace")

    def status(self) -> int:
        """Exit status; what is written until then is read."""
        with contextlib.suppress(OSError):  # the terminal is closed with the last process on it
            self.read_until("no such words")
        return self._process.wait(60.0)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def robot() -> Iterator[subprocess.Popen[str]]:
    with simulating(DOMAIN) as simulate:
        yield simulate


@pytest.fixture
def armed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Deploying]:
    """Armed and standing up: its joints are held."""
    deploying = Deploying(tmp_path, *getattr(request, "param", ()))
    try:
        deploying.read_until("s  disarmed")
        while "s  damping" not in deploying.text:  # it may not be fit yet: states came too seldom while processes were started
            deploying.press("\n")
            deploying.read_for(1.0)
        deploying.press("\n")
        deploying.read_until("s  stand up")
        yield deploying
    finally:
        deploying.kill()


def asked_for(robot: subprocess.Popen[str]) -> str:
    """Of the motors, since a moment."""
    time.sleep(0.2)
    commanded: str = status_of(robot)["commanded"]
    return commanded


def test_the_keyboards(robot: subprocess.Popen[str], armed: Deploying) -> None:
    assert asked_for(robot) == "stiffness"
    armed.press("x")
    armed.read_until("fault: emergency stop: operator")
    assert asked_for(robot) == "damping"
    armed.press("www")
    armed.press("\n")
    assert armed.status() == 1
    afterwards = armed.text.partition("fault: emergency stop: operator")[2]
    assert afterwards.count("s  disarmed") == 1 and "s  walk" not in afterwards  # before, arming may have been refused several times


def test_the_robots_own_remote(robot: subprocess.Popen[str], armed: Deploying) -> None:
    assert robot.stdin is not None
    print("remote L2+B", file=robot.stdin, flush=True)
    armed.read_until("fault: emergency stop: wireless remote")
    assert asked_for(robot) == "damping"
    print("remote none", file=robot.stdin, flush=True)
    assert asked_for(robot) == "damping", "it stays stopped"
    armed.press("\n")
    assert armed.status() == 1


@pytest.mark.browser
@pytest.mark.skipif(chromium.BINARY is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize("armed", [("--source", "keyboard", "--source", "page", "--port", "18190")], indirect=True)
def test_the_pages(robot: subprocess.Popen[str], armed: Deploying, tmp_path: Path) -> None:
    url = re.search(r"http://127\.0\.0\.1:\d+", armed.text)
    assert url is not None
    with chromium.Page(url[0], tmp_path / "profile") as page:
        assert page.wait(lambda: page.evaluate(f"{BUTTON} !== undefined"))
        page.evaluate(f"{BUTTON}.click()")
        armed.read_until("fault: emergency stop: operator")
        assert asked_for(robot) == "damping"
    armed.press("\n")
    assert armed.status() == 1
