from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pinocchio as pin
import pytest

from poise.robots import ROBOTS, RobotDescriptionError, RobotModel, load_robot
from poise.robots.checks import check_models
from poise.robots.model import build_robot
from poise.robots.overlay import Overlay
from poise.robots.plant import compile_plant

LEGS = tuple(f"{side}_leg{i}" for side in ("left", "right") for i in ("", "_2", "_3", "_4", "_5", "_6"))


def leg(side: str) -> str:
    """Six joints of one leg, as MJCF; the first turns it forward."""
    hip, knee, ankle = "0 0 0.5", "0.1 0 0.25", "0 0 0"
    axes = ((hip, "0 1 0"), (hip, "1 0 0"), (hip, "0 0 1"), (knee, "0 1 0"), (ankle, "0 1 0"), (ankle, "1 0 0"))
    names = [name for name in LEGS if name.startswith(side)]
    joints = zip(names, axes, strict=True)
    return "".join(f'<joint name="{name}" pos="{place}" axis="{axis}" range="-60 60"/>' for name, (place, axis) in joints)


# A robot of 14 joints: two legs with feet, a waist and an arm.
BIPED = f"""
<mujoco>
  <option gravity="0 0 -9.81"/>
  <worldbody>
    <body name="hips" pos="0 0 0.6">
      <freejoint/>
      <geom type="box" size="0.1 0.1 0.1" mass="4"/>
      <body name="left_foot" pos="0 0.1 -0.5">
        {leg("left")}
        <geom type="box" size="0.1 0.03 0.02" mass="1"/>
      </body>
      <body name="right_foot" pos="0 -0.1 -0.5">
        {leg("right")}
        <geom type="box" size="0.1 0.03 0.02" mass="1"/>
      </body>
      <body name="chest" pos="0 0 0.2">
        <joint name="waist" axis="0 0 1"/>
        <geom type="box" size="0.1 0.1 0.1" mass="3"/>
        <body name="hand" pos="0 0 0.2">
          <joint name="arm" axis="0 1 0" armature="0.01"/>
          <geom type="sphere" size="0.05" mass="1"/>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def overlay(g1: RobotModel) -> Overlay:
    """The overlay of the biped."""
    return replace(
        g1.overlay,
        name="biped",
        base="hips",
        torso="chest",
        sole_bodies=("left_foot", "right_foot"),
        sole_origin=(0.0, 0.0, -0.02),
        posture={},
        legs=LEGS,
        waist=("waist",),
        arms=("arm",),
        motors={"default": g1.overlay.motors["default"]},
        walking_range={},
        descent={},
        capsules=(),
        collision_pairs=(),
    )


def write(folder: Path, text: str) -> Path:
    path = folder / "biped.xml"
    path.write_text(text)
    return path


def test_every_registered_robot_loads_and_stands_on_level_soles() -> None:
    for name in ROBOTS:
        robot = load_robot(name)
        assert robot.name == name
        q = robot.standing_configuration()
        data = robot.pinocchio.createData()
        pin.framesForwardKinematics(robot.pinocchio, data, q)
        for frame in robot.sole_frames:
            assert abs(data.oMf[frame].translation[2]) < 1e-3
            np.testing.assert_allclose(data.oMf[frame].rotation[:, 2], [0, 0, 1], atol=1e-2)
        com = pin.centerOfMass(robot.pinocchio, data, q)
        middle = np.mean([data.oMf[frame].translation for frame in robot.sole_frames], axis=0)
        assert np.abs(com[:2] - middle[:2]).max() < 0.08  # over the soles: it can stand there


def test_the_g1_is_the_robot_that_its_maker_describes(g1: RobotModel) -> None:
    assert g1.n == len(g1.joint_names) == 29
    assert g1.mass == pytest.approx(33.34, abs=0.05)
    assert [g1.joint_names[i] for i in g1.legs[:6]] == list(g1.overlay.legs[:6])
    assert g1.arm_joints == g1.overlay.arms
    assert sorted(np.concatenate([g1.legs, g1.waist, g1.arms])) == list(range(29))
    knee = g1.joint_names.index("left_knee_joint")
    assert (g1.torque_limit[knee], g1.velocity_limit[knee], g1.posture[knee]) == (139.0, 20.0, 0.72)
    for array in (g1.position_min, g1.position_max, g1.velocity_limit, g1.torque_limit, g1.hold_kp, g1.hold_kd, g1.posture):
        assert array.shape == (29,)
        assert np.isfinite(array).all()


def test_limits_and_order_are_those_of_the_compiled_plant(g1: RobotModel) -> None:
    mj = compile_plant(g1.description)
    for i, name in enumerate(g1.joint_names):
        joint = mj.joint(name)
        assert (joint.qposadr[0] - 7, joint.dofadr[0] - 6) == (i, i)
        np.testing.assert_array_equal([g1.position_min[i], g1.position_max[i]], joint.range)
    assert g1.mass == pytest.approx(mj.body_mass.sum(), abs=1e-9)


def test_the_frames_lie_where_the_overlay_says(g1: RobotModel) -> None:
    mj = compile_plant(g1.description)
    data, mj_data = g1.pinocchio.createData(), mujoco.MjData(mj)
    q = g1.standing_configuration()
    mj_data.qpos[:] = np.concatenate([q[:3], q[[6, 3, 4, 5]], q[7:]])
    mujoco.mj_kinematics(mj, mj_data)
    pin.framesForwardKinematics(g1.pinocchio, data, q)
    for frame, body in zip(g1.sole_frames, g1.overlay.sole_bodies, strict=True):
        ankle = mj_data.body(body)
        expected = ankle.xpos + ankle.xmat.reshape(3, 3) @ g1.overlay.sole_origin
        np.testing.assert_allclose(data.oMf[frame].translation, expected, atol=1e-12)
    np.testing.assert_allclose(data.oMf[g1.imu_frame].translation, mj_data.site("imu_in_pelvis").xpos, atol=1e-5)
    np.testing.assert_allclose(data.oMf[g1.torso_frame].translation, mj_data.body("torso_link").xpos, atol=1e-12)


def test_any_description_loads_with_an_overlay(tmp_path: Path, overlay: Overlay) -> None:
    robot = build_robot(write(tmp_path, BIPED), overlay)
    assert robot.joint_names == (*LEGS, "waist", "arm")
    assert robot.mass == pytest.approx(10.0)
    assert robot.standing_configuration()[2] == pytest.approx(0.52)
    waist = robot.position_max[robot.waist]
    assert not np.isfinite(waist).any() or waist > 1e3  # no limit of its own


def test_a_robot_without_a_waist_has_an_empty_group(tmp_path: Path, overlay: Overlay) -> None:
    robot = build_robot(write(tmp_path, BIPED), replace(overlay, waist=(), arms=("arm", "waist")))
    assert robot.posture[robot.waist].shape == (0,)


@pytest.mark.parametrize(
    ("robot", "said"),
    [
        ("g2", "unknown robot 'g2'; known: g1, or the path of an MJCF or URDF file"),
        ("scene.xml", "robot file scene.xml: needs an overlay; give --overlay FILE (see robots/g1/overlay.toml)"),
    ],
)
def test_unknown_robots_are_refused(robot: str, said: str) -> None:
    with pytest.raises(RobotDescriptionError) as refused:
        load_robot(robot)
    assert str(refused.value) == said


def test_files_that_are_no_descriptions_are_refused(tmp_path: Path, overlay: Overlay) -> None:
    with pytest.raises(RobotDescriptionError, match=r"no such file; give the path"):
        build_robot(tmp_path / "none.xml", overlay)
    with pytest.raises(RobotDescriptionError, match=r"^robot file [^\n]*: does not compile \([^\n]*\); mend the MJCF or URDF$"):
        build_robot(write(tmp_path, "<mujoco><worldbody><body/>"), overlay)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("<freejoint/>", "<freejont/>", r"unrecognized element: Element 'freejont', line 6"),
        ("</worldbody>", "</body></worldbody>", r"XML_ERROR_MISMATCHED_ELEMENT .*Line number=4"),
        ('mass="4"', 'mass="0"', r"mass and inertia of moving bodies must be larger than mjMINVAL: Element name 'hips', id 1, line 5"),
    ],
)
def test_an_error_in_a_description_says_where_it_is(tmp_path: Path, overlay: Overlay, old: str, new: str, where: str) -> None:
    with pytest.raises(RobotDescriptionError, match=where) as refused:
        build_robot(write(tmp_path, BIPED.replace(old, new)), overlay)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<freejoint/>", "", "the first joint must be the free joint of the base"),
        ('gravity="0 0 -9.81"', 'gravity="0 0 0"', r"gravity is \(0, 0, 0\), not \(0, 0, -9.81\) m/s²"),
        ('gravity="0 0 -9.81"', 'gravity="0.1 0 -9.81"', r"gravity is \(0.1, 0, -9.81\)"),
        (
            "</worldbody>",
            '</worldbody><tendon><fixed name="belt" armature="0.1"><joint joint="waist" coef="1"/></fixed></tendon>',
            "the mass matrices of Pinocchio and MuJoCo differ by 0.1; remove what only MuJoCo knows",
        ),
        ('<joint name="arm" axis="0 1 0" armature="0.01"/>', '<joint name="arm" type="ball"/>', "'arm' is a ball joint"),
    ],
)
def test_descriptions_that_the_stack_cannot_trust_are_refused(tmp_path: Path, overlay: Overlay, old: str, new: str, said: str) -> None:
    assert BIPED.count(old) == 1
    with pytest.raises(RobotDescriptionError, match=said) as refused:
        build_robot(write(tmp_path, BIPED.replace(old, new)), overlay)
    assert "\n" not in str(refused.value)


def test_what_stands_beside_the_robot_is_no_part_of_it(tmp_path: Path, overlay: Overlay) -> None:
    table = '<worldbody><body name="table"><geom type="box" size="1 1 1" mass="5"/></body>'
    assert build_robot(write(tmp_path, BIPED.replace("<worldbody>", table)), overlay).mass == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mass": 33.0}, "it weighs 33 kg in Pinocchio and 10 kg in MuJoCo"),
        ({"joint_names": (*LEGS, "arm", "waist")}, f"joints in Pinocchio's order are {', '.join(LEGS)}, waist, arm"),
        ({"joint_names": (*LEGS, "waist")}, "only joints of one degree of freedom may follow the free joint"),
    ],
)
def test_a_model_that_is_not_its_plant_is_refused(tmp_path: Path, overlay: Overlay, change: dict[str, Any], said: str) -> None:
    description = write(tmp_path, BIPED)
    robot = build_robot(description, overlay)
    with pytest.raises(RobotDescriptionError, match=said):
        check_models(replace(robot, **change), compile_plant(description))


def test_another_plant_is_refused(tmp_path: Path, overlay: Overlay, g1: RobotModel) -> None:
    robot = build_robot(write(tmp_path, BIPED), overlay)
    with pytest.raises(RobotDescriptionError, match=r"nq, nv are 21, 20 in Pinocchio and 36, 35 in MuJoCo"):
        check_models(robot, compile_plant(g1.description))
    with pytest.raises(RobotDescriptionError, match=r"Pinocchio's gravity is not MuJoCo's"):
        check_models(robot, compile_plant(write(tmp_path, BIPED.replace("-9.81", "-9.8"))))


SQUARE = ((-0.1, -0.03), (0.1, -0.03), (0.1, 0.03), (-0.1, 0.03))
STAR = tuple((0.1 * float(np.cos(0.8 * np.pi * i)), 0.1 * float(np.sin(0.8 * np.pi * i))) for i in range(5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"posture": {"left_leg": 1.2}}, "the posture is outside the limits or the walking range of left_leg; mend either"),
        ({"walking_range": {"left_leg": (0.2, 1.0)}}, "the posture is outside the limits or the walking range of left_leg; mend either"),
        ({"walking_range": {"right_leg": (5.0, 6.0)}}, "the posture is outside the limits or the walking range of right_leg; mend either"),
        ({"posture": {"right_leg": 0.2}}, "the sole of right_foot is tilted by 0.200 rad in [posture]; level it"),
        ({"sole_bodies": ("right_foot", "left_foot")}, "the first sole, of right_foot, is not on the left; swap [soles] bodies"),
        ({"sole_origin": (0.0, 0.01, 0.0)}, "the soles are 20.0 mm off being mirror images in [posture]; mend it or [soles]"),
        ({"sole_polygon": SQUARE[::-1]}, "the sole polygon must be convex and counter-clockwise; mend [soles] polygon"),
        ({"sole_polygon": SQUARE[:2]}, "the sole polygon must be convex and counter-clockwise; mend [soles] polygon"),
        ({"sole_polygon": (*SQUARE, (0.0, 0.0))}, "the sole polygon must be convex and counter-clockwise; mend [soles] polygon"),
        ({"sole_polygon": STAR}, "the sole polygon must be convex and counter-clockwise; mend [soles] polygon"),
        (
            {"sole_polygon": (*SQUARE[:3], (-0.1, 0.02))},
            "the sole polygon must be symmetric about its x axis, as it serves both feet; mend [soles] polygon",
        ),
    ],
)
def test_stances_that_cannot_be_are_refused(tmp_path: Path, overlay: Overlay, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RobotDescriptionError) as refused:
        build_robot(write(tmp_path, BIPED), replace(overlay, **change))
    assert str(refused.value) == f"overlay biped: {said}"


def test_a_polygon_may_start_at_any_corner(tmp_path: Path, overlay: Overlay) -> None:
    for start in range(4):
        polygon = SQUARE[start:] + SQUARE[:start]
        assert build_robot(write(tmp_path, BIPED), replace(overlay, sole_polygon=polygon)).n == 14


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"legs": LEGS[:-1], "arms": ("arm", LEGS[-1])}, "the legs have 11 joints in all; "),
        ({"legs": ("left_leg", "right_leg"), "arms": ("arm", *LEGS[1:6], *LEGS[7:])}, "the legs have 2 joints in all; "),
        ({"legs": (*LEGS, "waist"), "waist": ()}, "the legs have 13 joints in all; "),
        ({"legs": (*LEGS[6:], *LEGS[:6])}, f"{', '.join(LEGS[6:])} do not move left_foot; "),
        ({"legs": ("waist", *LEGS[1:]), "waist": ("left_leg",)}, "waist do not move left_foot; "),
        ({"legs": (*LEGS[:-1], "arm"), "arms": (LEGS[-1],)}, "arm do not move right_foot; "),
    ],
)
def test_legs_are_two_of_six_joints(tmp_path: Path, overlay: Overlay, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RobotDescriptionError) as refused:
        build_robot(write(tmp_path, BIPED), replace(overlay, **change))
    assert str(refused.value) == f"overlay biped: {said}list two legs of 6 joints each, left first, in [groups] legs"
