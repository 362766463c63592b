from __future__ import annotations

import copy
from dataclasses import fields, replace

import mujoco
import numpy as np
import pytest
from holder import G1, g1_plant, g1_spec, motor_plant

from poise.robots import PoiseError, RobotState
from poise.robots.commands import damping_command, hold_command
from poise.sim import NOISE, MujocoBackend, NoiseConfig, Payload, Push, actuate, sense
from poise.sim.mujoco_backend import ground_height

HOLD = hold_command(G1, G1.posture)


def same(a: RobotState, b: RobotState) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(RobotState))


def drive(backend: MujocoBackend, ticks: int) -> list[RobotState]:
    states = []
    for _ in range(ticks):
        backend.write(HOLD)
        states.append(backend.read())
    return states


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reset_stands_on_the_ground(seed: int) -> None:
    backend = MujocoBackend(G1, g1_plant(), noise=NOISE["none"])
    state = backend.reset(seed)
    spread = np.abs(state.joint_position - G1.posture)
    assert 0.005 < spread.max() <= 0.02
    assert backend.pelvis_height == pytest.approx(G1.standing_configuration()[2], abs=0.01)
    assert backend.tilt == 0.0
    soles = [
        g for g in range(backend.model.ngeom) if backend.model.geom_bodyid[g] in {backend.model.body(b).id for b in G1.overlay.sole_bodies}
    ]
    spheres = [g for g in soles if backend.model.geom_type[g] == mujoco.mjtGeom.mjGEOM_SPHERE]
    lowest = min(backend.data.geom_xpos[g, 2] - backend.model.geom_size[g, 0] for g in spheres)
    assert lowest == pytest.approx(0.0, abs=1e-9)


def test_reset_is_reproducible_and_varies() -> None:
    backend = MujocoBackend(G1, g1_plant())
    a, b, c, d = backend.reset(5), backend.reset(5), backend.reset(6), backend.reset()
    assert same(a, b)
    assert not same(a, c)
    assert not same(c, d)


def test_the_loop_is_the_one_anyone_would_write() -> None:
    plant = g1_plant()
    backend = MujocoBackend(G1, plant, noise=NOISE["none"])
    data = mujoco.MjData(plant)
    data.qpos[:] = backend.data.qpos
    mujoco.mj_forward(plant, data)
    for _ in range(100):
        backend.write(HOLD)
        actuate(plant, data, G1, HOLD)
        mujoco.mj_step(plant, data)
        assert same(backend.read(), sense(plant, data, G1))


@pytest.mark.filterwarnings("ignore:Attaching a spec with an empty prefix")
def test_a_plant_with_other_addresses_gives_the_same_robot() -> None:
    ours, other = (MujocoBackend(G1, motor_plant(shuffled), noise=NOISE["none"]) for shuffled in (False, True))
    np.testing.assert_allclose(other.base_position_world, ours.base_position_world, atol=1e-9)
    np.testing.assert_array_equal(other.read().joint_position, ours.read().joint_position)
    for a, b in zip(drive(ours, 50), drive(other, 50), strict=True):
        np.testing.assert_allclose(a.joint_position, b.joint_position, atol=1e-6)
        assert a.accelerometer_imu is not None and b.accelerometer_imu is not None
        np.testing.assert_allclose(a.accelerometer_imu, b.accelerometer_imu, atol=1e-2)


def test_finer_physics_keep_the_control_period() -> None:
    backend = MujocoBackend(G1, g1_plant(), physics=0.0005, period_s=0.002)
    stamps = [state.stamp_s for state in drive(backend, 10)]
    np.testing.assert_allclose(np.diff(stamps), 0.002, rtol=1e-9)
    with pytest.raises(PoiseError, match="whole number"):
        MujocoBackend(G1, g1_plant(), physics=0.0015)


def test_the_given_plant_is_left_alone() -> None:
    plant = g1_plant()
    before = copy.copy(plant)
    MujocoBackend(G1, plant, physics=0.001, disturbances=[Payload("torso_link", 5.0)])
    assert plant.opt.timestep == before.opt.timestep
    assert plant.opt.disableflags == before.opt.disableflags
    np.testing.assert_array_equal(plant.body_mass, before.body_mass)


def test_white_noise_has_the_sizes_of_its_configuration() -> None:
    noisy, clean = MujocoBackend(G1, g1_plant(), noise=NOISE["nominal"]), MujocoBackend(G1, g1_plant(), noise=NOISE["none"])
    pairs = list(zip(drive(noisy, 500), drive(clean, 500), strict=True))
    for name, std, samples in (("joint_velocity", 0.05, 500 * 29), ("gyro_imu", 0.01, 1500), ("accelerometer_imu", 0.1, 1500)):
        error = np.array([getattr(a, name) - getattr(b, name) for a, b in pairs])
        assert error.std() == pytest.approx(std, rel=4.0 / np.sqrt(2 * samples))
        assert abs(error.mean()) < 4.0 * std / np.sqrt(samples)
        lagged = np.mean(error[1:] * error[:-1]) / error.var()
        assert abs(lagged) < 4.0 / np.sqrt(samples)
    assert all(np.array_equal(a.joint_position, b.joint_position) for a, b in pairs)


