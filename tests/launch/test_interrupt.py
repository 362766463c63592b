"""Ctrl-C and SIGTERM, at every moment of a command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command import made_up, run_main

from poise.launch.closed_loop import RunPlan
from poise.launch.interrupt import StopRequest, held_back
from poise.robots import Intent
from poise.sim.scenarios import steady_scenario


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class InlinePool(ThreadPoolExecutor):
    """A pool that does each job at once, here; the second one sees a Ctrl-C."""

    def __init__(self, processes: int) -> None:
        super().__init__(1)
        self.jobs = 0

    def submit(self, job: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.jobs += 1
        if self.jobs == 2:
            signal.raise_signal(signal.SIGINT)
        future: Future[Any] = Future()
        future.set_result(made_up(arguments[1], fell=False))
        return future


def test_after_ctrl_c_no_other_seed_is_begun(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poise.launch.batch.pool_of", InlinePool)
    assert run_main(*"walk --mode model --seeds 4,2,0-1 --json -".split()) == 130
    result = json.loads(capfd.readouterr().out)
    assert [run["seed"] for run in result["runs"]] == [4, 2]
    assert result["summary"]["runs"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_being_loaded_is_spared_signals_until_it_lets_them_through(number: signal.Signals) -> None:
    program = f"""
import os, signal
os.kill(os.getpid(), {int(number)})
from poise.launch.interrupt import StopRequest, let_through
with StopRequest() as stop:
    print(stop.requested)
    with let_through():
        print(stop.requested)
    os.kill(os.getpid(), {int(number)})
"""
    with StopRequest() as stop:
        with held_back():
            child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
            signal.raise_signal(number)
            assert not stop.requested
        assert stop.requested
    assert (child.returncode, child.stdout, child.stderr) == (0, "False\nTrue\n", "")
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_ctrl_c_keeps_what_was_done(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = partial(steady_scenario, intent=Intent(), seconds=60.0)
    plan = RunPlan("walk", scenario, mode="model")
    with StopRequest() as stop:

        def advance(time_s: float) -> None:
            if time_s > 0.301:
                signal.raise_signal(signal.SIGINT)

        result = plan(0, stop, advance)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert result["seconds"] == pytest.approx(0.302)
    assert Path(result["report"]).is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_so(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(plan: RunPlan, seed: int, *others: object) -> dict[str, Any]:
        signal.raise_signal(number)
        return made_up(seed, fell=False)

    monkeypatch.setattr(RunPlan, "__call__", interrupted)
    assert run_main(*"walk --mode model".split()) == 130


@pytest.mark.parametrize(("ticks", "status"), [(1000, 0), (0, 130)])
def test_ctrl_c_ends_a_run_that_is_watched(ticks: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def watched(plan: RunPlan, seed: int, *others: object) -> dict[str, Any]:
        signal.raise_signal(signal.SIGINT)
        return made_up(seed, fell=False, ticks=ticks)

    monkeypatch.setattr(RunPlan, "__call__", watched)
    assert run_main(*"walk --mode model --view".split()) == status


# Ctrl-C at the moment that a module is looked for; an extension makes another error of it.
STRUCK = """
import signal, sys
class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise {error} from None
sys.meta_path.insert(0, Strike())
from poise.launch.cli import main
sys.exit(main(["walk", "--mode", "model"]))
"""


@pytest.mark.parametrize("module", ["tyro", "rich.console", "mujoco"])
def test_ctrl_c_while_it_is_loaded_shows_no_traceback(module: str) -> None:
    program = STRUCK.format(module=module, error="KeyboardInterrupt")
    struck = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert struck.returncode == 130
    assert struck.stdout == "" and struck.stderr.count("\n") <= 1 and "Traceback" not in struck.stderr


@pytest.mark.parametrize("module", ["onnxruntime"])
def test_ctrl_c_that_comes_as_another_error_shows_no_traceback(module: str) -> None:
    program = STRUCK.format(module=module, error="ImportError('initialization failed')")
    struck = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert struck.returncode == 130
    assert struck.stdout == "" and struck.stderr.count("\n") <= 1 and "Traceback" not in struck.stderr


@pytest.mark.parametrize("module", ["gymnasium", "numpy"])
def test_ctrl_c_while_the_library_is_imported_is_the_importers(module: str) -> None:
    importer = """
try:
    from poise.launch import build_stack
    import poise.launch.environment
except KeyboardInterrupt:
    print("caught")
"""
    program = STRUCK.format(module=module, error="KeyboardInterrupt").partition("from poise")[0] + importer
    struck = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (struck.returncode, struck.stdout.strip()) == (0, "caught")


def test_terminated_alone_it_tells_the_runs_in_its_processes(tmp_path: Path) -> None:
    line = "from poise.launch.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    arguments = "walk --mode model --seeds 0-1 --seconds 500 --out here --json result.json".split()
    with subprocess.Popen([sys.executable, "-c", line, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        deadline = time.monotonic() + 120.0
        while len(list(tmp_path.glob("here*/**/log.mcap"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        command.terminate()
        assert command.communicate(timeout=120.0)[1] == "poise: interrupted; what was finished is kept\n"
    assert command.returncode == 130
    assert all(0.0 <= run["seconds"] < 500.0 for run in json.loads((tmp_path / "result.json").read_text())["runs"])


def test_terminated_it_takes_its_processes_along(tmp_path: Path) -> None:
    """Workers of `demos generate` end when they have finished what they are at; the command says what is kept."""
    line = "from poise.launch.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    arguments = ["demos", "generate", "--episodes", "40", "--seconds", "2", "--processes", "2", "--out", str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", line, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        deadline = time.monotonic() + 120.0
        while not list(tmp_path.glob("*.npz")) and time.monotonic() < deadline:
            time.sleep(0.1)
        workers = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        before = len(list(tmp_path.glob("*.npz")))
        command.terminate()
        assert "Traceback" not in command.communicate(timeout=60.0)[1]
    assert command.returncode == 130 and len(workers) >= 2
    while any(left := [worker for worker in workers if Path(f"/proc/{worker}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)  # multiprocessing's own helper goes a moment later
    assert not left
    assert 0 <= len(list(tmp_path.glob("*.npz"))) - before <= 3, "what was begun is finished, nothing else"
