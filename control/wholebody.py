"""Whole-body inverse dynamics as one QP over joint accelerations and contact forces.

Variables: q̈ (nv) and, for each standing foot, non-negative multipliers λ of the friction-pyramid edges at the sole
polygon's vertices; f = Σ λ_k g_k spans exactly the wrenches whose CoP lies in the polygon and whose vertex forces lie
in the pyramid, yaw torque included (Caron et al., ICRA 2015). Torques are eliminated: τ = M_j q̈ + h_j − J_jᵀ f.
    min  Σ w ‖J q̈ + J̇q̇ − a_ref‖² + posture + regularisation
    s.t. base rows of M q̈ + h = Jᵀ f,   |τ| ≤ τ_max,   q̈ bounds from joint limits,   λ ≥ 0,   Σ f_z ≤ f_max
Contacts are kept by a heavily weighted task, so that the QP stays feasible when a foot is pushed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Array

from .dynamics import Dynamics
from .lip import GRAVITY
from .qp import QpProblem, make_solver
from .tasks import (
    EDGES,
    LIMIT_ROWS,
    TASK_ROWS,
    TaskGains,
    TaskWeights,
    acceleration_bounds,
    assemble,
    body_tasks,
    centre_of_pressure,
    friction_edges,
    sole_tasks,
)


@dataclass(frozen=True)
class WholeBodyConfig:
    """Weights and gains of the tasks, posture (stiffness 1/s², damping 1/s) by group, limits."""

    solver: str = "daqp"
    fallback: str = "osqp"
    tolerance: float = 1e-4  # largest residual accepted, N·m and rad/s²
    weights: TaskWeights = TaskWeights()
    gains: TaskGains = TaskGains()
    weight_legs: float = 0.02
    weight_waist: float = 0.2
    weight_arms: float = 1.0
    posture: tuple[float, float] = (60.0, 14.0)
    arms: tuple[float, float] = (150.0, 22.0)
    regularise_force: float = 1e-5  # 1/N²
    regularise_acceleration: float = 1e-4
    limit_horizon_s: float = 0.05  # position limits are met within this time
    force_max: float = 1.5  # times the weight, both feet


@dataclass(frozen=True, slots=True, eq=False)
class WholeBodyTargets:
    """References of one tick, world frame."""

    com_acceleration_xy: Array  # (2,) m/s²
    com_height: float  # m
    pelvis_rotation: Array  # (3, 3)
    torso_rotation: Array  # (3, 3)
    yaw_rate: float  # rad/s, of pelvis and torso
    contact: Array  # (2,) 1 where a foot stands, 0 where it swings
    swing: Array  # (3, 3) position, velocity, acceleration of the foot that swings, m
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


class _Workspace:
    """Preallocated QP data and solvers for a number of standing feet."""

    def __init__(self, nv: int, vertices: int, feet: int, config: WholeBodyConfig) -> None:
        nf = EDGES * vertices * feet
        n = nv + nf
        self.wrench_map = np.zeros((12, nf))
        m = nv + LIMIT_ROWS
        self.problem = QpProblem(np.zeros((n, n)), np.zeros(n), np.zeros((m, n)), np.full(n + m, -1e30), np.full(n + m, 1e30))
        self.solvers = (make_solver(config.solver, config.tolerance), make_solver(config.fallback, 100 * config.tolerance))


class WholeBody:
    """Builds and solves the QP of one tick."""

    def __init__(self, robot: RobotModel, config: WholeBodyConfig) -> None:
        self._robot, self._config = robot, config
        self._vertices = np.array(robot.overlay.sole_polygon)
        self._weight = robot.mass * GRAVITY
        self._newton = self._weight / 16.0
        nv = robot.n + 6
        self._spaces = [_Workspace(nv, len(self._vertices), feet, config) for feet in (0, 1, 2)]
        self._rows, self._reference, self._task_weight = np.zeros((TASK_ROWS, nv)), np.zeros(TASK_ROWS), np.zeros(TASK_ROWS)
        self._joint_weight = np.full(robot.n, config.weight_legs)
        self._joint_weight[robot.waist] = config.weight_waist
        self._joint_weight[robot.arms] = config.weight_arms
        self._kp, self._kd = np.full(robot.n, config.posture[0]), np.full(robot.n, config.posture[1])
        self._kp[robot.arms], self._kd[robot.arms] = config.arms

    def problem(self, d: Dynamics, t: WholeBodyTargets) -> tuple[QpProblem, Array]:
        """The QP unsolved, and the map (12, nf) from λ to the two sole wrenches; both are overwritten by the next call."""
        robot, cfg = self._robot, self._config
        space = self._spaces[int(t.contact.sum())]
        problem, wrench_map = space.problem, space.wrench_map
        self._fill_tasks(d, t)
        self._fill_wrench_map(d, t.contact, wrench_map)
        q, v = d.q[7:], d.v[6:]
        nv = d.v.size
        limits = (robot.position_min, robot.position_max, robot.velocity_limit)
        acceleration_bounds(q, v, *limits, cfg.limit_horizon_s, problem.lower[6:nv], problem.upper[6:nv])
        assemble(
            d.mass_matrix,
            d.bias,
            self._rows,
            self._reference,
            self._task_weight,
            self._kp * (t.joints - q) + self._kd * (t.joint_velocity - v),
            self._joint_weight,
            cfg.regularise_acceleration,
            d.sole_jacobian.reshape(12, nv),
            wrench_map,
            cfg.regularise_force,
            self._newton,
            robot.torque_limit,
            cfg.force_max * self._weight,
            robot.overlay.yaw_friction_m,
            problem.hessian,
            problem.gradient,
            problem.rows,
            problem.lower,
            problem.upper,
        )
        return problem, wrench_map

    def solve(self, d: Dynamics, t: WholeBodyTargets) -> WholeBodySolution:
        """Solve; on failure the fallback solver, then the posture held by its joint gains ("hold")."""
        problem, wrench_map = self.problem(d, t)
        residual = np.inf
        for solver in self._spaces[int(t.contact.sum())].solvers:
            solution = solver.solve(problem)
            residual = solution.residual
            if solution.usable:
                return self._unpack(d, solution.x, wrench_map, solver.name, residual)
        return self._hold(d, t, residual)

    def _unpack(self, d: Dynamics, x: Array, wrench_map: Array, source: str, residual: float) -> WholeBodySolution:
        nv = d.v.size
        wrench = wrench_map @ (x[nv:] * self._newton)
        generalised = d.mass_matrix @ x[:nv] + d.bias - wrench @ d.sole_jacobian.reshape(12, nv)
        limit = self._robot.torque_limit
        torque = np.minimum(np.maximum(generalised[6:], -limit), limit)
        wrench = wrench.reshape(2, 6)
        return WholeBodySolution(torque, x[:nv], wrench, centre_of_pressure(d.sole_position, wrench), source, residual)

    def _hold(self, d: Dynamics, t: WholeBodyTargets, residual: float) -> WholeBodySolution:
        robot = self._robot
        torque = robot.hold_kp * (t.joints - d.q[7:]) - robot.hold_kd * d.v[6:]
        torque = np.clip(torque, -robot.torque_limit, robot.torque_limit)
        return WholeBodySolution(torque, np.zeros(d.v.size), np.zeros((2, 6)), np.full(2, np.nan), "hold", residual)

    def _fill_wrench_map(self, d: Dynamics, contact: Array, out: Array) -> None:
        width, column = EDGES * len(self._vertices), 0
        out[:] = 0.0
        for foot in (0, 1):
            if contact[foot] > 0.5:
                block = out[6 * foot : 6 * foot + 6, column : column + width]
                friction_edges(self._vertices, d.sole_rotation[foot], self._robot.overlay.friction, block)
                column += width

    def _fill_tasks(self, d: Dynamics, t: WholeBodyTargets) -> None:
        cfg = self._config
        out = (self._rows, self._reference, self._task_weight)
        body_tasks(
            *out,
            d.centroidal_map,
            d.centroidal_drift,
            d.momentum,
            self._robot.mass,
            d.com[2],
            d.base_rotation,
            d.v[3:6],
            d.torso_jacobian,
            d.torso_drift,
            d.torso_rotation,
            d.torso_omega,
            t.com_acceleration_xy,
            t.com_height,
            t.pelvis_rotation,
            t.torso_rotation,
            t.yaw_rate,
            cfg.weights,
            cfg.gains,
        )
        sole_tasks(
            *out,
            d.sole_jacobian,
            d.sole_drift,
            d.sole_position,
            d.sole_rotation,
            d.sole_velocity,
            t.contact,
            t.swing,
            t.swing_yaw,
            cfg.weights,
            cfg.gains,
        )
