"""Kernels of the whole-body QP: task rows and references, bounds, assembly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from poise.robots.types import Array

from .contacts import LIMIT_ROWS, Contacts, contact_wrenches, force_rows
from .dynamics import Terms
from .linalg import add_scaled, rotated
from .rotation import matrix_from_rpy, rotation_error, yaw_of

TILT_RAD = 0.05  # up to which a standing sole is taken to lie on the ground
TASK_ROWS = 24  # CoM 3, angular momentum 3, pelvis 3, torso 3, soles 2 × 6


class TaskWeights(NamedTuple):
    """Cost of a squared error: per (m/s²)² or (rad/s²)², momentum per (N·m)²."""

    com_xy: float = 1000.0
    com_z: float = 200.0
    momentum: float = 0.5
    momentum_yaw: float = 0.5
    pelvis: float = 20.0
    pelvis_yaw: float = 4.0
    torso: float = 1.0
    torso_yaw: float = 0.3
    swing_xy: float = 500.0
    swing_z: float = 1000.0
    swing_rotation: float = 50.0
    contact: float = 1e4
    contact_rotation: float = 1e3


class TaskGains(NamedTuple):
    """Stiffness in 1/s² (`_p`) and damping in 1/s (`_d`)."""

    com_z_p: float = 100.0
    com_z_d: float = 20.0
    com_z_most: float = 3.0  # m/s², of stiffness and damping together: beyond it the robot would hop
    momentum_d: float = 5.0
    pelvis_p: float = 250.0
    pelvis_d: float = 30.0
    torso_p: float = 200.0
    torso_d: float = 28.0
    # Soft: the torso turns against the legs, whose yaw moment at lift-off is more than the sole's friction gives above 0.8 m/s.
    torso_yaw_p: float = 20.0
    torso_yaw_d: float = 6.0
    swing_p: float = 600.0
    swing_d: float = 45.0
    swing_most: float = 40.0  # m/s² in the plane, all together: what a hip can give; more would be bought with the balance
    swing_rotation_p: float = 400.0
    swing_rotation_d: float = 35.0
    contact_d: float = 20.0
    contact_rotation_d: float = 5.0
    level_p: float = 200.0  # of a standing sole that is tilted, as one that lands far out, where the ankle ends
    level_d: float = 25.0


class Posture(NamedTuple):
    """Joint-space task and limits, (n,) each."""

    stiffness: Array  # 1/s²
    damping: Array  # 1/s
    weight: Array
    position_min: Array  # rad, of where walking keeps the joints
    position_max: Array
    velocity_limit: Array  # rad/s
    torque_limit: Array  # N·m
    beyond: Array  # rad, that a joint beyond its positions is taken to be at most


@njit(cache=True)
def body_tasks(
    rows: Array,
    reference: Array,
    weight: Array,
    t: Terms,
    com_acceleration_xy: Array,
    height: Array,
    heading: float,
    torso_rpy: Array,
    yaw_rate: float,
    weights: TaskWeights,
    gains: TaskGains,
) -> None:
    """Fill task rows 0–11: CoM, angular momentum, pelvis and torso attitude, as J q̈ = reference (drift subtracted).

    height (3,): that of the CoM in the world, m, m/s, m/s²; what it is off by asks for `com_z_most` at most.
    """
    mass = t.mass_matrix[0, 0]
    rows[0:3] = t.centroidal_map[0:3] / mass
    rows[3:6] = t.centroidal_map[3:6]
    rows[6:12] = 0.0
    rows[6:9, 3:6] = t.base_rotation
    rows[9:12] = t.torso_jacobian
    reference[0], reference[1] = com_acceleration_xy[0], com_acceleration_xy[1]
    vertical = gains.com_z_p * (height[0] - t.com[2]) + gains.com_z_d * (height[1] - t.com_velocity[2])
    reference[2] = height[2] + min(gains.com_z_most, max(-gains.com_z_most, vertical))
    omega = rotated(t.base_rotation, t.v[3:6])
    pelvis_error = rotation_error(matrix_from_rpy(0.0, 0.0, heading), t.base_rotation)
    torso_error = rotation_error(matrix_from_rpy(torso_rpy[0], torso_rpy[1], heading + torso_rpy[2]), t.torso_rotation)
    for i in range(3):
        wanted = yaw_rate if i == 2 else 0.0
        torso_p, torso_d = (gains.torso_yaw_p, gains.torso_yaw_d) if i == 2 else (gains.torso_p, gains.torso_d)
        reference[i] -= t.centroidal_drift[i] / mass
        reference[3 + i] = -gains.momentum_d * t.momentum[3 + i] - t.centroidal_drift[3 + i]
        reference[6 + i] = gains.pelvis_p * pelvis_error[i] + gains.pelvis_d * (wanted - omega[i])
        reference[9 + i] = torso_p * torso_error[i] + torso_d * (wanted - t.torso_omega[i]) - t.torso_drift[i]
        weight[i] = weights.com_z if i == 2 else weights.com_xy
        weight[3 + i] = weights.momentum_yaw if i == 2 else weights.momentum
        weight[6 + i] = weights.pelvis_yaw if i == 2 else weights.pelvis
        weight[9 + i] = weights.torso_yaw if i == 2 else weights.torso


@njit(cache=True)
def swing_reaction(reference: Array, swing: Array, momentum: float, damping: float) -> None:
    """Let the angular momentum, rows 3 and 4 in place, follow L = momentum (v_y, −v_x), kg·m, of a swing foot (3, 3) (reaction.py)."""
    reference[3] += momentum * (swing[2, 1] + damping * swing[1, 1])
    reference[4] -= momentum * (swing[2, 0] + damping * swing[1, 0])


@njit(cache=True)
def lying(slope: Array, yaw: float) -> Array:
    """Rotation (3, 3) of a sole that lies on ground of a slope (2,), the gradient of its height, and points along `yaw`."""
    out = np.empty((3, 3))
    c, s = np.cos(yaw), np.sin(yaw)
    rise = slope[0] * c + slope[1] * s
    length, normal = np.sqrt(1.0 + rise * rise), np.sqrt(1.0 + slope[0] * slope[0] + slope[1] * slope[1])
    out[0, 0], out[1, 0], out[2, 0] = c / length, s / length, rise / length
    out[0, 2], out[1, 2], out[2, 2] = -slope[0] / normal, -slope[1] / normal, 1.0 / normal
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        out[i, 1] = out[j, 2] * out[k, 0] - out[k, 2] * out[j, 0]
    return out


@njit(cache=True)
def sole_tasks(
    rows: Array,
    reference: Array,
    weight: Array,
    t: Terms,
    contact: Array,
    swing: Array,
    swing_yaw: float,
    slope: Array,
    weights: TaskWeights,
    gains: TaskGains,
) -> None:
    """Fill task rows 12–23: a standing sole is held still, the other follows swing (3, 3): position, velocity, acceleration.

    Both are to lie on ground of that slope (2,).
    """
    for foot in range(2):
        at = 12 + 6 * foot
        rows[at : at + 6] = t.sole_jacobian[foot]
        stands = contact[foot] > 0.5
        yaw = yaw_of(t.sole_rotation[foot]) if stands else swing_yaw
        error = rotation_error(lying(slope, yaw), t.sole_rotation[foot])
        tilted = max(0.0, 1.0 - TILT_RAD / max(np.hypot(error[0], error[1]), TILT_RAD))
        for i in range(3):
            linear, angular = t.sole_velocity[foot, i], t.sole_velocity[foot, 3 + i]
            if stands:
                reference[at + i] = -gains.contact_d * linear
                share = tilted if i < 2 else 0.0
                damping = gains.contact_rotation_d + share * (gains.level_d - gains.contact_rotation_d)
                reference[at + 3 + i] = gains.level_p * share * error[i] - damping * angular
                weight[at + i], weight[at + 3 + i] = weights.contact, weights.contact_rotation
            else:
                off, slow = swing[0, i] - t.sole_position[foot, i], swing[1, i] - linear
                reference[at + i] = swing[2, i] + gains.swing_p * off + gains.swing_d * slow
                reference[at + 3 + i] = gains.swing_rotation_p * error[i] - gains.swing_rotation_d * angular
                weight[at + i] = weights.swing_z if i == 2 else weights.swing_xy
                weight[at + 3 + i] = weights.swing_rotation
        if not stands:
            asked = np.hypot(reference[at], reference[at + 1])
            reference[at : at + 2] *= gains.swing_most / max(asked, gains.swing_most)
        for i in range(6):
            reference[at + i] -= t.sole_drift[foot, i]


@njit(cache=True)
def acceleration_bounds(
    q: Array, v: Array, q_min: Array, q_max: Array, v_max: Array, beyond: Array, horizon: float, lower: Array, upper: Array
) -> None:
    """Joint acceleration bounds (n,), rad/s², that keep position limits within `horizon` s and the speed limit.

    q + v T + ½ q̈ T² ≤ q_max and |v + q̈ T| ≤ v_max; a joint that is outside is sent back, as from no further than `beyond` (n,) rad:
    an ankle that a foot far out has taken past its end lifts the sole off the ground if it is sent back at once.
    """
    most = 2.0 / (horizon * horizon)
    for i in range(q.size):
        above, below = max(q_max[i] - q[i], -beyond[i]), min(q_min[i] - q[i], beyond[i])
        up = min(most * (above - horizon * v[i]), (v_max[i] - v[i]) / horizon)
        low = max(most * (below - horizon * v[i]), (-v_max[i] - v[i]) / horizon)
        upper[i] = min(1000.0, max(up, -300.0))
        lower[i] = max(-1000.0, min(low, 300.0))
        if lower[i] > upper[i]:
            lower[i] = upper[i] = 0.5 * (lower[i] + upper[i])


@njit(cache=True)
def task_cost(rows: Array, reference: Array, weight: Array, hessian: Array, gradient: Array) -> None:
    """½ Σ w (row q̈ − reference)² as ½q̈ᵀHq̈ + gᵀq̈ in place: H (nv, nv) and g (nv,). Most rows have few entries."""
    nv, entries = gradient.size, np.empty(gradient.size, dtype=np.intp)
    hessian[:], gradient[:] = 0.0, 0.0
    for r in range(weight.size):
        row, count = rows[r], 0
        for i in range(nv):
            if row[i] != 0.0:
                entries[count] = i
                count += 1
        for a in range(count):
            i = entries[a]
            f = weight[r] * row[i]
            gradient[i] -= f * reference[r]
            if count == nv:
                add_scaled(hessian[i, i:], f, row[i:])
            else:
                for b in range(a, count):
                    hessian[i, entries[b]] += f * row[entries[b]]
    for i in range(nv):
        for j in range(i):
            hessian[i, j] = hessian[j, i]


@njit(cache=True)
def generalised_forces(jacobian: Array, wrench_map: Array, scale: float, out: Array) -> None:
    """out (nv, nf) ← scale Jᵀ W of the soles' Jacobian (12, nv), most of whose entries are 0, and the map W (12, nf)."""
    out[:] = 0.0
    for r in range(jacobian.shape[0]):
        for i in range(jacobian.shape[1]):
            if jacobian[r, i] != 0.0:
                add_scaled(out[i], scale * jacobian[r, i], wrench_map[r])


