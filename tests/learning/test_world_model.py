from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world_factories import KNOTS, good, stand, step

from poise.control.protocols import Situation, WorldModel
from poise.learning import lip_rollout, postures
from poise.learning.world_model import COMFORT, UNITS, LipWorldModel
from poise.robots import Intent, MotionProposal, load_robot
from poise.robots.types import LEFT, RIGHT, Array

ROBOT = load_robot("g1")
GAIT = ROBOT.overlay.gait
MODEL: WorldModel = LipWorldModel(ROBOT)
NOMINAL = ROBOT.posture[ROBOT.arms]


def arms(changes: dict[str, float]) -> Array:
    """The nominal arms with some joints ramped to given positions over the knots, (KNOTS, n_arms)."""
    end = NOMINAL.copy()
    for joint, value in changes.items():
        end[ROBOT.arm_joints.index(joint)] = value
    return np.asarray(NOMINAL + np.linspace(0.2, 1.0, KNOTS)[:, None] * (end - NOMINAL))


SITUATIONS = {
    "stand": stand(ROBOT),
    "shift": stand(ROBOT, phase="shift"),
    "left": step(ROBOT, LEFT),
    "right": step(ROBOT, RIGHT),
}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_a_good_proposal_is_accepted(situation: Situation) -> None:
    (verdict,) = MODEL.imagine(situation, (good(ROBOT, strangeness=0.3),))
    assert verdict.accepted and verdict.constraint == ""
    assert set(verdict.margins) == set(UNITS)
    tightest = min((name for name in COMFORT), key=lambda name: verdict.margins[name] / COMFORT[name])
    assert verdict.margin == verdict.margins[tightest] > 0.0
    assert verdict.unit == UNITS[tightest]
    assert verdict.dcm_end_m is not None and np.isfinite(verdict.dcm_end_m).all()


@pytest.mark.parametrize(
    "twist", [(0.5, 0.0, 0.0), (-0.4, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, -0.2, 0.0), (0.0, 0.0, 1.0), (0.5, 0.2, 0.6), (1.0, 0.0, 0.0)]
)
@pytest.mark.parametrize("stance", [LEFT, RIGHT])
def test_everyday_commands_are_accepted_on_their_own_orbit(twist: tuple[float, float, float], stance: int) -> None:
    (verdict,) = MODEL.imagine(step(ROBOT, stance, twist), (good(ROBOT, twist=np.array(twist)),))
    assert verdict.accepted, verdict


INFEASIBLE: dict[str, list[dict[str, Any]]] = {
    "finite": [
        {"twist": np.array([np.nan, 0.0, 0.0])},
        {"height_m": np.full(KNOTS + 1, 0.6)},
        {"log_likelihood": np.inf},
        {"strangeness": "very"},
        {"period_s": 0.0},
    ],
    "joint_limit": [{"arm_position": arms({"left_elbow_joint": 2.5})}, {"torso_rpy": np.tile([0.0, 0.6, 0.0], (KNOTS, 1))}],
    "joint_speed": [
        {"arm_position": np.tile(NOMINAL + np.eye(14)[0] * 1.5, (KNOTS, 1))},
        {"arm_position": np.tile(NOMINAL + np.eye(14)[3] * 0.72, (KNOTS, 1))},  # 3.6 rad/s to the first knot
        {"torso_rpy": np.tile([0.0, 0.0, 1.3], (KNOTS, 1))},
        {"period_s": 1e-3, "arm_position": arms({"left_elbow_joint": 0.7})},
    ],
    "height": [{"height_m": np.linspace(0.62, 0.50, KNOTS)}, {"height_m": np.full(KNOTS, 0.70)}],
    "step_duration": [{"step_duration_s": 0.2}, {"step_duration_s": 0.7}],
    "reach": [
        {"footstep_offset": np.array([[GAIT.reach_forward_m, 0.0], [0.0, 0.0]])},
        {"footstep_offset": np.array([[0.0, 0.0], [0.0, GAIT.reach_inward_m - GAIT.step_width_m - 0.02]])},
        {"twist": np.array([(GAIT.reach_forward_m + 0.05) / GAIT.step_duration_s, 0.0, 0.0])},
    ],
    "self_collision": [
        {"arm_position": arms({"left_shoulder_roll_joint": -0.3})},
        {
            "arm_position": arms(
                {"left_shoulder_yaw_joint": -1.5, "right_shoulder_yaw_joint": 1.5, "left_elbow_joint": 0.0, "right_elbow_joint": 0.0}
            )
        },
    ],
    "demonstrated": [{"strangeness": 1.2}, {"strangeness": np.inf}],
}
CASES = [(name, changes) for name, cases in INFEASIBLE.items() for changes in cases]


