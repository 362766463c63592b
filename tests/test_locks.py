from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(name: str) -> dict[str, str]:
    """Versions by package of a lock."""
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and line[0] not in "# "]
    return dict(line.partition(" ;")[0].split("==") for line in lines)


RUN, DEVELOP = pins("requirements.lock"), pins("requirements-dev.lock")


def test_the_lock_to_run_needs_no_torch_and_is_part_of_the_lock_to_develop() -> None:
    assert "torch" not in RUN
    assert DEVELOP["torch"] == "2.13.0"
    assert RUN.items() <= DEVELOP.items()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [(RUN, PROJECT["dependencies"]), (DEVELOP, PROJECT["dependencies"] + EXTRAS["learn"] + EXTRAS["view"] + EXTRAS["dev"])],
    ids=["run", "develop"],
)
def test_a_lock_gives_what_the_project_asks_for(lock: dict[str, str], wanted: list[str]) -> None:
    for requirement in map(Requirement, wanted):
        assert lock.get(canonicalize_name(requirement.name), "0") in requirement.specifier, requirement


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_says_nothing_of_where_it_was_made(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [word for word in ("://", "--", "@", "+cpu", "/opt", "/work", "/home") if word in text] == []
