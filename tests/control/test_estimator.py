from __future__ import annotations

from dataclasses import fields, replace

import mujoco
import numpy as np
import pytest

from poise.control.dynamics import Dynamics
from poise.control.estimator import Estimator, EstimatorConfig, believed, correct, observe_contact, predict
from poise.control.lip import GRAVITY
from poise.control.rotation import matrix_from_quat
from poise.robots import RobotModel, RobotState
from poise.robots.commands import hold_command
from poise.robots.types import LEFT, RIGHT, Array, Belief
from poise.sim import MujocoBackend
from poise.sim.noise import NOISE

DT, CONFIG, BOTH = 0.002, EstimatorConfig(), np.ones(2)
ACCELEROMETER, WALK, KINEMATICS, FOOT_VELOCITY = 0.3, np.array([0.002, 0.01]), 0.003, np.array([0.06, 0.2])

IDENTITY, ZERO = np.eye(3), np.zeros((3, 3))
F = np.eye(12)
F[:3, 3:6] = DT * IDENTITY
G = np.concatenate((0.5 * DT**2 * IDENTITY, DT * IDENTITY, ZERO, ZERO))
Q = ACCELEROMETER**2 * G @ G.T + np.diag(np.repeat([0.0, 0.0, WALK[0] ** 2, WALK[1] ** 2], 3))
UP = np.array([0.0, 0.0, GRAVITY])
MOVES = [ZERO, IDENTITY, ZERO, ZERO]
H = np.block([[-IDENTITY, ZERO, IDENTITY, ZERO], MOVES, [-IDENTITY, ZERO, ZERO, IDENTITY], MOVES])
R = np.diag(np.repeat([KINEMATICS**2, FOOT_VELOCITY[0] ** 2, KINEMATICS**2, FOOT_VELOCITY[1] ** 2], 3))


def measured(position: Array, velocity: Array) -> Array:
    """The stacked measurement (12,) of both feet for H."""
    return np.concatenate((position[0], -velocity[0], position[1], -velocity[1]))


def dense(cov: Array) -> Array:
    """The covariance (12, 12) of all axes, uncoupled, from that of each (4, 4)."""
    return np.asarray(np.kron(cov, IDENTITY), dtype=float)


def test_filter_is_the_dense_kalman_filter() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    x, cov = rng.normal(size=(4, 3)), 1e-3 * (root @ root.T)
    state, state_cov = x.flatten(), dense(cov)
    for _ in range(20):
        acceleration, position, velocity = rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
        predict(x, cov, acceleration, DT, ACCELEROMETER, WALK)
        state, state_cov = F @ state + G @ acceleration, F @ state_cov @ F.T + Q
        np.testing.assert_allclose(x.ravel(), state, atol=1e-10)
        np.testing.assert_allclose(dense(cov), state_cov, atol=1e-12)
        correct(x, cov, position, velocity, KINEMATICS**2, FOOT_VELOCITY**2)
        gain = state_cov @ H.T @ np.linalg.inv(H @ state_cov @ H.T + R)
        state = state + gain @ (measured(position, velocity) - H @ state)
        state_cov = (np.eye(12) - gain @ H) @ state_cov
        np.testing.assert_allclose(x.ravel(), state, atol=1e-9)
        np.testing.assert_allclose(dense(cov), state_cov, atol=1e-11)


def test_covariance_says_how_wrong_the_estimate_is() -> None:
    """The normalised squared error of runs whose noise is the filter's own is χ² with 12 degrees of freedom."""
    rng, runs, start = np.random.default_rng(1), 200, np.diag([1e-4, 1e-2, 1e-4, 1e-4])
    errors = np.empty(runs)
    for run in range(runs):
        truth = rng.normal(size=12)
        x, cov = truth.reshape(4, 3) + np.sqrt(np.diag(start))[:, None] * rng.normal(size=(4, 3)), start.copy()
        for _ in range(50):
            acceleration = rng.normal(0.0, 2.0, 3)
            walk = np.concatenate((np.zeros(6), np.repeat(WALK, 3) * rng.normal(size=6)))
            truth = F @ truth + G @ (acceleration + rng.normal(0.0, ACCELEROMETER, 3)) + walk
            seen = H @ truth + np.sqrt(np.diag(R)) * rng.normal(size=12)
            predict(x, cov, acceleration, DT, ACCELEROMETER, WALK)
            position, velocity = np.stack((seen[:3], seen[6:9])), -np.stack((seen[3:6], seen[9:]))
            correct(x, cov, position, velocity, KINEMATICS**2, FOOT_VELOCITY**2)
        error = x.ravel() - truth
        errors[run] = error @ np.linalg.solve(dense(cov), error)
    assert errors.mean() == pytest.approx(12.0, abs=4.0 * np.sqrt(24.0 / runs))


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
        e.update(still(g1, tick * DT), BOTH)
    expected = g1.standing_configuration()
    np.testing.assert_allclose(d.q[:3], expected[:3], atol=1e-6)
    np.testing.assert_allclose(d.v, 0.0, atol=1e-6)
    np.testing.assert_allclose(d.sole_position[:, 2], 0.0, atol=1e-6)
    np.testing.assert_allclose(e.x[2:], d.sole_position, atol=1e-6)


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
        e.update(state, BOTH)
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
            e.update(state, planned)
        pulled[planned[RIGHT]] = np.abs(d.q[:3] - g1.standing_configuration()[:3]).max()
    assert pulled[0.0] < 1e-3
    assert pulled[1.0] > 10 * pulled[0.0]


