"""The certifier: the last stage of a tick. It bounds every command and says what it changed.

Bounds: motor torque; joint velocity; joint position, by viability: with at least `braking` rad/s² of deceleration left,
a joint may move towards a limit no faster than it can still stop, v ≤ √(2·braking·distance) (Del Prete, RA-L 2018).
A request inside all bounds, or so near that the change would be numerical, passes as it is. Else OSQP finds the nearest torque:
    min ‖(τ − τ_req)/τ_max‖²   s.t.  |τ| ≤ τ_max,   q̈_min ≤ q̈_req + W (τ − τ_req) ≤ q̈_max
with W the joint block of the inverse inertia under the standing contacts. Then the box is clipped exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from poise.robots import RobotModel
from poise.robots.types import Array, Certificate, JointCommand

from .dynamics import Dynamics
from .qp import INFINITY, OsqpSolver, QpProblem

UNCHANGED = Certificate(False, (), 0.0, "unchanged")
INSIDE, OUTSIDE, COMMAND_NOT_FINITE, PREDICTION_NOT_FINITE = range(4)
_NOT_FINITE = {COMMAND_NOT_FINITE: "not finite", PREDICTION_NOT_FINITE: "prediction not finite"}


@dataclass(frozen=True)
class SafetyConfig:
    """Braking deceleration assumed available (rad/s²), and how far a predicted acceleration may exceed its bound."""

    braking: float = 60.0
    tolerance: float = 0.5  # rad/s²; rounding and the whole-body QP's residual, not a licence
    reported_change: float = 1e-3  # of the torque limit, below which a change is numerical


@njit(cache=True)
def viable_acceleration(
    q: Array, v: Array, q_min: Array, q_max: Array, v_max: Array, braking: float, dt: float, lower: Array, upper: Array
) -> None:
    """Acceleration bounds (n,), rad/s², after which every joint can still stop before its limits.

    With V = √(2·braking·distance) now, a speed V − braking·dt after this period leaves room to stop in whole periods.
    """
    loss = braking * dt
    for i in range(q.size):
        fastest_up = min(v_max[i], max(0.0, np.sqrt(2.0 * braking * max(0.0, q_max[i] - q[i])) - loss))
        fastest_down = min(v_max[i], max(0.0, np.sqrt(2.0 * braking * max(0.0, q[i] - q_min[i])) - loss))
        # Already too fast, or beyond a limit: brake as hard as assumed possible, not harder.
        upper[i] = max((fastest_up - v[i]) / dt, -braking)
        lower[i] = min((-fastest_down - v[i]) / dt, braking)


@njit(cache=True)
def first_look(torque: Array, limit: Array, acceleration: Array, lower: Array, upper: Array, tolerance: float) -> bool:
    """Whether a request is finite and inside all bounds."""
    for i in range(torque.size):
        if not (np.abs(torque[i]) <= limit[i]):
            return False
        if not (lower[i] - tolerance <= acceleration[i] <= upper[i] + tolerance):
            return False
    return True


@njit(cache=True)
def inspect(
    q: Array,
    v: Array,
    wanted: Array,
    rate: Array,
    kp: Array,
    kd: Array,
    tau: Array,
    acceleration: Array,
    limits: Array,
    numbers: Array,
    torque: Array,
    lower: Array,
    upper: Array,
) -> int:
    """INSIDE or OUTSIDE all bounds, or which of command (with the measurement) and prediction is not finite.

    Args:
        q: joint position measured, v: velocity; wanted, rate, kp, kd, tau: the command; acceleration: what it is
            predicted to cause; all (n,).
        limits: least and greatest position, velocity, torque, (4, n).
        numbers: braking, period, tolerance, (3,).
        torque, lower, upper: of the command, and the least and greatest acceleration, (n,), written where the command is
            finite.
    """
    total, foreseen = 0.0, 0.0
    for i in range(q.size):
        torque[i] = tau[i] + kp[i] * (wanted[i] - q[i]) + kd[i] * (rate[i] - v[i])
        foreseen += acceleration[i]
        total += torque[i]  # not finite when any number of the command or the measurement is not: 0·∞ is NaN
    if not np.isfinite(total):
        return COMMAND_NOT_FINITE
    if not np.isfinite(foreseen):
        return PREDICTION_NOT_FINITE
    viable_acceleration(q, v, limits[0], limits[1], limits[2], numbers[0], numbers[1], lower, upper)
    return INSIDE if first_look(torque, limits[3], acceleration, lower, upper, numbers[2]) else OUTSIDE


class Certifier:
    """Bounds torque and joint motion; always returns a command that is finite and inside the motor limits."""

    def __init__(self, robot: RobotModel, config: SafetyConfig, period_s: float) -> None:
        self._robot, self._config = robot, config
        n = robot.n
        self._lower, self._upper = np.zeros(n), np.zeros(n)
        self._limits = np.array((robot.position_min, robot.position_max, robot.velocity_limit, robot.torque_limit))
        self._numbers = np.array((config.braking, period_s, config.tolerance))
        self._solver = OsqpSolver(tolerance=1e-2, eps=1e-5, max_iterations=500)

    def certify(self, d: Dynamics, command: JointCommand, acceleration: Array, contact: Array) -> tuple[JointCommand, Certificate]:
        """Bound a command whose predicted joint acceleration is (n,) rad/s²; contact (2,) says which soles stand.

        What is returned is the request itself exactly when the certificate says unchanged.
        """
        robot = self._robot
        q, v = d.joint_position, d.joint_velocity
        torque = np.empty(q.size)
        c = command
        seen = inspect(q, v, c.q, c.v, c.kp, c.kd, c.tau, acceleration, self._limits, self._numbers, torque, self._lower, self._upper)
        if seen in _NOT_FINITE:
            return self.damping(q), Certificate(True, (_NOT_FINITE[seen],), float(np.max(robot.torque_limit)), "damping")
        limit = self._sound_limit(command)
        if seen == INSIDE and limit is command.torque_limit:
            return command, UNCHANGED
        bounded, method = (torque, "clip") if seen == INSIDE else self._nearest(d, torque, acceleration, contact)
        if self._is_numerical(torque, bounded):
            if limit is command.torque_limit:
                return command, UNCHANGED
            return replace(command, torque_limit=limit), Certificate(True, ("torque limit",), 0.0, "clip")
        zero = np.zeros(robot.n)
        sent = JointCommand(command.q, command.v, zero, zero, bounded, limit)
        return sent, Certificate(True, self._reasons(torque, acceleration), float(np.abs(bounded - torque).max()), method)

    def _is_numerical(self, torque: Array, bounded: Array) -> bool:
        """Whether a request inside the motor limits need not be changed for so little."""
        scale = self._robot.torque_limit
        return bool(((np.abs(torque) <= scale) & (np.abs(bounded - torque) <= self._config.reported_change * scale)).all())

    def _sound_limit(self, command: JointCommand) -> Array:
        """The command's own torque limit where it only tightens the robot's, else the robot's."""
        given, most = command.torque_limit, self._robot.torque_limit
        return given if given is most or ((given >= 0.0) & (given <= most)).all() else most

    def damping(self, q: Array) -> JointCommand:
        """The safe command: every joint damped where it is, no stiffness."""
        robot, zero = self._robot, np.zeros(self._robot.n)
        here = np.clip(np.nan_to_num(q), robot.position_min, robot.position_max)
        return JointCommand(here, zero, zero, robot.hold_kd, zero, robot.torque_limit)

    def _nearest(self, d: Dynamics, torque: Array, acceleration: Array, contact: Array) -> tuple[Array, str]:
        """The nearest torque (n,) inside the bounds, and how it was found."""
        robot, cfg = self._robot, self._config
        scale = robot.torque_limit
        response = response_matrix(d, contact)
        base = acceleration - response @ torque
        rows = response * scale  # unknown: τ / τ_max
        low = np.concatenate((np.full(robot.n, -1.0), self._lower - base))
        high = np.concatenate((np.full(robot.n, 1.0), self._upper - base))
        row_scale = 1.0 / np.maximum(np.abs(rows).max(axis=1), 1e-6)
        low[robot.n :] *= row_scale
        high[robot.n :] *= row_scale
        np.clip(low, -INFINITY, INFINITY, out=low)
        np.clip(high, -INFINITY, INFINITY, out=high)
        problem = QpProblem(np.eye(robot.n), -torque / scale, rows * row_scale[:, None], low, high)
        solution = self._solver.solve(problem)
        method = "qp" if solution.usable else "clip"
        wanted = solution.x * scale if solution.usable else torque
        bounded = np.clip(wanted, -scale, scale)
        if not solution.usable:  # no torque meets every bound: brake the joints that break theirs
            over = (acceleration > self._upper + cfg.tolerance) | (acceleration < self._lower - cfg.tolerance)
            bounded = np.where(over, np.clip(bounded - robot.hold_kd * d.joint_velocity, -scale, scale), bounded)
        return bounded, method

    def _reasons(self, torque: Array, acceleration: Array) -> tuple[str, ...]:
        names, cfg = self._robot.joint_names, self._config
        beyond_torque = np.abs(torque) > self._robot.torque_limit
        beyond_motion = (acceleration > self._upper + cfg.tolerance) | (acceleration < self._lower - cfg.tolerance)
        return tuple(
            [f"torque {names[i]}" for i in np.flatnonzero(beyond_torque)] + [f"motion {names[i]}" for i in np.flatnonzero(beyond_motion)]
        )


def response_matrix(d: Dynamics, contact: Array) -> Array:
    """Joint acceleration per joint torque, (n, n) rad/s² per N·m, with the standing soles held still.

    M⁻¹ − M⁻¹Jᵀ(J M⁻¹ Jᵀ)⁻¹ J M⁻¹ with J the standing soles' Jacobian; its joint block.
    """
    inverse = np.linalg.inv(d.mass_matrix)
    standing = np.flatnonzero(contact > 0.5)
    if standing.size:
        jacobian = d.sole_jacobian[standing].reshape(6 * standing.size, -1)
        projected = jacobian @ inverse
        # Two flat soles on a rigid floor are independent; the small term guards a singular leg.
        gram = projected @ jacobian.T + 1e-9 * np.eye(6 * standing.size)
        inverse = inverse - projected.T @ np.linalg.solve(gram, projected)
    return np.asarray(inverse[6:, 6:])
