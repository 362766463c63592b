"""Any MJCF or URDF is refused in one line, or becomes a robot that can stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from mutation import fuzzed, read_or_refused, texts

from poise.robots import RobotModel
from poise.robots.model import build_robot
from poise.robots.overlay import Overlay

LEG = (("0 0 0.5", "0 1 0"), ("0 0 0.5", "1 0 0"), ("0 0 0.5", "0 0 1"), ("0.1 0 0.25", "0 1 0"), ("0 0 0", "0 1 0"), ("0 0 0", "1 0 0"))
SIDES = {"left": 0.1, "right": -0.1}
LEGS = tuple(f"{side}_{i}" for side in SIDES for i in range(len(LEG)))
ODD = (
    "",
    "x",
    "nan",
    "inf",
    "0",
    "-1",
    "1e300",
    "1 0 0",
    "0 0 0",
    "0 0 0 0",
    "1 2 3 4 5 6 7",
    "ball",
    "slide",
    "free",
    "hips",
    "left_0",
    "ß",
)
ELEMENTS = ("body", "joint", "freejoint", "geom", "site", "inertial", "default", "include", "frame", "replicate", "attach", "mesh", "x")
INERTIA = '<inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>'
URDF = f'<robot name="r"><link name="hips">{INERTIA}</link></robot>'


def foot(side: str, y: float) -> str:
    """A leg of six joints, and its foot."""
    joints = "".join(f'<joint name="{side}_{i}" pos="{place}" axis="{axis}" range="-60 60"/>' for i, (place, axis) in enumerate(LEG))
    return f'<body name="{side}_foot" pos="0 {y} -0.5">{joints}<geom type="box" size="0.1 0.03 0.02" mass="1"/></body>'


BIPED = f"""<mujoco><option gravity="0 0 -9.81"/><worldbody><body name="hips" pos="0 0 0.6"><freejoint/>
<geom type="box" size="0.1 0.1 0.1" mass="4"/>{"".join(foot(side, y) for side, y in SIDES.items())}
<body name="chest" pos="0 0 0.2"><joint name="waist" axis="0 0 1" range="-60 60"/><geom type="box" size="0.1 0.1 0.1" mass="3"/>
<body name="hand" pos="0 0 0.2"><joint name="arm" axis="0 1 0" range="-60 60"/><geom type="sphere" size="0.05" mass="1"/></body></body>
</body></worldbody><actuator><motor joint="arm"/><motor joint="waist"/></actuator></mujoco>"""


def overlay_of(g1: RobotModel) -> Overlay:
    """The overlay of the biped."""
    bodies: dict[str, Any] = {
        "base": "hips",
        "torso": "chest",
        "sole_bodies": ("left_foot", "right_foot"),
        "sole_origin": (0.0, 0.0, -0.02),
    }
    groups: dict[str, Any] = {"legs": LEGS, "waist": ("waist",), "arms": ("arm",), "motors": {"default": g1.overlay.motors["default"]}}
    empty: dict[str, Any] = {"posture": {}, "walking_range": {}, "descent": {}, "capsules": (), "collision_pairs": ()}
    return replace(g1.overlay, name="biped", **bodies, **groups, **empty)


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """The biped with elements lost, doubled, nested or renamed, and attributes with other values."""
    tree = ElementTree.fromstring(BIPED)
    for _ in range(draw(st.integers(1, 3))):
        parents = [(parent, child) for parent in tree.iter() for child in parent]
        if not parents:
            break
        parent, child = draw(st.sampled_from(parents))
        how = draw(st.sampled_from(("attribute", "attribute", "attribute", "lose", "double", "nest", "rename")))
        if how == "lose":
            parent.remove(child)
        elif how == "double":
            parent.append(child)
        elif how == "nest":
            child.append(ElementTree.fromstring(ElementTree.tostring(draw(st.sampled_from(parents))[1])))
        elif how == "rename":
            child.tag = draw(st.sampled_from(ELEMENTS))
        else:
            names = (
                *child.attrib,
                "name",
                "type",
                "pos",
                "axis",
                "range",
                "mass",
                "size",
                "quat",
                "armature",
                "stiffness",
                "limited",
                "file",
            )
            child.set(draw(st.sampled_from(names)), draw(st.sampled_from(ODD)))
    return ElementTree.tostring(tree, encoding="unicode")


def build(folder: Path, g1: RobotModel, content: bytes, name: str = "biped.xml") -> RobotModel | None:
    """The robot of a file with that content, if it is one."""
    path = folder / name
    path.write_bytes(content)
    return read_or_refused(lambda: build_robot(path, overlay_of(g1)))


def assert_sound(robot: RobotModel) -> None:
    for part in (robot.position_min, robot.position_max, robot.standing_configuration()[7:]):
        assert part.shape == (robot.n,) and not np.isnan(part).any()
    assert (robot.position_min < robot.position_max).all()
    assert np.isfinite(robot.standing_configuration()).all() and 0.0 < robot.mass < np.inf


def test_the_biped_is_a_robot(folder: Path, g1: RobotModel) -> None:
    robot = build(folder, g1, BIPED.encode())
    assert robot is not None
    assert_sound(robot)


@fuzzed(80)
@given(text=descriptions())
@example(text=BIPED.replace('name="waist" ', "").replace('name="arm" ', "").replace('<motor joint="arm"/><motor joint="waist"/>', ""))
def test_a_description_with_odd_elements(folder: Path, g1: RobotModel, text: str) -> None:
    if (robot := build(folder, g1, text.encode())) is not None:
        assert_sound(robot)


@fuzzed(40)
@given(content=texts(BIPED))
@example(content=BIPED.encode().replace(b'"waist"', b'"wai\xffst"'))
def test_a_damaged_description(folder: Path, g1: RobotModel, content: bytes) -> None:
    if (robot := build(folder, g1, content)) is not None:
        assert_sound(robot)


@fuzzed(20)
@given(content=texts(URDF))
def test_a_damaged_urdf(folder: Path, g1: RobotModel, content: bytes) -> None:
    if (robot := build(folder, g1, content, "biped.urdf")) is not None:
        assert_sound(robot)
