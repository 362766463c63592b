from __future__ import annotations

from dataclasses import fields, replace

import mujoco
import numpy as np
import pytest
from loop import make_loop

from poise.control.dynamics import Dynamics
from poise.control.estimator import Estimator, EstimatorConfig, believed
from poise.control.filter_state import deviations
from poise.control.lip import GRAVITY
from poise.control.rotation import matrix_from_quat
from poise.robots import RobotModel, RobotState
from poise.robots.commands import hold_command
from poise.robots.types import LEFT, RIGHT, Array, Belief
from poise.sim import MujocoBackend, Push
from poise.sim.noise import NOISE

DT, CONFIG, BOTH = 0.002, EstimatorConfig(), np.ones(2)
UP = np.array([0.0, 0.0, GRAVITY])


def still(g1: RobotModel, stamp_s: float = 0.0) -> RobotState:
    """What the sensors read of a robot that stands still and level."""
    level = np.array([1.0, 0.0, 0.0, 0.0])
    return RobotState(stamp_s, g1.posture.copy(), np.zeros(g1.n), None, level, np.zeros(3), np.array([0.0, 0.0, GRAVITY]))


def estimator(g1: RobotModel) -> tuple[Estimator, Dynamics]:
    """An estimator and the terms that it fills."""
    d = Dynamics(g1)
    return Estimator(g1, d, CONFIG, DT), d


def test_a_standing_robot_stays_where_it_stands(g1: RobotModel) -> None:
    e, d = estimator(g1)
    for tick in range(1000):
        e.update(still(g1, tick * DT), tick * DT, BOTH)
    expected = g1.standing_configuration()
    np.testing.assert_allclose(d.q[:3], expected[:3], atol=1e-6)
    np.testing.assert_allclose(d.v, 0.0, atol=1e-6)
    np.testing.assert_allclose(d.sole_position[:, 2], 0.0, atol=1e-6)
    np.testing.assert_allclose(e.parts.state.vectors[2:], d.sole_position, atol=1e-6)


def test_the_base_moves_over_a_stance_foot_that_stays_put(g1: RobotModel) -> None:
    """Both feet fixed, the knees bend and stretch: from encoders and IMU alone the pelvis is seen to go up and down."""
    e, d = estimator(g1)
    share = {"hip_pitch": -1.0, "knee": 2.0, "ankle_pitch": -1.0}
    bend = np.array([share.get(name.removeprefix("left_").removeprefix("right_").removesuffix("_joint"), 0.0) for name in g1.joint_names])
    truth = Dynamics(g1)
    heights = []
    for tick in range(1000):
        t = tick * DT
        angle, rate, curve = 0.1 * (1 - np.cos(3 * t)), 0.3 * np.sin(3 * t), 0.9 * np.cos(3 * t)
        q = g1.standing_configuration()
        q[7:] += angle * bend
        v = np.concatenate((np.zeros(6), rate * bend))
        truth.update(q, v)
        heights.append(-truth.sole_position[LEFT, 2] + q[2])
        acceleration = -(truth.sole_jacobian[LEFT, :3, 6:] @ bend * curve + truth.sole_drift[LEFT, :3])
        state = replace(still(g1, t), joint_position=q[7:], joint_velocity=v[6:], accelerometer_imu=acceleration + UP)
        e.update(state, state.stamp_s, BOTH)
    assert np.ptp(heights) > 0.02
    assert d.q[2] == pytest.approx(heights[-1], abs=1e-3)
    np.testing.assert_allclose(d.v[:3], -truth.sole_velocity[LEFT, :3], atol=0.01)
    np.testing.assert_allclose(d.sole_position[:, 2], 0.0, atol=1e-3)


def test_a_swinging_foot_does_not_pull_the_base(g1: RobotModel) -> None:
    """The right knee moves: planned as swing, the base stays over the left foot; believed to stand, it is pulled."""
    pulled = {}
    for planned in (np.array([1.0, 0.0]), BOTH):
        e, d = estimator(g1)
        knee = g1.joint_names.index("right_knee_joint")
        for tick in range(200):
            state = still(g1, tick * DT)
            state.joint_position[knee] += 0.5 * tick * DT
            state.joint_velocity[knee] = 0.5
            e.update(state, state.stamp_s, planned)
        pulled[planned[RIGHT]] = np.abs(d.q[:3] - g1.standing_configuration()[:3]).max()
    assert pulled[0.0] < 1e-3
    assert pulled[1.0] > 10 * pulled[0.0]


