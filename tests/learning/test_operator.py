"""The operator model: reproducible, smooth, within limits, clear of the body, and it does what a person would."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from synthetic import make_belief, make_situation, run_episode

from poise.control.lip import natural_frequency
from poise.control.motion import TORSO_MAX
from poise.learning.disturbance import nominal_dcm_offset, ramp, velocity_error
from poise.learning.operator import OperatorProposer
from poise.learning.trace import EpisodeTrace
from poise.robots import MotionProposal, RobotModel
from poise.robots.collision import CollisionModel
from poise.robots.types import LEFT, RIGHT

SEEDS = (11, 12, 13, 14, 15)


@pytest.fixture(scope="module")
def episodes(robot: RobotModel) -> list[EpisodeTrace]:
    return [reset_and_run(OperatorProposer(robot), seed) for seed in SEEDS]


def reset_and_run(operator: OperatorProposer, seed: int) -> EpisodeTrace:
    operator.reset(seed)
    return run_episode(seed, operator)


def propose(operator: OperatorProposer, seed: int, robot: RobotModel, **changes: Any) -> MotionProposal:
    operator.reset(seed)
    (motion,) = operator.propose(make_situation(robot, **changes))
    return motion


def calm(robot: RobotModel, **changes: Any) -> dict[str, Any]:
    """Changes that make a situation's DCM the nominal one."""
    return changes | {"dcm_offset_m": nominal_dcm_offset(make_situation(robot, **changes), robot)}


def test_reproducible(robot: RobotModel, episodes: list[EpisodeTrace]) -> None:
    again = reset_and_run(OperatorProposer(robot), SEEDS[0])
    for first, second in zip(episodes[0].situations, again.situations, strict=True):
        assert first.arm_reference.tobytes() == second.arm_reference.tobytes()
    assert not np.allclose(episodes[0].situations[-1].arm_reference, episodes[1].situations[-1].arm_reference)


def test_postures_are_commanded_at_times(robot: RobotModel) -> None:
    """Height and torso, each by itself and both; more often neither; inside what the robot's motion reference takes."""
    operator, gait = OperatorProposer(robot), robot.overlay.gait
    operator.reset(5)
    intents = [operator.intent(t) for t in np.arange(0.0, 600.0, 0.1)]
    given = [(intent.height_m is not None, intent.torso_rpy is not None) for intent in intents]
    shares = {kind: given.count(kind) / len(given) for kind in ((False, False), (True, False), (False, True), (True, True))}
    assert 0.5 < shares[False, False] < 0.8 and min(shares.values()) > 0.05
    assert not any(given[0])
    heights = [intent.height_m for intent in intents if intent.height_m is not None]
    assert gait.height_range_m[0] <= min(heights) < gait.com_height_m < max(heights) <= gait.height_range_m[1]
    torso = np.array([intent.torso_rpy for intent in intents if intent.torso_rpy is not None])
    assert (np.abs(torso) < TORSO_MAX).all() and (np.ptp(torso, axis=0) > 0.1).all()


def test_intents_hold_and_stay_within_the_gait(robot: RobotModel) -> None:
    operator = OperatorProposer(robot)
    operator.reset(5)
    times = np.arange(0.0, 300.0, 0.1)
    commands = np.array([operator.intent(t).velocity for t in times])
    changes = times[1:][np.any(np.diff(commands, axis=0) != 0.0, axis=1)]
    assert (np.abs(commands) <= robot.overlay.gait.velocity_max).all()
    assert np.diff(changes).min() >= 2.0 - 0.11
    assert (commands[:10] == 0.0).all()
    moving = commands[np.any(commands != 0.0, axis=1)]
    assert (moving[:, 0] > 0.2).any() and (moving[:, 0] < -0.1).any()
    assert (abs(moving[:, 1]) > 0.1).any() and (abs(moving[:, 2]) > 0.3).any()


