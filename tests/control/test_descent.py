from __future__ import annotations

import numpy as np
import pytest
from loop import STAND, make_loop, statuses

from poise.control.descent import Descent, DescentConfig
from poise.control.unplanned import FALLS
from poise.robots import RobotModel
from poise.robots.types import Array, RobotState

DT, CONFIG = 0.002, DescentConfig()


def leaning(angle: float, way: float, joints: Array) -> RobotState:
    """A state whose base leans by an angle towards a way, from forward to the left."""
    axis = np.array([-np.sin(way), np.cos(way), 0.0])  # a turn about the left axis leans forward
    turned = np.concatenate(([np.cos(0.5 * angle)], np.sin(0.5 * angle) * axis))
    return RobotState(0.0, joints, np.zeros(joints.size), base_orientation_wxyz=turned)


def test_a_robot_that_can_be_saved_is_let_alone(g1: RobotModel) -> None:
    descent = Descent(g1, CONFIG, DT)
    for way in np.linspace(-np.pi, np.pi, 9):
        assert descent(leaning(CONFIG.lean_rad - 1e-3, float(way), g1.posture)) is None and not descent.falling


@pytest.mark.parametrize("way", [0.0, 0.5 * np.pi, np.pi, -0.5 * np.pi, 0.7])
def test_a_fall_goes_to_the_posture_of_its_way_softly(g1: RobotModel, way: float) -> None:
    descent, begin = Descent(g1, CONFIG, DT), g1.posture + 0.01
    first = descent(leaning(CONFIG.lean_rad + 1e-3, way, begin))
    assert first is not None and descent.falling
    end = np.clip(g1.descent[0] + np.cos(way) * g1.descent[1] + np.sin(way) * g1.descent[2], g1.position_min, g1.position_max)
    np.testing.assert_allclose(first.q, begin + DT / CONFIG.taken_s * (end - begin), atol=1e-9)
    for _ in range(round(CONFIG.taken_s / DT)):
        last = descent(leaning(1.0, way + 1.0, begin))  # the way is that of its beginning
    assert last is not None
    np.testing.assert_allclose(last.q, end, atol=1e-9)
    assert (last.kp > 0.0).all() and (last.kd > 0.0).all() and not last.tau.any()


def test_the_posture_is_mirrored_with_the_way(g1: RobotModel) -> None:
    """A fall to the left is the mirror of one to the right: pitches alike, rolls and yaws opposite, sides changed."""
    descent = Descent(g1, CONFIG, DT)
    left, right = descent.posture(0.6), descent.posture(-0.6)
    for i, name in enumerate(g1.joint_names):
        other = name.replace("left_", "R_").replace("right_", "left_").replace("R_", "right_")
        sign = -1.0 if "roll" in name or "yaw" in name else 1.0
        assert left[i] == pytest.approx(sign * right[g1.joint_names.index(other)], abs=1e-9), name


def test_lying_it_is_damped_and_put_upright_it_begins_anew(g1: RobotModel) -> None:
    descent = Descent(g1, CONFIG, DT)
    for _ in range(round(CONFIG.lasts_s / DT) + 2):
        command = descent(leaning(1.4, 0.0, g1.posture))
    assert command is not None and not command.kp.any() and command.kd.all()
    half = round(0.5 * CONFIG.upright_s / DT)
    for _ in range(half):
        assert descent(leaning(0.1, 0.0, g1.posture)) is not None
    assert descent(leaning(0.3, 0.0, g1.posture)) is not None, "not upright: it has to be so for a while without a break"
    commands = [descent(leaning(0.1, 0.0, g1.posture)) for _ in range(2 * half + 2)]
    assert commands[half] is not None and commands[-1] is None and not descent.falling


def test_the_stack_gives_up_a_fall_and_stands_again_when_it_is_put_up() -> None:
    loop = make_loop(0)
    loop.run(0.2, STAND)
    upright = loop.backend.data.qpos.copy()
    loop.backend.data.qvel[1] = 4.0  # m/s to the left: nothing saves it
    falling = loop.run(1.5, STAND)
    first = statuses(falling).index("safe")
    assert {decision.reason for decision in falling[first:]} == {FALLS}
    for decision in falling[first:]:
        assert decision.belief is None and decision.plan is None
        torque = decision.command.torque(loop.backend.data.qpos[7:], loop.backend.data.qvel[6:])
        assert (np.abs(torque) <= loop.stack.robot.torque_limit).all()
    jitter = np.random.default_rng(0)  # of a hand that holds it: encoders that stand still are a fault of their own
    for _ in range(300):  # held up until the stack takes it that the robot stands
        loop.backend.data.qpos[:], loop.backend.data.qvel[:] = upright, 0.0
        loop.backend.data.qpos[7:] += jitter.uniform(-1e-4, 1e-4, upright.size - 7)
        again = loop.run(DT, STAND)[-1]
        if again.reason != FALLS:
            break
    assert again.status != "safe" and loop.run(2.0, STAND)[-1].status == "ok" and loop.stands


def test_a_fall_goes_on_bit_for_bit_from_a_snapshot() -> None:
    loop = make_loop(0)
    loop.run(0.1, STAND)
    loop.backend.data.qvel[1] = 4.0
    loop.run(0.6, STAND)
    plant, memory = loop.backend.snapshot(), loop.stack.snapshot()
    first = [decision.command.tau for decision in loop.run(0.2, STAND)]
    loop.backend.restore(plant)
    loop.stack.restore(memory)
    np.testing.assert_array_equal([decision.command.tau for decision in loop.run(0.2, STAND)], first)