@njit(cache=True)
def tabulate(
    t: Terms,
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
    weights: TaskWeights,
    gains: TaskGains,
    posture: Posture,
    contacts: Contacts,
    horizon: float,
    rows: Array,
    reference: Array,
    weight: Array,
    wrench_map: Array,
    lower: Array,
    upper: Array,
) -> None:
    """Task rows, contact wrenches, and the bounds (n,) of the joint accelerations, in place."""
    body_tasks(rows, reference, weight, t, com_acceleration_xy, height, heading, torso_rpy, yaw_rate, weights, gains)
    swing_reaction(reference, swing, swing_momentum, gains.momentum_d)
    sole_tasks(rows, reference, weight, t, contact, swing, swing_yaw, slope, weights, gains)
    contact_wrenches(wrench_map, t, contact, contacts)
    p = posture
    acceleration_bounds(t.q[7:], t.v[6:], p.position_min, p.position_max, p.velocity_limit, p.beyond, horizon, lower, upper)


@njit(cache=True)
def whole_cost(
    t: Terms,
    rows: Array,
    reference: Array,
    weight: Array,
    joints: Array,
    joint_velocity: Array,
    posture: Posture,
    regularise: float,
    hessian: Array,
    gradient: Array,
) -> None:
    """½q̈ᵀHq̈ + gᵀq̈ of tasks, posture and regularisation, in place: H (nv, nv), g (nv,)."""
    task_cost(rows, reference, weight, hessian, gradient)
    for i in range(joints.size):
        wanted = posture.stiffness[i] * (joints[i] - t.q[7 + i]) + posture.damping[i] * (joint_velocity[i] - t.v[6 + i])
        hessian[6 + i, 6 + i] += posture.weight[i]
        gradient[6 + i] -= posture.weight[i] * wanted
    for i in range(gradient.size):
        hessian[i, i] += regularise


