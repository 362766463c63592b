from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from oracles import random_state
from scipy.spatial import ConvexHull

from poise.control.dynamics import Dynamics
from poise.control.tasks import (
    EDGES,
    TASK_ROWS,
    TaskGains,
    TaskWeights,
    acceleration_bounds,
    body_tasks,
    centre_of_pressure,
    friction_edges,
    sole_tasks,
)
from poise.robots import RobotModel
from poise.robots.types import Array

WEIGHTS, GAINS = TaskWeights(), TaskGains()


def blank(nv: int) -> tuple[Array, Array, Array]:
    """Rows, references and weights full of NaN, so that what is not written shows."""
    return np.full((TASK_ROWS, nv), np.nan), np.full(TASK_ROWS, np.nan), np.full(TASK_ROWS, np.nan)


def filled(d: Dynamics, contact: Array) -> tuple[Array, Array, Array, dict[str, Array]]:
    """All task rows at a state for some targets."""
    targets = {
        "com": np.array([0.7, -0.4]),
        "pelvis": pin.rpy.rpyToMatrix(0.0, 0.0, 0.3),
        "torso": pin.rpy.rpyToMatrix(0.1, -0.1, 0.3),
        "swing": np.array([[0.1, 0.2, 0.3], [0.5, -0.1, 0.2], [3.0, 1.0, -2.0]]),
    }
    out = blank(d.v.size)
    body_tasks(
        *out,
        d.centroidal_map,
        d.centroidal_drift,
        d.momentum,
        d.robot.mass,
        d.com[2],
        d.base_rotation,
        d.v[3:6],
        d.torso_jacobian,
        d.torso_drift,
        d.torso_rotation,
        d.torso_omega,
        targets["com"],
        0.6,
        targets["pelvis"],
        targets["torso"],
        0.2,
        WEIGHTS,
        GAINS,
    )
    sole_tasks(
        *out,
        d.sole_jacobian,
        d.sole_drift,
        d.sole_position,
        d.sole_rotation,
        d.sole_velocity,
        contact,
        targets["swing"],
        0.3,
        WEIGHTS,
        GAINS,
    )
    return *out, targets


