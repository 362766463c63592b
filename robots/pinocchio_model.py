"""Build the Pinocchio model from the compiled MuJoCo model, so that both share one source of inertias and limits.

Pinocchio's own MJCF parser ignores gravity, includes, inertia compiler flags and actuators without a word.
"""

from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin

from .errors import RobotDescriptionError
from .types import Array


def build_pinocchio(mj: mujoco.MjModel) -> pin.Model:
    """A `pin.Model` with the tree, inertias, armature, limits and gravity of a compiled MuJoCo model.

    Every body becomes a BODY frame of the same name. Free, hinge and slide joints are supported.

    Raises:
        RobotDescriptionError: the model has a ball joint.
    """
    model = pin.Model()
    model.gravity.linear = np.array(mj.opt.gravity)
    joint_of_body = np.zeros(mj.nbody, dtype=int)
    placement_of_body = [pin.SE3.Identity() for _ in range(mj.nbody)]
    for body in range(1, mj.nbody):
        parent = mj.body_parentid[body]
        joint, placement = joint_of_body[parent], placement_of_body[parent] * _se3(mj.body_pos[body], mj.body_quat[body])
        first = mj.body_jntadr[body]
        for j in range(first, first + mj.body_jntnum[body]):
            anchor = pin.SE3(np.eye(3), np.array(mj.jnt_pos[j]))
            if mj.jnt_type[j] == mujoco.mjtJoint.mjJNT_FREE:
                placement = pin.SE3.Identity()  # a free joint's coordinates are the world pose, whatever the body's place at rest
            joint = model.addJoint(int(joint), _joint_model(mj, j), placement * anchor, mj.joint(j).name)
            placement = anchor.inverse()
            _copy_limits(mj, j, model, joint)
        joint_of_body[body], placement_of_body[body] = joint, placement
        inertia = pin.Inertia(float(mj.body_mass[body]), np.array(mj.body_ipos[body]), _rotated_inertia(mj, body))
        model.appendBodyToJoint(int(joint), inertia, placement)
        model.addFrame(pin.Frame(mj.body(body).name, int(joint), placement, pin.FrameType.BODY), False)
    return model


def _joint_model(mj: mujoco.MjModel, joint: int) -> pin.JointModel:
    kind, axis = mj.jnt_type[joint], np.array(mj.jnt_axis[joint])
    if kind == mujoco.mjtJoint.mjJNT_FREE:
        return pin.JointModelFreeFlyer()
    if kind == mujoco.mjtJoint.mjJNT_HINGE:
        return pin.JointModelRevoluteUnaligned(axis)
    if kind == mujoco.mjtJoint.mjJNT_SLIDE:
        return pin.JointModelPrismaticUnaligned(axis)
    raise RobotDescriptionError(f"joint {mj.joint(joint).name!r} is a ball joint; model it as three hinges")


def _copy_limits(mj: mujoco.MjModel, mj_joint: int, model: pin.Model, joint: int) -> None:
    start, nv = model.joints[joint].idx_v, model.joints[joint].nv
    dof = mj.jnt_dofadr[mj_joint]
    model.armature[start : start + nv] = mj.dof_armature[dof : dof + nv]
    if nv == 1 and mj.jnt_limited[mj_joint]:
        model.lowerPositionLimit[model.joints[joint].idx_q] = mj.jnt_range[mj_joint, 0]
        model.upperPositionLimit[model.joints[joint].idx_q] = mj.jnt_range[mj_joint, 1]


def _rotated_inertia(mj: mujoco.MjModel, body: int) -> Array:
    rotation = _se3(np.zeros(3), mj.body_iquat[body]).rotation
    return np.asarray(rotation @ np.diag(mj.body_inertia[body]) @ rotation.T)


def _se3(position: Array, quat_wxyz: Array) -> pin.SE3:
    w, x, y, z = (float(value) for value in quat_wxyz)
    return pin.SE3(pin.Quaternion(w, x, y, z).normalized().toRotationMatrix(), np.array(position))


def mujoco_to_pinocchio(qpos: Array, qvel: Array) -> tuple[Array, Array]:
    """Convert a floating-base state: MuJoCo (p, quat wxyz, q; v_world, ω_base, q̇) → Pinocchio (xyzw; v_base, ω_base).

    Shapes: qpos (nq,), qvel (nv,), both returned with the same shapes.
    """
    q, v = np.array(qpos), np.array(qvel)
    q[3:6], q[6] = qpos[4:7], qpos[3]
    v[:3] = _se3(np.zeros(3), qpos[3:7]).rotation.T @ qvel[:3]
    return q, v
