from __future__ import annotations

from dataclasses import replace

import numpy as np
import pinocchio as pin
import pytest
from scipy.optimize import least_squares

from poise.hw.retarget import HOME_RADPS, LONGEST_S, SPEED_RADPS, TORSO_RAD, Pose, Retarget, torso_of
from poise.robots import PoiseError, RobotModel
from poise.robots.types import Array

DT = 0.02
WRISTS = ("left_wrist_yaw_link", "right_wrist_yaw_link")
SHOULDERS = ("left_shoulder_pitch_link", "right_shoulder_pitch_link")


def hands_of(robot: RobotModel, arms: Array, lean: float = 0.0) -> tuple[Pose, Pose]:
    """The hands by the whole robot's own forward kinematics, seen from the chest; the body leaning forward by an angle, rad."""
    model, data = robot.pinocchio, robot.pinocchio.createData()
    q = robot.standing_configuration()
    q[7 + robot.arms] = arms
    q[3:7] = pin.Quaternion(pin.rpy.rpyToMatrix(0.0, lean, 0.3)).coeffs()
    pin.framesForwardKinematics(model, data, q)
    shoulders = np.mean([data.oMf[model.getFrameId(link)].translation for link in SHOULDERS], axis=0)
    chest = pin.SE3(data.oMf[robot.torso_frame].rotation, shoulders)
    poses = [chest.actInv(data.oMf[model.getFrameId(link)]) for link in WRISTS]
    left, right = (Pose(pose.translation, np.roll(pin.Quaternion(pose.rotation).coeffs(), 1)) for pose in poses)
    return left, right


def turned(a: Array, b: Array) -> float:
    """The angle between two attitudes, rad."""
    return float(2.0 * np.arccos(min(1.0, abs(float(np.dot(a, b))))))


def some_arms(robot: RobotModel, rng: np.random.Generator) -> Array:
    """Arms anywhere in the middle of their ranges, rad."""
    middle, half = (part[robot.arms] for part in robot.middle_and_half)
    return np.clip(robot.posture[robot.arms] + rng.uniform(-0.5, 0.5, len(robot.arms)), middle - 0.9 * half, middle + 0.9 * half)


def test_it_knows_where_the_hands_are(g1: RobotModel) -> None:
    for lean in (0.0, 0.2):
        for mine, theirs in zip(Retarget(g1).hands, hands_of(g1, g1.posture[g1.arms], lean), strict=True):
            assert np.allclose(mine.position, theirs.position, atol=1e-9) and turned(mine.wxyz, theirs.wxyz) < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_hands_get_where_the_arms_can_bring_them(g1: RobotModel, seed: int) -> None:
    targets = hands_of(g1, some_arms(g1, np.random.default_rng(seed)))
    retarget = Retarget(g1)
    for _ in range(250):
        arms = retarget.toward(targets, DT)
    for target, reached in zip(targets, hands_of(g1, arms), strict=True):
        assert np.linalg.norm(reached.position - target.position) < 0.002
        assert turned(reached.wxyz, target.wxyz) < 0.03


def test_no_joint_jumps_and_none_leaves_its_limits(g1: RobotModel) -> None:
    rng, retarget = np.random.default_rng(7), Retarget(g1)
    low, high = g1.position_min[g1.arms], g1.position_max[g1.arms]
    before = retarget.arms
    for step in range(600):
        if step % 20 == 0:  # operators' tracking jumps
            targets = [Pose(rng.uniform(-0.8, 0.8, 3), quaternion / np.linalg.norm(quaternion)) for quaternion in rng.normal(size=(2, 4))]
        dt = float(rng.choice([0.0, 0.005, DT, 1.0]))
        arms = retarget.toward(targets, dt)
        assert np.abs(arms - before).max() <= SPEED_RADPS * min(dt, LONGEST_S) + 1e-9
        assert np.all(arms >= low) and np.all(arms <= high)
        before = arms


@pytest.mark.parametrize("place", [(0.9, 0.3, 0.1), (0.2, 0.9, -0.3), (0.1, 0.2, 1.2)])
def test_a_hand_that_is_out_of_reach_comes_as_near_as_it_can(g1: RobotModel, place: tuple[float, float, float]) -> None:
    target, retarget = Pose(np.array(place), np.array([1.0, 0.0, 0.0, 0.0])), Retarget(g1)
    for _ in range(500):
        arms = retarget.toward((target, None), DT)
    here = float(np.linalg.norm(hands_of(g1, arms)[0].position - target.position))
    assert here < nearest(g1, target) + 0.03
    moving = np.abs(retarget.toward((target, None), DT) - arms).max()
    assert moving < 0.002, "it comes to rest there"


def nearest(robot: RobotModel, target: Pose) -> float:
    """How near the left hand can come at all, m, by another method from several starts."""
    rng, half = np.random.default_rng(0), len(robot.arms) // 2
    low, high = robot.position_min[robot.arms][:half], robot.position_max[robot.arms][:half]

    def miss(left: Array) -> Array:
        return hands_of(robot, np.concatenate((left, robot.posture[robot.arms][half:])))[0].position - target.position

    starts = rng.uniform(low, high, (3, half))
    return min(float(np.linalg.norm(least_squares(miss, start, bounds=(low, high)).fun)) for start in starts)


def test_the_other_arm_stays_where_it_is(g1: RobotModel) -> None:
    retarget = Retarget(g1)
    target = Pose(retarget.hands[0].position + [0.1, 0.05, 0.1], retarget.hands[0].wxyz)
    for _ in range(100):
        arms = retarget.toward((target, None), DT)
    assert np.allclose(arms[7:], g1.posture[g1.arms][7:], atol=1e-6)


def test_arms_come_home_slowly_and_are_the_stacks_again(g1: RobotModel) -> None:
    retarget = Retarget(g1)
    assert retarget.homeward(DT) is None, "they have not been away"
    for _ in range(100):
        away = retarget.toward(hands_of(g1, some_arms(g1, np.random.default_rng(3))), DT)
    before, steps = away, 0
    while (arms := retarget.homeward(DT)) is not None:
        assert 0.0 < np.abs(arms - before).max() <= HOME_RADPS * DT + 1e-12
        before, steps = arms, steps + 1
    assert np.allclose(before, g1.posture[g1.arms], atol=1e-9)
    assert steps == pytest.approx(np.abs(away - g1.posture[g1.arms]).max() / (HOME_RADPS * DT), abs=1.5)


def test_the_torso_looks_where_the_head_does(g1: RobotModel) -> None:
    nod = Pose(np.zeros(3), np.array([np.cos(0.1), 0.0, np.sin(0.1), 0.0]))
    assert torso_of(nod) == pytest.approx((0.0, 0.2, 0.0))
    behind = Pose(np.zeros(3), np.array([np.cos(1.0), 0.0, 0.0, np.sin(1.0)]))
    assert torso_of(behind) == pytest.approx((0.0, 0.0, TORSO_RAD))


def test_a_robot_of_one_arm_is_refused(g1: RobotModel) -> None:
    with pytest.raises(PoiseError, match="two arms"):
        Retarget(replace(g1, arms=g1.arms[:7]))