def test_asking_later_first_changes_nothing(robot: RobotModel) -> None:
    one, other = OperatorProposer(robot), OperatorProposer(robot)
    other.intent(60.0)
    assert [one.intent(t).velocity for t in (1.0, 20.0, 60.0)] == [other.intent(t).velocity for t in (1.0, 20.0, 60.0)]


def test_smooth_and_within_limits(robot: RobotModel, episodes: list[EpisodeTrace]) -> None:
    gait, low, high = robot.overlay.gait, robot.position_min[robot.arms], robot.position_max[robot.arms]
    for trace in episodes:
        arms = np.array([s.arm_reference for s in trace.situations])
        heights = np.array([s.height_reference_m for s in trace.situations])
        assert (arms > low + 0.09).all() and (arms < high - 0.09).all()
        assert np.abs(np.diff(arms, axis=0) / 0.1).max() <= 2.5
        assert np.abs(np.diff(arms, n=2, axis=0) / 0.1**2).max() <= 20.0
        assert heights.min() >= gait.com_height_m - 0.065 and heights.max() <= gait.height_range_m[1]
        assert trace.step_duration_s.min() >= 0.36 and trace.step_duration_s.max() <= 0.50


def test_moves_the_arms_enough_to_learn_from(episodes: list[EpisodeTrace]) -> None:
    arms = np.concatenate([[s.arm_reference for s in trace.situations] for trace in episodes])
    assert np.ptp(arms, axis=0)[[0, 1, 3]].min() > 0.4


