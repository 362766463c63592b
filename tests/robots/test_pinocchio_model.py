"""Pinocchio against MuJoCo; the conversions between their coordinates are derived here, apart from the code's own.

MuJoCo gives a floating base as qpos = (p, quaternion wxyz), qvel = (ṗ in the world, ω in the base); Pinocchio as
q = (p, quaternion xyzw), v = (Rᵀṗ, ω). With T = blkdiag(Rᵀ, I): v = T qvel, so that by the kinetic energy M_mj = Tᵀ M T,
and by virtual work forces go as Tᵀ. Deriving v: v̇ = T q̈ + Ṫ qvel, where d(Rᵀ)/dt ṗ = −ω × Rᵀṗ. MuJoCo's bias is what
q̈ = 0 costs: Tᵀ · inverse dynamics (q, v, (−ω × Rᵀṗ, 0)).
"""

from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin
import pytest

from poise.robots import RobotDescriptionError, RobotModel
from poise.robots.checks import mass_matrix_error
from poise.robots.pinocchio_model import build_pinocchio, mujoco_to_pinocchio
from poise.robots.plant import compile_plant
from poise.robots.types import Array

STATES = 200

# All that Pinocchio's own MJCF parser leaves out or gets wrong, in one model.
AWKWARD = """
<mujoco>
  <compiler angle="degree" boundmass="0.2" balanceinertia="true"/>
  <option gravity="0.3 -0.2 -9.7"/>
  <worldbody>
    <body name="base" pos="1 2 3" quat="0.5 0.5 -0.5 0.5">
      <freejoint name="root"/>
      <geom type="box" size="0.1 0.2 0.3" pos="0.05 0.01 -0.02" euler="20 30 40" mass="7"/>
      <frame pos="0.1 0.2 0.3" euler="10 20 30">
        <body name="two_hinges" pos="0 0 0.2" euler="45 0 10">
          <joint name="first" axis="1 2 3" pos="0.01 0.02 0.03" armature="0.02"/>
          <joint name="second" axis="0 1 0" pos="-0.04 0.02 0" range="-30 60" armature="0.01"/>
          <geom type="capsule" size="0.05 0.2" euler="0 90 15" mass="2"/>
          <body name="welded" pos="0.1 0 0.2" euler="0 0 33">
            <geom type="sphere" size="0.03" pos="0 0.1 0" mass="0.01"/>
            <body name="slider" pos="0 0.3 0">
              <joint name="slide" type="slide" axis="1 0 1" range="-0.1 0.4"/>
              <geom type="ellipsoid" size="0.05 0.1 0.02" euler="5 6 7" mass="1"/>
            </body>
          </body>
        </body>
      </frame>
    </body>
  </worldbody>
</mujoco>
"""


def random_state(mj: mujoco.MjModel, rng: np.random.Generator) -> tuple[Array, Array]:
    """A state (qpos, qvel) with any base pose, joints within ±2 rad or m, speeds about 2."""
    qpos, qvel = rng.uniform(-2.0, 2.0, mj.nq), rng.normal(0.0, 2.0, mj.nv)
    qpos[3:7] = rng.normal(size=4)
    qpos[3:7] /= np.linalg.norm(qpos[3:7])
    return qpos, qvel


def rotation(quat_wxyz: Array) -> Array:
    """Rotation matrix by Rodrigues' formula on the axis and angle of a quaternion."""
    angle = 2.0 * np.arctan2(np.linalg.norm(quat_wxyz[1:]), quat_wxyz[0])
    x, y, z = quat_wxyz[1:] / np.linalg.norm(quat_wxyz[1:])
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross)


