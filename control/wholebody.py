"""Whole-body inverse dynamics as one QP over joint accelerations and contact forces.

Variables: q̈ (nv) and, for each standing foot, non-negative multipliers λ of the friction-pyramid edges at the sole
polygon's vertices; f = Σ λ_k g_k spans exactly the wrenches whose CoP lies in the polygon and whose vertex forces lie
in the pyramid, yaw torque included (Caron et al., ICRA 2015). Torques are eliminated: τ = M_j q̈ + h_j − J_jᵀ f.
    min  Σ w ‖J q̈ + J̇q̇ − a_ref‖² + posture + regularisation
    s.t. base rows of M q̈ + h = Jᵀ f,   |τ| ≤ τ_max,   q̈ bounds from joint limits,   λ ≥ 0,   Σ f_z ≤ f_max,
         |m_z| ≤ c f_z for each standing sole
Contacts are kept by a heavily weighted task, so that the QP stays feasible when a foot is pushed. It is solved in its
condensed form (condensed.py), whole where that gives up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Array

from .condensed import GO_ON, SOLVED, finish, start, work_of, work_sizes
from .contacts import EDGES, LIMIT_ROWS, Contacts
from .dynamics import Dynamics
from .lip import GRAVITY
from .qp import QpProblem, make_solver
from .tasks import TASK_ROWS, Posture, TaskGains, TaskWeights, build, unpack


@dataclass(frozen=True)
class WholeBodyConfig:
    """Weights and gains of the tasks, posture (stiffness 1/s², damping 1/s) by group, limits."""

    solver: str = "daqp"
    fallback: str = "osqp"
    tolerance: float = 1e-4  # largest residual accepted, N·m and rad/s²
    weights: TaskWeights = TaskWeights()  # of a calm walk
    # Of one that has to catch the robot: the centre of mass first, trunk and arms take up what the swing leg does to it.
    weights_urgent: TaskWeights = TaskWeights(com_xy=5000.0, com_z=1000.0, momentum_yaw=4.0, torso=5.0, torso_yaw=5.0)
    gains: TaskGains = TaskGains()
    gains_urgent: TaskGains = TaskGains(torso_yaw_p=200.0, torso_yaw_d=28.0)  # a push turns a soft torso away
    weight_legs: float = 0.02
    weight_waist: float = 0.2
    weight_arms: float = 5.0
    weight_arms_urgent: float = 1.0
    posture: tuple[float, float] = (60.0, 14.0)
    arms: tuple[float, float] = (150.0, 22.0)
    regularise_force: float = 1e-5  # 1/N²
    regularise_acceleration: float = 1e-4
    limit_horizon_s: float = 0.05  # position limits are met within this time
    limit_margin: float = 0.02  # rad, that joints are kept off their limits: the last of it is the certifier's, noise and all
    force_max: float = 1.25  # times the weight, both feet
    rounds: int = 6  # of joint limits coming in and leaving, before the whole QP is solved


class WholeBodyTargets(NamedTuple):
    """References of one tick, world frame, in the order in which the kernels take them."""

    com_acceleration_xy: Array  # (2,) m/s²
    com_height: Array  # (3,) in the world, ground and all, m, m/s, m/s²
    heading: float  # rad, of the level pelvis
    torso_rpy: Array  # (3,) rad, in the heading frame
    yaw_rate: float  # rad/s, of pelvis and torso
    contact: Array  # (2,) 1 where a foot stands, 0 where it swings
    swing: Array  # (3, 3) position, velocity, acceleration of the foot that swings, m
    swing_yaw: float
    slope: Array  # (2,) gradient of the ground's height along the world's x and y
    swing_momentum: float  # kg·m, of the angular momentum per m/s of that foot which is left to it (reaction.py)
    joints: Array  # (n,) rad posture target
    joint_velocity: Array  # (n,) rad/s
    urgency: float  # 0…1, from the weights of a calm walk to those of one that has to catch the robot


class WholeBodySolution(NamedTuple):
    """Torques, accelerations and forces of one tick, and which solver gave them."""

    torque: Array  # (n,) N·m
    acceleration: Array  # (nv,)
    wrench: Array  # (2, 6) N, N·m at the soles, world-aligned
    source: str  # "daqp", "osqp" or "hold"
    residual: float


_NOTHING = np.zeros(0)


def _feet(contact: Array) -> int:
    """How many stand."""
    return int(contact[0] + contact[1])


class _Workspace:
    """Preallocated QP data and solvers for a number of standing feet."""

    def __init__(self, nv: int, vertices: int, feet: int, config: WholeBodyConfig) -> None:
        nf = EDGES * vertices * feet
        n = nv + nf
        self.wrench_map = np.zeros((12, nf))
        m = nv + LIMIT_ROWS
        self.problem = QpProblem(np.zeros((n, n)), np.zeros(n), np.zeros((m, n)), np.full(n + m, -1e30), np.full(n + m, 1e30))
        self.solvers = (make_solver(config.solver, config.tolerance), make_solver(config.fallback, 100 * config.tolerance))
        self.nf = nf
        self.work = np.zeros(work_sizes.py_func(nv, nf).sum())
        self.parts = w = work_of.py_func(self.work, nv, nf)
        self.wrench = w.wrench.reshape(2, 6)
        self.condensed = QpProblem(w.hessian, w.gradient, w.constraint, w.qp_lower, w.qp_upper)
        self.condensed_solver = make_solver(config.solver, config.tolerance)


class WholeBody:
    """Builds and solves the QP of one tick."""

    def __init__(self, robot: RobotModel, config: WholeBodyConfig) -> None:
        self._robot, self._config = robot, config
        weight, nv, n = robot.mass * GRAVITY, robot.n + 6, robot.n
        overlay = robot.overlay
        vertices = np.array(overlay.sole_polygon)
        self._contacts = Contacts(vertices, overlay.friction, overlay.yaw_friction_m, config.force_max * weight, weight / 16.0)
        self._spaces = [_Workspace(nv, len(vertices), feet, config) for feet in (0, 1, 2)]
        self._tasks = (np.zeros((TASK_ROWS, nv)), np.zeros(TASK_ROWS), np.zeros(TASK_ROWS))
        joint_weight, kp, kd = np.full(n, config.weight_legs), np.full(n, config.posture[0]), np.full(n, config.posture[1])
        joint_weight[robot.waist], joint_weight[robot.arms] = config.weight_waist, config.weight_arms
        kp[robot.arms], kd[robot.arms] = config.arms
        low = np.maximum(robot.walking_min, robot.position_min + config.limit_margin)
        high = np.minimum(robot.walking_max, robot.position_max - config.limit_margin)
        kept = (robot.walking_min > robot.position_min) | (robot.walking_max < robot.position_max)
        beyond = np.where(kept, np.inf, config.limit_margin)
        self._posture = Posture(kp, kd, joint_weight, low, high, robot.velocity_limit, robot.torque_limit, beyond)
        # For the kernels, as arrays, which cost a call less than named tuples.
        posture, self._arms = np.array(self._posture), robot.arms
        self._calm = np.array([*config.weights, *config.gains])
        self._urgent = np.array([*config.weights_urgent, *config.gains_urgent])
        self._numbers, self._joint_weights = self._calm.copy(), posture[Posture._fields.index("weight")]
        self._weighed = -1.0  # the urgency of `_numbers`; none yet
        self._weights, self._gains = np.split(self._numbers, [len(config.weights)])  # views
        self._friction, self._weight, self._limits = overlay.friction, weight, np.array(self._contacts[1:])
        tables = (self._weights, self._gains, posture, vertices, self._limits)
        self._for_start = (*tables, config.regularise_acceleration, config.regularise_force, config.limit_horizon_s)
        self._for_finish = (posture, config.regularise_force, self._contacts.newton, config.tolerance)

    def problem(self, d: Dynamics, t: WholeBodyTargets) -> tuple[QpProblem, Array]:
        """The QP unsolved, and the map (12, nf) from λ to the two sole wrenches; both are overwritten by the next call."""
        cfg, space = self._config, self._spaces[_feet(t.contact)]
        problem = space.problem
        self._weigh(t.urgency)
        build(
            d.terms,
            *t[:-1],
            TaskWeights(*self._weights),
            TaskGains(*self._gains),
            self._posture._replace(weight=self._joint_weights),
            self._contacts,
            cfg.regularise_acceleration,
            cfg.regularise_force,
            cfg.limit_horizon_s,
            *self._tasks,
            space.wrench_map,
            problem.hessian,
            problem.gradient,
            problem.rows,
            problem.lower,
            problem.upper,
        )
        return problem, space.wrench_map

    def solve(self, d: Dynamics, t: WholeBodyTargets, load_n: float = 0.0, friction: float | None = None) -> WholeBodySolution:
        """Solve, condensed; else whole; else with the fallback solver; else the posture is held by its joint gains ("hold").

        The feet may give as much more force as a load (N) takes, and as much friction as is said; None: the robot's own.
        """
        self._allow(self._config.force_max * (self._weight + load_n), self._friction if friction is None else friction)
        return self._solve_condensed(d, t) or self._solve_whole(d, t)

    def _allow(self, force_n: float, friction: float) -> None:
        if (force_n, friction) != (self._contacts.force_max, self._contacts.friction):
            self._contacts = self._contacts._replace(force_max=force_n, friction=friction)
            self._limits[:] = self._contacts[1:]

    def warm(self, d: Dynamics, t: WholeBodyTargets) -> None:
        """Solve every form of the QP once for 0, 1 and 2 feet, so that no kernel is compiled when the first form gives up."""
        for contact in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)):
            targets = t._replace(contact=np.array(contact))
            self._solve_condensed(d, targets)
            problem, wrench_map = self.problem(d, targets)
            for solver in self._spaces[int(sum(contact))].solvers:
                self._unpack(d, solver.solve(problem).x, wrench_map, solver.name, 0.0)

    def _weigh(self, urgency: float) -> None:
        """Set weights and gains, geometrically between those of a calm walk and those of an urgent one."""
        if urgency == self._weighed:
            return
        cfg, self._weighed = self._config, urgency
        self._numbers[:] = self._calm ** (1.0 - urgency) * self._urgent**urgency
        self._joint_weights[self._arms] = cfg.weight_arms ** (1.0 - urgency) * cfg.weight_arms_urgent**urgency

    def _solve_condensed(self, d: Dynamics, t: WholeBodyTargets) -> WholeBodySolution | None:
        cfg, space = self._config, self._spaces[_feet(t.contact)]
        self._weigh(t.urgency)
        sound, multipliers = start(d.block, space.work, space.nf, *t[:-1], *self._for_start), _NOTHING
        for _ in range(cfg.rounds if sound else 0):
            if space.nf:
                solution = space.condensed_solver.solve(space.condensed)
                if not solution.usable:
                    return None
                multipliers = solution.x
            end, residual = finish(d.block, space.work, multipliers, *self._for_finish)
            if end == SOLVED and residual <= cfg.tolerance:
                w = space.parts
                return WholeBodySolution(w.torque.copy(), w.acceleration.copy(), space.wrench.copy(), cfg.solver, residual)
            if end != GO_ON:
                return None
        return None

    def _solve_whole(self, d: Dynamics, t: WholeBodyTargets) -> WholeBodySolution:
        problem, wrench_map = self.problem(d, t)
        residual = np.inf
        for solver in self._spaces[_feet(t.contact)].solvers:
            solution = solver.solve(problem)
            residual = solution.residual
            if solution.usable:
                return self._unpack(d, solution.x, wrench_map, solver.name, residual)
        return self._hold(d, t, residual)

    def _unpack(self, d: Dynamics, x: Array, wrench_map: Array, source: str, residual: float) -> WholeBodySolution:
        torque, wrench = unpack(d.terms, x, wrench_map, self._contacts.newton, self._robot.torque_limit)
        return WholeBodySolution(torque, x[: d.v.size], wrench, source, residual)

    def _hold(self, d: Dynamics, t: WholeBodyTargets, residual: float) -> WholeBodySolution:
        robot = self._robot
        torque = robot.hold_kp * (t.joints - d.joint_position) - robot.hold_kd * d.joint_velocity
        torque = np.clip(torque, -robot.torque_limit, robot.torque_limit)
        return WholeBodySolution(torque, np.zeros(d.v.size), np.zeros((2, 6)), "hold", residual)
