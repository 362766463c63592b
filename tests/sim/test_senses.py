from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np
import pytest
from holder import G1, g1_plant, g1_spec, motor_plant

from poise.robots import RobotDescriptionError
from poise.robots.commands import damping_command, hold_command
from poise.sim import MujocoBackend, actuate, sense
from poise.sim.senses import imu_at, plant_map


def tumbling(model: mujoco.MjModel) -> mujoco.MjData:
    """Data of a robot that flies, turns and moves all its joints, after a few steps without actuation."""
    data = mujoco.MjData(model)
    plant, rng = plant_map(model, G1), np.random.default_rng(3)
    base = plant.orientation - 3
    data.qpos[base : base + 7] = [0.3, -0.2, 2.0, 0.8, 0.36, -0.48, 0.0]
    data.qpos[plant.qpos] = G1.posture + rng.uniform(-0.3, 0.3, G1.n)
    dof = model.jnt_dofadr[model.body_jntadr[plant.base]]
    data.qvel[dof : dof + 6] = [0.5, -1.0, 0.3, 1.0, -2.0, 3.0]
    data.qvel[plant.dof] = rng.uniform(-1.0, 1.0, G1.n)
    for _ in range(5):
        actuate(model, data, G1, damping_command(G1))
        mujoco.mj_step(model, data)
    return data


@pytest.mark.filterwarnings("ignore:Attaching a spec with an empty prefix")
@pytest.mark.parametrize("make", [g1_plant, lambda: motor_plant(True)], ids=["servos", "geared motors"])
def test_the_plant_delivers_the_torque_of_the_command(make: Callable[[], mujoco.MjModel]) -> None:
    model = make()
    data = tumbling(model)
    command = replace(hold_command(G1, G1.posture), tau=np.linspace(-3.0, 3.0, G1.n))
    state = sense(model, data, G1)
    torque = actuate(model, data, G1, command)
    mujoco.mj_forward(model, data)
    expected = np.clip(
        command.kp * (command.q - state.joint_position) - command.kd * state.joint_velocity + command.tau, -G1.torque_limit, G1.torque_limit
    )
    np.testing.assert_allclose(torque, expected, atol=1e-12)
    np.testing.assert_allclose(data.qfrc_actuator[plant_map(model, G1).dof], expected, atol=1e-9)


def test_torque_is_clipped_to_the_smallest_limit() -> None:
    spec = g1_spec()
    knee = spec.joint("left_knee_joint")
    knee.actfrclimited, knee.actfrcrange = True, [-30.0, 30.0]
    model = spec.compile()
    wish = replace(damping_command(G1), tau=np.full(G1.n, 1000.0), torque_limit=np.where(np.arange(G1.n) == 0, 7.0, 1e6))
    torque = dict(zip(G1.joint_names, actuate(model, mujoco.MjData(model), G1, wish), strict=True))
    assert torque["left_knee_joint"] == 30.0  # the plant's
    assert torque["right_knee_joint"] == 139.0  # the robot's
    assert torque[G1.joint_names[0]] == 7.0  # the command's


def test_the_imu_without_sensors_reads_what_the_sensors_read() -> None:
    with_sensors, spec = g1_plant(), g1_spec()
    for sensor in spec.sensors:
        spec.delete(sensor)
    without = spec.compile()
    assert plant_map(with_sensors, G1).gyro is not None
    assert plant_map(without, G1).gyro is None
    a, b = (sense(model, data, G1) for model, data in ((m, tumbling(m)) for m in (with_sensors, without)))
    # The sensors hold the reading before the last step's integration, the velocities are those after it.
    data = tumbling(with_sensors)
    mujoco.mj_forward(with_sensors, data)
    forward = sense(with_sensors, data, G1)
    data = tumbling(without)
    mujoco.mj_forward(without, data)
    computed = sense(without, data, G1)
    assert computed.gyro_imu is not None and forward.gyro_imu is not None
    assert computed.accelerometer_imu is not None and forward.accelerometer_imu is not None
    np.testing.assert_allclose(computed.gyro_imu, forward.gyro_imu, atol=1e-9)
    np.testing.assert_allclose(computed.accelerometer_imu, forward.accelerometer_imu, atol=1e-6)
    np.testing.assert_array_equal(a.joint_position, b.joint_position)


def test_the_accelerometer_reads_nothing_in_free_fall_and_up_when_pulled_up() -> None:
    model = g1_plant()
    data = mujoco.MjData(model)
    data.qpos[2] = 3.0
    actuate(model, data, G1, replace(damping_command(G1), kd=np.zeros(G1.n)))
    mujoco.mj_forward(model, data)
    falling = sense(model, data, G1).accelerometer_imu
    assert falling is not None
    np.testing.assert_allclose(falling, 0.0, atol=0.05)  # joint friction and limits act a little
    data.xfrc_applied[model.body("pelvis").id, 2] = 1000.0
    mujoco.mj_forward(model, data)
    pulled = sense(model, data, G1).accelerometer_imu
    assert pulled is not None and pulled[2] > 15.0  # pulled up: specific force points up


def test_only_what_sensors_give() -> None:
    model = g1_plant()
    data = tumbling(model)
    state = sense(model, data, G1)
    assert state.foot_force_n is None
    np.testing.assert_array_equal(state.base_orientation_wxyz, data.qpos[3:7])
    assert state.stamp_s == data.time
    held = state.joint_position.copy()
    mujoco.mj_step(model, data)
    np.testing.assert_array_equal(state.joint_position, held)  # a state does not follow the plant


def test_a_plant_that_nobody_holds_is_let_go() -> None:
    backend = MujocoBackend(G1, g1_plant())
    held = weakref.ref(backend.model)
    assert held() is not None
    del backend
    assert held() is None


def test_a_plant_of_another_robot_is_refused() -> None:
    spec = g1_spec()
    spec.joint("left_knee_joint").name = "left_knee"
    for actuator in spec.actuators:
        if actuator.target == "left_knee_joint":
            actuator.target = "left_knee"
    for key in spec.keys:
        spec.delete(key)
    model = spec.compile()
    with pytest.raises(RobotDescriptionError, match="left_knee_joint"):
        sense(model, mujoco.MjData(model), G1)


def test_a_plant_whose_base_has_another_name_is_refused() -> None:
    model = g1_plant()
    renamed = replace(G1, overlay=replace(G1.overlay, base="hips"))
    with pytest.raises(RobotDescriptionError, match="no body hips"):
        sense(model, mujoco.MjData(model), renamed)


def test_an_imu_anywhere_reads_what_the_plant_s_own_sensors_there_do() -> None:
    model = g1_plant()
    data = tumbling(model)
    mujoco.mj_forward(model, data)
    quaternion, gyro, accelerometer = imu_at(model, data, "imu_in_torso")
    np.testing.assert_allclose(gyro, data.sensor("imu-torso-angular-velocity").data, atol=1e-9)
    np.testing.assert_allclose(accelerometer, data.sensor("imu-torso-linear-acceleration").data, atol=1e-6)
    turned = np.zeros(9)
    mujoco.mju_quat2Mat(turned, quaternion)
    np.testing.assert_allclose(turned, data.site("imu_in_torso").xmat, atol=1e-9)
