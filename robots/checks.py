"""Checks at load: a robot whose description, overlay and two models disagree is refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mujoco
import numpy as np
import pinocchio as pin

from .errors import RobotDescriptionError
from .overlay import Overlay
from .types import LEFT, Array

if TYPE_CHECKING:
    from .model import RobotModel

GRAVITY = (0.0, 0.0, -9.81)  # m/s²
GRAVITY_TOLERANCE = 0.05  # m/s², as it varies over the Earth
MASS_MATRIX_TOLERANCE = 1e-10  # kg, kg·m, kg·m²
MASS_TOLERANCE = 1e-9  # kg
LENGTH_TOLERANCE = 1e-3  # m
LEVEL_TOLERANCE = 1e-2  # rad
STATES = 3  # at which the mass matrices are compared
LEG_JOINTS = 6


def check_names(overlay: Overlay, bodies: Sequence[str], joints: Sequence[str]) -> None:
    """Refuse an overlay that names what the description has not, or leaves a joint out of the groups or names it twice.

    Raises:
        RobotDescriptionError: with the names.
    """
    grouped = [*overlay.legs, *overlay.waist, *overlay.arms]
    wanted_bodies = {overlay.base, overlay.torso, *overlay.sole_bodies, *(c.body for c in overlay.capsules)}
    paired = {name for pair in overlay.collision_pairs for name in pair}
    for what, names, known in (
        ("bodies", wanted_bodies, bodies),
        ("posture joints", set(overlay.posture), joints),
        ("grouped joints", set(grouped), joints),
        ("capsules", paired, [c.name for c in overlay.capsules]),
    ):
        missing = sorted(names - set(known))
        _refuse_if(bool(missing), overlay, f"{what} {', '.join(missing)} are not in the description; mend the names")
    idle = overlay.unmatched(joints)
    _refuse_if(bool(idle), overlay, f"{', '.join(idle)} match no joint; mend the patterns")
    odd = sorted(set(joints) ^ set(grouped)) or sorted({joint for joint in grouped if grouped.count(joint) > 1})
    _refuse_if(bool(odd), overlay, f"each joint must be in exactly one group; look at {', '.join(odd)}")


def check_models(robot: RobotModel, mj: mujoco.MjModel) -> None:
    """Refuse a Pinocchio model that is not the compiled MuJoCo model: sizes, joints, gravity, mass, mass matrix.

    Raises:
        RobotDescriptionError: with the first thing that differs.
    """
    model, where = robot.pinocchio, robot.description
    names = tuple(model.names)[2:]
    mass = float(mj.body_subtreemass[mj.jnt_bodyid[0]])
    gravity = mj.opt.gravity
    problems = (
        ((model.nq, model.nv) != (mj.nq, mj.nv), f"nq, nv are {model.nq}, {model.nv} in Pinocchio and {mj.nq}, {mj.nv} in MuJoCo"),
        (model.nv != robot.n + 6, "only joints of one degree of freedom may follow the free joint"),
        (names != robot.joint_names, f"joints in Pinocchio's order are {', '.join(names)}"),
        (not np.allclose(model.gravity.linear, gravity, atol=0.0), "Pinocchio's gravity is not MuJoCo's"),
        (not np.allclose(gravity, GRAVITY, atol=GRAVITY_TOLERANCE), f"gravity is {_list(gravity)}, not {_list(GRAVITY)} m/s²"),
        (abs(robot.mass - mass) > MASS_TOLERANCE, f"it weighs {robot.mass:.6g} kg in Pinocchio and {mass:.6g} kg in MuJoCo"),
    )
    for wrong, sentence in problems:
        if wrong:
            raise RobotDescriptionError(f"robot file {where}: {sentence}; mend the description")
    error = mass_matrix_error(robot, mj)
    if not error < MASS_MATRIX_TOLERANCE:
        raise RobotDescriptionError(
            f"robot file {where}: the mass matrices of Pinocchio and MuJoCo differ by {error:.2g};"
            " remove what only MuJoCo knows (tendon armature, for one)"
        )


def mass_matrix_error(robot: RobotModel, mj: mujoco.MjModel, states: int = STATES) -> float:
    """Largest difference between the two mass matrices, over random postures within the limits and random base orientations."""
    model, rng = robot.pinocchio, np.random.default_rng(0)
    data, mj_data, full = model.createData(), mujoco.MjData(mj), np.zeros((mj.nv, mj.nv))
    low, high = np.maximum(robot.position_min, -np.pi), np.minimum(robot.position_max, np.pi)
    worst = 0.0
    for _ in range(states):
        quaternion = rng.normal(size=4)
        quaternion /= np.linalg.norm(quaternion)
        joints = rng.uniform(low, high)
        mj_data.qpos[:] = np.concatenate([np.zeros(3), quaternion, joints])
        mujoco.mj_kinematics(mj, mj_data)
        mujoco.mj_comPos(mj, mj_data)
        mujoco.mj_tendon(mj, mj_data)
        mujoco.mj_makeM(mj, mj_data)
        mujoco.mj_fullM(mj, mj_data, full)
        q = np.concatenate([np.zeros(3), np.roll(quaternion, -1), joints])
        to_base = np.eye(mj.nv)  # MuJoCo's linear base velocity is in the world, Pinocchio's in the base
        to_base[:3, :3] = pin.Quaternion(q[3:7]).toRotationMatrix().T
        worst = max(worst, float(np.abs(to_base.T @ pin.crba(model, data, q) @ to_base - full).max()))
    return worst


def check_stance(robot: RobotModel) -> None:
    """Refuse a nominal posture outside limits or walking range or with soles that are not level, and soles that are no mirror images.

    Raises:
        RobotDescriptionError: with the first thing that is wrong.
    """
    overlay, joints = robot.overlay, robot.joint_names
    outside = (robot.posture < robot.walking_min) | (robot.posture > robot.walking_max)
    beyond = ", ".join(joints[i] for i in np.flatnonzero(outside))
    _refuse_if(bool(beyond), overlay, f"the posture is outside the limits or the walking range of {beyond}; mend either")
    data = robot.pinocchio.createData()
    pin.framesForwardKinematics(robot.pinocchio, data, robot.standing_configuration())
    soles = [data.oMf[frame] for frame in robot.sole_frames]
    for sole, body in zip(soles, overlay.sole_bodies, strict=True):
        tilt = float(np.arccos(np.clip(sole.rotation[2, 2], -1.0, 1.0)))
        _refuse_if(tilt > LEVEL_TOLERANCE, overlay, f"the sole of {body} is tilted by {tilt:.3f} rad in [posture]; level it")
    left, right = (sole.translation for sole in soles)
    millimetres = 1000.0 * float(np.abs(left - right * (1.0, -1.0, 1.0)).max())
    apart = f"the soles are {millimetres:.1f} mm off being mirror images in [posture]; mend it or [soles]"
    _refuse_if(millimetres > 1000.0 * LENGTH_TOLERANCE, overlay, apart)
    first = overlay.sole_bodies[LEFT]
    _refuse_if(not left[1] > 0.0, overlay, f"the first sole, of {first}, is not on the left; swap [soles] bodies")
    _check_polygon(overlay)


def check_legs(robot: RobotModel) -> None:
    """Refuse legs that are not six joints each, the left leg's first, on the way from the base to its sole.

    Raises:
        RobotDescriptionError: with the number of joints, or the joint that is out of place.
    """
    overlay, model = robot.overlay, robot.pinocchio
    wanted = f"list two legs of {LEG_JOINTS} joints each, left first, in [groups] legs"
    _refuse_if(len(robot.legs) != 2 * LEG_JOINTS, overlay, f"the legs have {len(robot.legs)} joints in all; {wanted}")
    for leg, frame, body in zip(robot.legs.reshape(2, -1), robot.sole_frames, overlay.sole_bodies, strict=True):
        chain = {joint - 2 for joint in model.supports[model.frames[frame].parentJoint]}  # after the universe and the base
        astray = ", ".join(robot.joint_names[i] for i in leg if i not in chain)
        _refuse_if(bool(astray), overlay, f"{astray} do not move {body}; {wanted}")


def _check_polygon(overlay: Overlay) -> None:
    """The same polygon serves both feet, so it must be its own mirror image, beside being convex and counter-clockwise."""
    corners = np.array(overlay.sole_polygon).reshape(-1, 2)
    edges = np.roll(corners, -1, axis=0) - corners
    ahead = np.roll(edges, -1, axis=0)
    cross, dot = edges[:, 0] * ahead[:, 1] - edges[:, 1] * ahead[:, 0], np.sum(edges * ahead, axis=1)
    once_around = abs(np.sum(np.arctan2(cross, dot)) - 2.0 * np.pi) < 1e-6  # a star turns more often
    _refuse_if(
        len(corners) < 3 or not once_around or not (cross > 0.0).all(),
        overlay,
        "the sole polygon must be convex and counter-clockwise; mend [soles] polygon",
    )
    _refuse_if(
        not np.allclose(_sorted(corners), _sorted(corners * (1.0, -1.0)), atol=LENGTH_TOLERANCE),
        overlay,
        "the sole polygon must be symmetric about its x axis, as it serves both feet; mend [soles] polygon",
    )


def _sorted(corners: Array) -> Array:
    rounded = corners.round(6)
    return np.asarray(corners[np.lexsort((rounded[:, 1], rounded[:, 0]))])


def _refuse_if(wrong: bool, overlay: Overlay, sentence: str) -> None:
    if wrong:
        raise RobotDescriptionError(f"overlay {overlay.name}: {sentence}")


def _list(values: Sequence[float] | Array) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