@pytest.mark.parametrize("situation", [SITUATIONS["stand"], SITUATIONS["left"], SITUATIONS["right"]], ids=["stand", "left", "right"])
@pytest.mark.parametrize(("constraint", "changes"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_a_planted_infeasible_proposal_is_rejected_by_name(situation: Situation, constraint: str, changes: dict[str, Any]) -> None:
    bad, fine = MODEL.imagine(situation, (good(ROBOT, **changes), good(ROBOT)))
    assert not bad.accepted and fine.accepted
    assert (bad.constraint, bad.unit) == (constraint, UNITS[constraint])
    assert bad.margin == bad.margins[constraint] < 0.0
    assert bad.score == -np.inf
    assert list(bad.margins) == list(UNITS)[: list(UNITS).index(constraint) + 1]


def test_margins_are_those_worked_by_hand() -> None:
    situation = SITUATIONS["left"]
    (verdict,) = MODEL.imagine(situation, (good(ROBOT, arm_position=arms({"left_elbow_joint": 0.9}), height_m=np.full(KNOTS, 0.65)),))
    assert verdict.margins["height"] == pytest.approx(0.025)
    assert verdict.margins["joint_speed"] == pytest.approx(3.5 - 0.3 / KNOTS / 0.2)
    assert verdict.margins["step_duration"] == pytest.approx(GAIT.step_duration_max_s - GAIT.step_duration_s)
    assert verdict.margins["reach"] == pytest.approx(GAIT.step_width_m - GAIT.reach_inward_m)


def test_strangeness_is_judged_up_to_its_edge() -> None:
    within, over, nan = (good(ROBOT, strangeness=value) for value in (1.0, 1.001, np.nan))
    a, b, c = MODEL.imagine(SITUATIONS["left"], (within, over, nan))
    assert a.accepted and a.margin == a.margins["demonstrated"] == 0.0
    assert (b.accepted, b.constraint) == (False, "demonstrated")
    assert b.margin == pytest.approx(-0.001)
    assert (c.accepted, c.constraint) == (False, "demonstrated")


def test_who_does_not_measure_strangeness_is_not_judged_by_it() -> None:
    (verdict,) = MODEL.imagine(SITUATIONS["left"], (good(ROBOT),))
    assert verdict.accepted and set(verdict.margins) == set(UNITS) - {"demonstrated"}


def test_what_physics_forbids_is_named_by_physics() -> None:
    (verdict,) = MODEL.imagine(SITUATIONS["left"], (good(ROBOT, height_m=np.full(KNOTS, 0.70), strangeness=9.0),))
    assert verdict.constraint == "height"


def test_arms_as_fast_as_demonstrated_are_accepted() -> None:
    """An operator moves no joint faster than 2.5 rad/s."""
    (verdict,) = MODEL.imagine(SITUATIONS["left"], (good(ROBOT, arm_position=np.tile(NOMINAL + np.eye(14)[3] * 0.5, (KNOTS, 1))),))
    assert verdict.accepted and verdict.margins["joint_speed"] == pytest.approx(3.5 - 2.5)


@pytest.mark.parametrize("stance", [LEFT, RIGHT])
@pytest.mark.parametrize("push", [(0.4, 0.0), (-0.35, 0.0), (0.0, 0.2), (0.0, -0.2)])
def test_a_dcm_that_no_step_can_catch_rejects_while_stepping(stance: int, push: tuple[float, float]) -> None:
    situation = step(ROBOT, stance)
    (verdict,) = MODEL.imagine(replace(situation, dcm_offset_m=situation.dcm_offset_m + np.array(push)), (good(ROBOT),))
    assert (verdict.accepted, verdict.constraint) == (False, "zmp_margin")


def test_a_push_asks_for_shorter_steps() -> None:
    situation = step(ROBOT, LEFT, twist=(0.0, 0.0, 0.0), step_duration_s=0.28)
    pushed = replace(situation, dcm_offset_m=situation.dcm_offset_m + np.array([0.44, 0.0]))
    proposals = tuple(good(ROBOT, twist=np.zeros(3), step_duration_s=s) for s in (0.28, 0.60))
    short, long = MODEL.imagine(pushed, proposals)
    assert short.accepted and long.constraint == "zmp_margin"


def test_standing_the_arms_move_the_dcm_over_the_edge() -> None:
    forward = {f"{side}_shoulder_pitch_joint": -1.0 for side in ("left", "right")} | {
        f"{side}_elbow_joint": 0.8 for side in ("left", "right")
    }
    reaching = good(ROBOT, arm_position=arms(forward))
    for x, accepted in ((0.0, True), (0.055, False)):
        situation = stand(ROBOT, dcm_offset_m=np.array([x, -0.1]))
        moved, still = MODEL.imagine(situation, (reaching, good(ROBOT)))
        assert still.accepted and moved.accepted == accepted
        data = ROBOT.pinocchio.createData()
        q = ROBOT.standing_configuration()
        before = pin.centerOfMass(ROBOT.pinocchio, data, q).copy()
        q[7 + ROBOT.arms] = reaching.arm_position[-1]
        shift = (pin.centerOfMass(ROBOT.pinocchio, data, q) - before)[:2]
        np.testing.assert_allclose(moved.dcm_end_m or (), situation.dcm_offset_m + shift, atol=1e-9)
        front = max(corner[0] for corner in ROBOT.overlay.sole_polygon)
        assert moved.margins["zmp_margin"] <= front - (x + shift[0]) - 0.01 + 1e-9
    assert moved.constraint == "zmp_margin"


def turned(situation: Situation, angle: float, shift: Array) -> Situation:
    """The same situation elsewhere in the world, facing elsewhere."""
    belief, c, s = situation.belief, np.cos(angle), np.sin(angle)
    soles = belief.sole_position_world @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + shift
    half = 0.5 * (angle + 0.1)
    orientation = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])  # the base faces 0.1 rad left of the stance foot
    moved = replace(belief, sole_position_world=soles, sole_yaw=belief.sole_yaw + angle, base_orientation_wxyz=orientation)
    return replace(situation, belief=moved)


