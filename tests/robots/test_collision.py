from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from poise.robots import load_robot
from poise.robots.collision import CollisionModel, segment_distance
from poise.robots.errors import RobotDescriptionError
from poise.robots.plant import compile_plant
from poise.robots.touching import touching
from poise.robots.tree import build_tree, centre_of_mass
from poise.robots.types import Array

ROBOT = load_robot("g1")
MODEL = CollisionModel(ROBOT)
CLEARANCE_M = 0.01


def random_postures(count: int, seed: int, spread: float = 1.0) -> Array:
    """Postures (count, n): arms anywhere within `spread` of their range about the nominal, legs and waist near it."""
    rng = np.random.default_rng(seed)
    q = np.tile(ROBOT.posture, (count, 1))
    for joints, width in ((ROBOT.legs, 0.3), (ROBOT.waist, 0.4)):
        q[:, joints] += rng.uniform(-width, width, (count, len(joints)))
    anywhere = rng.uniform(ROBOT.position_min, ROBOT.position_max, (count, ROBOT.n))[:, ROBOT.arms]
    q[:, ROBOT.arms] += spread * (anywhere - q[:, ROBOT.arms])
    return q


def constrained_distance(a: Array, b: Array) -> float:
    """Distance of two segments (2, 3) by a general solver: the squared gap is convex in both parameters."""

    def gap(x: Array) -> float:
        return float(np.sum((a[0] + x[0] * (a[1] - a[0]) - b[0] - x[1] * (b[1] - b[0])) ** 2))

    starts = ((0.5, 0.5), (0.0, 1.0), (1.0, 0.0))
    options = {"ftol": 1e-15, "gtol": 1e-12}
    return float(min(np.sqrt(minimize(gap, s, bounds=[(0, 1), (0, 1)], method="L-BFGS-B", options=options).fun) for s in starts))


@pytest.mark.parametrize("seed", range(40))
def test_segment_distance_is_that_of_a_general_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, 2, 3))
    if seed % 4 == 1:  # parallel
        b = a + rng.uniform(-1, 1, 3)
    if seed % 4 == 2:  # crossing
        b += 0.5 * (a[0] + a[1]) - 0.5 * (b[0] + b[1])
    if seed % 4 == 3:  # a point
        b[1] = b[0]
    assert segment_distance(a, b) == pytest.approx(constrained_distance(a, b), abs=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ([[0, 0, 0], [1, 0, 0]], [[0.5, -1, 0.3], [0.5, 1, 0.3]], 0.3),  # crosswise
        ([[0, 0, 0], [1, 0, 0]], [[2, 0, 0], [3, 0, 0]], 1.0),  # in line
        ([[0, 0, 0], [1, 0, 0]], [[-2, 3, 4], [0.5, 3, 4]], 5.0),  # parallel, overlapping
        ([[0, 0, 0], [0, 0, 0]], [[3, 4, 0], [3, 4, 0]], 5.0),  # two points
        ([[0, 0, 0], [1, 0, 0]], [[0.2, 0, 0], [0.8, 0, 0]], 0.0),  # one in the other
    ],
)
def test_segment_distance_worked_by_hand(a: list[list[float]], b: list[list[float]], distance: float) -> None:
    a_, b_ = np.array(a, dtype=float), np.array(b, dtype=float)
    assert segment_distance(a_, b_) == pytest.approx(distance, abs=1e-12)
    assert segment_distance(b_, a_) == pytest.approx(distance, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1, 1), min_size=12, max_size=12))
def test_segment_distance_is_symmetric_and_never_above_that_of_any_two_points(values: list[float]) -> None:
    a, b = np.array(values).reshape(2, 2, 3)
    distance = segment_distance(a, b)
    assert distance == pytest.approx(segment_distance(b, a), abs=1e-6)
    s = np.linspace(0, 1, 11)
    on_a, on_b = a[0] + s[:, None] * (a[1] - a[0]), b[0] + s[:, None] * (b[1] - b[0])
    assert distance <= np.min(np.linalg.norm(on_a[:, None] - on_b[None], axis=2)) + 1e-6  # segments shorter than that are points


def test_tree_places_links_and_centre_of_mass_as_pinocchio_does() -> None:
    data = ROBOT.pinocchio.createData()
    for posture in random_postures(10, seed=1):
        q = np.concatenate([pin.neutral(ROBOT.pinocchio)[:7], posture])
        com = pin.centerOfMass(ROBOT.pinocchio, data, q)
        rotation, position = MODEL.tree.place(posture)
        for link in range(ROBOT.n + 1):
            np.testing.assert_allclose(position[link], data.oMi[link + 1].translation, atol=1e-12)
            np.testing.assert_allclose(rotation[link], data.oMi[link + 1].rotation, atol=1e-12)
        np.testing.assert_allclose(centre_of_mass(MODEL.tree.mass, MODEL.tree.lever, rotation, position), com, atol=1e-12)


def test_tree_has_slides_and_refuses_joints_of_more_freedom() -> None:
    model = pin.Model()
    base = model.addJoint(0, pin.JointModelFreeFlyer(), pin.SE3.Identity(), "base")
    place = pin.SE3.Random()
    model.addJoint(base, pin.JointModelPrismaticUnaligned(np.array([0.6, 0.0, 0.8])), place, "slide")
    _, position = build_tree(model).place(np.array([0.5]))
    np.testing.assert_allclose(position[1], place.translation + place.rotation @ [0.3, 0.0, 0.4], atol=1e-12)
    model.addJoint(base, pin.JointModelSpherical(), place, "ball")
    with pytest.raises(RobotDescriptionError, match="only hinges and slides"):
        build_tree(model)


