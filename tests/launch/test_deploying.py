"""`poise simulate` and `poise deploy`: what they refuse, the walk of one by the other, and what is left when they are ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import run_main
from simulating import PATIENCE_S, POISE, TOO_SLOW, simulating, status_of

from poise.hw.operation import REQUESTS
from poise.hw.supervisor import SupervisorConfig
from poise.launch.deployment import Deployment, DeployPlan
from poise.robots import Intent, RobotModel

pytestmark = pytest.mark.realtime

EMPTY, WALKED, ORPHANED = 55, 56, 57  # DDS domains
LOST = 0.01  # share of a simulated robot's periods

ONE_LINERS = {
    "simulate": "give --dds",
    "simulate --dds --seconds 0": "--seconds 0",
    "simulate --dds --seconds nan": "--seconds nan",
    "simulate --dds --domain 233": "--domain 233: give a whole number of at most 232",
    "simulate --dds --domain -1": "--domain -1",
    "simulate --dds --seed -1": "--seed -1",
    "simulate --dds --port 0": "--port 0",
    "simulate --dds --json missing/folder/x.json": "--json missing/folder/x.json",
    "simulate --dds --start lying": "'hanging', 'standing'",
    "simulate --dds --hoist broken": "'auto', 'manual'",
    "deploy": "--interface",
    "deploy --interface lo --domain 500": "--domain 500",
    "deploy --interface lo --seed -1": "--seed -1",
    "deploy --interface lo --mode magic": "'hybrid', 'model'",
    "deploy --interface lo --source mind": "--source",
    "deploy --interface lo --source keyboard --route r.txt": "--route and --source exclude each other",
    "deploy --interface lo --port 0": "--port 0",
    "deploy --interface lo --stream-port 0": "--stream-port 0",
    "record": "--interface",
    "record --interface lo --domain 500": "--domain 500",
    "record --interface lo --seconds 0": "--seconds 0",
    "deploy --interface lo --json missing/folder/x.json": "--json missing/folder/x.json",
    "deploy --interface lo --robot r2d2": "unknown robot 'r2d2'",
    "deploy --interface lo --route missing.txt": "missing.txt: cannot be read",
}
SLOW_ONE_LINERS = {
    "simulate --dds --robot r2d2": "unknown robot 'r2d2'",
    "simulate --dds --interface nowhere0 --domain 55": "network interface 'nowhere0'",
    "simulate --dds --plant missing.xml": "missing.xml",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("line", ONE_LINERS)
def test_unusable_options_are_one_line_and_status_2(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_main(*line.split()) == 2
    said = capfd.readouterr().err
    assert ONE_LINERS[line] in said and said.count("\n") == 1 and "Traceback" not in said


@pytest.mark.parametrize("line", SLOW_ONE_LINERS)
def test_what_is_found_out_later_is_one_line_and_status_2(line: str) -> None:
    """In a process of its own: it schedules itself before others, and collects no garbage."""
    done = subprocess.run([*POISE, *line.split()], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
    said = [sentence for sentence in done.stderr.splitlines() if sentence.startswith("poise: ") and "as root" not in sentence]
    assert done.returncode == 2 and len(said) == 1 and "Traceback" not in done.stderr and SLOW_ONE_LINERS[line] in said[0]


def test_a_route_that_is_none_is_refused_by_its_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "route.txt").write_text("1 0.3 0 0\nfast\n")
    assert run_main(*"deploy --interface lo --route route.txt".split()) == 2
    assert "line 2: 'fast' is no leg" in capfd.readouterr().err


def test_without_a_terminal_there_is_no_keyboard() -> None:
    line = [*POISE, "deploy", "--interface", "lo", "--domain", str(EMPTY)]
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
    assert done.returncode == 2 and "the keyboard needs a terminal" in done.stderr and "Traceback" not in done.stderr


def until(holds: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def family(pid: int) -> list[int]:
    """A process's children and theirs."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [each for child in children for each in family(child)]


