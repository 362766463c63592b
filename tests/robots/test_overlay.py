from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from poise.robots import RobotDescriptionError, RobotModel, load_robot
from poise.robots import g1 as g1_folder
from poise.robots.overlay import Motor, read_overlay

OVERLAY = Path(str(g1_folder.__file__)).with_name("overlay.toml")
TEXT = OVERLAY.read_text(encoding="utf-8")

Write = Callable[..., Path]


@pytest.fixture
def changed(tmp_path: Path) -> Write:
    """Writes the G1's overlay with one place changed and gives its path."""

    def write(old: str, new: str) -> Path:
        assert TEXT.count(old) == 1, f"{old!r} is not in the overlay exactly once"
        path = tmp_path / "overlay.toml"
        path.write_text(TEXT.replace(old, new), encoding="utf-8")
        return path

    return write


def refusal(overlay: Path, g1: RobotModel) -> str:
    """The one line with which an overlay is refused."""
    with pytest.raises(RobotDescriptionError) as refused:
        load_robot(g1.description, overlay)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("overlay ")
    return message


def test_the_g1_s_overlay_is_read_as_it_is_written() -> None:
    overlay = read_overlay(OVERLAY)
    assert (overlay.name, overlay.base, overlay.torso) == ("g1", "pelvis", "torso_link")
    assert overlay.sole_bodies == ("left_ankle_roll_link", "right_ankle_roll_link")
    assert overlay.gait.velocity_max == (1.0, 0.35, 1.2)
    assert overlay.gait.height_range_m == (0.54, 0.675)
    assert overlay.posture["left_knee_joint"] == 0.72
    assert len(overlay.legs + overlay.waist + overlay.arms) == 29


def test_walking_keeps_a_joint_within_its_limits_and_its_range(changed: Write, g1: RobotModel) -> None:
    line = '"*_knee_joint" = [0.2, 3.0]'
    knee, elbow = (g1.joint_names.index(f"left_{joint}_joint") for joint in ("knee", "elbow"))
    assert (g1.walking_min[knee], g1.walking_max[knee]) == (0.2, g1.position_max[knee])
    assert (g1.walking_min[elbow], g1.walking_max[elbow]) == (g1.position_min[elbow], g1.position_max[elbow])
    later = load_robot(g1.description, changed(line, line + '\n"left_*" = [-9.0, 1.0]'))
    assert (later.walking_min[knee], later.walking_max[knee]) == (g1.position_min[knee], 1.0), "the last match, and the joint's own limit"
    assert later.walking_min[knee + 6] == 0.2
    without = load_robot(g1.description, changed(line, ""))
    assert (without.walking_min == without.position_min).all() and (without.walking_max == without.position_max).all()


def test_the_last_pattern_that_matches_gives_the_motor(changed: Write) -> None:
    overlay = read_overlay(OVERLAY)
    assert overlay.motor("left_knee_joint") == Motor(torque=139.0, velocity=20.0, kp=200.0, kd=5.0, power=1610.0)
    assert overlay.motor("left_elbow_joint") == overlay.motors["default"]
    line = '"*_knee_joint" = { torque = 139.0, velocity = 20.0, kp = 200.0, kd = 5.0, power = 1610.0 }'
    later = read_overlay(changed(line, line + '\n"left_*" = { torque = 1.0, velocity = 2.0, kp = 3.0, kd = 4.0 }'))
    assert later.motor("left_knee_joint") == Motor(1.0, 2.0, 3.0, 4.0), "no power: not bounded by it"
    assert later.motor("right_knee_joint") == overlay.motor("right_knee_joint")


def test_where_a_fall_takes_a_joint(changed: Write, g1: RobotModel) -> None:
    knee, wrist = (g1.joint_names.index(f"left_{name}_joint") for name in ("knee", "wrist_roll"))
    assert g1.overlay.falling("left_knee_joint") == (0.53, 0.06, 0.0) == tuple(g1.descent[:, knee])
    assert tuple(g1.descent[:, wrist]) == (g1.posture[wrist], 0.0, 0.0), "not named: it stays in its posture"
    without = load_robot(g1.description, changed('"*_knee_joint" = [0.53, 0.06, 0.0]', ""))
    assert tuple(without.descent[:, knee]) == (g1.posture[knee], 0.0, 0.0)


def test_collisions_may_be_left_out(tmp_path: Path, g1: RobotModel) -> None:
    path = tmp_path / "overlay.toml"
    path.write_text(TEXT[: TEXT.index("[collision]")], encoding="utf-8")
    robot = load_robot(g1.description, path)
    assert robot.overlay.capsules == ()
    assert robot.overlay.collision_pairs == ()


def test_unreadable_files_are_refused(tmp_path: Path, g1: RobotModel) -> None:
    assert "cannot be read" in refusal(tmp_path / "missing.toml", g1)
    assert "cannot be read" in refusal(tmp_path, g1)
    path = tmp_path / "overlay.toml"
    for content in (b"schema = ", b"\xff\xfe", b"a = 1\na = 2"):
        path.write_bytes(content)
        assert "cannot be read" in refusal(path, g1)
        assert "give a readable TOML file" in refusal(path, g1)


