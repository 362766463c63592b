from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from poise.control.soundness import SoundnessMonitor
from poise.robots import Intent, RobotModel, RobotState
from poise.robots.commands import hold_command


def good(g1: RobotModel, stamp_s: float = 1.0) -> RobotState:
    """A complete state."""
    level = np.array([1.0, 0.0, 0.0, 0.0])
    return RobotState(stamp_s, g1.posture, np.zeros(g1.n), np.zeros(g1.n), level, np.zeros(3), np.array([0.0, 0.0, 9.81]))


PARTS = {
    "joint_position": "joint positions",
    "joint_velocity": "joint velocities",
    "base_orientation_wxyz": "base orientation",
    "gyro_imu": "gyro",
    "accelerometer_imu": "accelerometer",
    "joint_torque": "joint torques",
}


def problem(g1: RobotModel, **changes: Any) -> str:
    """What a fresh monitor says of a state with changes."""
    return SoundnessMonitor(g1, 5).check(replace(good(g1), **changes), Intent())[0]


def test_a_complete_state_has_no_problem(g1: RobotModel) -> None:
    assert problem(g1) == ""
    assert problem(g1, joint_torque=None) == ""  # not every robot has it


@pytest.mark.parametrize("part", PARTS)
def test_each_bad_part_has_its_sentence(g1: RobotModel, part: str) -> None:
    value = np.asarray(getattr(good(g1), part))
    if part != "joint_torque":
        assert problem(g1, **{part: None}) == f"{PARTS[part]} missing"
    for bad in (np.nan, np.inf, -np.inf):
        broken = value.copy()
        broken[-1] = bad
        assert problem(g1, **{part: broken}) == f"{PARTS[part]} not finite"
    for size in (value[:-1], np.append(value, 0.0), np.zeros(0), value[None, :], np.array(1.0)):
        assert problem(g1, **{part: size}) == f"{PARTS[part]} of the wrong size"


def test_what_is_no_number_is_said_and_not_raised(g1: RobotModel) -> None:
    words = np.array(["one"] * g1.n)
    assert problem(g1, joint_position=words) == "joint positions not numbers"
    assert problem(g1, joint_velocity=words.astype(object)) == "joint velocities not numbers"
    assert problem(g1, joint_position=[[1.0], [2.0, 3.0], *[0.0] * (g1.n - 2)]) == "joint positions not numbers"
    one = np.array([0.1])
    odd: Any
    for odd in (("fast", None, 0.0), (one, 0.0, 0.0), (one, one, one), (0.1j, 0.0, 0.0)):
        monitor = SoundnessMonitor(g1, 5)
        found, intent = monitor.check(good(g1), Intent(velocity=odd))
        assert found == "" and intent.velocity is None and monitor.remark == "intent velocity not usable: left out"


@pytest.mark.parametrize("quat", [(0.0, 0.0, 0.0, 0.0), (2.0, 0.0, 0.0, 0.0), (0.5, 0.5, 0.5, 0.4)])
def test_orientation_must_be_a_unit_quaternion(g1: RobotModel, quat: tuple[float, ...]) -> None:
    assert problem(g1, base_orientation_wxyz=np.array(quat)) == "base orientation not a unit quaternion"


def test_time_must_advance(g1: RobotModel) -> None:
    monitor = SoundnessMonitor(g1, 5)
    assert monitor.check(good(g1, 1.0), Intent())[0] == ""
    for stamp in (1.0, 0.5, np.nan):
        assert "stale" in monitor.check(good(g1, stamp), Intent())[0]
    assert monitor.check(good(g1, 1.002), Intent())[0] == ""
    monitor.reset()
    assert monitor.check(good(g1, 0.0), Intent())[0] == ""


def test_an_infinite_stamp_does_not_make_all_that_follow_stale(g1: RobotModel) -> None:
    monitor = SoundnessMonitor(g1, 5)
    assert monitor.check(good(g1, np.inf), Intent())[0] != ""
    assert monitor.check(good(g1, 1.0), Intent())[0] == ""


def test_a_short_gap_is_bridged_by_what_was_sent(g1: RobotModel) -> None:
    monitor, lost = SoundnessMonitor(g1, 3), replace(good(g1), gyro_imu=None)
    monitor.check(lost, Intent())
    assert not monitor.bridged  # nothing was sent yet
    monitor.check(good(g1), Intent())
    command = hold_command(g1, g1.posture)
    monitor.sent(command)
    for tick in range(5):
        monitor.check(lost, Intent())
        assert monitor.bridged == (tick < 3)
        if monitor.bridged:
            assert monitor.last_command is command
    monitor.check(good(g1, 2.0), Intent())
    assert monitor.bridged


