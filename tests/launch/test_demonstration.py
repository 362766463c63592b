"""A demonstration given through the page by a real browser: recorded, run again in each way, and handed on as a dataset."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import chromium
import pytest
from command import run_main

from poise.robots.record import read_log

pytestmark = pytest.mark.realtime

COMMAND = "from poise.launch.cli import main; import sys; sys.exit(main(sys.argv[1:]))"


@pytest.mark.browser
@pytest.mark.skipif(chromium.BINARY is None, reason="no Chromium on this machine: apt-get install chromium")
def test_it_is_the_same_in_every_replay_and_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    run = demonstrated(tmp_path)
    log = read_log(run / "log.mcap")
    assert log.whole and set(log.tick["intent_velocity"][:, 0]) >= {0.0, 0.4}
    walked_m = log.truth["base_position_world"][-1, 0] - log.truth["base_position_world"][0, 0]
    assert walked_m > 0.5
    monkeypatch.chdir(tmp_path)
    for how in ("open-loop", "closed-loop", "estimator"):
        assert run_main("replay", str(run), "--how", how, "--json", f"{how}.json") == 0
        assert json.loads(Path(f"{how}.json").read_text())["identical"], how
    assert run_main("demos", "export", str(run), "--out", "dataset", "--task", "walk forward") == 0
    info = json.loads(Path("dataset/meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["total_episodes"] == 1 and info["total_frames"] > 100


def demonstrated(folder: Path) -> Path:
    """The run folder of 8 s in which the page's slider is moved."""
    command = [sys.executable, "-c", COMMAND, "teleop", "--mode", "model", "--port", "18185", "--seconds", "8"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address
        with chromium.Page(address[0], folder / "profile") as page:
            assert page.wait(lambda: page.evaluate("document.querySelectorAll('input[type=text]').length > 0"))
            page.evaluate("(() => {const i = document.querySelector('input[type=text]'); i.focus(); i.select();})()")
            page.call("Input.insertText", text="0.4")
            assert page.wait(lambda: process.poll() is not None, 300.0)
        assert process.returncode == 0
    (run,) = folder.glob("runs/teleop-0-*")
    return run