def deploying(domain: int, *options: str) -> subprocess.Popen[str]:
    route = Path("route.txt")
    route.write_text("3 0.3 0 0\n")
    line = [*POISE, "deploy", "--interface", "lo", "--domain", str(domain), "--route", str(route), *options]
    return subprocess.Popen(
        [*line, "--mode", "model"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def test_without_a_robot_it_says_how_to_start_one_and_leaves_nobody_behind() -> None:
    with deploying(EMPTY) as deploy:
        until(lambda: family(deploy.pid) or deploy.poll() is not None, "no process is started")
        everybody = set(family(deploy.pid))
        _, said = deploy.communicate(timeout=PATIENCE_S)
    assert deploy.returncode == 2 and "Traceback" not in said
    assert "no robot speaks on rt/lowstate" in said.splitlines()[-1] and "poise simulate --robot g1 --dds" in said.splitlines()[-1]
    until(lambda: not any(map(alive, everybody)), "somebody is left")


def test_ctrl_c_while_it_looks_for_the_robot_ends_everybody() -> None:
    with deploying(EMPTY) as deploy:
        until(lambda: family(deploy.pid), "no process is started")
        time.sleep(1.0)
        everybody = set(family(deploy.pid))
        os.killpg(deploy.pid, signal.SIGINT)  # as a terminal does
        _, said = deploy.communicate(timeout=PATIENCE_S)
    assert deploy.returncode == 130 and "Traceback" not in said
    assert said.splitlines()[-1] == "poise: interrupted; what was finished is kept"
    until(lambda: not any(map(alive, everybody)), "somebody is left")


def test_a_simulated_robot_is_walked_along_a_route_by_processes_of_their_own(tmp_path: Path) -> None:
    simulated = tmp_path / "simulated.json"
    with simulating(WALKED, "--json", str(simulated)) as simulate:
        with deploying(WALKED, "--json", "deployed.json") as deploy:
            _, said = deploy.communicate(timeout=PATIENCE_S)
        status = status_of(simulate)
    result = json.loads(Path("deployed.json").read_text())
    told = [sentence.split(" s  ", 1)[1] for sentence in said.splitlines() if " s  " in sentence]
    stages = [sentence for sentence in told if sentence in ("damping", "stand up", "stand", "walk", "disarmed")]
    assert stages[:4] == ["disarmed", "damping", "stand up", "stand"] and stages[-1] == "disarmed", said
    assert any(sentence.startswith("safe stop") for sentence in told), "whatever came, it was brought down before it was disarmed"
    assert deploy.returncode == (0 if result["as_asked"] else 1) and result["as_asked"] == (not result["reasons"])
    assert status["heard"] > 1000 and status["refused"] == result["refused"] == 0 and "Traceback" not in said
    until_nothing = [what for _, what in status["changes"]]
    assert until_nothing[:3] == ["damping", "stiffness", "torque"] and until_nothing[-1] == "nothing"
    if result["reasons"] and all(reason.startswith(TOO_SLOW) for reason in result["reasons"]) and lost(simulated) > LOST:
        pytest.skip(f"this machine had no time even for the robot, which lost {lost(simulated):.1%} of its periods: {result['reasons'][0]}")
    assert result["as_asked"], said
    assert stages == ["disarmed", "damping", "stand up", "stand", "walk", "stand", "disarmed"]
    assert result["walked_s"] == pytest.approx(3.0, abs=0.5) and max(map(abs, status["position_m"][:2])) > 0.2


def lost(simulated: Path) -> float:
    """Share of its periods that a simulated robot, which is scheduled before all others, could not take."""
    told = json.loads(simulated.read_text())
    skipped = told["skipped_own"] + told["skipped_stolen"]
    return float(skipped / (skipped + told["ticks"]))


# The operator's process: it arms the robot, lets it stand up, and is ended with all that is of its group.
KILLED = """
import multiprocessing, os, signal, sys, time
from poise.hw.black_box import BlackBox
from poise.hw.exchange import mailboxes, operation_record, MODES
from poise.launch.deployment import DeployPlan, supervise
from poise.robots import Intent

if __name__ == "__main__":
    plan = DeployPlan("g1", "model", "lo", int(sys.argv[1]), False, False, True, 0)
    robot, context = plan.load(), multiprocessing.get_context("spawn")
    boxes, black_box, ready, faults = mailboxes(context, robot), BlackBox(context, robot.n), context.Event(), context.Queue()
    process = context.Process(target=supervise, args=(plan, boxes, black_box, ready, faults))
    process.start()
    print(process.pid, flush=True)
    ready.wait()
    requests, mode = 0, ""
    while mode != "stand up":
        status = boxes.status.get()
        mode = mode if status is None else MODES[int(status["mode"])]
        requests += 1
        wanted = {"disarmed": "arm", "damping": "stand up"}.get(mode, "")
        boxes.operation.put(operation_record(Intent(), len(robot.arms), wanted, requests, False))
        time.sleep(0.1)
    time.sleep(0.2)
    print(time.monotonic(), flush=True)
    os.killpg(0, signal.SIGTERM)  # as the end of a terminal does, or `timeout`
"""


def test_a_supervisor_whose_operator_is_killed_brings_the_robot_down_and_ends(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    with simulating(ORPHANED, "--program", "") as simulate:
        line = [sys.executable, str(script), str(ORPHANED)]
        operator = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, start_new_session=True)
        assert operator.returncode == -signal.SIGTERM, operator.stderr
        supervisor, killed_s = operator.stdout.split()
        until(lambda: not alive(int(supervisor)), "the supervisor goes on for good")
        until(lambda: status_of(simulate)["commanded"] == "nothing", "somebody still moves it")
        let_go_s, what = status_of(simulate)["changes"][-1]
    assert what == "nothing" and let_go_s - float(killed_s) > SupervisorConfig().descent.lasts_s, "not before it was brought down"


def test_a_request_stands_until_the_next_one(g1: RobotModel) -> None:
    """Whoever looks late at what is wanted finds it all the same, once."""
    deployment = Deployment(DeployPlan("g1", "model", "lo", EMPTY, False, False, False, 0), g1)
    deployment.tell(Intent(), "arm")
    for _ in range(3):
        deployment.tell(Intent())
    record = deployment.boxes.operation.get()
    assert record is not None and (REQUESTS[int(record["request"])], int(record["requests"])) == ("arm", 1)
    deployment.tell(Intent(), "stand up")
    record = deployment.boxes.operation.get()
    assert record is not None and (REQUESTS[int(record["request"])], int(record["requests"])) == ("stand up", 2)
