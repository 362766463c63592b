from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pinocchio as pin
import pytest
from oracles import random_state

from poise.control.contacts import EDGES, LIMIT_ROWS, Contacts, friction_edges
from poise.control.dynamics import Dynamics
from poise.control.qp import QpProblem
from poise.control.tasks import (
    TASK_ROWS,
    TILT_RAD,
    Posture,
    TaskGains,
    TaskWeights,
    acceleration_bounds,
    body_tasks,
    build,
    generalised_forces,
    lying,
    sole_tasks,
    swing_reaction,
    task_cost,
    unpack,
)
from poise.robots import RobotModel
from poise.robots.types import Array

WEIGHTS, GAINS = TaskWeights(), TaskGains()
SLOPE = np.array([0.15, -0.1])


def on_slope(yaw: float, slope: Array = SLOPE) -> Array:
    """The attitude of a sole on ground of that slope: its normal by a cross product of ways on the ground, its x axis over the yaw's."""
    ahead = np.array([np.cos(yaw), np.sin(yaw), slope @ [np.cos(yaw), np.sin(yaw)]])
    normal = np.cross([1.0, 0.0, slope[0]], [0.0, 1.0, slope[1]])
    x, z = ahead / np.linalg.norm(ahead), normal / np.linalg.norm(normal)
    return np.column_stack((x, np.cross(z, x), z))


def blank(nv: int) -> tuple[Array, Array, Array]:
    """Rows, references and weights full of NaN, so that what is not written shows."""
    return np.full((TASK_ROWS, nv), np.nan), np.full(TASK_ROWS, np.nan), np.full(TASK_ROWS, np.nan)