@pytest.mark.parametrize("schema", ["", 'schema = "poise.overlay/2"', "schema = 1"])
def test_another_schema_is_refused(changed: Write, g1: RobotModel, schema: str) -> None:
    message = refusal(changed('schema = "poise.overlay/1"', schema), g1)
    assert 'this version reads "poise.overlay/1"' in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "g1"\n', "", "entry 'name' is missing"),
        ("friction = 0.6", "", "entry 'friction' is missing"),
        ("swing_height_m = 0.028", "", "entry 'swing_height_m' is missing"),
        ("default = { torque = 25.0, velocity = 37.0, kp = 40.0, kd = 2.0, power = 765.0 }", "", "entry 'default' is missing"),
        ("default = { torque = 25.0, ", "default = { ", "entry 'torque' is missing"),
        ("[gait]", "[gaits]", "unknown [gaits]"),
        ("[collision]", "[colision]", "unknown [colision]"),
        ("[soles]", "[soles]\nsize = 2", "unknown size in [soles]"),
        ("swing_height_m = 0.028", "swing_height_m = 0.028\nswing_heigth_m = 0.05", "unknown swing_heigth_m in gait"),
        ('kd = 2.0, power = 765.0 }\n"*_hip_pitch', 'ki = 2.0, kd = 2.0, power = 765.0 }\n"*_hip_pitch', "unknown ki in motor"),
    ],
)
def test_missing_and_misspelt_entries_are_named(changed: Write, g1: RobotModel, old: str, new: str, said: str) -> None:
    message = refusal(changed(old, new), g1)
    assert said in message
    assert message.endswith("see robots/overlay.py")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("friction = 0.6", 'friction = "dry"', "friction: 'dry' is not a finite number"),
        ("friction = 0.6", "friction = true", "friction: True is not a finite number"),
        ("friction = 0.6", "friction = nan", "friction: nan is not a finite number"),
        ("left_knee_joint = 0.72", "left_knee_joint = inf", "left_knee_joint: inf is not a finite number"),
        ("velocity_max = [1.0, 0.35, 1.2]", "velocity_max = [1.0]", "velocity_max takes 3 numbers, got [1.0]"),
        ("height_range_m = [0.54, 0.675]", "height_range_m = 0.6", "height_range_m takes 2 numbers, got 0.6"),
        ("origin = [0.035, 0.0, -0.035]", "origin = [0.035]", "origin takes 3 numbers, got [0.035]"),
        ('waist = ["waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint"]', 'waist = "waist"', "'waist' must be a list"),
        ('"*_knee_joint" = [0.2, 3.0]', '"*_knee_joint" = [0.2]', "*_knee_joint takes 2 numbers, got [0.2]"),
        ('"*_knee_joint" = [0.2, 3.0]', '"*_knee_joint" = [0.2, nan]', "*_knee_joint: nan is not a finite number"),
        ('"*_knee_joint" = [0.2, 3.0]', '"*_knee_joint" = [2.0, 0.2]', "*_knee_joint goes from 2 to 0.2"),
        ("[posture]", "[[posture]]", "wrong entry"),
        ("[frames]", "[[frames]]", "wrong entry"),
    ],
)
def test_values_of_the_wrong_kind_are_named(changed: Write, g1: RobotModel, old: str, new: str, said: str) -> None:
    assert said in refusal(changed(old, new), g1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('base = "pelvis"', 'base = "hips"', "bodies hips are not in the description"),
        ('"left_ankle_roll_link", ', '"left_foot", ', "bodies left_foot are not in the description"),
        ('{ name = "head", body = "torso_link"', '{ name = "head", body = "head_link"', "bodies head_link are not in the description"),
        ("left_knee_joint = 0.72", "left_knee = 0.72", "posture joints left_knee are not in the description"),
        ('["waist_yaw_joint", ', '["waist_jaw_joint", ', "grouped joints waist_jaw_joint are not in the description"),
        ('["left_upper_arm", "torso_left"]', '["left_upper_arm", "torso"]', "capsules torso are not in the description"),
        ('"*_knee_joint" = {', '"*_knee" = {', "[motors] *_knee match no joint"),
        ('"*_knee_joint" = [0.2', '"*_knee" = [0.2', "[walking_range] *_knee match no joint"),
        ('"*_elbow_joint" = [0.33', '"*_elbow" = [0.33', "[descent] *_elbow match no joint"),
    ],
)
def test_names_that_the_description_has_not_are_named(changed: Write, g1: RobotModel, old: str, new: str, said: str) -> None:
    message = refusal(changed(old, new), g1)
    assert said in message
    assert "; mend the" in message


@pytest.mark.parametrize(
    ("old", "new", "joint"),
    [
        ('waist = ["waist_yaw_joint", ', 'waist = ["left_elbow_joint", "waist_yaw_joint", ', "left_elbow_joint"),  # in two groups
        ('waist = ["waist_yaw_joint", ', 'waist = ["waist_yaw_joint", "waist_yaw_joint", ', "waist_yaw_joint"),  # twice in one
        ('waist = ["waist_yaw_joint", ', "waist = [", "waist_yaw_joint"),  # in none
    ],
)
def test_each_joint_must_be_in_exactly_one_group(changed: Write, g1: RobotModel, old: str, new: str, joint: str) -> None:
    assert refusal(changed(old, new), g1).endswith(f"each joint must be in exactly one group; look at {joint}")
