"""The rigid-body terms of one tick, computed once by Pinocchio and shared by estimator, whole-body QP and certifier.

They come in two halves, because the estimator needs the legs' kinematics before it knows where the base is: Pinocchio
runs with the base at the origin and without linear velocity, then `place_base` adds what these two change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pinocchio as pin
from numba import njit
from numpy.typing import NDArray

from poise.robots import RobotModel
from poise.robots.types import Array

from .linalg import Vector, cross, dot, multiply, rotated, rotated_back
from .lip import GRAVITY
from .rotation import matrix_from_quat


class Terms(NamedTuple):
    """The arrays of a `Dynamics`, as views of its one block of memory (`terms_of`)."""

    q: Array
    v: Array
    base_rotation: Array
    mass_matrix: Array
    bias: Array
    sole_jacobian: Array
    sole_drift: Array
    sole_position: Array
    sole_rotation: Array
    sole_velocity: Array
    torso_jacobian: Array
    torso_drift: Array
    torso_rotation: Array
    torso_omega: Array
    centroidal_map: Array
    centroidal_drift: Array
    momentum: Array
    com: Array
    com_velocity: Array


@njit(cache=True)
def terms_of(block: Array, nv: int) -> Terms:
    """The terms in a block (`block_size(nv)`,). Kernels take the block: handing over its parts one by one costs more than they do."""
    ends = np.cumsum(np.array([nv + 1, nv, 9, nv * nv, nv, 12 * nv, 12, 6, 18, 12, 3 * nv, 3, 9, 3, 6 * nv, 6, 6, 3, 3]))
    return Terms(
        q=block[: ends[0]],
        v=block[ends[0] : ends[1]],
        base_rotation=block[ends[1] : ends[2]].reshape(3, 3),
        mass_matrix=block[ends[2] : ends[3]].reshape(nv, nv),
        bias=block[ends[3] : ends[4]],
        sole_jacobian=block[ends[4] : ends[5]].reshape(2, 6, nv),
        sole_drift=block[ends[5] : ends[6]].reshape(2, 6),
        sole_position=block[ends[6] : ends[7]].reshape(2, 3),
        sole_rotation=block[ends[7] : ends[8]].reshape(2, 3, 3),
        sole_velocity=block[ends[8] : ends[9]].reshape(2, 6),
        torso_jacobian=block[ends[9] : ends[10]].reshape(3, nv),
        torso_drift=block[ends[10] : ends[11]],
        torso_rotation=block[ends[11] : ends[12]].reshape(3, 3),
        torso_omega=block[ends[12] : ends[13]],
        centroidal_map=block[ends[13] : ends[14]].reshape(6, nv),
        centroidal_drift=block[ends[14] : ends[15]],
        momentum=block[ends[15] : ends[16]],
        com=block[ends[16] : ends[17]],
        com_velocity=block[ends[17] : ends[18]],
    )


def block_size(nv: int) -> int:
    """Length of the block that holds all terms of a model with nv degrees of freedom."""
    return nv * nv + 24 * nv + 91


class Source(NamedTuple):
    """Where Pinocchio leaves what a tick needs of it: live views of its data, so that no tick has to fetch them.

    Of the three joints that carry soles and torso: rotation and position in the world, spatial acceleration with
    q̈ = 0 and gravity taken as an upward acceleration of the base, in the joint's frame.
    """

    mass_matrix: Array  # (nv, nv)
    bias: Array  # (nv,)
    jacobian: Array  # (6, nv) of all joints, at the world's origin
    rotation: tuple[Array, Array, Array]
    position: tuple[Array, Array, Array]
    acceleration: tuple[Array, Array, Array]


class Frames(NamedTuple):
    """Soles and torso in the joints that carry them."""

    local: Array  # (3, 4, 4) frame in joint
    supports: NDArray[np.bool_]  # (3, nv) which columns move which frame


class Dynamics:
    """Terms of M(q) q̈ + h(q, q̇) = Sᵀτ + Σ Jᵀf for Pinocchio's q (nq,), v (nv,): base velocity in the base frame.

    `mass_matrix` (nv, nv), `bias` (nv,) N·m, `sole_jacobian` (2, 6, nv) and `sole_drift` (2, 6) (J̇v, m/s² and
    rad/s²) world-aligned, `sole_position` (2, 3), `sole_rotation` (2, 3, 3), `sole_velocity` (2, 6), `torso_jacobian`
    (3, nv) angular, `torso_drift` (3,), `torso_rotation`, `torso_omega` (3,), `centroidal_map` (6, nv),
    `centroidal_drift` (6,) (Ȧ_g v), `momentum` (6,), `base_rotation` (3, 3), `com` (3,), `com_velocity` (3,), `joint_position` and
    `joint_velocity` (n,): views of `block`. `source` and `frames` are what `fill_frames` needs to make them.
    """

    def __init__(self, robot: RobotModel) -> None:
        self.robot = robot
        self.model = robot.pinocchio
        self.data = data = self.model.createData()
        self.nv = nv = self.model.nv
        self.block = np.zeros(block_size(nv))
        self.terms: Terms = terms_of.py_func(self.block, nv)
        self.q, self.v, self.base_rotation, self.mass_matrix, self.bias = self.terms[:5]
        self.sole_jacobian, self.sole_drift, self.sole_position, self.sole_rotation, self.sole_velocity = self.terms[5:10]
        self.torso_jacobian, self.torso_drift, self.torso_rotation, self.torso_omega = self.terms[10:14]
        self.centroidal_map, self.centroidal_drift, self.momentum, self.com, self.com_velocity = self.terms[14:]
        self.joint_position, self.joint_velocity = self.q[7:], self.v[6:]
        self.q[6] = self.base_rotation[0, 0] = self.base_rotation[1, 1] = self.base_rotation[2, 2] = 1.0
        frames = [self.model.frames[i] for i in (*robot.sole_frames, robot.torso_frame)]
        joints = [frame.parentJoint for frame in frames]
        supports = np.zeros((3, nv), dtype=np.bool_)
        for i, joint in enumerate(joints):
            for moved_by in list(self.model.supports[joint])[1:]:
                start = self.model.joints[moved_by].idx_v
                supports[i, start : start + self.model.joints[moved_by].nv] = True
        self.frames = Frames(np.array([frame.placement.homogeneous for frame in frames]), supports)
        self.source = Source(
            data.M,
            data.nle,
            data.J,
            tuple(data.oMi[joint].rotation for joint in joints),
            tuple(data.oMi[joint].translation for joint in joints),
            tuple(data.a_gf[joint].vector for joint in joints),
        )

    def update(self, q: Array, v: Array) -> None:
        """Compute every term at (q, v)."""
        self.run(np.array([q[6], *q[3:6]]), v[3:6], q[7:], v[6:])
        fill_frames(self.source, self.frames, self.terms)
        place_base(np.array(q[:3]), self.base_rotation @ v[:3], self.terms)

    def run(self, quat_wxyz: Array, omega_base: Array, joint_position: Array, joint_velocity: Array) -> None:
        """Let Pinocchio fill `source`, with the base at the origin and its linear velocity 0; shapes (4,), (3,), (n,), (n,)."""
        seat(quat_wxyz, omega_base, joint_position, joint_velocity, self.block)
        pin.crba(self.model, self.data, self.q, pin.Convention.WORLD)  # and the joints' placements and Jacobians
        pin.nonLinearEffects(self.model, self.data, self.q, self.v)


@njit(cache=True)
def seat(quat_wxyz: Array, omega_base: Array, joint_position: Array, joint_velocity: Array, block: Array) -> None:
    """Write q, v and the base's rotation, with the base at the origin and without linear velocity, into the block."""
    n = joint_position.size
    t = terms_of(block, n + 6)
    t.q[:3], t.q[3:6], t.q[6], t.q[7:] = 0.0, quat_wxyz[1:], quat_wxyz[0], joint_position
    t.v[:3], t.v[3:6], t.v[6:] = 0.0, omega_base, joint_velocity
    t.base_rotation[:] = matrix_from_quat(quat_wxyz)


