from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from poise.launch.command_line import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
FOLDERS = "robots|control|learning|sim|hw|launch|tests"


def printed(script: str, folder: Path) -> str:
    """What a script of the README prints when it is run from elsewhere."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    run = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_script_of_the_readme_walks(tmp_path: Path) -> None:
    found = re.fullmatch(r"forward (\S+) m, left (\S+) m, pelvis at (\S+) m\n", printed(SCRIPTS[0], tmp_path))
    assert found
    forward, left, height = map(float, found.groups())
    assert 1.4 < forward < 2.2  # 5 s at 0.4 m/s, less what it takes to begin
    assert abs(left) < 0.3
    assert height > 0.6


def test_a_proposer_of_one_s_own_is_judged(tmp_path: Path) -> None:
    found = re.fullmatch(r"fell: False rejected: \{'joint_limit': (\d+)\}\n", printed(SCRIPTS[1], tmp_path))
    assert found and int(found[1]) == 30  # the lean of 3 rad, ten times a second


def test_commands_of_the_readme_are_commands() -> None:
    lines = [line for line in re.findall(r"`?\bpoise ((?:[a-z]+ )[^`\n]*)", README) if line.split()[0] in COMMANDS]
    assert len(lines) > 15
    for line in lines:
        assert parse(shlex.split(line)) is not None


COMMANDS = ("demo", "walk", "teleop", "explain", "replay", "deploy", "record", "simulate", "robots", "demos", "train", "bench")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    paths = set(re.findall(rf"`((?:{FOLDERS}|docs)/[\w/.]+\.(?:py|toml|md))`", text))
    paths |= {str(Path(document.parent.relative_to(ROOT), link)) for link in re.findall(r"\]\(([\w/.]+\.\w+)\)", text)}
    assert [path for path in paths if not (ROOT / path).exists()] == []
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    known = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    assert set(re.findall(r"`(test_\w+)`", text)) - known == set()


def test_the_stated_rates_and_delays_are_the_stack_s() -> None:
    from poise.control import StackConfig

    config = StackConfig()
    assert 1.0 / config.period_s == pytest.approx(500.0)
    assert config.period_s * config.propose_every == pytest.approx(0.1)
    assert config.period_s * config.walker.mpc_every == pytest.approx(0.02)
    assert (config.propose_delay, config.walker.mpc_delay, config.hold_ticks) == (5, 5, 10)
    assert config.safety.braking == 60.0