def test_orientation_and_turning_rate_are_the_imus(g1: RobotModel) -> None:
    e, d = estimator(g1)
    quat = np.array([0.98, 0.02, -0.05, 0.19])
    state = replace(still(g1), base_orientation_wxyz=quat / np.linalg.norm(quat), gyro_imu=np.array([0.1, -0.2, 0.3]))
    e.update(state, state.stamp_s, BOTH)
    np.testing.assert_allclose(d.base_rotation, matrix_from_quat(quat / np.linalg.norm(quat)), atol=1e-12)
    np.testing.assert_allclose(d.v[3:6], [0.1, -0.2, 0.3])
    assert d.sole_position[:, 2].min() == pytest.approx(0.0, abs=5e-3)


def test_a_belief_says_what_was_estimated(g1: RobotModel) -> None:
    """All 42 numbers, in the order of Belief, after a second tick in which a turned robot moves."""
    rng = np.random.default_rng(0)
    e, d = estimator(g1)
    quat = np.array([0.5, 0.1, -0.2, 0.8])
    for tick in range(2):
        state = replace(
            still(g1, tick * DT),
            joint_position=g1.posture + rng.normal(0.0, 0.05, g1.n),
            joint_velocity=rng.normal(0.0, 0.5, g1.n),
            joint_torque=rng.normal(0.0, 20.0, g1.n),
            base_orientation_wxyz=quat / np.linalg.norm(quat),
            gyro_imu=rng.normal(0.0, 0.5, 3),
            accelerometer_imu=rng.normal(0.0, 5.0, 3),
        )
        e.update(state, state.stamp_s, np.array([1.0, 0.0]))
    dcm, sole_yaw = rng.normal(size=2), rng.normal(size=2)
    e.contact[:], e.parts.wrench[:2, 2] = (0.25, 0.75), (120.0, 250.0)
    stds = deviations(e.parts.state)
    wanted = {
        "base_position_world": d.q[:3],
        "base_orientation_wxyz": d.q[[6, 3, 4, 5]],  # Pinocchio's is xyzw
        "base_velocity_world": d.base_rotation @ d.v[:3],
        "base_angular_velocity_base": d.v[3:6],
        "com_position_world": d.com,
        "com_velocity_world": d.com_velocity,
        "dcm_world": dcm,
        "sole_position_world": d.sole_position.ravel(),
        "sole_yaw": sole_yaw,
        "contact": e.contact,
        "foot_force_n": e.parts.wrench[:2, 2],
        "position_std_m": stds[0],
        "velocity_std_mps": stds[1],
        "external_force_world": d.base_rotation @ e.external_wrench[:3],
    }
    told = {"age_s": 0.0, "planned_contact": [1.0, 0.0], "updates": 2}
    assert list(wanted) == [field.name for field in fields(Belief) if field.name not in told]
    belief = e.belief(dcm, sole_yaw)
    assert {name: np.asarray(getattr(belief, name)).tolist() for name in told} == told
    assert np.linalg.norm(wanted["base_velocity_world"] - d.v[:3]) > 0.1
    numbers = believed(d.block, d.nv, e.memory, dcm, sole_yaw)
    assert numbers.shape == (42,) and np.unique(numbers[:33]).size == 33
    for (name, value), part in zip(wanted.items(), np.split(numbers, np.cumsum([len(v) for v in wanted.values()])), strict=False):
        np.testing.assert_allclose(part, value, rtol=1e-12, atol=1e-15, err_msg=name)


def test_snapshot_continues_bit_for_bit(g1: RobotModel) -> None:
    rng, e = np.random.default_rng(0), estimator(g1)
    states = []
    for k in range(40):
        position, torque = g1.posture + rng.normal(0.0, 0.01, g1.n), rng.normal(0.0, 5.0, g1.n)
        states.append(replace(still(g1, k * DT), joint_position=position, joint_torque=torque))
    for state in states[:20]:
        e[0].update(state, state.stamp_s, BOTH)
    saved = e[0].snapshot()
    results = []
    for _ in range(2):
        e[0].restore(saved)
        for state in states[20:]:
            e[0].update(state, state.stamp_s, BOTH)
        results.append((e[0].memory.copy(), e[1].q.copy(), e[1].v.copy()))
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_gap_between_states_is_no_jump(g1: RobotModel) -> None:
    """Joints that turn steadily, and five states that were lost: the rates stay what they were."""
    e, d = estimator(g1)
    speed = np.linspace(-0.1, 0.1, g1.n)
    for tick in [*range(200), 205, 206]:
        state, time = still(g1), tick * DT
        e.update(replace(state, joint_position=state.joint_position + time * speed, joint_velocity=speed), time, BOTH)
        np.testing.assert_allclose(d.joint_velocity, speed, atol=1e-9)


