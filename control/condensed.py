"""The whole-body QP condensed to its contact multipliers: what a tick solves unless too many limits are met at once.

With the task cost ½q̈ᵀHq̈ + gᵀq̈ and equality rows E q̈ = B λ + c (the base's dynamics, and whichever joint limits are met),
H = UᵀU, Y = E U⁻¹, y = U⁻ᵀg, S = Y Yᵀ, the best acceleration for given multipliers λ is
    q̈ = U⁻¹(Yᵀν − y),   ν = S⁻¹(B λ + d),   d = c + Y y,
and its cost ½(B λ + d)ᵀ S⁻¹ (B λ + d): a QP over λ alone, 16 a foot, instead of 35 + 16 a foot with every torque as a row.
A joint limit that the solution breaks becomes a row of E, one whose ν pulls the wrong way leaves again; the result, once
nothing is broken and no ν pulls, satisfies the optimality conditions of the whole QP (Nocedal & Wright, ch. 16).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from poise.robots.types import Array

from .contacts import LIMIT_ROWS, Contacts, force_rows
from .dynamics import Terms, terms_of
from .linalg import add_scaled, backward, cholesky, dot, forward
from .tasks import TASK_ROWS, Posture, TaskGains, TaskWeights, generalised_forces, tabulate, whole_cost

BASE = 6
MOST_LIMITS = 10  # joint limits met at once; beyond it the whole QP is solved
ROWS = BASE + MOST_LIMITS
SOLVED, GO_ON, GIVE_UP = range(3)
POSTURE_SIZE, WEIGHTS_SIZE, GAINS_SIZE = len(Posture._fields), len(TaskWeights._fields), len(TaskGains._fields)


class Work(NamedTuple):
    """Data of one tick as views of a block; nj joints, nv = nj + 6, nf multipliers."""

    in_force: Array  # (1,) how many rows of E there are
    side: Array  # (ROWS,) of a joint limit: +1 the upper one, −1 the lower one
    tasks: Array  # (TASK_ROWS, nv)
    reference: Array  # (TASK_ROWS,)
    weight: Array  # (TASK_ROWS,)
    wrench_map: Array  # (12, nf)
    force_map: Array  # (nv, nf) generalised force of λ
    factor: Array  # (nv, nv) U, upper triangle
    y: Array  # (nv,)
    lower: Array  # (nj,) rad/s²
    upper: Array  # (nj,)
    rows: Array  # (ROWS, nv) Y
    from_force: Array  # (ROWS, nf) B
    constant: Array  # (ROWS,) c
    gap: Array  # (ROWS,) d
    gram: Array  # (ROWS, ROWS) Cholesky factor of S, upper triangle
    hessian: Array  # (nf, nf)
    gradient: Array  # (nf,)
    constraint: Array  # (LIMIT_ROWS, nf)
    qp_lower: Array  # (nf + LIMIT_ROWS,)
    qp_upper: Array  # (nf + LIMIT_ROWS,)
    torque: Array  # (nj,) N·m
    acceleration: Array  # (nv,)
    wrench: Array  # (12,) N, N·m of both soles


@njit(cache=True)
def work_sizes(nv: int, nf: int) -> NDArray[np.int64]:
    """Length of each part of a block for nv degrees of freedom and nf multipliers, in the order of Work."""
    nj, nb = nv - 6, nf + LIMIT_ROWS
    return np.array(
        [1, ROWS, TASK_ROWS * nv, TASK_ROWS, TASK_ROWS, 12 * nf, nv * nf, nv * nv, nv, nj, nj, ROWS * nv, ROWS * nf, ROWS, ROWS]
        + [ROWS * ROWS, nf * nf, nf, LIMIT_ROWS * nf, nb, nb, nj, nv, 12]
    )


@njit(cache=True)
def work_of(block: Array, nv: int, nf: int) -> Work:
    """The parts of a block as long as the sum of `work_sizes`."""
    e = np.cumsum(work_sizes(nv, nf))
    return Work(
        block[: e[0]],
        block[e[0] : e[1]],
        block[e[1] : e[2]].reshape(TASK_ROWS, nv),
        block[e[2] : e[3]],
        block[e[3] : e[4]],
        block[e[4] : e[5]].reshape(12, nf),
        block[e[5] : e[6]].reshape(nv, nf),
        block[e[6] : e[7]].reshape(nv, nv),
        block[e[7] : e[8]],
        block[e[8] : e[9]],
        block[e[9] : e[10]],
        block[e[10] : e[11]].reshape(ROWS, nv),
        block[e[11] : e[12]].reshape(ROWS, nf),
        block[e[12] : e[13]],
        block[e[13] : e[14]],
        block[e[14] : e[15]].reshape(ROWS, ROWS),
        block[e[15] : e[16]].reshape(nf, nf),
        block[e[16] : e[17]],
        block[e[17] : e[18]].reshape(LIMIT_ROWS, nf),
        block[e[18] : e[19]],
        block[e[19] : e[20]],
        block[e[20] : e[21]],
        block[e[21] : e[22]],
        block[e[22] : e[23]],
    )


@njit(cache=True)
def start(
    terms: Array,
    block: Array,
    nf: int,
    com_acceleration_xy: Array,
    height: Array,
    heading: float,
    torso_rpy: Array,
    yaw_rate: float,
    contact: Array,
    swing: Array,
    swing_yaw: float,
    slope: Array,
    swing_momentum: float,
    joints: Array,
    joint_velocity: Array,
    weight_numbers: Array,
    gain_numbers: Array,
    posture_numbers: Array,
    vertices: Array,
    contact_numbers: Array,
    regularise: float,
    force_weight: float,
    horizon: float,
) -> bool:
    """Tabulate tasks, contacts and limits in the block, factor the cost, and condense; False where the cost is not convex."""
    nv = posture_numbers.shape[1] + 6
    t, w = terms_of(terms, nv), work_of(block, nv, nf)
    weights = TaskWeights(*to_fixed_tuple(weight_numbers, WEIGHTS_SIZE))  # type: ignore[call-arg]
    gains = TaskGains(*to_fixed_tuple(gain_numbers, GAINS_SIZE))
    p = posture_of(posture_numbers)
    contacts = Contacts(vertices, contact_numbers[0], contact_numbers[1], contact_numbers[2], contact_numbers[3])
    tabulate(
        t,
        com_acceleration_xy,
        height,
        heading,
        torso_rpy,
        yaw_rate,
        contact,
        swing,
        swing_yaw,
        slope,
        swing_momentum,
        weights,
        gains,
        p,
        contacts,
        horizon,
        w.tasks,
        w.reference,
        w.weight,
        w.wrench_map,
        w.lower,
        w.upper,
    )
    whole_cost(t, w.tasks, w.reference, w.weight, joints, joint_velocity, p, regularise, w.factor, w.y)
    if not cholesky(w.factor, nv):
        return False
    forward(w.factor, w.y, nv)
    if nf > 0:
        generalised_forces(t.sole_jacobian.reshape(12, nv), w.wrench_map, contacts.newton, w.force_map)
        force_rows(w.wrench_map, contacts, w.constraint, w.qp_lower, w.qp_upper)
    w.in_force[0] = 0.0
    for i in range(BASE):
        _add_row(t, w, i)
        w.constant[i] = -t.bias[i]
    return _condense(w, force_weight * contacts.newton * contacts.newton)


@njit(cache=True)
def posture_of(numbers: Array) -> Posture:
    """The posture task and limits in an array (8, n)."""
    return Posture(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7])


@njit(cache=True)
def _add_row(t: Terms, w: Work, dof: int) -> None:
    """Append the dynamics of a degree of freedom, M_i q̈ = B_i λ + c_i, without its constant."""
    at = int(w.in_force[0])
    w.rows[at] = t.mass_matrix[dof]
    forward(w.factor, w.rows[at], t.bias.size)
    w.from_force[at] = w.force_map[dof]
    w.in_force[0] += 1.0


@njit(cache=True)
def _condense(w: Work, force_weight: float) -> bool:
    """The QP over λ for the rows in force; False where they contradict each other."""
    k, nf = int(w.in_force[0]), w.gradient.size
    for i in range(k):
        w.gap[i] = w.constant[i] + dot(w.rows[i], w.y)
        for j in range(i, k):
            w.gram[i, j] = dot(w.rows[i], w.rows[j])
    if not cholesky(w.gram, k):
        return False
    whitened, gap = w.from_force[:k].copy(), w.gap[:k].copy()
    forward(w.gram, gap, k)
    w.hessian[:], w.gradient[:] = 0.0, 0.0
    for i in range(k):  # U⁻ᵀ B, row by row
        row = whitened[i]
        for j in range(i):
            add_scaled(row, -w.gram[j, i], whitened[j])
        row /= w.gram[i, i]
        add_scaled(w.gradient, gap[i], row)
        for j in range(nf):
            add_scaled(w.hessian[j], row[j], row)
    for i in range(nf):
        w.hessian[i, i] += force_weight
    return True


@njit(cache=True)
def finish(
    terms: Array, block: Array, multipliers: Array, posture_numbers: Array, force_weight: float, newton: float, tolerance: float
) -> tuple[int, float]:
    """From λ to torque, acceleration and sole wrenches, in the block, and to the limits that have to come in or leave.

    Returns SOLVED, GO_ON (condensed anew, in the block) or GIVE_UP, and the largest violation of dynamics and limits.
    """
    nj, nf = posture_numbers.shape[1], multipliers.size
    nv = nj + 6
    t, w, p = terms_of(terms, nv), work_of(block, nv, nf), posture_of(posture_numbers)
    k = int(w.in_force[0])
    dual, vdot, generalised = w.gap[:k].copy(), w.acceleration, t.bias.copy()
    for i in range(k):
        dual[i] += dot(w.from_force[i], multipliers)
    forward(w.gram, dual, k)
    backward(w.gram, dual, k)
    vdot[:] = -w.y
    for i in range(k):
        add_scaled(vdot, dual[i], w.rows[i])
    backward(w.factor, vdot, nv)
    for i in range(nv):
        generalised[i] += dot(t.mass_matrix[i], vdot) - dot(w.force_map[i], multipliers)
    if not np.isfinite(generalised.sum() + vdot.sum()):
        return GIVE_UP, np.inf
    residual = np.abs(generalised[:BASE]).max()
    left = _drop(w, dual, k)
    came = False
    for i in range(nj):
        over, under = vdot[6 + i] - w.upper[i], w.lower[i] - vdot[6 + i]
        beyond = np.abs(generalised[6 + i]) - p.torque_limit[i]
        w.torque[i] = min(p.torque_limit[i], max(-p.torque_limit[i], generalised[6 + i]))
        residual = max(residual, over, under, beyond)
        if max(over, under, beyond) <= tolerance:
            continue
        if int(w.in_force[0]) == ROWS:
            return GIVE_UP, residual
        at, came = int(w.in_force[0]), True
        if beyond > tolerance:
            sign = 1.0 if generalised[6 + i] > 0.0 else -1.0
            _add_row(t, w, 6 + i)
            w.side[at], w.constant[at] = sign, sign * p.torque_limit[i] - t.bias[6 + i]
        else:
            w.rows[at] = 0.0
            w.rows[at, 6 + i] = 1.0
            forward(w.factor, w.rows[at], nv)
            w.from_force[at] = 0.0
            w.side[at], w.constant[at] = (1.0, w.upper[i]) if over > 0.0 else (-1.0, w.lower[i])
            w.in_force[0] += 1.0
    if left or came:
        return (GO_ON if _condense(w, force_weight * newton * newton) else GIVE_UP), residual
    for i in range(12):
        w.wrench[i] = newton * dot(w.wrench_map[i], multipliers)
    return SOLVED, residual


@njit(cache=True)
def _drop(w: Work, dual: Array, k: int) -> bool:
    """Take out the joint limits whose ν pulls towards them; whether there were any."""
    kept = BASE
    for i in range(BASE, k):
        if w.side[i] * dual[i] > 0.0:  # at an upper limit ν ≤ 0
            continue
        if kept < i:
            w.rows[kept], w.from_force[kept] = w.rows[i], w.from_force[i]
            w.side[kept], w.constant[kept] = w.side[i], w.constant[i]
        kept += 1
    w.in_force[0] = kept
    return kept < k
