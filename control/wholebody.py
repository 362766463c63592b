"""Whole-body inverse dynamics as one QP over joint accelerations and contact forces.

Variables: q̈ (nv) and, for each standing foot, non-negative multipliers λ of the friction-pyramid edges at the sole
polygon's vertices; f = Σ λ_k g_k spans exactly the wrenches whose CoP lies in the polygon and whose vertex forces lie
in the pyramid, yaw torque included (Caron et al., ICRA 2015). Torques are eliminated: τ = M_j q̈ + h_j − J_jᵀ f.
    min  Σ w ‖J q̈ + J̇q̇ − a_ref‖² + posture + regularisation
    s.t. base rows of M q̈ + h = Jᵀ f,   |τ| ≤ τ_max,   q̈ bounds from joint limits,   0 ≤ λ ≤ λ_max
Contacts are kept by a heavily weighted task, so that the QP stays feasible when a foot is pushed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from poise.robots import RobotModel
from poise.robots.types import Array

from .dynamics import Dynamics
from .qp import QpProblem, QpSolution, make_solver
from .rotation import rotation_error

GRAVITY = 9.81
EDGES = 4  # friction pyramid edges a vertex


@dataclass(frozen=True)
class WholeBodyConfig:
    """Weights (per (m/s²)² or (rad/s²)², momentum per (N·m)²) and gains (1/s², 1/s)."""

    solver: str = "daqp"
    fallback: str = "osqp"
    tolerance: float = 1e-4
    weight_com_xy: float = 100.0
    weight_com_z: float = 200.0
    weight_momentum: float = 0.5
    weight_momentum_yaw: float = 4.0
    weight_pelvis: float = 20.0
    weight_pelvis_yaw: float = 4.0
    weight_torso: float = 5.0
    weight_swing_xy: float = 60.0
    weight_swing_z: float = 200.0
    weight_swing_rotation: float = 10.0
    weight_contact: float = 1e4
    weight_contact_rotation: float = 1e3
    weight_legs: float = 0.02
    weight_waist: float = 0.2
    weight_arms: float = 1.0
    regularise_force: float = 1e-5  # 1/N²
    regularise_acceleration: float = 1e-4
    com_z: tuple[float, float] = (100.0, 20.0)
    pelvis: tuple[float, float] = (250.0, 30.0)
    torso: tuple[float, float] = (200.0, 28.0)
    swing: tuple[float, float] = (600.0, 45.0)
    swing_rotation: tuple[float, float] = (400.0, 35.0)
    posture: tuple[float, float] = (60.0, 14.0)
    arms: tuple[float, float] = (150.0, 22.0)
    momentum_damping: float = 5.0  # 1/s
    contact_damping: tuple[float, float] = (20.0, 5.0)  # 1/s linear, rotational
    limit_horizon_s: float = 0.05  # position limits are met within this time
    force_max: float = 1.5  # times the weight, all feet
    friction: float = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class WholeBodyTargets:
    """References of one tick, world frame."""

    com_acceleration_xy: Array  # (2,) m/s²
    com_height: float  # m
    com_vertical_velocity: float  # m/s
    pelvis_rotation: Array  # (3, 3)
    pelvis_yaw_rate: float  # rad/s
    torso_rotation: Array  # (3, 3)
    contact: Array  # (2,) 1 where a foot stands, 0 where it swings
    swing_position: Array  # (3,) m; of the foot that does not stand
    swing_velocity: Array  # (3,)
    swing_acceleration: Array  # (3,)
    swing_yaw: float
    joints: Array  # (n,) rad posture target
    joint_velocity: Array  # (n,) rad/s


@dataclass(frozen=True, slots=True, eq=False)
class WholeBodySolution:
    """Torques, accelerations and forces of one tick, and which solver gave them."""

    torque: Array  # (n,) N·m
    acceleration: Array  # (nv,)
    wrench: Array  # (2, 6) N, N·m at the soles, world-aligned
    cop_world: Array  # (2,) m
    source: str  # "daqp", "osqp" or "hold"
    residual: float


@njit(cache=True)
def friction_edges(vertices: Array, rotation: Array, friction: float) -> Array:
    """Wrench generators (6, EDGES·vertices) at the sole origin, world-aligned: unit normal force on pyramid edges.

    vertices (k, 2) m in the sole frame; the pyramid is inscribed in the cone of that friction coefficient.
    """
    k = vertices.shape[0]
    out = np.zeros((6, EDGES * k))
    side = friction / np.sqrt(2.0)
    local = np.empty(3)
    for i in range(k):
        arm = vertices[i, 0] * rotation[:, 0] + vertices[i, 1] * rotation[:, 1]
        for e in range(EDGES):
            local[0] = side if e < 2 else -side
            local[1] = side if e % 2 == 0 else -side
            local[2] = 1.0
            force = rotation @ local
            column = EDGES * i + e
            out[:3, column] = force
            out[3, column] = arm[1] * force[2] - arm[2] * force[1]
            out[4, column] = arm[2] * force[0] - arm[0] * force[2]
            out[5, column] = arm[0] * force[1] - arm[1] * force[0]
    return out


@njit(cache=True)
def acceleration_bounds(q: Array, v: Array, q_min: Array, q_max: Array, v_max: Array, horizon: float) -> tuple[Array, Array]:
    """Joint acceleration bounds (n,), rad/s², that keep position limits within `horizon` s and the speed limit.

    q + v T + ½ q̈ T² ≤ q_max and |v + q̈ T| ≤ v_max; a bound that is already broken asks for a bounded return.
    """
    n = q.size
    lower, upper = np.empty(n), np.empty(n)
    most = 2.0 / (horizon * horizon)
    for i in range(n):
        up = min(most * (q_max[i] - q[i] - horizon * v[i]), (v_max[i] - v[i]) / horizon)
        low = max(most * (q_min[i] - q[i] - horizon * v[i]), (-v_max[i] - v[i]) / horizon)
        upper[i] = min(1000.0, max(up, -300.0))
        lower[i] = max(-1000.0, min(low, 300.0))
        if lower[i] > upper[i]:
            lower[i] = upper[i] = 0.5 * (lower[i] + upper[i])
    return lower, upper


@njit(cache=True)
def assemble(
    mass: Array,
    bias: Array,
    task_rows: Array,
    task_reference: Array,
    task_weight: Array,
    joint_reference: Array,
    joint_weight: Array,
    regularise: float,
    force_map: Array,
    force_weight: float,
    weight_newton: float,
    torque_limit: Array,
    force_max: float,
) -> tuple[Array, Array, Array, Array, Array]:
    """QP data: Hessian, gradient, rows (base dynamics, torques, total normal force), row bounds.

    task_rows (r, nv); force_map (nv, nf) = Σ Jᵀ G; λ is counted in units of `weight_newton` N.
    """
    nv, nf = mass.shape[0], force_map.shape[1]
    n, joints = nv + nf, nv - 6
    hessian, gradient = np.zeros((n, n)), np.zeros(n)
    weighted = task_rows * task_weight.reshape(-1, 1)
    hessian[:nv, :nv] = weighted.T @ task_rows
    gradient[:nv] = -(weighted.T @ task_reference)
    for i in range(joints):
        hessian[6 + i, 6 + i] += joint_weight[i]
        gradient[6 + i] -= joint_weight[i] * joint_reference[i]
    for i in range(nv):
        hessian[i, i] += regularise
    for i in range(nf):
        hessian[nv + i, nv + i] = force_weight * weight_newton * weight_newton
    count = nv + (1 if nf > 0 else 0)
    rows = np.zeros((count, n))
    rows[:nv, :nv] = mass
    rows[:nv, nv:] = -force_map * weight_newton
    lower, upper = -bias.copy(), -bias.copy()
    lower[6:] -= torque_limit
    upper[6:] += torque_limit
    if nf == 0:
        return hessian, gradient, rows, lower, upper
    rows[nv, nv:] = 1.0
    return (
        hessian,
        gradient,
        rows,
        np.append(lower, -1e30),
        np.append(upper, force_max / weight_newton),
    )


class WholeBody:
    """Builds and solves the QP of one tick; keeps the last good solution for the hold fallback."""

    def __init__(self, robot: RobotModel, config: WholeBodyConfig) -> None:
        self._robot, self._config = robot, config
        self._vertices = np.array(robot.overlay.sole_polygon)
        self._weight = robot.mass * GRAVITY
        self._newton = self._weight / 16.0
        self._solvers = {feet: make_solver(config.solver, config.tolerance) for feet in (0, 1, 2)}
        self._fallbacks = {feet: make_solver(config.fallback, 100 * config.tolerance) for feet in (0, 1, 2)}
        n = robot.n
        self._joint_weight = np.full(n, config.weight_legs)
        self._joint_weight[robot.waist] = config.weight_waist
        self._joint_weight[robot.arms] = config.weight_arms
        self._joint_gain = np.tile(np.array(config.posture), (n, 1))
        self._joint_gain[robot.arms] = config.arms
        self._last: QpSolution | None = None

    def problem(self, dynamics: Dynamics, targets: WholeBodyTargets) -> tuple[QpProblem, Array]:
        """The QP unsolved, and the map (12, nf) from λ to the two sole wrenches."""
        robot, cfg = self._robot, self._config
        rows, reference, weight = self._tasks(dynamics, targets)
        q, v = dynamics.q[7:], dynamics.v[6:]
        kp, kd = self._joint_gain[:, 0], self._joint_gain[:, 1]
        joint_reference = kp * (targets.joints - q) + kd * (targets.joint_velocity - v)
        wrench_map = self._wrench_map(dynamics, targets.contact)
        force_map = dynamics.sole_jacobian.reshape(12, -1).T @ wrench_map
        hessian, gradient, matrix, row_lower, row_upper = assemble(
            dynamics.mass_matrix,
            dynamics.bias,
            rows,
            reference,
            weight,
            joint_reference,
            self._joint_weight,
            cfg.regularise_acceleration,
            force_map,
            cfg.regularise_force,
            self._newton,
            robot.torque_limit,
            cfg.force_max * self._weight,
        )
        low, high = acceleration_bounds(q, v, robot.position_min, robot.position_max, robot.velocity_limit, cfg.limit_horizon_s)
        nf = wrench_map.shape[1]
        lower = np.concatenate((np.full(6, -1e30), low, np.zeros(nf)))
        upper = np.concatenate((np.full(6, 1e30), high, np.full(nf, 1e30)))
        return QpProblem(hessian, gradient, matrix, row_lower, row_upper, lower, upper), wrench_map

    def solve(self, dynamics: Dynamics, targets: WholeBodyTargets) -> WholeBodySolution:
        """Solve; on failure the fallback solver, then the posture held under gravity compensation ("hold")."""
        problem, wrench_map = self.problem(dynamics, targets)
        feet = int(targets.contact.sum())
        for solver in (self._solvers[feet], self._fallbacks[feet]):
            solution = solver.solve(problem)
            if solution.usable:
                return self._unpack(dynamics, solution.x, wrench_map, solver.name, solution.residual)
        return self._hold(dynamics, targets, solution.residual)

    def _unpack(self, dynamics: Dynamics, x: Array, wrench_map: Array, source: str, residual: float) -> WholeBodySolution:
        nv = dynamics.v.size
        acceleration = x[:nv]
        wrench = wrench_map @ (x[nv:] * self._newton)
        generalised = dynamics.mass_matrix @ acceleration + dynamics.bias - dynamics.sole_jacobian.reshape(12, -1).T @ wrench
        wrench = wrench.reshape(2, 6)
        return WholeBodySolution(generalised[6:], acceleration, wrench, centre_of_pressure(dynamics.sole_position, wrench), source, residual)

    def _hold(self, dynamics: Dynamics, targets: WholeBodyTargets, residual: float) -> WholeBodySolution:
        robot = self._robot
        q, v = dynamics.q[7:], dynamics.v[6:]
        torque = robot.hold_kp * (targets.joints - q) - robot.hold_kd * v
        torque = np.clip(torque, -robot.torque_limit, robot.torque_limit)
        return WholeBodySolution(torque, np.zeros(dynamics.v.size), np.zeros((2, 6)), np.full(2, np.nan), "hold", residual)

    def _wrench_map(self, dynamics: Dynamics, contact: Array) -> Array:
        standing = [foot for foot in (0, 1) if contact[foot] > 0.5]
        width = EDGES * len(self._vertices)
        out = np.zeros((12, width * len(standing)))
        for column, foot in enumerate(standing):
            edges = friction_edges(self._vertices, dynamics.sole_rotation[foot], self._config.friction)
            out[6 * foot : 6 * foot + 6, column * width : (column + 1) * width] = edges
        return out

    def _tasks(self, d: Dynamics, t: WholeBodyTargets) -> tuple[Array, Array, Array]:
        """Task rows (24, nv), acceleration references (24,) and weights (24,): CoM, momentum, pelvis, torso, soles."""
        cfg, nv = self._config, d.v.size
        rows, reference, weight = np.zeros((24, nv)), np.zeros(24), np.zeros(24)
        rows[0:3] = d.centroidal_map[:3] / self._robot.mass
        reference[0:2] = t.com_acceleration_xy
        height_error, speed_error = t.com_height - d.com[2], t.com_vertical_velocity - d.com_velocity[2]
        reference[2] = cfg.com_z[0] * height_error + cfg.com_z[1] * speed_error
        reference[0:3] -= d.centroidal_drift[:3] / self._robot.mass
        weight[0:3] = cfg.weight_com_xy, cfg.weight_com_xy, cfg.weight_com_z
        rows[3:6] = d.centroidal_map[3:]
        reference[3:6] = -cfg.momentum_damping * d.momentum[3:] - d.centroidal_drift[3:]
        weight[3:6] = cfg.weight_momentum, cfg.weight_momentum, cfg.weight_momentum_yaw
        base = d.base_rotation
        rows[6:9, 3:6] = base
        omega = base @ d.v[3:6]
        wanted_omega = np.array([0.0, 0.0, t.pelvis_yaw_rate])
        reference[6:9] = cfg.pelvis[0] * rotation_error(t.pelvis_rotation, base) + cfg.pelvis[1] * (wanted_omega - omega)
        weight[6:9] = cfg.weight_pelvis, cfg.weight_pelvis, cfg.weight_pelvis_yaw
        rows[9:12] = d.torso_jacobian
        torso_error = rotation_error(t.torso_rotation, d.torso_rotation)
        reference[9:12] = cfg.torso[0] * torso_error + cfg.torso[1] * (wanted_omega - d.torso_omega) - d.torso_drift
        weight[9:12] = cfg.weight_torso
        for foot in (0, 1):
            self._foot_task(d, t, foot, rows, reference, weight)
        return rows, reference, weight

    def _foot_task(self, d: Dynamics, t: WholeBodyTargets, foot: int, rows: Array, reference: Array, weight: Array) -> None:
        cfg, at = self._config, 12 + 6 * foot
        rows[at : at + 6] = d.sole_jacobian[foot]
        velocity = d.sole_velocity[foot]
        if t.contact[foot] > 0.5:
            reference[at : at + 3] = -cfg.contact_damping[0] * velocity[:3]
            reference[at + 3 : at + 6] = -cfg.contact_damping[1] * velocity[3:]
            weight[at : at + 3], weight[at + 3 : at + 6] = cfg.weight_contact, cfg.weight_contact_rotation
        else:
            (kp, kd), (krp, krd) = cfg.swing, cfg.swing_rotation
            position_error = t.swing_position - d.sole_position[foot]
            reference[at : at + 3] = t.swing_acceleration + kp * position_error + kd * (t.swing_velocity - velocity[:3])
            cosine, sine = np.cos(t.swing_yaw), np.sin(t.swing_yaw)
            flat = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
            reference[at + 3 : at + 6] = krp * rotation_error(flat, d.sole_rotation[foot]) - krd * velocity[3:]
            weight[at : at + 6] = cfg.weight_swing_rotation
            weight[at : at + 2], weight[at + 2] = cfg.weight_swing_xy, cfg.weight_swing_z
        reference[at : at + 6] -= d.sole_drift[foot]


def centre_of_pressure(sole_position: Array, wrench: Array) -> Array:
    """CoP (2,) m, world, of two world-aligned sole wrenches (2, 6); NaN without vertical force."""
    total = wrench[0, 2] + wrench[1, 2]
    if total < 1.0:
        return np.full(2, np.nan)
    moment = np.zeros(2)
    for foot in (0, 1):
        position, force, torque = sole_position[foot], wrench[foot, :3], wrench[foot, 3:]
        moment[0] += position[0] * force[2] - torque[1]
        moment[1] += position[1] * force[2] + torque[0]
    return moment / total