def test_a_push_on_the_base_is_felt(g1: RobotModel) -> None:
    """40 N sideways on a standing robot, within 50 ms and within a quarter; before it next to nothing."""
    plant = MujocoBackend(g1, noise=NOISE["nominal"], disturbances=(Push(g1.overlay.base, (0.0, 1.0, 0.0), 8.0, 0.6),))
    stiff = hold_command(g1, g1.posture)
    stiff = replace(stiff, kp=4.0 * stiff.kp, kd=4.0 * stiff.kd)
    e, d = estimator(g1)
    felt = []
    for tick in range(380):
        e.update(plant.read(), tick * DT, BOTH)
        felt.append(d.base_rotation @ e.external_wrench[:3])
        plant.write(stiff)
    assert np.abs(np.mean(felt[200:300], axis=0)).max() < 5.0
    np.testing.assert_allclose(np.mean(felt[325:375], axis=0), [0.0, 40.0, 0.0], atol=10.0)


@pytest.mark.parametrize(("noise", "velocity_rms", "tilt_max", "slip_max"), [("nominal", 0.035, 0.005, 0.02), ("hard", 0.05, 0.012, 0.06)])
def test_a_walk_is_estimated_as_well_as_claimed(noise: str, velocity_rms: float, tilt_max: float, slip_max: float) -> None:
    """Three seconds, 0.4 m/s: error of velocity and tilt, NEES of the velocity (3 if all noise were white), NIS of the soles, slips.

    A foot that lands is dragged along for some milliseconds, which is taken for the slip that it is: nine of ten said to slip move.
    """
    loop = make_loop(1)
    loop.backend.noise = NOISE[noise]
    loop.backend.reset(1)
    e, d = loop.stack.estimator, loop.stack.dynamics
    errors, nees, nis, slips, tilts, speeds = [], [], [], [], [], []
    for tick in range(1500):
        truth = base_motion(loop.backend)
        loop.run(DT)
        if tick < 500:
            continue
        error = d.base_rotation @ d.v[:3] - truth[0]
        errors.append(error)
        nees.append(np.sum((error / deviations(e.parts.state)[1]) ** 2))
        nis.append(e.parts.state.nis.copy())
        slips.append(e.parts.state.slip.copy())
        speeds.append(sole_speeds(loop.backend))
        tilts.append(np.linalg.norm(d.base_rotation[2] - truth[1][2]))
    assert loop.stands
    assert np.sqrt(np.mean(np.square(errors), axis=0)).max() < velocity_rms
    assert 0.5 < np.mean(nees) < 8.0
    assert 0.01 < np.mean(nis) < 3.0
    assert np.mean(slips) < slip_max
    assert np.percentile(np.array(speeds)[np.array(slips) > 0.5], 10) > 0.15
    assert np.mean(tilts[-500:]) < tilt_max


def sole_speeds(plant: MujocoBackend) -> list[float]:
    """Truth: how fast the bodies of the soles move, m/s."""
    speeds, velocity = [], np.zeros(6)
    for body in plant.robot.overlay.sole_bodies:
        mujoco.mj_objectVelocity(plant.model, plant.data, mujoco.mjtObj.mjOBJ_BODY, plant.model.body(body).id, velocity, 0)
        speeds.append(float(np.linalg.norm(velocity[3:])))
    return speeds


def base_motion(plant: MujocoBackend) -> tuple[Array, Array]:
    """Truth: velocity of the base (3,) and its rotation (3, 3)."""
    return plant.data.qvel[:3].copy(), matrix_from_quat(plant.base_orientation_wxyz)


def test_standing_in_the_simulator_each_foot_carries_half(g1: RobotModel) -> None:
    plant = MujocoBackend(g1, noise=NOISE["none"])
    stiff = hold_command(g1, g1.posture)
    stiff = replace(stiff, kp=4.0 * stiff.kp, kd=4.0 * stiff.kd)
    e, d = estimator(g1)
    state = plant.reset(0)
    forces = []
    for tick in range(750):
        e.update(state, state.stamp_s, BOTH)
        plant.write(stiff)
        state = plant.read()
        if tick >= 500:
            forces.append(e.parts.wrench[:2, 2].copy())
    mean, weight = np.mean(forces, axis=0), g1.mass * GRAVITY
    true = np.array([sole_force(plant, side) for side in ("left", "right")])
    np.testing.assert_allclose(mean, true, atol=0.05 * weight)
    assert mean.sum() == pytest.approx(weight, rel=0.05)
    np.testing.assert_allclose(mean, 0.5 * weight, rtol=0.3)
    np.testing.assert_array_equal(e.contact, [1.0, 1.0])
    assert d.q[2] == pytest.approx(plant.base_position_world[2], abs=0.01)


def sole_force(plant: MujocoBackend, side: str) -> float:
    """Truth: vertical contact force on a foot, N."""
    body, total, wrench = plant.model.body(f"{side}_ankle_roll_link").id, 0.0, np.zeros(6)
    for index, contact in enumerate(plant.data.contact):
        if body in plant.model.geom_bodyid[list(contact.geom)]:
            mujoco.mj_contactForce(plant.model, plant.data, index, wrench)
            total += abs(float(wrench[0]))
    return total
