from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each package may import of the others: launch → {sim, hw} → learning → control → robots.
ALLOWED = {
    "robots": set[str](),
    "control": {"robots"},
    "learning": {"robots", "control"},
    "sim": {"robots", "control", "learning"},
    "hw": {"robots", "control", "learning"},
    "launch": {"robots", "control", "learning", "sim", "hw"},
}
MODULES = {path: path.parts[len(ROOT.parts)] for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))}
TRAINING = {"checkpoint.py", "export.py", "network.py", "training.py"}  # the modules of learning that may import torch
ARGUMENTS = {"argparse", "tyro"}
NETWORKS = {"onnx", "onnxruntime", "onnxscript", "torch"}
SIMULATORS = {"gymnasium", "mujoco"}


def imports(path: Path) -> Iterator[str]:
    """Full names of all modules that a file imports, anywhere in it, also for types only."""
    return imports_of(path.read_text(encoding="utf-8"), ["poise", *path.relative_to(ROOT).parts[:-1]])


def imports_of(source: str, package: list[str]) -> Iterator[str]:
    """Full names of all modules that a source in a package imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def outside(path: Path) -> set[str]:
    """Top-level names of what a file imports."""
    return {name.split(".")[0] for name in imports(path)}


def inside(path: Path) -> set[str]:
    """Packages of the project that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("poise.")}


def knowing(package: str, libraries: set[str]) -> list[Path]:
    """Modules of a package that import one of some libraries."""
    return [path for path, owner in MODULES.items() if owner == package and outside(path) & libraries]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    mine = [path for path, owner in MODULES.items() if owner == package]
    assert mine
    wrong = {str(path.relative_to(ROOT)): sorted(inside(path) - ALLOWED[package] - {package}) for path in mine}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_packages_are_imported_by_their_full_names() -> None:
    assert [str(path) for path in MODULES if outside(path) & ALLOWED.keys()] == []


def test_only_the_training_modules_know_torch() -> None:
    with_torch = {path for path in MODULES if "torch" in outside(path)}
    assert {MODULES[path] for path in with_torch} <= {"learning"}
    assert {path.name for path in with_torch} <= TRAINING


def test_control_knows_no_simulator_and_no_network() -> None:
    assert knowing("control", SIMULATORS | NETWORKS) == []


def test_hardware_knows_no_simulator() -> None:
    assert knowing("hw", SIMULATORS) == []


def test_only_launch_reads_the_command_line() -> None:
    assert [path for package in ALLOWED.keys() - {"launch"} for path in knowing(package, ARGUMENTS)] == []


def test_the_reader_of_imports_sees_every_form() -> None:
    source = "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\nfrom ..sim import h\ndef k() -> None:\n    import torch\n"
    wanted = {"a.b", "c.d", "poise.control.e", "poise.control.f.g", "poise.sim.h", "torch"}
    assert wanted <= set(imports_of(source, ["poise", "control"]))


@pytest.mark.parametrize("module", ["poise.launch", "poise.sim", "poise.hw"])
def test_torch_is_not_loaded_where_nothing_is_trained(module: str) -> None:
    program = f"import {module}, sys; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
