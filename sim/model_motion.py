"""The controller's own model as a plant: joints that move exactly as it says, on a stand or on held soles, without noise or delay."""

from __future__ import annotations

import numpy as np
import pinocchio as pin

from poise.control.dynamics import Dynamics
from poise.control.support import Support, joint_acceleration
from poise.robots import RobotModel
from poise.robots.types import LEFT, RIGHT, Array

CLOSED_M = 1e-12  # how far the second sole may be off before the loop is closed again


class ModelMotion:
    """A robot whose base or soles are held; the terms of its state are in `dynamics`.

    Joints move by semi-implicit Euler. The base follows from the sole that is held, and with both held the legs are
    put back, at each step, onto what closes their loop.
    """

    def __init__(self, robot: RobotModel, support: Support, period_s: float) -> None:
        self.robot, self.support, self.period_s = robot, support, period_s
        self.dynamics = Dynamics(robot)
        self._data = robot.pinocchio.createData()
        self._joints = robot.posture.copy()
        self._speed = np.zeros(robot.n)
        self.set(robot.posture, np.zeros(robot.n))

    def set(self, q: Array, v: Array) -> None:
        """Start at joint positions q (n,) rad and velocities v (n,) rad/s; the legs' loop is taken as they make it."""
        self._joints, self._speed = q.copy(), v.copy()
        if self.support is Support.BOTH:
            self._apart = self._between(q)
            self._close()
        self._place()

    def step(self, torque: Array) -> None:
        """One period under joint torques (n,) N·m."""
        d = self.dynamics
        acceleration = joint_acceleration(d.block, d.nv, int(self.support), torque)
        self._speed = self._speed + self.period_s * acceleration
        self._joints = self._joints + self.period_s * self._speed
        if self.support is Support.BOTH:
            self._close()
        self._place()

    def _place(self) -> None:
        """Terms of the whole robot, the base where what is held puts it."""
        model, robot = self.robot.pinocchio, self.robot
        q, v = pin.neutral(model), np.zeros(model.nv)
        q[7:], v[6:] = self._joints, self._speed
        if self.support is not Support.BASE:
            sole = robot.sole_frames[RIGHT if self.support is Support.RIGHT else LEFT]
            pin.framesForwardKinematics(model, self._data, q)
            q[:7] = pin.SE3ToXYZQUAT(self._data.oMf[sole].inverse())
            jacobian = pin.computeFrameJacobian(model, self._data, q, sole, pin.LOCAL_WORLD_ALIGNED)
            v[:6] = -np.linalg.solve(jacobian[:, :6], jacobian[:, 6:] @ v[6:])
        self.dynamics.update(q, v)

    def _between(self, q: Array) -> pin.SE3:
        """The right sole as the left one sees it."""
        whole = pin.neutral(self.robot.pinocchio)
        whole[7:] = q
        pin.framesForwardKinematics(self.robot.pinocchio, self._data, whole)
        left, right = (self._data.oMf[frame] for frame in self.robot.sole_frames)
        return left.actInv(right)

    def _relative_jacobian(self) -> Array:
        """Of the right sole against the left one, (6, n), in the right sole's axes."""
        whole = pin.neutral(self.robot.pinocchio)
        whole[7:] = self._joints
        left, right = (
            pin.computeFrameJacobian(self.robot.pinocchio, self._data, whole, frame, pin.LOCAL) for frame in self.robot.sole_frames
        )
        return np.asarray((right - self._between(self._joints).inverse().toActionMatrix() @ left)[:, 6:])

    def _close(self) -> None:
        """Newton steps of the legs onto the loop, then the velocity onto its tangent."""
        legs = self.robot.legs
        for _ in range(10):
            error = pin.log6(self._between(self._joints).actInv(self._apart)).vector
            if np.abs(error).max() < CLOSED_M:
                break
            self._joints[legs] += np.linalg.lstsq(self._relative_jacobian()[:, legs], error, rcond=None)[0]
        jacobian = self._relative_jacobian()[:, legs]
        self._speed[legs] -= np.linalg.lstsq(jacobian, jacobian @ self._speed[legs], rcond=None)[0]


__all__ = ["ModelMotion"]
