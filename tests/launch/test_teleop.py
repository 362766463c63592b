from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import chromium
import numpy as np
import pytest
from command import run_main

from poise.hw.keyboard import HELP
from poise.hw.operation import STILL, Operated
from poise.hw.pose_stream import SCHEMA
from poise.launch import teleoperation as module
from poise.launch.closed_loop import RunPlan
from poise.launch.teleoperation import AFTER_STOP_S, POLL_TICKS, STOPPED, Teleoperation
from poise.robots import Intent, RobotModel
from poise.robots.record import read_log
from poise.sim import MujocoBackend
from poise.sim.scenarios import steady_scenario

pytestmark = pytest.mark.realtime

COMMAND = "from poise.launch.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
FORWARD = Intent(velocity=(0.4, 0.0, 0.0))


class Person:
    """Who sits at the sources."""

    page = None
    hint = "say it"

    def __init__(self, *others: Any) -> None:
        self.now, self.closed = Operated(), False

    def poll(self, now_s: float) -> Operated:
        return self.now

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    made = Person()
    monkeypatch.setattr(module, "Sources", lambda *others: made)
    return made


@pytest.fixture
def run(g1: RobotModel, person: Person) -> Teleoperation:
    return Teleoperation(g1, MujocoBackend(g1), ("page",), 8080, ("127.0.0.1", 8090), 0)


def polled(run: Teleoperation) -> Intent:
    """What is wanted after the next poll."""
    for _ in range(POLL_TICKS - 1):
        run.intent(Intent())
    return run.intent(Intent())


def test_it_wants_what_the_operator_wants_and_changes_its_mind_where_ticks_are_recorded_whole(run: Teleoperation, person: Person) -> None:
    person.now = Operated(FORWARD)
    wanted = [run.intent(Intent()).velocity for _ in range(2 * POLL_TICKS)]
    assert wanted == [STILL] * (POLL_TICKS - 1) + [FORWARD.velocity] * (POLL_TICKS + 1)


def test_a_safe_stop_holds_until_it_is_told_to_walk(run: Teleoperation, person: Person) -> None:
    person.now = Operated(FORWARD, request="safe stop")
    assert polled(run).velocity is None
    person.now = Operated(FORWARD)
    assert polled(run).velocity is None
    for go_on in (Operated(FORWARD, request="walk"), Operated(FORWARD, next=True)):
        person.now = go_on
        assert polled(run).velocity == FORWARD.velocity
        person.now = Operated(FORWARD, request="disarm")
        assert polled(run).velocity is None