def filled(
    d: Dynamics, contact: Array, height: tuple[float, float, float] = (0.6, 0.2, -1.5), slope: Array = SLOPE
) -> tuple[Array, Array, Array, dict[str, Array]]:
    """All task rows at a state for some targets."""
    targets = {
        "com": np.array([0.7, -0.4]),
        "pelvis": pin.rpy.rpyToMatrix(0.0, 0.0, 0.3),
        "torso": pin.rpy.rpyToMatrix(0.1, -0.1, 0.5),
        "swing": np.array([[0.1, 0.2, 0.3], [0.5, -0.1, 0.2], [3.0, 1.0, -2.0]]),
    }
    out = blank(d.v.size)
    body_tasks(*out, d.terms, targets["com"], np.array(height), 0.3, np.array([0.1, -0.1, 0.2]), 0.2, WEIGHTS, GAINS)
    sole_tasks(*out, d.terms, contact, targets["swing"], 0.3, slope, WEIGHTS, GAINS)
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

    def attitude(wanted: Array, frame: int, p: float | Array, damping: float | Array, rate: float) -> Array:
        omega = pin.getFrameVelocity(model, data, frame, aligned).angular
        error = pin.log3(wanted @ data.oMf[frame].rotation.T)
        true = pin.getFrameClassicalAcceleration(model, data, frame, aligned).angular
        return np.asarray(true - p * error - damping * (np.array([0.0, 0.0, rate]) - omega))

    pelvis = model.getFrameId("pelvis")
    torso_p = np.array([GAINS.torso_p, GAINS.torso_p, GAINS.torso_yaw_p])
    torso_d = np.array([GAINS.torso_d, GAINS.torso_d, GAINS.torso_yaw_d])
    bound = GAINS.com_z_most
    height = -1.5 + np.clip(GAINS.com_z_p * (0.6 - d.com[2]) + GAINS.com_z_d * (0.2 - d.com_velocity[2]), -bound, bound)
    expected = np.concatenate(
        (
            momentum_rate[:3] / g1.mass - [*t["com"], height],
            momentum_rate[3:] + GAINS.momentum_d * d.momentum[3:],
            attitude(t["pelvis"], pelvis, GAINS.pelvis_p, GAINS.pelvis_d, 0.2),
            attitude(t["torso"], g1.torso_frame, torso_p, torso_d, 0.2),
        )
    )
    for foot, frame in enumerate(g1.sole_frames):
        true = pin.getFrameClassicalAcceleration(model, data, frame, aligned).vector
        speed, place = pin.getFrameVelocity(model, data, frame, aligned), data.oMf[frame]
        if contact[foot]:
            yaw = float(np.arctan2(place.rotation[1, 0], place.rotation[0, 0]))
            error = pin.log3(on_slope(yaw) @ place.rotation.T)
            share = np.array([1.0, 1.0, 0.0]) * (1.0 - TILT_RAD / float(np.linalg.norm(error[:2])))
            damping = (1.0 - share) * GAINS.contact_rotation_d + share * GAINS.level_d
            still = np.concatenate((GAINS.contact_d * speed.linear, damping * speed.angular - GAINS.level_p * share * error))
            expected = np.concatenate((expected, true + still))
        else:
            s = t["swing"]
            linear = s[2] + GAINS.swing_p * (s[0] - place.translation) + GAINS.swing_d * (s[1] - speed.linear)
            linear[:2] *= min(1.0, GAINS.swing_most / float(np.hypot(*linear[:2])))
            turn = attitude(on_slope(0.3), frame, GAINS.swing_rotation_p, GAINS.swing_rotation_d, 0.0)
            expected = np.concatenate((expected, true[:3] - linear, turn))
    np.testing.assert_allclose(rows @ vdot - reference, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
def test_a_sole_lies_on_the_slope_and_points_along_its_yaw(yaw: float) -> None:
    rotation = lying(SLOPE, yaw)
    np.testing.assert_allclose(rotation, on_slope(yaw), atol=1e-12)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(lying(np.zeros(2), 0.3)[2], [0.0, 0.0, 1.0])


@pytest.mark.parametrize("ahead, wanted", [(0.5, GAINS.swing_most), (0.01, 0.01 * GAINS.swing_p)])
def test_a_swing_foot_that_is_behind_asks_for_what_a_leg_can_give(g1: RobotModel, ahead: float, wanted: float) -> None:
    """600/s² of a centimetre, no more than `swing_most` of half a metre, and in the direction of the error."""
    d = Dynamics(g1)
    d.update(g1.standing_configuration(), np.zeros(g1.pinocchio.nv))
    out, swing, along = blank(d.v.size), np.zeros((3, 3)), np.array([0.6, 0.8, 0.0])
    swing[0] = d.terms.sole_position[1] + ahead * along
    sole_tasks(*out, d.terms, np.array([1.0, 0.0]), swing, 0.0, np.zeros(2), WEIGHTS, GAINS)
    np.testing.assert_allclose(out[1][18:21], wanted * along, atol=1e-9)


@pytest.mark.parametrize("target, wanted", [(2.0, GAINS.com_z_most), (-2.0, -GAINS.com_z_most), (0.01, 1.0)])
def test_no_height_error_asks_for_a_hop(g1: RobotModel, target: float, wanted: float) -> None:
    """A target 1 cm above gives 100/s² of it; one far off no more than `com_z_most`."""
    d = Dynamics(g1)
    d.update(g1.standing_configuration(), np.zeros(g1.pinocchio.nv))
    reference = filled(d, np.ones(2), height=(float(d.com[2]) + target, 0.0, 0.0))[1]
    assert reference[2] == pytest.approx(wanted)


def test_swing_reaction_is_the_momentum_of_a_point_below_the_centre_of_mass() -> None:
    """L = r × m v of a mass at (0, 0, −h), k = m h, and its rate; tracked with the momentum's damping."""
    mass, height, damping = 3.0, 0.6, 5.0
    swing = np.array([[0.1, 0.2, 0.0], [1.2, -0.7, 0.0], [9.0, 4.0, 0.0]])
    arm = np.array([0.0, 0.0, -height])
    wanted = np.cross(arm, mass * swing[2]) + damping * np.cross(arm, mass * swing[1])
    reference = np.zeros(24)
    swing_reaction(reference, swing, mass * height, damping)
    np.testing.assert_allclose(reference[3:5], wanted[:2], atol=1e-12)
    assert np.count_nonzero(reference) == 2


def test_standing_feet_weigh_more_than_swinging_ones(g1: RobotModel) -> None:
    d = Dynamics(g1)
    d.update(*random_state(g1, 4))
    weight = filled(d, np.array([0.0, 1.0]))[2]
    np.testing.assert_array_equal(weight[12:18], [WEIGHTS.swing_xy] * 2 + [WEIGHTS.swing_z] + [WEIGHTS.swing_rotation] * 3)
    np.testing.assert_array_equal(weight[18:24], [WEIGHTS.contact] * 3 + [WEIGHTS.contact_rotation] * 3)


def bounds(q: Array, v: Array, v_max: float = 20.0, horizon: float = 0.05, beyond: float = 0.02) -> tuple[Array, Array]:
    """Acceleration bounds of joints with limits ±1 rad."""
    one, low, high = np.ones(q.size), np.empty(q.size), np.empty(q.size)
    acceleration_bounds(q, v, -one, one, v_max * one, beyond * one, horizon, low, high)
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


@pytest.mark.parametrize("heading", [0.0, 0.8])
@pytest.mark.parametrize("roll, share", [(0.04, 0.0), (-0.04, 0.0), (0.15, 2.0 / 3.0), (-0.15, 2.0 / 3.0)])
def test_a_standing_sole_that_is_tilted_is_levelled(g1: RobotModel, roll: float, share: float, heading: float) -> None:
    """About its length, wherever it points, by what it is tilted beyond `TILT_RAD`; a level one is only damped."""
    d, q, v, rate = Dynamics(g1), g1.standing_configuration(), np.zeros(g1.pinocchio.nv), 0.3
    ankle = g1.joint_names.index("left_ankle_roll_joint")
    q[3:7] = [0.0, 0.0, np.sin(heading / 2), np.cos(heading / 2)]
    q[7 + ankle] += roll
    v[6 + ankle] = rate
    d.update(q, v)
    reference = filled(d, np.ones(2), slope=np.zeros(2))[1]
    damping = GAINS.contact_rotation_d + share * (GAINS.level_d - GAINS.contact_rotation_d)
    along = np.array([np.cos(heading), np.sin(heading), 0.0])
    wanted = -(GAINS.level_p * share * roll + damping * rate) * along
    np.testing.assert_allclose(reference[15:18] + d.sole_drift[0, 3:], wanted, atol=1e-6)


def test_acceleration_bounds_by_hand() -> None:
    low, high = bounds(np.array([0.9, 1.0, 1.2, -0.9]), np.array([0.0, 0.0, 0.0, 20.5]))
    np.testing.assert_allclose(high, [80.0, 0.0, -16.0, -10.0], atol=1e-9)  # 2·0.1/T², at the limit, beyond it, too fast
    assert low[0] == pytest.approx(-400.0)  # −20 rad/s within the horizon
    assert low[2] == pytest.approx(-400.0)
    assert (low <= high).all()


def test_from_far_beyond_a_limit_a_joint_is_sent_back_gently() -> None:
    """As from 0.02 rad: by 2·0.02/T² and 2 v/T, T = 0.05 s, and no harder than 300 rad/s²; one that comes back fast may be slowed down."""
    low, high = bounds(np.array([1.01, 1.2, 1.2, 1.2, -1.2]), np.array([0.0, 3.0, 10.0, -1.0, -3.0]), v_max=100.0)
    np.testing.assert_allclose(high[:4], [-8.0, -136.0, -300.0, 24.0], atol=1e-9)
    assert low[4] == pytest.approx(136.0)


def test_a_joint_that_is_kept_in_a_range_is_sent_back_to_it() -> None:
    """Of −2·0.2/T², no harder than 300 rad/s²; inside it is as free as any."""
    low, high = bounds(np.array([1.2, 5.0, -1.2, 0.9]), np.zeros(4), v_max=100.0, beyond=np.inf)
    np.testing.assert_allclose(high[[0, 1, 3]], [-160.0, -300.0, 80.0], atol=1e-9)
    assert low[2] == pytest.approx(160.0)


REGULARISE, FORCE_WEIGHT, HORIZON = 1e-3, 1e-4, 0.05
STANCES = pytest.mark.parametrize("contact", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])