@njit(cache=True)
def fill_frames(source: Source, frames: Frames, t: Terms) -> None:
    """Mass matrix, bias, and of soles and torso placement, Jacobian, velocity and drift, world-aligned, in place."""
    t.bias[:] = source.bias
    t.mass_matrix[:] = source.mass_matrix.T  # symmetric; Pinocchio keeps it by columns
    for i in range(2):
        _place_frame(source, frames, i, t.sole_rotation[i], t.sole_position[i])
        _fill_columns(source.jacobian, frames.supports[i], t.sole_position[i], t.v, t.sole_jacobian[i], t.sole_velocity[i])
        _fill_drift(source, frames, i, t.sole_velocity[i], t.sole_drift[i])
    point, jacobian, velocity, drift = np.empty(3), np.empty((6, t.v.size)), np.empty(6), np.empty(6)
    _place_frame(source, frames, 2, t.torso_rotation, point)
    _fill_columns(source.jacobian, frames.supports[2], point, t.v, jacobian, velocity)
    _fill_drift(source, frames, 2, velocity, drift)
    t.torso_jacobian[:], t.torso_omega[:], t.torso_drift[:] = jacobian[3:], velocity[3:], drift[3:]


@njit(cache=True)
def _place_frame(source: Source, frames: Frames, i: int, rotation: Array, point: Array) -> None:
    """Rotation (3, 3) and position (3,) of frame i."""
    turn, local = source.rotation[i], frames.local[i]
    multiply(turn, local[:3, :3], rotation)
    arm = rotated(turn, local[:3, 3])
    for k in range(3):
        point[k] = source.position[i][k] + arm[k]