@pytest.mark.parametrize("name", ["stand", "left", "right"])
def test_verdicts_do_not_depend_on_where_the_world_is(name: str) -> None:
    here, there = turned(SITUATIONS[name], 0.0, np.zeros(3)), turned(SITUATIONS[name], 2.0, np.array([3.0, -1.0, 0.2]))
    proposal = good(ROBOT, arm_position=arms({"left_shoulder_pitch_joint": -0.3}), footstep_offset=np.array([[0.03, 0.02], [0.0, 0.0]]))
    (a,), (b,) = MODEL.imagine(here, (proposal,)), MODEL.imagine(there, (proposal,))
    assert a.accepted and b.accepted
    assert b.margins == pytest.approx(dict(a.margins), abs=1e-9)
    assert b.dcm_end_m == pytest.approx(a.dcm_end_m, abs=1e-9)
    facing_straight = MODEL.imagine(SITUATIONS[name], (proposal,))[0].dcm_end_m
    assert facing_straight is not None and a.dcm_end_m is not None
    across = np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]]) @ facing_straight
    np.testing.assert_allclose(a.dcm_end_m, across, atol=2e-3)  # the arms' own shift is turned with the base


def test_arms_that_something_else_moves_are_not_judged() -> None:
    beyond = good(ROBOT, arm_position=np.full((KNOTS, 14), 3.5))
    situation = stand(ROBOT, intent=Intent(arms_external=True))
    assert MODEL.imagine(SITUATIONS["stand"], (beyond,))[0].constraint == "joint_limit"
    assert MODEL.imagine(situation, (beyond,))[0].accepted


def test_sweep_sees_knots_and_midpoints_as_the_collision_model_does() -> None:
    body = postures.UpperBody(ROBOT, 6.0)
    rng = np.random.default_rng(0)
    start = body.path(np.zeros((1, 3)), NOMINAL[None])[0]
    path = body.path(rng.uniform(-0.3, 0.3, (4, 3)), NOMINAL + rng.uniform(-0.5, 0.5, (4, 14)))
    least, com = body.clearance(ROBOT.posture, start, path)
    data, expected, before = ROBOT.pinocchio.createData(), np.inf, start
    for knot, upper in enumerate(path):
        for joints in (0.5 * (before + upper), upper):
            q = ROBOT.posture.copy()
            q[np.concatenate([ROBOT.waist, ROBOT.arms])] = joints
            expected = min(expected, body.collision.distances(q).min())
        before = upper
        np.testing.assert_allclose(
            com[knot], pin.centerOfMass(ROBOT.pinocchio, data, np.concatenate([[0, 0, 0, 0, 0, 0, 1], q])), atol=1e-12
        )
    assert least == pytest.approx(expected, abs=1e-12)


def test_torso_attitude_becomes_the_waist_joints_of_the_same_name() -> None:
    waist = postures.UpperBody(ROBOT, 6.0).path(np.array([[0.1, 0.2, 0.3]]), NOMINAL[None])[0, :3]
    by_name = dict(zip((ROBOT.joint_names[i] for i in ROBOT.waist), waist, strict=True))
    assert by_name == {"waist_roll_joint": 0.1, "waist_pitch_joint": 0.2, "waist_yaw_joint": 0.3}


