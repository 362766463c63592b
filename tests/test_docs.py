"""What the pages in docs/ say that a machine can check: tests by file, defaults by name, links to sections."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

from poise.control import StackConfig
from poise.hw.process import RealtimeConfig
from poise.hw.simulated import SimulatedConfig
from poise.hw.supervisor import SupervisorConfig
from poise.robots import RobotModel

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
NAMED = re.compile(r"(\n\n)|`(tests/[\w/]+\.py)(?:::(test_\w+))?`|`(test_\w+)`", re.MULTILINE)
DEFAULT = re.compile(r"`(\w+)\.([\w.]+) = ([^`]+)`")


def named_tests(text: str) -> Iterator[tuple[str, str]]:
    """(file, test) of `file::test`, and of each `test` that comes after its `file` within a paragraph."""
    file = ""
    for gap, path, with_path, alone in NAMED.findall(text):
        file = "" if gap else path or file
        if with_path or (alone and file):
            yield file, with_path or alone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_are_in_the_files_they_are_said_to_be_in(page: Path) -> None:
    named = set(named_tests(page.read_text(encoding="utf-8")))
    assert len(named) > 10 or page.name not in ("control.md", "locomotion.md")
    source = {file: (ROOT / file).read_text(encoding="utf-8") for file, _ in named}
    assert [(file, test) for file, test in sorted(named) if f"def {test}(" not in source[file]] == []


def test_defaults_are_those_of_the_code(g1: RobotModel) -> None:
    """`Class.field = value` of configurations and of the G1's gait, and `module.NAME = value` of `poise.hw` and `poise.control`."""
    stack = StackConfig()
    walker = stack.walker
    parts = (
        stack,
        walker,
        walker.mpc,
        walker.adaptation,
        walker.feedback,
        stack.whole_body,
        g1.overlay.gait,
        RealtimeConfig(),
        SupervisorConfig(),
        SimulatedConfig(),
    )
    owners = {type(part).__name__: part for part in parts}
    said = [default for page in PAGES for default in DEFAULT.findall(page.read_text(encoding="utf-8"))]
    assert len(said) > 50
    for owner, path, value in said:
        package = "hw" if (ROOT / "hw" / f"{owner}.py").exists() else "control"
        at = owners[owner] if owner in owners else import_module(f"poise.{package}.{owner}")
        assert reduce(getattr, path.split("."), at) == literal_eval(value), f"{owner}.{path}"


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_to_sections_lead_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([\w/.]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        assert anchor in {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, f"{target}#{anchor}"