@dataclass(frozen=True, eq=False)
class Built:
    """A QP at a random state with random posture gains, and what it was built from."""

    d: Dynamics
    posture: Posture
    contacts: Contacts
    joints: Array
    joint_velocity: Array
    tasks: tuple[Array, Array, Array]
    wrench_map: Array
    problem: QpProblem

    def multipliers(self, rng: np.random.Generator) -> Array:
        """Random λ ≥ 0."""
        return np.asarray(rng.random(self.wrench_map.shape[1]))

    def wrench(self, multipliers: Array) -> Array:
        """Sole wrenches (2, 6) of λ."""
        return np.asarray(self.contacts.newton * self.wrench_map @ multipliers).reshape(2, 6)


def test_cost_and_forces_of_rows_with_many_and_few_entries() -> None:
    """Against dense products, into memory full of NaN."""
    rng, n = np.random.default_rng(0), 9
    rows, reference, weight = rng.normal(size=(5, n)), rng.normal(size=5), rng.uniform(0.1, 9.0, 5)
    rows[1, 2:], rows[2, :7], rows[3] = 0.0, 0.0, 0.0
    hessian, gradient, forces = np.full((n, n), np.nan), np.full(n, np.nan), np.full((n, 4), np.nan)
    task_cost(rows, reference, weight, hessian, gradient)
    np.testing.assert_allclose(hessian, rows.T @ np.diag(weight) @ rows, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, -rows.T @ (weight * reference), rtol=1e-12, atol=1e-14)
    wrenches = rng.normal(size=(5, 4))
    generalised_forces(rows, wrenches, -2.5, forces)
    np.testing.assert_allclose(forces, -2.5 * rows.T @ wrenches, rtol=1e-12, atol=1e-14)