def test_biases_stay_through_a_run() -> None:
    config = replace(NOISE["hard"], yaw_drift=0.0, gyro_std=0.0)
    noisy, clean = MujocoBackend(G1, g1_plant(), noise=config), MujocoBackend(G1, g1_plant(), noise=NOISE["none"])
    constants = []
    for a, b in zip(drive(noisy, 20), drive(clean, 20), strict=True):
        assert a.gyro_imu is not None and b.gyro_imu is not None
        assert np.linalg.norm(a.gyro_imu - b.gyro_imu) == pytest.approx(0.02)
        offset = a.joint_position - b.joint_position
        assert 0.005 < offset.std() < 0.015
        tilt = np.zeros(3)
        mujoco.mju_subQuat(tilt, a.base_orientation_wxyz, b.base_orientation_wxyz)
        assert np.linalg.norm(tilt) == pytest.approx(0.03)
        assert tilt[2] == pytest.approx(0.0, abs=1e-9)
        constants.append(np.concatenate((a.gyro_imu - b.gyro_imu, offset, tilt)))
    np.testing.assert_allclose(constants, np.tile(constants[0], (20, 1)), atol=1e-9)


def test_yaw_drifts_about_the_vertical() -> None:
    backend = MujocoBackend(G1, g1_plant(), noise=NoiseConfig(0.0, 0.0, 0.0, 0.0, yaw_drift=0.1))
    state = drive(backend, 100)[-1]
    error, inverse, moved = np.zeros(3), np.zeros(4), np.zeros(4)
    mujoco.mju_negQuat(inverse, backend.base_orientation_wxyz)
    mujoco.mju_mulQuat(moved, state.base_orientation_wxyz, inverse)
    mujoco.mju_quat2Vel(error, moved, 1.0)
    np.testing.assert_allclose(np.abs(error), [0.0, 0.0, 0.02], atol=1e-9)


@pytest.mark.parametrize(("latency_s", "late"), [(0.0, 0), (0.002, 1), (0.006, 3)])
def test_latency_is_from_the_reading_to_the_effect(latency_s: float, late: int) -> None:
    backend = MujocoBackend(G1, g1_plant(), noise=NOISE["none"], latency_s=latency_s)
    joint = G1.joint_names.index("left_elbow_joint")
    torques = []
    for k in range(6):
        command = replace(damping_command(G1), kd=np.zeros(G1.n), tau=np.full(G1.n, 1.0 + k))
        backend.write(command)
        torques.append(backend.read().joint_torque[joint])  # type: ignore[index]
    np.testing.assert_allclose(torques[late:], np.arange(1.0, 7.0 - late), atol=1e-9)
    assert all(abs(torque) < 0.9 for torque in torques[:late])  # the start is held meanwhile


def test_a_run_continues_bit_for_bit_from_a_snapshot() -> None:
    push = Push("torso_link", (1.0, 0.5, 0.0), 20.0, 0.1, frame="heading")
    backend = MujocoBackend(G1, g1_plant(), noise=NOISE["hard"], disturbances=[push], latency_s=0.01)
    backend.reset(3)
    drive(backend, 60)  # in the middle of the push
    backend.write(damping_command(G1))
    snapshot = backend.snapshot()
    first = drive(backend, 150)
    for other in (backend, MujocoBackend(G1, g1_plant(), noise=NOISE["hard"], disturbances=[push], latency_s=0.01)):
        assert same(other.restore(snapshot), other.read())
        assert all(map(same, first, drive(other, 150)))


def test_an_unusable_command_becomes_damping() -> None:
    backend = MujocoBackend(G1, g1_plant())
    for bad in (replace(HOLD, q=np.full(G1.n, np.nan)), replace(HOLD, kp=np.full(G1.n, 1e300)), replace(HOLD, tau=np.zeros(3))):
        sent = backend.write(bad)
        assert not sent.kp.any() and not sent.tau.any()
        np.testing.assert_array_equal(sent.kd, G1.hold_kd)
    assert np.isfinite(backend.data.qpos).all()
    unlimited = backend.write(replace(HOLD, torque_limit=np.full(G1.n, np.inf)))
    np.testing.assert_array_equal(unlimited.kp, HOLD.kp)
    assert (unlimited.torque_limit <= G1.torque_limit).all()


def test_a_diverged_plant_is_not_put_back_in_silence() -> None:
    backend = MujocoBackend(G1, g1_plant())
    backend.data.qvel[8] = np.nan
    backend.write(HOLD)
    backend.write(HOLD)
    assert not np.isfinite(backend.data.qpos).all()


def test_heights_are_above_the_ground_under_the_robot() -> None:
    spec = g1_spec()
    spec.worldbody.add_geom(name="stage", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.5, 0.5, 0.1], pos=[0.0, 0.0, 0.05])
    plant = spec.compile()
    backend = MujocoBackend(G1, plant, noise=NOISE["none"])
    assert backend.base_position_world[2] == pytest.approx(G1.standing_configuration()[2] + 0.15, abs=0.01)
    assert backend.pelvis_height == pytest.approx(backend.base_position_world[2] - 0.15, abs=1e-9)
    assert ground_height(backend.model, backend.data, np.array([0.8, 0.0, 1.0])) == pytest.approx(0.0, abs=1e-9)
    drive(backend, 50)
    assert backend.pelvis_height > 0.7


def test_latency_must_not_be_negative() -> None:
    with pytest.raises(PoiseError, match="latency"):
        MujocoBackend(G1, g1_plant(), latency_s=-0.001)