def test_arms_stay_clear_of_the_body(robot: RobotModel, episodes: list[EpisodeTrace]) -> None:
    """Also while the thighs swing forward under the hands."""
    collision, rng = CollisionModel(robot), np.random.default_rng(0)
    hips = robot.legs[[0, len(robot.legs) // 2]]
    least = math.inf
    for trace in episodes:
        for situation in trace.situations[::2]:
            posture = robot.posture.copy()
            posture[robot.arms] = situation.arm_reference
            posture[hips] = rng.uniform(-0.8, 0.1, 2)
            least = min(least, float(collision.distances(posture).min()))
    assert least > 0.015


def test_left_arm_swings_forward_with_the_right_leg(robot: RobotModel) -> None:
    """Through a step on the left foot the right leg goes from behind to the front, and so does the left arm."""
    start = propose(OperatorProposer(robot), 2, robot, **calm(robot, time_in_phase_s=0.0))
    pitch = [robot.arm_joints.index(f"{side}_shoulder_pitch_joint") for side in ("left", "right")]
    left, right = start.arm_position[1, pitch] - start.arm_position[0, pitch]
    assert left < -0.02 and right > 0.02  # negative pitch is forward
    mirrored = propose(OperatorProposer(robot), 2, robot, **calm(robot, time_in_phase_s=0.0, stance=RIGHT))
    assert mirrored.arm_position[1, pitch[0]] - mirrored.arm_position[0, pitch[0]] > 0.02


def test_swing_grows_with_speed_and_rests_standing(robot: RobotModel) -> None:
    def travel(speed: float, phase: str) -> float:
        motion = propose(OperatorProposer(robot), 2, robot, **calm(robot, twist=np.array([speed, 0.0, 0.0]), phase=phase))
        return float(np.ptp(motion.arm_position[:, 0]))

    assert travel(0.9, "step") > 1.5 * travel(0.4, "step") > 1.5 * travel(0.4, "stand")


def test_turns_the_torso_into_the_turn(robot: RobotModel) -> None:
    for turn in (-0.8, 0.8):
        motion = propose(OperatorProposer(robot), 1, robot, **calm(robot, twist=np.array([0.0, 0.0, turn])))
        assert motion.torso_rpy[-1, 2] * turn > 0.03


def test_after_a_push_steps_faster_and_towards_the_fall(robot: RobotModel) -> None:
    nominal = nominal_dcm_offset(make_situation(robot), robot)
    quiet = propose(OperatorProposer(robot), 1, robot, dcm_offset_m=nominal)
    # Outward of the swinging right foot is to the right, negative y.
    pushed = propose(OperatorProposer(robot), 1, robot, dcm_offset_m=nominal + [0.12, -0.12])
    assert pushed.step_duration_s < quiet.step_duration_s - 0.03
    assert pushed.footstep_offset[0, 0] > quiet.footstep_offset[0, 0] + 0.01
    assert pushed.footstep_offset[0, 1] > quiet.footstep_offset[0, 1] + 0.01
    roll = robot.arm_joints.index("left_shoulder_roll_joint")
    assert pushed.arm_position[-1, roll] > quiet.arm_position[-1, roll] + 0.1
    assert np.abs(pushed.footstep_offset).max() <= 0.06


def test_recovery_fades(robot: RobotModel) -> None:
    operator = OperatorProposer(robot)
    nominal = nominal_dcm_offset(make_situation(robot), robot)
    operator.propose(make_situation(robot, stamp_s=0.0, dcm_offset_m=nominal + [0.2, 0.0]))
    durations = [operator.propose(make_situation(robot, stamp_s=t, dcm_offset_m=nominal))[0].step_duration_s for t in (0.1, 0.5, 3.0)]
    assert durations[0] < durations[1] < durations[2]


def test_no_proposal_without_a_state(robot: RobotModel) -> None:
    assert OperatorProposer(robot).propose(make_situation(robot, dcm_offset_m=np.full(2, math.nan))) == ()
    assert OperatorProposer(robot).propose(make_situation(robot, arm_reference=np.full(len(robot.arms), math.nan))) == ()


def test_nominal_dcm_repeats_over_a_stride(robot: RobotModel) -> None:
    """From a left touchdown to the next one the offset from the new sole is the mirror image, as on a periodic orbit."""
    gait, twist = robot.overlay.gait, np.array([0.6, 0.0, 0.0])
    end = nominal_dcm_offset(make_situation(robot, twist=twist, time_in_phase_s=0.42), robot)
    touchdown = nominal_dcm_offset(make_situation(robot, twist=twist, stance=RIGHT, time_in_phase_s=0.0), robot)
    np.testing.assert_allclose(end - [0.6 * 0.42, -gait.step_width_m], touchdown, atol=1e-9)


def test_nominal_dcm_against_integration(robot: RobotModel) -> None:
    """Euler's method on the DCM's equation of motion, over the ZMP that moves through double support and then rests."""
    gait, omega, dt = robot.overlay.gait, natural_frequency(robot.overlay.gait.com_height_m), 1e-5
    last_step = np.array([0.5 * 0.42, gait.step_width_m])  # from the right sole to this left one
    dcm = nominal_dcm_offset(make_situation(robot, time_in_phase_s=0.0), robot)
    for i in range(round(0.3 / dt)):
        dcm = dcm + dt * omega * (dcm + last_step * max(1.0 - i * dt / gait.double_support_s, 0.0))
    np.testing.assert_allclose(nominal_dcm_offset(make_situation(robot, time_in_phase_s=0.3), robot), dcm, atol=2e-4)


def test_nominal_dcm_standing_is_between_the_feet(robot: RobotModel) -> None:
    for stance, side in ((LEFT, -1.0), (RIGHT, 1.0)):
        offset = nominal_dcm_offset(make_situation(robot, phase="stand", stance=stance), robot)
        np.testing.assert_allclose(offset, [0.0, side * robot.overlay.gait.step_width_m / 2])


def test_speed_error_is_in_the_heading_frame(robot: RobotModel) -> None:
    belief = replace(make_belief(np.random.default_rng(0), yaw=math.pi / 2), base_velocity_world=np.array([0.3, 0.9, 0.0]))
    assert velocity_error(make_situation(robot, belief=belief)) == pytest.approx(0.4, abs=1e-3)


def test_ramp() -> None:
    assert [ramp(v, 1.0, 3.0) for v in (0.0, 1.0, 2.0, 3.0, 9.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]