def test_distances_are_those_of_capsules_placed_by_pinocchio() -> None:
    capsules = {c.name: c for c in ROBOT.overlay.capsules}
    data = ROBOT.pinocchio.createData()
    for posture in random_postures(2, seed=2):
        # Any base pose: distances do not depend on it.
        base = pin.SE3ToXYZQUAT(pin.SE3.Random())
        pin.framesForwardKinematics(ROBOT.pinocchio, data, np.concatenate([base, posture]))
        for (first, second), distance in zip(MODEL.names, MODEL.distances(posture), strict=True):
            ends = []
            for name in (first, second):
                placed = data.oMf[ROBOT.pinocchio.getFrameId(capsules[name].body)]
                ends.append(np.array([placed.act(np.array(capsules[name].start)), placed.act(np.array(capsules[name].end))]))
            expected = constrained_distance(ends[0], ends[1]) - capsules[first].radius - capsules[second].radius
            assert distance == pytest.approx(expected, abs=1e-4)


def test_nominal_posture_is_clear_by_two_centimetres() -> None:
    assert MODEL.distances(ROBOT.posture).min() >= 0.02


# What each capsule stands for: bodies, and whether of the torso's geoms only the head's or all but the head's count.
BODIES = {
    "torso_left": ("torso_link",),
    "torso_right": ("torso_link",),
    "head": ("torso_link",),
    "pelvis": ("pelvis",),
    **{f"{side}_hip": (f"{side}_hip_roll_link",) for side in ("left", "right")},
    **{f"{side}_thigh": (f"{side}_hip_yaw_link",) for side in ("left", "right")},
    **{f"{side}_upper_arm": (f"{side}_shoulder_yaw_link",) for side in ("left", "right")},
    **{f"{side}_forearm": (f"{side}_elbow_link", f"{side}_wrist_roll_link") for side in ("left", "right")},
    **{f"{side}_hand": (f"{side}_wrist_pitch_link", f"{side}_wrist_yaw_link") for side in ("left", "right")},
}


def solid_geoms(mj: mujoco.MjModel, capsule: str) -> list[int]:
    """Geoms of a capsule's bodies that collide, and the hands, which the plant only draws."""
    found = []
    for geom in range(mj.ngeom):
        mesh = mj.mesh(mj.geom_dataid[geom]).name if mj.geom_dataid[geom] >= 0 else ""
        solid = mj.geom_contype[geom] or mesh.endswith("rubber_hand")
        head = (mesh == "head_link") == (capsule == "head")
        if solid and head and mj.body(mj.geom_bodyid[geom]).name in BODIES[capsule]:
            found.append(geom)
    return found


def mesh_distances(postures: Array, cutoff_m: float) -> Array:
    """MuJoCo's distance (postures, pairs) m between the meshes that the capsules of each pair stand for."""
    mj = compile_plant(ROBOT.description)
    data, geoms, buffer = mujoco.MjData(mj), {name: solid_geoms(mj, name) for name in BODIES}, np.zeros(6)
    out = np.empty((len(postures), len(MODEL.names)))
    for i, posture in enumerate(postures):
        data.qpos[:7], data.qpos[7:] = (0, 0, 0.8, 1, 0, 0, 0), posture
        mujoco.mj_kinematics(mj, data)
        for k, (a, b) in enumerate(MODEL.names):
            out[i, k] = min(mujoco.mj_geomDistance(mj, data, g, h, cutoff_m, buffer) for g in geoms[a] for h in geoms[b])
    return out


def test_capsules_flag_what_the_meshes_touch_and_little_else() -> None:
    postures = np.concatenate([random_postures(300, seed=3), random_postures(150, seed=4, spread=0.3)])
    mesh = mesh_distances(postures, cutoff_m=0.1)
    capsule = np.array([MODEL.distances(posture) for posture in postures])
    touching, clear = mesh.min(axis=1) <= 0.0, mesh.min(axis=1) > 0.03
    flagged = capsule.min(axis=1) < CLEARANCE_M
    assert touching.sum() > 100 and clear.sum() > 100
    assert flagged[touching].mean() >= 0.97
    assert flagged[clear].mean() <= 0.05
    for part in ("torso", "head", "pelvis", "thigh", "hip", "hand"):
        columns = [k for k, pair in enumerate(MODEL.names) if part in pair[1]]
        touches = mesh[:, columns].min(axis=1) <= 0.0
        assert touches.sum() == 0 or (capsule[:, columns].min(axis=1) < CLEARANCE_M)[touches].mean() >= 0.95, part


def test_what_touches_and_what_no_capsules_see() -> None:
    found = {(touch.first, touch.second): touch for touch in touching(ROBOT, 400, seed=0)}
    bare = touching(replace(ROBOT, overlay=replace(ROBOT.overlay, collision_pairs=())), 400, seed=0)
    assert all(touch.unseen == touch.touch > 0.0 for touch in bare) and {(t.first, t.second): t.touch for t in bare} == {
        names: touch.touch for names, touch in found.items()
    }
    elbow = found["left_elbow_link", "torso_link"]
    assert elbow.touch > 0.2 and elbow.unseen < 0.01 * elbow.touch
    assert ("left_knee_link", "left_hip_yaw_link") not in found and ("left_hip_yaw_link", "left_knee_link") not in found, "joined"
    hip = found["left_hip_roll_link", "pelvis"]
    assert hip.unseen == hip.touch > 0.02, "the range of a hip reaches into its own pelvis, and no capsules say so, whatever the arms do"
