from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from poise.hw.unitree_g1 import MOTOR_JOINTS, WITHOUT_23, Wiring
from poise.hw.unitree_hg import LOW_CMD, LOW_STATE, decode, encode, new, sealed
from poise.robots import JointCommand, PoiseError, RobotModel, RobotState

MACHINE = 5  # a G1 with 29 joints


def a_state(robot: RobotModel) -> RobotState:
    rng = np.random.default_rng(0)
    orientation = Rotation.from_euler("xyz", [0.2, -0.3, 2.5]).as_quat(scalar_first=True)
    return RobotState(
        stamp_s=12.346,
        joint_position=rng.normal(size=robot.n),
        joint_velocity=rng.normal(size=robot.n),
        joint_torque=rng.normal(size=robot.n),
        base_orientation_wxyz=orientation,
        gyro_imu=rng.normal(size=3),
        accelerometer_imu=rng.normal(size=3),
        motor_fault=np.zeros(robot.n),
    )


def a_command(robot: RobotModel) -> JointCommand:
    q, v, kp, kd, tau = np.random.default_rng(1).normal(size=(5, robot.n))
    return JointCommand(q, v, np.abs(kp), np.abs(kd), tau, robot.torque_limit)


def test_motors_have_unitrees_numbers() -> None:
    numbers = {"left_knee_joint": 3, "right_ankle_roll_joint": 11, "waist_yaw_joint": 12, "waist_pitch_joint": 14}
    numbers |= {"left_elbow_joint": 18, "right_shoulder_pitch_joint": 22, "right_wrist_yaw_joint": 28}
    assert {name: MOTOR_JOINTS.index(name) for name in numbers} == numbers
    assert len(MOTOR_JOINTS) == 29
    assert {MOTOR_JOINTS[i].removeprefix("left_").removeprefix("right_") for i in WITHOUT_23} == {
        "waist_roll_joint",
        "waist_pitch_joint",
        "wrist_pitch_joint",
        "wrist_yaw_joint",
    }


def test_a_state_comes_through_as_single_precision(g1: RobotModel) -> None:
    wiring, state = Wiring(g1), a_state(g1)
    record = decode(encode(sealed(wiring.low_state(state, MACHINE))), LOW_STATE)
    assert record is not None and int(record["tick"]) == 12_346 and int(record["mode_machine"]) == MACHINE
    back = wiring.state(record)
    assert back.stamp_s == pytest.approx(state.stamp_s, abs=1e-9)
    for field in ("joint_position", "joint_velocity", "joint_torque", "base_orientation_wxyz", "gyro_imu", "accelerometer_imu"):
        np.testing.assert_array_equal(getattr(back, field), getattr(state, field).astype(np.float32))
    np.testing.assert_allclose(record["imu_state"]["rpy"], [0.2, -0.3, 2.5], atol=1e-6)
    assert not back.motor_fault.any() if back.motor_fault is not None else False


def test_a_motor_in_error_is_a_fault(g1: RobotModel) -> None:
    wiring = Wiring(g1)
    record = wiring.low_state(a_state(g1), MACHINE)
    record["motor_state"]["motorstate"][3] = 8
    fault = wiring.state(record).motor_fault
    assert fault is not None and np.flatnonzero(fault).tolist() == [g1.joint_names.index("left_knee_joint")]


def test_a_command_comes_through_as_single_precision(g1: RobotModel) -> None:
    wiring, command = Wiring(g1), a_command(g1)
    record = decode(encode(wiring.low_cmd(command, MACHINE)), LOW_CMD)
    assert record is not None and (int(record["mode_pr"]), int(record["mode_machine"])) == (0, MACHINE)
    assert float(record["motor_cmd"]["q"][18]) == np.float32(command.q[g1.joint_names.index("left_elbow_joint")])
    assert record["motor_cmd"]["mode"].tolist() == [1] * 29 + [0] * 6
    back = wiring.command(record)
    for field in ("q", "v", "kp", "kd", "tau"):
        np.testing.assert_array_equal(getattr(back, field), getattr(command, field).astype(np.float32))
    np.testing.assert_array_equal(back.torque_limit, g1.torque_limit)


def test_a_motor_that_is_off_is_asked_for_nothing(g1: RobotModel) -> None:
    wiring = Wiring(g1)
    record = wiring.low_cmd(a_command(g1), MACHINE)
    record["motor_cmd"]["mode"][3] = 0
    back, knee = wiring.command(record), g1.joint_names.index("left_knee_joint")
    assert [getattr(back, field)[knee] for field in ("q", "v", "kp", "kd", "tau")] == [0.0] * 5
    assert back.tau[knee + 1] != 0.0


def test_the_tick_goes_round_as_a_robots_does(g1: RobotModel) -> None:
    record = Wiring(g1).low_state(replace(a_state(g1), stamp_s=2**32 * 1e-3 + 0.004), MACHINE)
    assert int(record["tick"]) == 4


@pytest.mark.parametrize("field", ["joint_torque", "base_orientation_wxyz", "gyro_imu", "accelerometer_imu"])
def test_a_state_that_lacks_what_a_robot_says_is_refused(g1: RobotModel, field: str) -> None:
    missing: dict[str, Any] = {field: None}
    with pytest.raises(PoiseError, match="a state on the wire needs"):
        Wiring(g1).low_state(replace(a_state(g1), **missing), MACHINE)


def test_a_robot_with_other_joints_is_refused(g1: RobotModel) -> None:
    with pytest.raises(PoiseError, match="no motor for tail_joint;"):
        Wiring(replace(g1, joint_names=(*g1.joint_names[:-1], "tail_joint")))


def test_an_empty_command_turns_no_motor_on(g1: RobotModel) -> None:
    assert not Wiring(g1).command(new(LOW_CMD)).kp.any()