@njit(cache=True)
def build(
    t: Terms,
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
    weights: TaskWeights,
    gains: TaskGains,
    posture: Posture,
    contacts: Contacts,
    regularise: float,
    force_weight: float,
    horizon: float,
    rows: Array,
    reference: Array,
    weight: Array,
    wrench_map: Array,
    hessian: Array,
    gradient: Array,
    constraint: Array,
    lower: Array,
    upper: Array,
) -> None:
    """The whole QP over (q̈, λ) of one tick, in place: task cost; base dynamics, torque, total normal force and yaw friction rows.

    λ counts in units of `contacts.newton`; wrench_map (12, nf) leads from λ to both sole wrenches; lower and upper are
    (nv + nf + nv + LIMIT_ROWS,), those of the base's accelerations as they are.
    """
    nv, nf, newton = t.bias.size, wrench_map.shape[1], contacts.newton
    n = nv + nf
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
        posture,
        contacts,
        horizon,
        rows,
        reference,
        weight,
        wrench_map,
        lower[6:nv],
        upper[6:nv],
    )
    hessian[:], gradient[:], constraint[:] = 0.0, 0.0, 0.0
    whole_cost(t, rows, reference, weight, joints, joint_velocity, posture, regularise, hessian[:nv, :nv], gradient[:nv])
    for i in range(nv, n):
        hessian[i, i] = force_weight * newton * newton
    constraint[:nv, :nv] = t.mass_matrix
    generalised_forces(t.sole_jacobian.reshape(12, nv), wrench_map, -newton, constraint[:nv, nv:])
    for i in range(nv):
        limit = 0.0 if i < 6 else posture.torque_limit[i - 6]
        lower[n + i], upper[n + i] = -t.bias[i] - limit, -t.bias[i] + limit
    bounds = np.empty((2, nf + LIMIT_ROWS))
    force_rows(wrench_map, contacts, constraint[nv:, nv:], bounds[0], bounds[1])
    lower[nv:n], upper[nv:n] = bounds[0, :nf], bounds[1, :nf]
    lower[n + nv :], upper[n + nv :] = bounds[0, nf:], bounds[1, nf:]


@njit(cache=True)
def unpack(t: Terms, x: Array, wrench_map: Array, newton: float, torque_limit: Array) -> tuple[Array, Array]:
    """Joint torques (n,) inside their limits, and sole wrenches (2, 6), of a solution."""
    nv = t.v.size
    wrench = newton * (wrench_map @ x[nv:])
    generalised = t.mass_matrix @ x[:nv] + t.bias - t.sole_jacobian.reshape(12, nv).T @ wrench
    torque = np.minimum(np.maximum(generalised[6:], -torque_limit), torque_limit)
    return torque, wrench.reshape(2, 6)