@pytest.mark.parametrize("part", PARTS)
def test_joints_that_are_sound_and_fresh_are_known_without_the_rest(g1: RobotModel, part: str) -> None:
    monitor, bad = SoundnessMonitor(g1, 3), np.full_like(np.asarray(getattr(good(g1), part)), np.nan)
    joints = g1.posture + 0.1
    changes: dict[str, Any] = {"joint_position": joints} | {part: bad}
    monitor.check(replace(good(g1), **changes), Intent())
    assert monitor.blind == (part not in ("joint_position", "joint_velocity"))
    if monitor.blind:
        np.testing.assert_array_equal(monitor.state.joint_position, joints)
        np.testing.assert_array_equal(monitor.last_position, joints)
        np.testing.assert_array_equal(monitor.state.base_orientation_wxyz, [1.0, 0.0, 0.0, 0.0])
    monitor.check(replace(good(g1), **changes), Intent())
    assert not monitor.blind  # not fresh
    assert monitor.check(good(g1), Intent())[0] == "" and not monitor.blind


def test_motors_at_fault_are_named_whatever_code_they_have(g1: RobotModel) -> None:
    monitor, codes = SoundnessMonitor(g1, 3), np.zeros(g1.n)
    codes[0], codes[3] = 7, -1
    assert monitor.check(replace(good(g1), motor_fault=codes), Intent())[0] == ""
    assert monitor.motor_fault == f"motor fault: {g1.joint_names[0]}, {g1.joint_names[3]}" and monitor.remark == ""
    monitor.check(good(g1, 2.0), Intent())
    assert monitor.motor_fault == ""


def test_the_last_good_position_is_remembered(g1: RobotModel) -> None:
    monitor = SoundnessMonitor(g1, 3)
    monitor.check(replace(good(g1), joint_position=g1.posture + 0.1), Intent())
    monitor.check(replace(good(g1, 2.0), joint_position=np.full(g1.n, np.nan)), Intent())
    np.testing.assert_array_equal(monitor.last_position, g1.posture + 0.1)


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({"velocity": (np.nan, 0.0, 0.0)}, "velocity"),
        ({"waypoint": (0.0, np.inf, 0.0)}, "waypoint"),
        ({"torso_rpy": (0.0, 0.0, np.nan), "height_m": np.nan}, "torso_rpy, height_m"),
        ({"arms": np.zeros(3)}, "arms"),
        ({"arms": np.zeros((14, 1))}, "arms"),
        ({"arms": np.full(14, np.nan), "velocity": (0.1, 0.0, 0.0)}, "arms"),
    ],
)
def test_unusable_parts_of_an_intent_are_left_out(g1: RobotModel, wish: dict[str, Any], names: str) -> None:
    monitor = SoundnessMonitor(g1, 3)
    said, intent = monitor.check(good(g1), Intent(**wish))
    assert said == ""  # the state is good
    assert monitor.remark == f"intent {names} not usable: left out"
    for name in wish:
        assert (getattr(intent, name) is None) == (name in names)


def test_a_good_intent_is_handed_on_as_it_is(g1: RobotModel) -> None:
    monitor = SoundnessMonitor(g1, 3)
    intent = Intent(velocity=(0.5, 0.0, 0.0), height_m=0.6, arms=np.zeros(14), torso_rpy=(0.0, 0.1, 0.0))
    assert monitor.check(good(g1), intent)[1] is intent
    assert monitor.remark == ""


def test_snapshot_goes_back(g1: RobotModel) -> None:
    monitor = SoundnessMonitor(g1, 3)
    monitor.check(good(g1), Intent())
    monitor.sent(hold_command(g1, g1.posture))
    saved = monitor.snapshot()
    for _ in range(10):
        monitor.check(replace(good(g1), gyro_imu=None), Intent())
    assert not monitor.bridged
    monitor.restore(saved)
    assert monitor.bridged
    assert "stale" in monitor.check(good(g1), Intent())[0]


@pytest.mark.parametrize(
    ("part", "absurd"), [("joint_velocity", 1e3), ("gyro_imu", 1e30), ("accelerometer_imu", 1e200), ("joint_torque", -2e3)]
)
def test_absurd_numbers_are_refused(g1: RobotModel, part: str, absurd: float) -> None:
    value = np.asarray(getattr(good(g1), part)).copy()
    value[0] = absurd
    assert problem(g1, **{part: value}) == f"{PARTS[part]} out of all proportion"


def test_a_clock_that_jumps_ahead_and_back_is_fresh_again(g1: RobotModel) -> None:
    monitor = SoundnessMonitor(g1, 5)
    said = [monitor.check(good(g1, stamp), Intent())[0] for stamp in (1.0, 1e9, 1.004, 1.006, 1.008)]
    assert [bool(sentence) for sentence in said] == [False, False, True, False, False]
