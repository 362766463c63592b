"""The rigid-body terms of one tick, computed once by Pinocchio and shared by estimator, whole-body QP and certifier.

They come in two halves, because the estimator needs the legs' kinematics before it knows where the base is: `shape`
with the base at the origin and without linear velocity, then `place` adds what the base's position and velocity change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pinocchio as pin
from numba import njit

from poise.robots import RobotModel
from poise.robots.types import Array

from .lip import GRAVITY


class Terms(NamedTuple):
    """The arrays of a `Dynamics`, for kernels: the same memory, so it is made once."""

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


class Dynamics:
    """Terms of M(q) q̈ + h(q, q̇) = Sᵀτ + Σ Jᵀf for Pinocchio's q (nq,), v (nv,): base velocity in the base frame.

    `mass_matrix` (nv, nv), `bias` (nv,) N·m, `sole_jacobian` (2, 6, nv) and `sole_drift` (2, 6) (J̇v, m/s² and
    rad/s²) world-aligned, `sole_position` (2, 3), `sole_rotation` (2, 3, 3), `sole_velocity` (2, 6), `torso_jacobian`
    (3, nv) angular, `torso_drift` (3,), `torso_rotation`, `torso_omega` (3,), `centroidal_map` (6, nv),
    `centroidal_drift` (6,) (Ȧ_g v), `momentum` (6,), `base_rotation` (3, 3), `com` (3,), `com_velocity` (3,).
    """

    def __init__(self, robot: RobotModel) -> None:
        self.robot = robot
        self.model = robot.pinocchio
        self.data = self.model.createData()
        nv = self.model.nv
        frames = [self.model.frames[i] for i in (*robot.sole_frames, robot.torso_frame)]
        self._joints = [frame.parentJoint for frame in frames]
        self._local = np.array([frame.placement.homogeneous for frame in frames])
        self._supports = np.zeros((3, nv), dtype=np.bool_)  # which columns move which frame
        for i, joint in enumerate(self._joints):
            for moved_by in list(self.model.supports[joint])[1:]:
                start = self.model.joints[moved_by].idx_v
                self._supports[i, start : start + self.model.joints[moved_by].nv] = True
        self._jacobian = np.zeros((6, nv))
        self._placement = np.zeros((3, 4, 4))
        self._acceleration = np.zeros((3, 6))
        self.q = pin.neutral(self.model)
        self.v = np.zeros(nv)
        self.base_rotation = np.eye(3)
        self.mass_matrix = np.zeros((nv, nv))
        self.bias = np.zeros(nv)
        self.sole_jacobian = np.zeros((2, 6, nv))
        self.sole_drift = np.zeros((2, 6))
        self.sole_position = np.zeros((2, 3))
        self.sole_rotation = np.zeros((2, 3, 3))
        self.sole_velocity = np.zeros((2, 6))
        self.torso_jacobian = np.zeros((3, nv))
        self.torso_drift = np.zeros(3)
        self.torso_rotation = np.eye(3)
        self.torso_omega = np.zeros(3)
        self.centroidal_map = np.zeros((6, nv))
        self.centroidal_drift = np.zeros(6)
        self.momentum = np.zeros(6)
        self.com = np.zeros(3)
        self.com_velocity = np.zeros(3)
        self.terms = Terms(*(getattr(self, name) for name in Terms._fields))

    def update(self, q: Array, v: Array) -> None:
        """Compute every term at (q, v)."""
        quat = np.array([q[6], q[3], q[4], q[5]])
        self.shape(quat, np.array(v[3:6]), q[7:], v[6:])
        self.place(np.array(q[:3]), self.base_rotation @ v[:3])

    def shape(self, quat_wxyz: Array, omega_base: Array, joint_position: Array, joint_velocity: Array) -> None:
        """First half: every term with the base at the origin, its linear velocity 0; shapes (4,), (3,), (n,), (n,)."""
        model, data, q, v = self.model, self.data, self.q, self.v
        q[:3], q[3:6], q[6], q[7:] = 0.0, quat_wxyz[1:], quat_wxyz[0], joint_position
        v[:3], v[3:6], v[6:] = 0.0, omega_base, joint_velocity
        pin.computeAllTerms(model, data, q, v)
        self.mass_matrix[:] = data.M
        self.bias[:] = data.nle
        np.copyto(self._jacobian, data.J)
        for i, joint in enumerate(self._joints):
            self._placement[i] = data.oMi[joint].homogeneous
            self._acceleration[i] = data.a[joint].vector  # with q̈ = 0
        self.base_rotation[:] = data.oMi[1].rotation
        fill_frames(self._jacobian, self._placement, self._acceleration, self._supports, self._local, self.terms)

    def place(self, position_world: Array, velocity_world: Array) -> None:
        """Second half: move the base to a position (3,) m with a linear velocity (3,) m/s, world frame."""
        place_base(position_world, velocity_world, self.terms)


@njit(cache=True)
def _cross(a: Array, b: Array) -> Array:
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@njit(cache=True)
def fill_frames(jacobian: Array, placement: Array, acceleration: Array, supports: Array, local: Array, t: Terms) -> None:
    """Soles and torso, in place: placement, Jacobian, velocity and drift, world-aligned.

    jacobian (6, nv) of all joints at the world's origin; placement (3, 4, 4) and acceleration (3, 6) (spatial, in the
    joint's frame, with q̈ = 0) of the joints that carry the frames; supports (3, nv); local (3, 4, 4) frame in joint.
    """
    block = np.empty((6, jacobian.shape[1]))
    for i in range(3):
        turn = np.ascontiguousarray(placement[i, :3, :3])
        rotation = turn @ np.ascontiguousarray(local[i, :3, :3])
        arm = np.ascontiguousarray(local[i, :3, 3])
        point = placement[i, :3, 3] + turn @ arm
        for k in range(jacobian.shape[1]):
            if supports[i, k]:
                x, y, z = jacobian[3, k], jacobian[4, k], jacobian[5, k]
                block[0, k] = jacobian[0, k] + y * point[2] - z * point[1]
                block[1, k] = jacobian[1, k] + z * point[0] - x * point[2]
                block[2, k] = jacobian[2, k] + x * point[1] - y * point[0]
                block[3, k], block[4, k], block[5, k] = x, y, z
            else:
                block[:, k] = 0.0
        velocity = block @ t.v
        angular = turn @ acceleration[i, 3:]
        # The frame's point: spatial acceleration there, plus ω × v, is what an accelerometer without gravity sees.
        linear = turn @ (acceleration[i, :3] + _cross(acceleration[i, 3:], arm)) + _cross(velocity[3:], velocity[:3])
        if i < 2:
            t.sole_position[i], t.sole_rotation[i], t.sole_jacobian[i], t.sole_velocity[i] = point, rotation, block, velocity
            t.sole_drift[i, :3], t.sole_drift[i, 3:] = linear, angular
        else:
            t.torso_rotation[:], t.torso_jacobian[:], t.torso_omega[:], t.torso_drift[:] = rotation, block[3:], velocity[3:], angular


@njit(cache=True)
def place_base(position: Array, velocity: Array, t: Terms) -> None:
    """Add a base position and linear velocity to terms computed without them, and derive the centroidal terms, in place.

    With v̇ = 0 in the base frame, the base's origin accelerates by ω × v: that is what changes bias and drifts. The
    centroidal map is the base's rows of M moved to the centre of mass, and its drift the base's rows of h without
    gravity (dh/dt of the momentum is the force that moves it; Orin, Goswami & Lee, Autonomous Robots 2013).
    """
    rotation, mass = t.base_rotation, t.mass_matrix
    local = rotation.T @ velocity
    extra = _cross(t.v[3:6], local)
    t.q[:3], t.v[:3] = position, local
    for i in range(t.bias.size):
        t.bias[i] += mass[i, 0] * extra[0] + mass[i, 1] * extra[1] + mass[i, 2] * extra[2]
    extra_world = rotation @ extra
    for foot in range(2):
        t.sole_position[foot] += position
        t.sole_velocity[foot, :3] += velocity
        t.sole_drift[foot, :3] += extra_world
    total = mass[0, 0]
    # M's block (angular, linear) of the base is mass times the cross matrix of the centre of mass, base frame.
    lever = rotation @ (np.array([mass[5, 1], mass[3, 2], mass[4, 0]]) / total)
    t.com[:] = position + lever
    linear, angular = rotation @ mass[:3], rotation @ mass[3:6]
    t.centroidal_map[:3] = linear
    for i in range(linear.shape[1]):
        t.centroidal_map[3:, i] = angular[:, i] - _cross(lever, linear[:, i])
    t.momentum[:] = t.centroidal_map @ t.v
    t.com_velocity[:] = t.momentum[:3] / total
    force = rotation @ t.bias[:3]
    t.centroidal_drift[3:] = rotation @ t.bias[3:6] - _cross(lever, force)
    t.centroidal_drift[:3] = force
    t.centroidal_drift[2] -= total * GRAVITY