def built(g1: RobotModel, contact: tuple[float, float], seed: int = 5) -> Built:
    """`build` into memory full of NaN but for the bounds of the base and of λ, as the caller leaves them."""
    rng, d, nv, n = np.random.default_rng(seed), Dynamics(g1), g1.pinocchio.nv, g1.n
    d.update(*random_state(g1, seed))
    limits = (g1.position_min, g1.position_max, g1.velocity_limit, g1.torque_limit)
    posture = Posture(rng.uniform(10.0, 90.0, n), rng.uniform(1.0, 20.0, n), rng.uniform(0.1, 2.0, n), *limits, np.zeros(n))
    contacts = Contacts(np.array(g1.overlay.sole_polygon), 0.6, 0.04, 500.0, 20.0)
    nf = EDGES * len(contacts.vertices) * int(sum(contact))
    size, m = nv + nf, nv + LIMIT_ROWS
    lower, upper = np.full(size + m, np.nan), np.full(size + m, np.nan)
    lower[:6], upper[:6] = -1e30, 1e30
    problem = QpProblem(np.full((size, size), np.nan), np.full(size, np.nan), np.full((m, size), np.nan), lower, upper)
    tasks, wrench_map = blank(nv), np.full((12, nf), np.nan)
    joints, joint_velocity = g1.posture + rng.normal(0.0, 0.2, n), rng.normal(0.0, 1.0, n)
    swing, pull, height = rng.normal(0.0, 0.3, (3, 3)), np.array([0.7, -0.4]), np.array([0.6, 0.1, 0.5])
    build(
        d.terms, pull, height, 0.0, np.zeros(3), 0.2, np.array(contact), swing, 0.3, SLOPE, 1.5, joints, joint_velocity, WEIGHTS,
        GAINS, posture, contacts, REGULARISE, FORCE_WEIGHT, HORIZON, *tasks, wrench_map,
        problem.hessian, problem.gradient, problem.rows, problem.lower, problem.upper,
    )  # fmt: skip
    return Built(d, posture, contacts, joints, joint_velocity, tasks, wrench_map, problem)


@STANCES
def test_build_writes_everything(g1: RobotModel, contact: tuple[float, float]) -> None:
    b = built(g1, contact)
    p = b.problem
    for value in (*b.tasks, b.wrench_map, p.hessian, p.gradient, p.rows, p.lower, p.upper):
        assert not np.isnan(value).any()
    assert (p.lower <= p.upper).all()
    np.testing.assert_allclose(p.hessian, p.hessian.T, rtol=1e-9, atol=1e-9)


@STANCES
def test_built_cost_is_the_sum_of_squares(g1: RobotModel, contact: tuple[float, float]) -> None:
    """Between any two points the quadratic form grows as the weighted errors of tasks, posture, effort and force."""
    b, rng, nv = built(g1, contact), np.random.default_rng(0), g1.pinocchio.nv
    rows, reference, weight = b.tasks

    def direct(x: Array) -> float:
        vdot, force = x[:nv], b.contacts.newton * x[nv:]
        error = b.joints - b.d.q[7:]
        wanted = b.posture.stiffness * error + b.posture.damping * (b.joint_velocity - b.d.v[6:])
        squares = weight @ (rows @ vdot - reference) ** 2 + b.posture.weight @ (vdot[6:] - wanted) ** 2
        return float(0.5 * (squares + REGULARISE * vdot @ vdot + FORCE_WEIGHT * force @ force))

    def form(x: Array) -> float:
        return float(0.5 * x @ b.problem.hessian @ x + b.problem.gradient @ x)

    first, second = (np.concatenate((rng.normal(0.0, 5.0, nv), b.multipliers(rng))) for _ in range(2))
    assert form(second) - form(first) == pytest.approx(direct(second) - direct(first), rel=1e-9)