@pytest.mark.parametrize("contact", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_task_rows_say_what_the_bodies_do(g1: RobotModel, contact: tuple[float, float]) -> None:
    """Rows·q̈ minus the reference is true acceleration minus wanted acceleration, from Pinocchio's second-order kinematics."""
    q, v = random_state(g1, 4)
    d = Dynamics(g1)
    d.update(q, v)
    rows, reference, weight, t = filled(d, np.array(contact))
    assert np.isfinite(rows).all() and np.isfinite(reference).all() and (weight > 0.0).all()
    vdot = np.random.default_rng(1).normal(0.0, 5.0, g1.pinocchio.nv)
    model, data = g1.pinocchio, g1.pinocchio.createData()
    momentum_rate = pin.computeCentroidalMomentumTimeVariation(model, data, q, v, vdot).vector
    pin.forwardKinematics(model, data, q, v, vdot)
    pin.updateFramePlacements(model, data)
    aligned = pin.LOCAL_WORLD_ALIGNED

    def attitude(wanted: Array, frame: int, p: float, damping: float, rate: float) -> Array:
        omega = pin.getFrameVelocity(model, data, frame, aligned).angular
        error = pin.log3(wanted @ data.oMf[frame].rotation.T)
        true = pin.getFrameClassicalAcceleration(model, data, frame, aligned).angular
        return np.asarray(true - p * error - damping * (np.array([0.0, 0.0, rate]) - omega))

    pelvis = model.getFrameId("pelvis")
    height = GAINS.com_z_p * (0.6 - d.com[2]) - GAINS.com_z_d * d.com_velocity[2]
    expected = np.concatenate(
        (
            momentum_rate[:3] / g1.mass - [*t["com"], height],
            momentum_rate[3:] + GAINS.momentum_d * d.momentum[3:],
            attitude(t["pelvis"], pelvis, GAINS.pelvis_p, GAINS.pelvis_d, 0.2),
            attitude(t["torso"], g1.torso_frame, GAINS.torso_p, GAINS.torso_d, 0.2),
        )
    )
    for foot, frame in enumerate(g1.sole_frames):
        true = pin.getFrameClassicalAcceleration(model, data, frame, aligned).vector
        speed, place = pin.getFrameVelocity(model, data, frame, aligned), data.oMf[frame]
        if contact[foot]:
            still = np.concatenate((GAINS.contact_d * speed.linear, GAINS.contact_rotation_d * speed.angular))
            expected = np.concatenate((expected, true + still))
        else:
            s = t["swing"]
            linear = s[2] + GAINS.swing_p * (s[0] - place.translation) + GAINS.swing_d * (s[1] - speed.linear)
            turn = attitude(pin.rpy.rpyToMatrix(0.0, 0.0, 0.3), frame, GAINS.swing_rotation_p, GAINS.swing_rotation_d, 0.0)
            expected = np.concatenate((expected, true[:3] - linear, turn))
    np.testing.assert_allclose(rows @ vdot - reference, expected, rtol=1e-7, atol=1e-7)


def test_standing_feet_weigh_more_than_swinging_ones(g1: RobotModel) -> None:
    d = Dynamics(g1)
    d.update(*random_state(g1, 4))
    weight = filled(d, np.array([0.0, 1.0]))[2]
    np.testing.assert_array_equal(weight[12:18], [WEIGHTS.swing_xy] * 2 + [WEIGHTS.swing_z] + [WEIGHTS.swing_rotation] * 3)
    np.testing.assert_array_equal(weight[18:24], [WEIGHTS.contact] * 3 + [WEIGHTS.contact_rotation] * 3)


@pytest.mark.parametrize("seed", range(5))
def test_generated_wrenches_stay_in_cone_and_polygon(g1: RobotModel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices, friction = np.array(g1.overlay.sole_polygon), 0.6
    rotation = pin.exp3(rng.normal(0.0, 0.3, 3))
    edges = np.full((6, EDGES * len(vertices)), np.nan)
    friction_edges(vertices, rotation, friction, edges)
    hull, reach = ConvexHull(vertices), np.linalg.norm(vertices, axis=1).max()
    for _ in range(50):
        wrench = edges @ (rng.random(edges.shape[1]) ** 6)
        force, moment = rotation.T @ wrench[:3], rotation.T @ wrench[3:]
        assert np.hypot(force[0], force[1]) <= friction * force[2] + 1e-12
        cop = np.array([-moment[1], moment[0]]) / force[2]
        assert (hull.equations[:, :2] @ cop + hull.equations[:, 2]).max() <= 1e-12
        assert abs(moment[2]) <= friction * force[2] * reach


def test_generators_reach_the_corners_of_cone_and_polygon(g1: RobotModel) -> None:
    """A single generator is a unit normal force at a vertex, on the cone's surface."""
    vertices, edges = np.array(g1.overlay.sole_polygon), np.empty((6, 16))
    friction_edges(vertices, np.eye(3), 0.6, edges)
    np.testing.assert_allclose(np.hypot(edges[0], edges[1]), 0.6, atol=1e-12)
    np.testing.assert_array_equal(edges[2], 1.0)
    np.testing.assert_allclose(np.stack((-edges[4], edges[3])), np.repeat(vertices, EDGES, axis=0).T, atol=1e-15)
    pairs = {(round(float(x), 3), round(float(y), 3)) for x, y in edges[:2].T}
    assert len(pairs) == EDGES


def test_centre_of_pressure_by_hand() -> None:
    soles = np.array([[0.0, 0.1, 0.0], [0.2, -0.1, 0.0]])
    wrench = np.zeros((2, 6))
    wrench[0, 2], wrench[1, 2] = 300.0, 100.0
    np.testing.assert_allclose(centre_of_pressure(soles, wrench), [0.05, 0.05], atol=1e-15)
    wrench[0, 3], wrench[0, 4] = 300.0 * 0.01, -300.0 * 0.02  # left force 1 cm to the left, 2 cm ahead
    np.testing.assert_allclose(centre_of_pressure(soles, wrench), [0.065, 0.0575], atol=1e-15)
    assert np.isnan(centre_of_pressure(soles, np.zeros((2, 6)))).all()


def bounds(q: Array, v: Array, v_max: float = 20.0, horizon: float = 0.05) -> tuple[Array, Array]:
    """Acceleration bounds of joints with limits ±1 rad."""
    one, low, high = np.ones(q.size), np.empty(q.size), np.empty(q.size)
    acceleration_bounds(q, v, -one, one, v_max * one, horizon, low, high)
    return low, high


def test_accelerations_inside_the_bounds_keep_the_limits_over_the_horizon() -> None:
    rng, horizon = np.random.default_rng(0), 0.05
    q, v = rng.uniform(-1.0, 1.0, 2000), rng.uniform(-8.0, 8.0, 2000)
    low, high = bounds(q, v)
    assert (low <= high).all() and np.isfinite(low).all() and np.isfinite(high).all()
    free = (high > -299.0) & (low < 299.0) & (high - low > 1e-9)
    for acceleration in (low[free], high[free]):
        end = q[free] + v[free] * horizon + 0.5 * acceleration * horizon**2
        assert np.abs(end).max() <= 1.0 + 1e-9
        assert np.abs(v[free] + horizon * acceleration).max() <= 20.0 + 1e-9
    assert free.mean() > 0.8


def test_acceleration_bounds_by_hand() -> None:
    low, high = bounds(np.array([0.9, 1.0, 1.2, -0.9]), np.array([0.0, 0.0, 0.0, 20.5]))
    np.testing.assert_allclose(high, [80.0, 0.0, -160.0, -10.0], atol=1e-9)  # 2·0.1/T², at the limit, beyond it, too fast
    assert low[0] == pytest.approx(-400.0)  # −20 rad/s within the horizon
    assert low[2] == pytest.approx(-400.0)
    assert (low <= high).all()


def test_far_beyond_a_limit_the_return_is_bounded() -> None:
    low, high = bounds(np.array([5.0, -5.0]), np.zeros(2), v_max=100.0)
    np.testing.assert_array_equal(high[0], -300.0)
    np.testing.assert_array_equal(low[1], 300.0)
