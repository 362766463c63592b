"""Compile a robot's MJCF or URDF into a MuJoCo model that can be a plant: with a floor under it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mujoco

from .errors import RobotDescriptionError

SUFFIXES = (".xml", ".mjcf", ".urdf")


def compile_plant(path: str | Path, lay: Callable[[mujoco.MjSpec], None] = lambda spec: None) -> mujoco.MjModel:
    """Compile a robot file; a plane named `floor` is added where the world has no geometry of its own. `lay` may add to it before.

    Raises:
        RobotDescriptionError: the file is missing or does not compile.
    """
    path = Path(path)
    if not path.is_file():
        raise RobotDescriptionError(f"robot file {path}: no such file; give the path of an MJCF or URDF")
    if path.suffix not in SUFFIXES:  # MuJoCo would guess, and warn in lines of its own
        raise RobotDescriptionError(f"robot file {path}: does not end in {', '.join(SUFFIXES)}; give an MJCF or URDF")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        if not spec.worldbody.geoms:
            floor = spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
            floor.condim = 3
        lay(spec)
        model = spec.compile()
        model.names.decode()  # MuJoCo takes any bytes for a name, its bindings do not
        return model
    except ValueError as error:
        said = ": ".join(line.strip().rstrip(":") for line in str(error).splitlines())  # what is wrong, then where
        raise RobotDescriptionError(f"robot file {path}: does not compile ({said}); mend the MJCF or URDF") from error
