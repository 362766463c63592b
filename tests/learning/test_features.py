"""The features: by hand, independent of where in the world, and the same from a file as on the robot."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
from synthetic import make_belief, make_situation, quaternion, run_episode

from poise.learning.features import feature_names, features, roll_pitch_yaw
from poise.learning.operator import OperatorProposer
from poise.learning.trace import load_trace, save_trace
from poise.robots import Intent, RobotModel
from poise.robots.types import RIGHT


def named(robot: RobotModel, values: np.ndarray) -> dict[str, float]:
    return dict(zip(feature_names(robot), values.tolist(), strict=True))


def test_values_by_hand(robot: RobotModel) -> None:
    seen = named(robot, features(make_situation(robot), robot))
    assert seen["stride_sin"] == pytest.approx(1.0)  # half of a left step: a quarter of the stride
    assert seen["stride_cos"] == pytest.approx(0.0, abs=1e-6)
    assert (seen["stand"], seen["shift"], seen["stance_sign"]) == (0.0, 0.0, 1.0)
    assert (seen["twist_x"], seen["dcm_x"], seen["dcm_y"]) == pytest.approx((0.5, 0.08, -0.06))
    assert seen["reference left_elbow_joint"] == pytest.approx(0.6)
    assert (seen["has_velocity"], seen["has_waypoint"], seen["arms_external"]) == (1.0, 0.0, 0.0)


def test_right_step_is_the_second_half_of_the_stride(robot: RobotModel) -> None:
    seen = named(robot, features(make_situation(robot, stance=RIGHT), robot))
    assert seen["stride_sin"] == pytest.approx(-1.0)
    assert seen["stance_sign"] == -1.0


def test_standing_has_no_stride(robot: RobotModel) -> None:
    seen = named(robot, features(make_situation(robot, phase="stand"), robot))
    assert (seen["stride_sin"], seen["stride_cos"], seen["stand"]) == (0.0, 0.0, 1.0)


def test_intent_is_told_apart(robot: RobotModel) -> None:
    intent = Intent(waypoint=(1.0, 0.0, 0.0), height_m=0.6, torso_rpy=(0.0, 0.1, 0.0), arms=np.zeros(len(robot.arms)), arms_external=True)
    seen = named(robot, features(make_situation(robot, intent=intent), robot))
    flags = ("has_velocity", "has_waypoint", "has_height", "has_torso", "has_arms", "arms_external")
    assert [seen[flag] for flag in flags] == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("yaw", [0.7, -2.5, 3.1])
def test_no_absolute_position_or_yaw(robot: RobotModel, yaw: float) -> None:
    velocity, turn = np.array([0.4, -0.1, 0.02]), pin.rpy.rpyToMatrix(0.0, 0.0, yaw)
    here = make_belief(np.random.default_rng(5), velocity=velocity)
    there = make_belief(np.random.default_rng(5), yaw=yaw, position=np.array([7.0, -3.0, 0.7]), velocity=turn @ velocity)
    at_home = features(make_situation(robot, belief=here), robot)
    elsewhere = features(make_situation(robot, belief=there, tick=999, stamp_s=50.0), robot)
    np.testing.assert_allclose(elsewhere, at_home, atol=1e-6)


def test_angles_are_pinocchios() -> None:
    for rpy in np.random.default_rng(0).uniform(-1.4, 1.4, (20, 3)):
        assert roll_pitch_yaw(quaternion(*rpy)) == pytest.approx(tuple(pin.rpy.matrixToRpy(pin.rpy.rpyToMatrix(*rpy))))


def test_same_from_a_file_as_on_the_robot(robot: RobotModel, tmp_path: Path) -> None:
    trace = run_episode(4, OperatorProposer(robot))
    save_trace(tmp_path / "episode.npz", trace, {})
    read = load_trace(tmp_path / "episode.npz")
    for live, stored in zip(trace.situations, read.situations, strict=True):
        assert features(stored, robot).tobytes() == features(live, robot).tobytes()


def test_shape_and_type(robot: RobotModel) -> None:
    seen = features(make_situation(robot), robot)
    assert seen.dtype == np.float32
    assert seen.shape == (len(feature_names(robot)),)
    assert len(set(feature_names(robot))) == len(seen)


def test_what_is_unknown_stays_unknown(robot: RobotModel) -> None:
    belief = replace(make_belief(np.random.default_rng(0)), base_orientation_wxyz=np.full(4, math.nan))
    seen = named(robot, features(make_situation(robot, belief=belief), robot))
    assert all(math.isnan(seen[name]) for name in ("roll", "pitch", "velocity_x"))
    assert math.isnan(named(robot, features(make_situation(robot, time_in_phase_s=math.nan), robot))["stride_sin"])


def test_refuses_other_arms(robot: RobotModel) -> None:
    with pytest.raises(ValueError, match="14 arm joints"):
        features(make_situation(robot, arm_reference=np.zeros(3)), robot)