@STANCES
def test_built_forces_are_those_of_the_standing_soles(g1: RobotModel, contact: tuple[float, float]) -> None:
    b, width = built(g1, contact), EDGES * len(g1.overlay.sole_polygon)
    expected = np.zeros_like(b.wrench_map)
    for column, foot in enumerate(np.flatnonzero(contact)):
        edges = np.empty((6, width))
        friction_edges(b.contacts.vertices, b.d.sole_rotation[foot], b.contacts.friction, edges)
        expected[6 * foot : 6 * foot + 6, column * width : (column + 1) * width] = edges
    np.testing.assert_array_equal(b.wrench_map, expected)


@STANCES
def test_built_rows_are_torque_total_force_and_yaw_friction(g1: RobotModel, contact: tuple[float, float]) -> None:
    b, rng, nv = built(g1, contact), np.random.default_rng(1), g1.pinocchio.nv
    vdot, multipliers = rng.normal(0.0, 5.0, nv), b.multipliers(rng)
    wrench = b.wrench(multipliers)
    value, size = b.problem.rows @ np.concatenate((vdot, multipliers)), b.problem.gradient.size
    lower, upper = b.problem.lower[size:], b.problem.upper[size:]
    generalised = pin.rnea(b.d.model, b.d.model.createData(), b.d.q, b.d.v, vdot)
    generalised -= sum(b.d.sole_jacobian[foot].T @ wrench[foot] for foot in range(2))
    limit = np.concatenate((np.zeros(6), g1.torque_limit))
    np.testing.assert_allclose(value[:nv] - upper[:nv], generalised - limit, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(value[:nv] - lower[:nv], generalised + limit, rtol=1e-9, atol=1e-7)
    # Each multiplier is a unit of normal force, in the sole's own frame.
    normal = sum(float(b.d.sole_rotation[foot][:, 2] @ wrench[foot, :3]) for foot in range(2))
    assert b.contacts.newton * value[nv] == pytest.approx(normal)
    assert b.contacts.newton * upper[nv] == pytest.approx(b.contacts.force_max)
    for foot in range(2):
        slack = b.contacts.yaw_friction * wrench[foot, 2] - np.array([1.0, -1.0]) * wrench[foot, 5]
        np.testing.assert_allclose(-b.contacts.newton * value[nv + 1 + 2 * foot :][:2], slack, atol=1e-9)
    np.testing.assert_array_equal(upper[nv + 1 :], 0.0)
    np.testing.assert_array_equal(lower[nv:], -1e30)


def test_built_bounds_are_the_joints_limits(g1: RobotModel) -> None:
    b, nv, n = built(g1, (1.0, 1.0)), g1.pinocchio.nv, g1.n
    low, high = np.empty(n), np.empty(n)
    acceleration_bounds(b.d.q[7:], b.d.v[6:], g1.position_min, g1.position_max, g1.velocity_limit, np.zeros(g1.n), HORIZON, low, high)
    np.testing.assert_array_equal(b.problem.lower[6:nv], low)
    np.testing.assert_array_equal(b.problem.upper[6:nv], high)
    np.testing.assert_array_equal(b.problem.upper[:6], 1e30)  # the base is free
    np.testing.assert_array_equal(b.problem.lower[nv : b.problem.gradient.size], 0.0)


@STANCES
def test_unpack_gives_the_torques_of_the_motion_and_forces(g1: RobotModel, contact: tuple[float, float]) -> None:
    b, rng, nv = built(g1, contact), np.random.default_rng(2), g1.pinocchio.nv
    vdot, multipliers = rng.normal(0.0, 2.0, nv), b.multipliers(rng)
    x, wrench = np.concatenate((vdot, multipliers)), b.wrench(multipliers)
    wide = np.full(g1.n, 1e6)
    torque, soles = unpack(b.d.terms, x, b.wrench_map, b.contacts.newton, wide)
    inverse = pin.rnea(b.d.model, b.d.model.createData(), b.d.q, b.d.v, vdot)
    expected = inverse - sum(b.d.sole_jacobian[foot].T @ wrench[foot] for foot in range(2))
    np.testing.assert_allclose(torque, expected[6:], rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(soles, wrench, atol=1e-9)
    clipped = unpack(b.d.terms, x, b.wrench_map, b.contacts.newton, np.full(g1.n, 2.0))[0]
    np.testing.assert_allclose(clipped, np.clip(torque, -2.0, 2.0))
    assert np.abs(torque).max() > 2.0
