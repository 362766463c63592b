from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("robots", "control", "learning", "sim", "hw", "launch")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """A wheel built from a copy of the sources, so that nothing left in the checkout gets into it; needs no network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return ZipFile(next(out.glob("poise-*.whl")))


def test_every_module_of_every_package_is_in_it(wheel: ZipFile) -> None:
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert {name.removeprefix("poise/") for name in wheel.namelist() if name.endswith(".py")} == modules


def test_the_overlays_are_in_it_as_they_are(wheel: ZipFile) -> None:
    overlays = list((ROOT / "robots").glob("*/overlay.toml"))
    assert overlays
    for overlay in overlays:
        assert wheel.read(f"poise/{overlay.relative_to(ROOT)}") == overlay.read_bytes()


def test_weights_and_recordings_are_in_it_as_they_are(wheel: ZipFile) -> None:
    weights = [*(ROOT / "learning" / "weights").glob("*.onnx"), *(ROOT / "sim" / "adversary_data").iterdir()]
    assert {"g1_proposer.onnx", "teleoperation.npz", "trained.json"} <= {file.name for file in weights}
    for file in weights:
        assert wheel.read(f"poise/{file.relative_to(ROOT)}") == file.read_bytes()


def test_nothing_else_is_in_it(wheel: ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist()} == {"poise", f"poise-{PROJECT['version']}.dist-info"}
    assert {Path(name).suffix for name in wheel.namelist() if name.startswith("poise/")} <= {".py", ".toml", ".onnx", ".json", ".npz"}
    assert "poise/__init__.py" not in wheel.namelist()  # a namespace


def test_its_metadata_name_the_command_the_licence_and_the_extras(wheel: ZipFile) -> None:
    folder = f"poise-{PROJECT['version']}.dist-info"
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert wheel.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert f"poise = {PROJECT['scripts']['poise']}" in wheel.read(f"{folder}/entry_points.txt").decode()
    for extra in PROJECT["optional-dependencies"]:
        assert f"Provides-Extra: {extra}" in metadata