def test_an_emergency_stop_ends_the_run_and_is_no_fall(run: Teleoperation, person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.outcome(fell=True) == {"fell": True, "emergency_stop_s": None}
    person.now = Operated(emergency_stop=True)
    polled(run)
    assert capsys.readouterr().err == f"poise: {STOPPED}\n"
    assert not run.ended and run.outcome(fell=True) == {"fell": False, "emergency_stop_s": 0.0}
    run._backend.data.time = AFTER_STOP_S
    polled(run)
    assert run.ended and capsys.readouterr().err == "", "it is said once"


def test_remarks_are_told_when_they_change(run: Teleoperation, person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    for remark in ("gone", "gone", "", "gone"):
        person.now = Operated(remark=remark)
        polled(run)
    assert capsys.readouterr().err == "poise: gone\n" * 2
    with run:
        assert capsys.readouterr().err == "say it; Ctrl-C ends the run.\n"
    assert person.closed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--source keyboard", "the keyboard needs a terminal"),
        ("--stream-port 0", "--stream-port 0"),
        ("--port 70000", "--port 70000"),
        ("--seconds 0", "--seconds 0"),
        ("--source mouse", "--source"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    arguments: str, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run_main("teleop", "--mode", "model", *arguments.split()) == 2
    error = capfd.readouterr().err
    assert said in error and error.count("\n") == 1


class Terminal:
    """`poise teleop --source keyboard` in a pseudo-terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._person, program = pty.openpty()
        command = [sys.executable, "-c", COMMAND, "teleop", "--source", "keyboard", "--mode", "model", *arguments]
        self._process = subprocess.Popen(command, cwd=folder, stdin=program, stdout=program, stderr=program, close_fds=True)
        os.close(program)
        self.text = ""

    def press(self, keys: str) -> None:
        os.write(self._person, keys.encode())

    def seconds(self) -> int:
        """How far the run is, by the bar that it shows."""
        found = re.findall(r"(\d+) of \d+ s", self.text)
        return int(found[-1]) if found else 0

    def read_until(self, condition: Any) -> None:
        end = time.monotonic() + 300.0
        while not condition():
            assert time.monotonic() < end, self.text[-2000:]
            if select.select([self._person], [], [], 1.0)[0]:
                self.text += os.read(self._person, 65536).decode(errors="replace")

    def status(self) -> int:
        """Exit status; what is written until then is read."""
        with contextlib.suppress(OSError):  # the terminal is closed with the last process on it
            self.read_until(lambda: False)
        return self._process.wait(60.0)


def test_at_a_terminal_w_walks_and_x_stops_at_once(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.read_until(lambda: HELP[:20] in terminal.text)
    terminal.press("wwwww")
    terminal.read_until(lambda: terminal.seconds() >= 5)
    terminal.press("x")
    assert terminal.status() == 0, "an emergency stop is no fall"
    assert STOPPED in terminal.text
    assert np.allclose(walked_and_stopped(tmp_path), [0.5, 0.0, 0.0])


@pytest.mark.browser
@pytest.mark.skipif(chromium.BINARY is None, reason="no Chromium on this machine: apt-get install chromium")
def test_in_a_real_browser_the_slider_walks_and_the_button_stops_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMMAND, "teleop", "--mode", "model", "--port", "18180"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address
        with chromium.Page(address[0], tmp_path / "profile") as page:
            assert page.wait(lambda: page.evaluate(f"Boolean({chromium.button('Emergency stop')})"))
            page.evaluate("(() => {const i = document.querySelector('input[type=text]'); i.focus(); i.select();})()")
            page.call("Input.insertText", text="0.4")
            assert page.wait(lambda: "in force: scripted +0.40" in page.evaluate("document.body.innerText"))
            start = seconds_shown(page)
            assert page.wait(lambda: seconds_shown(page) > start + 3.0, 300.0)
            (tmp_path / "page.png").write_bytes(page.picture())
            page.evaluate(f"{chromium.button('Emergency stop')}.click()")
            assert page.wait(lambda: process.poll() is not None, 300.0)
        assert process.returncode == 0 and f"poise: {STOPPED}" in process.stderr.read()
    assert np.allclose(walked_and_stopped(tmp_path), [0.4, 0.0, 0.0])


def seconds_shown(page: chromium.Page) -> float:
    """The time of the run that the page shows."""
    found = re.search(r"at ([\d.]+) s", page.evaluate("document.body.innerText"))
    return float(found[1]) if found else 0.0


def walked_and_stopped(folder: Path) -> Any:
    """Checks a run that walked forward until an emergency stop; returns the velocity asked for before it."""
    (run,) = folder.glob("runs/teleop-0-*")
    summary = json.loads((run / "summary.json").read_text())
    stopped = summary["emergency_stop_s"]
    assert not summary["fell"] and stopped > 3.0 and summary["seconds"] <= stopped + AFTER_STOP_S + 0.01
    log = read_log(run / "log.mcap")
    walked = log.truth["base_position_world"][log.truth["time_s"] < stopped - 1e-6]
    assert walked[-1, 0] - walked[0, 0] > 0.5
    after = log.tick["time_s"] > stopped - 1e-6
    assert after.sum() > 10 and np.all(log.tick["command_kp"][after] == 0.0) and np.all(log.tick["command_tau"][after] == 0.0)
    assert np.all(log.tick["command_kd"][after] > 0.0), "every joint is damped from that tick on"
    assert not np.all(log.tick["command_tau"][~after] == 0.0)
    return log.tick["intent_velocity"][~after][-1]


def test_hands_that_are_streamed_are_proposed_imagined_and_followed(tmp_path: Path, g1: RobotModel) -> None:
    over = threading.Event()

    def stream() -> None:
        """A left hand that was lifted forward, until the run is over."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not over.wait(0.02):
                pose = [0.3, 0.25, 0.05, 1.0, 0.0, 0.0, 0.0]
                message = {"schema": SCHEMA, "stamp_s": time.monotonic(), "left_hand": pose, "velocity": [0.2, 0.0, 0.0]}
                sender.sendto(json.dumps(message).encode(), ("127.0.0.1", 18381))

    scenario = partial(steady_scenario, intent=Intent(), seconds=6.0)
    plan = RunPlan("teleop", scenario, out=str(tmp_path), port=18380, sources=("stream",), stream=("127.0.0.1", 18381))
    sender = threading.Thread(target=stream)
    sender.start()
    try:
        result = plan(0)
    finally:
        over.set()
        sender.join()
    assert not result["fell"] and result["emergency_stop_s"] is None
    log = read_log(Path(result["folder"]) / "log.mcap")
    made = [decision for decision in log.decisions if decision.proposals and decision.intent.arms is not None]
    assert len(made) > 30
    for decision in made:
        assert [proposal.origin for proposal in decision.proposals] == ["learned"] * 8 + ["teleop"] and len(decision.verdicts) == 9
        assert decision.chosen >= 0 and decision.verdicts[decision.chosen].margins.keys() >= {"joint_limit", "self_collision", "zmp_margin"}
    wanted = made[-1].intent.arms
    assert wanted is not None and np.abs(wanted - g1.posture[g1.arms])[:7].max() > 0.3
    assert made[-1].proposal is not None and np.allclose(made[-1].proposal.arm_position[-1], wanted, atol=0.02)
    assert np.abs(log.tick["state_joint_position"][-1][g1.arms] - wanted).max() < 0.1
    assert log.truth["base_position_world"][-1, 0] > 0.3