def test_score_prefers_likely_proposals_that_do_what_is_asked() -> None:
    likely, unlikely = good(ROBOT, log_likelihood=10.0), good(ROBOT, log_likelihood=0.0)
    slow = good(ROBOT, log_likelihood=10.0, twist=np.array([0.1, 0.0, 0.0]))
    a, b, c = MODEL.imagine(SITUATIONS["left"], (likely, unlikely, slow))
    assert a.score - b.score == pytest.approx(0.5)
    assert a.score - c.score == pytest.approx(0.2 / GAIT.velocity_max[0], abs=0.05)


GARBAGE = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.floats(),
    st.integers(),
    st.lists(st.floats(), max_size=20),
    st.lists(st.lists(st.floats(), max_size=16), max_size=6),
    st.just(np.full((KNOTS, 14), np.nan)),
    st.just(np.zeros((0, 3))),
    st.just(np.zeros(0)),
    st.just(np.full(KNOTS, 1e308)),
    st.just(10**400),
    st.just(1j),
)
NUMERIC = st.floats(allow_nan=True, allow_infinity=True)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from([f for f in MotionProposal.__dataclass_fields__ if f != "origin"]), GARBAGE, min_size=1, max_size=4))
def test_garbage_never_raises(changes: dict[str, Any]) -> None:
    for situation in SITUATIONS.values():
        bad, fine = MODEL.imagine(situation, (good(ROBOT, **changes), good(ROBOT)))
        assert fine.accepted
        assert bad.accepted or bad.constraint in UNITS


@settings(deadline=None, max_examples=200)
@given(
    twist=st.lists(NUMERIC, min_size=3, max_size=3),
    height=st.lists(NUMERIC, min_size=2, max_size=2),
    arm=NUMERIC,
    torso=NUMERIC,
    period=NUMERIC,
    step_s=NUMERIC,
    offset=NUMERIC,
    likelihood=st.one_of(st.none(), NUMERIC),
    strangeness=st.one_of(st.none(), NUMERIC),
)
def test_numbers_of_any_size_never_raise_and_are_accepted_only_with_every_margin(
    twist: list[float],
    height: list[float],
    arm: float,
    torso: float,
    period: float,
    step_s: float,
    offset: float,
    likelihood: float | None,
    strangeness: float | None,
) -> None:
    proposal = MotionProposal(
        "test",
        period,
        np.array(twist),
        np.array(height),
        np.full((2, 3), torso),
        np.full((2, 14), arm),
        step_s,
        np.full((2, 2), offset),
        likelihood,
        strangeness,
    )
    (verdict,) = MODEL.imagine(SITUATIONS["left"], (proposal,))
    if verdict.accepted:
        assert np.isfinite(verdict.score) and all(margin >= -1e-9 for margin in verdict.margins.values())
    else:
        assert verdict.constraint == list(verdict.margins)[-1]


def test_what_is_no_proposal_at_all_is_not_finite() -> None:
    assert [v.constraint for v in MODEL.imagine(SITUATIONS["left"], (None, "walk"))] == ["finite", "finite"]  # type: ignore[arg-type]


def test_a_situation_that_is_not_finite_accepts_nothing() -> None:
    for situation in (SITUATIONS["stand"], SITUATIONS["left"]):
        (verdict,) = MODEL.imagine(replace(situation, dcm_offset_m=np.array([np.nan, 0.0])), (good(ROBOT),))
        assert (verdict.accepted, verdict.constraint) == (False, "zmp_margin")


def test_the_same_question_has_the_same_answer() -> None:
    rng = np.random.default_rng(0)
    proposals = tuple(good(ROBOT, twist=rng.uniform(-0.5, 0.5, 3), log_likelihood=float(rng.normal())) for _ in range(8))
    for situation in SITUATIONS.values():
        first, second = MODEL.imagine(situation, proposals), LipWorldModel(ROBOT).imagine(situation, proposals)
        for a, b in zip(first, second, strict=True):
            assert (a.accepted, a.constraint, a.score, a.dcm_end_m, a.margins) == (
                b.accepted,
                b.constraint,
                b.score,
                b.dcm_end_m,
                b.margins,
            )


def test_nothing_compiles_in_the_loop() -> None:
    kernels: list[Any] = [
        postures.sweep,
        postures.limit_margin,
        postures.speed_margin,
        postures.all_finite,
        lip_rollout.roll_out,
        lip_rollout.support_margin,
    ]
    LipWorldModel(ROBOT)
    before = [len(kernel.signatures) for kernel in kernels]
    read_only = step(ROBOT)
    for array in (read_only.dcm_offset_m, read_only.joint_position, read_only.belief.sole_position_world, read_only.arm_reference):
        array.flags.writeable = False
    MODEL.imagine(read_only, (good(ROBOT, arm_position=np.asfortranarray(np.tile(NOMINAL, (KNOTS, 1)))),))
    assert [len(kernel.signatures) for kernel in kernels] == before