def test_orientation_and_turning_rate_are_the_imus(g1: RobotModel) -> None:
    e, d = estimator(g1)
    quat = np.array([0.98, 0.02, -0.05, 0.19])
    state = replace(still(g1), base_orientation_wxyz=quat / np.linalg.norm(quat), gyro_imu=np.array([0.1, -0.2, 0.3]))
    e.update(state, BOTH)
    np.testing.assert_allclose(d.base_rotation, matrix_from_quat(quat / np.linalg.norm(quat)), atol=1e-12)
    np.testing.assert_allclose(d.v[3:6], [0.1, -0.2, 0.3])
    assert d.sole_position[:, 2].min() == pytest.approx(0.0, abs=5e-3)


def test_a_belief_says_what_was_estimated(g1: RobotModel) -> None:
    """All 39 numbers, in the order of Belief, after a second tick in which a turned robot moves."""
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
        e.update(state, np.array([1.0, 0.0]))
    dcm, sole_yaw = rng.normal(size=2), rng.normal(size=2)
    e.contact[:], e.force[:] = (0.25, 0.75), (120.0, 250.0)
    np.fill_diagonal(e.cov, [9e-6, 4e-4, 1e-2, 4e-2])
    wanted = {
        "base_position_world": d.q[:3],
        "base_orientation_wxyz": d.q[[6, 3, 4, 5]],  # Pinocchio's is xyzw
        "base_velocity_world": matrix_from_quat(quat / np.linalg.norm(quat)) @ d.v[:3],
        "base_angular_velocity_base": d.v[3:6],
        "com_position_world": d.com,
        "com_velocity_world": d.com_velocity,
        "dcm_world": dcm,
        "sole_position_world": d.sole_position.ravel(),
        "sole_yaw": sole_yaw,
        "contact": e.contact,
        "foot_force_n": e.force,
        "position_std_m": np.full(3, 0.003),
        "velocity_std_mps": np.full(3, 0.02),
    }
    assert list(wanted) == [field.name for field in fields(Belief)][:-1]  # the last is its age
    assert np.linalg.norm(wanted["base_velocity_world"] - d.v[:3]) > 0.1
    numbers = believed(d.block, d.nv, e.memory, dcm, sole_yaw)
    assert numbers.shape == (39,) and np.unique(numbers[:33]).size == 33
    for (name, value), part in zip(wanted.items(), np.split(numbers, np.cumsum([len(v) for v in wanted.values()])), strict=False):
        np.testing.assert_allclose(part, value, rtol=1e-12, atol=1e-15, err_msg=name)
    e.cov[0, 0] = -1e-12  # by rounding: no NaN comes of it
    np.testing.assert_array_equal(believed(d.block, d.nv, e.memory, dcm, sole_yaw)[33:36], 0.0)


def test_snapshot_continues_bit_for_bit(g1: RobotModel) -> None:
    rng, e = np.random.default_rng(0), estimator(g1)
    states = []
    for k in range(40):
        position, torque = g1.posture + rng.normal(0.0, 0.01, g1.n), rng.normal(0.0, 5.0, g1.n)
        states.append(replace(still(g1, k * DT), joint_position=position, joint_torque=torque))
    for state in states[:20]:
        e[0].update(state, BOTH)
    saved = e[0].snapshot()
    results = []
    for _ in range(2):
        e[0].restore(saved)
        for state in states[20:]:
            e[0].update(state, BOTH)
        results.append((e[0].x.copy(), e[0].force.copy(), e[1].q.copy(), e[1].v.copy()))
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_observer_finds_the_forces_of_the_dynamics(g1: RobotModel) -> None:
    """Joint torques made from known sole wrenches: after the low-pass the vertical forces come back."""
    d, dt = Dynamics(g1), DT
    d.update(g1.standing_configuration(), np.zeros(35))
    wrench = np.array([[10.0, -5.0, 200.0, 1.0, -3.0, 0.5], [-4.0, 3.0, 90.0, 0.5, 1.0, 0.1]])
    legs = g1.legs.reshape(2, 6) + 6
    torque = (d.bias - np.einsum("fij,fi->j", d.sole_jacobian, wrench))[6:]
    residual, force, contact = np.zeros((2, 6)), np.zeros(2), np.zeros(2)
    for k in range(1, 101):
        observe_contact(d.mass_matrix, d.bias, d.v, d.v, torque, legs, d.sole_jacobian, dt, CONFIG, residual, force, contact)
        share = 1.0 - (1.0 - CONFIG.observer_rate * dt) ** k
        np.testing.assert_allclose(force, share * wrench[:, 2], rtol=0.02)  # a little is lost to the damping
    np.testing.assert_allclose(contact, [1.0, 1.0])
    torque[legs[RIGHT] - 6] = d.bias[legs[RIGHT]]  # the right leg now hangs
    for _ in range(60):
        observe_contact(d.mass_matrix, d.bias, d.v, d.v, torque, legs, d.sole_jacobian, dt, CONFIG, residual, force, contact)
    np.testing.assert_array_equal(contact, [1.0, 0.0])


def test_standing_in_the_simulator_each_foot_carries_half(g1: RobotModel) -> None:
    plant = MujocoBackend(g1, noise=NOISE["none"])
    stiff = hold_command(g1, g1.posture)
    stiff = replace(stiff, kp=4.0 * stiff.kp, kd=4.0 * stiff.kd)
    e, d = estimator(g1)
    state = plant.reset(0)
    forces = []
    for tick in range(750):
        e.update(state, BOTH)
        plant.write(stiff)
        state = plant.read()
        if tick >= 500:
            forces.append(e.force.copy())
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
