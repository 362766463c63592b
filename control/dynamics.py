"""The rigid-body terms of one tick, computed once by Pinocchio and shared by estimator, whole-body QP and certifier."""

from __future__ import annotations

import numpy as np
import pinocchio as pin

from poise.robots import RobotModel
from poise.robots.types import Array

_ALIGNED = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED


class Dynamics:
    """Terms of M(q) q̈ + h(q, q̇) = Sᵀτ + Σ Jᵀf for Pinocchio's q (nq,), v (nv,): base velocity in the base frame.

    `update` fills, in place: `mass_matrix` (nv, nv), `bias` (nv,) N·m, `sole_jacobian` (2, 6, nv) and
    `sole_drift` (2, 6) (J̇v, m/s² and rad/s²) world-aligned, `sole_position` (2, 3), `sole_rotation` (2, 3, 3),
    `sole_velocity` (2, 6), `torso_jacobian` (3, nv) angular, `torso_drift` (3,), `torso_rotation`, `torso_omega` (3,),
    `centroidal_map` (6, nv), `centroidal_drift` (6,) (Ȧ_g v), `momentum` (6,), `base_rotation` (3, 3), `com` (3,), `com_velocity` (3,).
    """

    def __init__(self, robot: RobotModel) -> None:
        self.robot = robot
        self.model = robot.pinocchio
        self.data = self.model.createData()
        nv = self.model.nv
        self._zero = np.zeros(nv)
        self.base_rotation = np.eye(3)
        self.q = pin.neutral(self.model)
        self.v = np.zeros(nv)
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

    def update(self, q: Array, v: Array) -> None:
        """Compute every term at (q, v)."""
        model, data = self.model, self.data
        self.q[:], self.v[:] = q, v
        np.copyto(self.mass_matrix, pin.crba(model, data, q))
        np.copyto(self.bias, pin.nonLinearEffects(model, data, q, v))
        np.copyto(self.centroidal_map, pin.computeCentroidalMap(model, data, q))
        np.copyto(self.momentum, self.centroidal_map @ v)
        drift = pin.computeCentroidalMomentumTimeVariation(model, data, q, v, self._zero)
        self.centroidal_drift[:] = drift.vector
        np.copyto(self.com, data.com[0])
        np.divide(self.momentum[:3], self.robot.mass, out=self.com_velocity)
        pin.computeJointJacobians(model, data, q)
        pin.forwardKinematics(model, data, q, v, self._zero)
        self.base_rotation[:] = data.oMi[1].rotation
        for foot, frame in enumerate(self.robot.sole_frames):
            placement = pin.updateFramePlacement(model, data, frame)
            self.sole_position[foot], self.sole_rotation[foot] = placement.translation, placement.rotation
            self.sole_jacobian[foot] = pin.getFrameJacobian(model, data, frame, _ALIGNED)
            self.sole_drift[foot] = pin.getFrameClassicalAcceleration(model, data, frame, _ALIGNED).vector
            self.sole_velocity[foot] = self.sole_jacobian[foot] @ v
        torso = self.robot.torso_frame
        self.torso_rotation[:] = pin.updateFramePlacement(model, data, torso).rotation
        self.torso_jacobian[:] = pin.getFrameJacobian(model, data, torso, _ALIGNED)[3:]
        self.torso_drift[:] = pin.getFrameClassicalAcceleration(model, data, torso, _ALIGNED).angular
        np.matmul(self.torso_jacobian, v, out=self.torso_omega)