def largest_errors(mj: mujoco.MjModel, model: pin.Model, states: int) -> dict[str, float]:
    """Largest differences of mass matrix, bias and body poses over random states."""
    rng, data, mj_data = np.random.default_rng(7), model.createData(), mujoco.MjData(mj)
    full, errors = np.zeros((mj.nv, mj.nv)), {"mass": 0.0, "bias": 0.0, "pose": 0.0, "state": 0.0}
    for _ in range(states):
        qpos, qvel = random_state(mj, rng)
        mj_data.qpos[:], mj_data.qvel[:] = qpos, qvel
        mujoco.mj_forward(mj, mj_data)
        mujoco.mj_fullM(mj, mj_data, full)
        turn = rotation(qpos[3:7])
        to_pin = np.eye(mj.nv)
        to_pin[:3, :3] = turn.T
        q = np.concatenate([qpos[:3], qpos[[4, 5, 6, 3]], qpos[7:]])
        v = to_pin @ qvel
        drift = np.zeros(mj.nv)
        drift[:3] = -np.cross(v[3:6], v[:3])
        mass = to_pin.T @ pin.crba(model, data, q) @ to_pin
        bias = to_pin.T @ pin.rnea(model, data, q, v, drift)
        pin.framesForwardKinematics(model, data, q)
        found = {
            "mass": np.abs(mass - full).max(),
            "bias": np.abs(bias - mj_data.qfrc_bias).max(),
            "pose": max(pose_error(mj, mj_data, model, data, body) for body in range(1, mj.nbody)),
            "state": max(np.abs(a - b).max() for a, b in zip(mujoco_to_pinocchio(qpos, qvel), (q, v), strict=True)),
        }
        errors = {name: max(error, float(found[name])) for name, error in errors.items()}
    return errors


def pose_error(mj: mujoco.MjModel, mj_data: mujoco.MjData, model: pin.Model, data: pin.Data, body: int) -> float:
    """Largest difference of a body's position (m) and rotation matrix."""
    placed = data.oMf[model.getFrameId(mj.body(body).name)]
    apart = np.abs(placed.translation - mj_data.xpos[body]).max()
    return float(max(apart, np.abs(placed.rotation - mj_data.xmat[body].reshape(3, 3)).max()))


def test_the_g1_is_the_same_in_pinocchio_and_in_mujoco(g1: RobotModel) -> None:
    errors = largest_errors(compile_plant(g1.description), g1.pinocchio, STATES)
    assert errors["mass"] < 1e-10
    assert errors["bias"] < 1e-9
    assert errors["pose"] < 1e-12
    assert errors["state"] < 1e-12


def test_what_mjcf_parsers_get_wrong_is_right_too() -> None:
    mj = mujoco.MjModel.from_xml_string(AWKWARD)
    model = build_pinocchio(mj)
    np.testing.assert_allclose(model.gravity.linear, [0.3, -0.2, -9.7])
    assert (model.nq, model.nv) == (mj.nq, mj.nv)
    errors = largest_errors(mj, model, STATES)
    assert errors["mass"] < 1e-10
    assert errors["bias"] < 1e-9
    assert errors["pose"] < 1e-12


def test_limits_and_armature_are_copied_and_free_joints_stay_without() -> None:
    model = build_pinocchio(mujoco.MjModel.from_xml_string(AWKWARD))
    np.testing.assert_allclose(model.lowerPositionLimit[8:], [-np.pi / 6, -0.1])
    np.testing.assert_allclose(model.upperPositionLimit[8:], [np.pi / 3, 0.4])
    assert model.lowerPositionLimit[7] < -1e3  # not limited
    np.testing.assert_allclose(model.armature, [0, 0, 0, 0, 0, 0, 0.02, 0.01, 0])


def test_velocities_are_the_derivatives_of_positions(g1: RobotModel) -> None:
    """Integrating by MuJoCo and by Pinocchio gives the same pose: the velocities mean the same."""
    mj, rng, step = compile_plant(g1.description), np.random.default_rng(3), 1e-6
    for _ in range(10):
        qpos, qvel = random_state(mj, rng)
        moved = qpos.copy()
        mujoco.mj_integratePos(mj, moved, qvel, step)
        q, v = mujoco_to_pinocchio(qpos, qvel)
        np.testing.assert_allclose(pin.integrate(g1.pinocchio, q, step * v), mujoco_to_pinocchio(moved, qvel)[0], atol=1e-10)


def test_the_mass_matrix_error_sees_another_mass(g1: RobotModel) -> None:
    mj = compile_plant(g1.description)
    assert mass_matrix_error(g1, mj) < 1e-10
    mj.body_mass[5] += 1e-3
    mujoco.mj_setConst(mj, mujoco.MjData(mj))
    assert mass_matrix_error(g1, mj) > 1e-5


def test_a_ball_joint_is_refused() -> None:
    ball = AWKWARD.replace('<joint name="slide" type="slide" axis="1 0 1" range="-0.1 0.4"/>', '<joint name="hip" type="ball"/>')
    with pytest.raises(RobotDescriptionError, match="'hip' is a ball joint; model it as three hinges"):
        build_pinocchio(mujoco.MjModel.from_xml_string(ball))