@njit(cache=True)
def _fill_columns(joints: Array, supports: NDArray[np.bool_], point: Array, v: Array, jacobian: Array, velocity: Array) -> None:
    """The Jacobian (6, nv) of a frame at a point (3,) from that of all joints at the origin, and the frame's velocity (6,)."""
    jacobian[:], velocity[:] = 0.0, 0.0
    for k in range(v.size):
        if not supports[k]:
            continue
        x, y, z = joints[3, k], joints[4, k], joints[5, k]
        jacobian[0, k] = joints[0, k] + y * point[2] - z * point[1]
        jacobian[1, k] = joints[1, k] + z * point[0] - x * point[2]
        jacobian[2, k] = joints[2, k] + x * point[1] - y * point[0]
        jacobian[3, k], jacobian[4, k], jacobian[5, k] = x, y, z
        for row in range(6):
            velocity[row] += jacobian[row, k] * v[k]


@njit(cache=True)
def _fill_drift(source: Source, frames: Frames, i: int, velocity: Array, drift: Array) -> None:
    """Acceleration (6,) of frame i with q̈ = 0, given its velocity (6,)."""
    turn, spatial, spin, arm = source.rotation[i], source.acceleration[i][:3], source.acceleration[i][3:], frames.local[i, :3, 3]
    lever = cross(spin, arm)
    # The frame's point: spatial acceleration there, plus ω × v, is what an accelerometer sees, gravity included.
    linear = rotated(turn, (spatial[0] + lever[0], spatial[1] + lever[1], spatial[2] + lever[2]))
    angular, turning = rotated(turn, spin), cross(velocity[3:], velocity[:3])
    for k in range(3):
        drift[k], drift[3 + k] = linear[k] + turning[k], angular[k]
    drift[2] -= GRAVITY


@njit(cache=True)
def place_base(position: Vector, velocity: Vector, t: Terms) -> None:
    """Add a base position and linear velocity to terms computed without them, and derive the centroidal terms, in place.

    With v̇ = 0 in the base frame, the base's origin accelerates by ω × v: that is what changes bias and drifts. The
    centroidal map is the base's rows of M moved to the centre of mass, and its drift the base's rows of h without
    gravity (dh/dt of the momentum is the force that moves it; Orin, Goswami & Lee, Autonomous Robots 2013).
    """
    rotation, mass = t.base_rotation, t.mass_matrix
    local = rotated_back(rotation, velocity)
    extra = cross(t.v[3:6], local)
    extra_world = rotated(rotation, extra)
    for i in range(3):
        t.q[i], t.v[i] = position[i], local[i]
        for foot in range(2):
            t.sole_position[foot, i] += position[i]
            t.sole_velocity[foot, i] += velocity[i]
            t.sole_drift[foot, i] += extra_world[i]
    for i in range(t.bias.size):
        t.bias[i] += mass[0, i] * extra[0] + mass[1, i] * extra[1] + mass[2, i] * extra[2]
    total = mass[0, 0]
    # M's block (angular, linear) of the base is mass times the cross matrix of the centre of mass, base frame.
    lever = rotated(rotation, (mass[5, 1] / total, mass[3, 2] / total, mass[4, 0] / total))
    for i in range(t.v.size):
        linear, angular = rotated(rotation, mass[:3, i]), rotated(rotation, mass[3:6, i])
        moment = cross(lever, linear)
        for k in range(3):
            t.centroidal_map[k, i], t.centroidal_map[3 + k, i] = linear[k], angular[k] - moment[k]
    for k in range(6):
        t.momentum[k] = dot(t.centroidal_map[k], t.v)
    force, torque = rotated(rotation, t.bias[:3]), rotated(rotation, t.bias[3:6])
    moment = cross(lever, force)
    for k in range(3):
        t.com[k], t.com_velocity[k] = position[k] + lever[k], t.momentum[k] / total
        t.centroidal_drift[k], t.centroidal_drift[3 + k] = force[k], torque[k] - moment[k]
    t.centroidal_drift[2] -= total * GRAVITY
