"""The robot as the controller knows it: Pinocchio model, joint order, limits, frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import mujoco
import numpy as np
import pinocchio as pin

from .checks import check_legs, check_models, check_names, check_stance
from .errors import RobotDescriptionError
from .overlay import Overlay, read_overlay
from .pinocchio_model import build_pinocchio, mujoco_to_pinocchio
from .plant import compile_plant
from .tree import Indices
from .types import Array

ROBOTS = ("g1",)


@dataclass(frozen=True, eq=False)
class RobotModel:
    """One robot: immutable. Joint arrays are in `joint_names` order, which is the order of Pinocchio's v[6:]."""

    name: str
    description: Path  # MJCF or URDF the model was built from, and the default plant
    overlay: Overlay
    pinocchio: pin.Model
    joint_names: tuple[str, ...]
    position_min: Array  # (n,) rad
    position_max: Array  # (n,) rad
    walking_min: Array  # (n,) rad, of where walking keeps the joints: within their limits
    walking_max: Array  # (n,) rad
    velocity_limit: Array  # (n,) rad/s
    torque_limit: Array  # (n,) N·m
    power_limit: Array  # (n,) W, mechanical; infinite where it is not known
    hold_kp: Array  # (n,) N·m/rad, for holding a posture without a torque plan
    hold_kd: Array  # (n,) N·m·s/rad
    posture: Array  # (n,) rad, nominal
    descent: Array  # (3, n) rad: postures of a fall, see `control/descent.py`
    mass: float  # kg
    legs: Indices  # (12,) indices into joint arrays, left leg first
    waist: Indices
    arms: Indices
    sole_frames: tuple[int, int]  # Pinocchio frame ids, left and right
    imu_frame: int
    torso_frame: int

    @property
    def n(self) -> int:
        """Number of actuated joints."""
        return len(self.joint_names)

    @property
    def arm_joints(self) -> tuple[str, ...]:
        """Names of the arm joints: the order of `Intent.arms`."""
        return tuple(self.joint_names[i] for i in self.arms)

    @property
    def middle_and_half(self) -> tuple[Array, Array]:
        """Middle and half of each joint's range, (n,) rad each."""
        return 0.5 * (self.position_max + self.position_min), 0.5 * (self.position_max - self.position_min)

    def standing_configuration(self) -> Array:
        """Pinocchio configuration (nq,) in the nominal posture with both soles on the ground plane z = 0."""
        q = pin.neutral(self.pinocchio)
        q[7:] = self.posture
        data = self.pinocchio.createData()
        pin.framesForwardKinematics(self.pinocchio, data, q)
        q[2] -= data.oMf[self.sole_frames[0]].translation[2]
        return np.asarray(q)


def load_robot(robot: str | Path, overlay: str | Path | None = None) -> RobotModel:
    """Load a registered robot by name, or any MJCF or URDF with an overlay file.

    Raises:
        RobotDescriptionError: unknown name, unreadable file, or a model that disagrees with itself.
    """
    name = str(robot)
    if name in ROBOTS:
        module = import_module(f"{__package__}.{name}")
        description = module.description_path()
        overlay = overlay or Path(str(module.__file__)).with_name("overlay.toml")
    elif Path(name).suffix in (".xml", ".mjcf", ".urdf"):
        description = Path(name)
        if overlay is None:
            raise RobotDescriptionError(f"robot file {name}: needs an overlay; give --overlay FILE (see robots/g1/overlay.toml)")
    else:
        raise RobotDescriptionError(f"unknown robot {name!r}; known: {', '.join(ROBOTS)}, or the path of an MJCF or URDF file")
    return build_robot(description, read_overlay(Path(overlay)))


def build_robot(description: Path, overlay: Overlay) -> RobotModel:
    """Build the model from a description file and an overlay, and check that they agree.

    Raises:
        RobotDescriptionError: with the first disagreement.
    """
    mj = compile_plant(description)
    if mj.njnt == 0 or mj.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise RobotDescriptionError(f"robot file {description}: the first joint must be the free joint of the base")
    model = build_pinocchio(mj)
    joints = tuple(mj.joint(j).name for j in range(1, mj.njnt))
    check_names(overlay, [mj.body(b).name for b in range(mj.nbody)], joints)
    sides = zip(("left", "right"), overlay.sole_bodies, strict=True)
    soles = [_add_frame(model, f"{side}_sole", body, overlay.sole_origin) for side, body in sides]
    imu = _add_frame(model, "imu", overlay.base, overlay.imu_position_base)
    motors = [overlay.motor(joint) for joint in joints]
    position_min, position_max = np.array(model.lowerPositionLimit[7:]), np.array(model.upperPositionLimit[7:])
    walking = np.array([overlay.walking(joint) for joint in joints])
    robot = RobotModel(
        name=overlay.name,
        description=description,
        overlay=overlay,
        pinocchio=model,
        joint_names=joints,
        position_min=position_min,
        position_max=position_max,
        walking_min=np.maximum(position_min, walking[:, 0]),
        walking_max=np.minimum(position_max, walking[:, 1]),
        velocity_limit=np.array([m.velocity for m in motors]),
        torque_limit=np.array([m.torque for m in motors]),
        power_limit=np.array([m.power for m in motors]),
        hold_kp=np.array([m.kp for m in motors]),
        hold_kd=np.array([m.kd for m in motors]),
        posture=np.array([overlay.posture.get(joint, 0.0) for joint in joints]),
        descent=np.array([overlay.falling(joint) for joint in joints]).T,
        mass=float(pin.computeTotalMass(model)),
        legs=_indices(joints, overlay.legs),
        waist=_indices(joints, overlay.waist),
        arms=_indices(joints, overlay.arms),
        sole_frames=(soles[0], soles[1]),
        imu_frame=imu,
        torso_frame=model.getFrameId(overlay.torso),
    )
    check_models(robot, mj)
    check_stance(robot)
    check_legs(robot)
    return robot


def _indices(joints: Sequence[str], names: Sequence[str]) -> Indices:
    return np.array([joints.index(name) for name in names], dtype=np.int64)


def _add_frame(model: pin.Model, name: str, body: str, position: tuple[float, float, float]) -> int:
    parent = model.frames[model.getFrameId(body)]
    placement = parent.placement * pin.SE3(np.eye(3), np.array(position))
    return int(model.addFrame(pin.Frame(name, parent.parentJoint, placement, pin.FrameType.OP_FRAME)))


__all__ = ["ROBOTS", "RobotModel", "build_robot", "load_robot", "mujoco_to_pinocchio"]
