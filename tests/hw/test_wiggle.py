"""The wiggle before a robot is armed: it passes on a sound one, and names what is wired wrongly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from wire import PERIOD_S, parts, plant

from poise.hw.wiggle import FAR_RAD, wiggle
from poise.robots import JointCommand, RobotState
from poise.robots.types import Array
from poise.sim import MujocoBackend
from poise.sim.hoist import Hoist

ROBOT = parts()[0]
KNEES = (ROBOT.joint_names.index("left_knee_joint"), ROBOT.joint_names.index("right_knee_joint"))


class Wired:
    """A robot that hangs, whose motors may be wired in another order, or the wrong way round, or not at all."""

    def __init__(self) -> None:
        self.plant = hanging()
        self.order, self.sign, self.alive = np.arange(ROBOT.n), np.ones(ROBOT.n), np.ones(ROBOT.n)
        self.sent = list[JointCommand]()

    def read(self) -> RobotState:
        return self.plant.read()

    def write(self, command: JointCommand) -> JointCommand:
        self.sent.append(command)
        q, tau = self._wired(command.q), self._wired(command.tau)
        q = np.where(self.sign > 0.0, q, 2.0 * self._home() - q)
        limit = command.torque_limit * self.alive
        return self.plant.write(replace(command, q=q, tau=tau, torque_limit=limit))

    def reset(self, seed: int | None = None) -> RobotState:
        return self.plant.reset(seed)

    def close(self) -> None: ...

    def _wired(self, values: Array) -> Array:
        return np.asarray(values)[self.order]

    def _home(self) -> Array:
        return self.sent[0].q


def hanging() -> MujocoBackend:
    backend = plant()
    backend.data.qpos[2] += 0.3
    height_m = float(backend.data.body(ROBOT.overlay.torso).xpos[2]) + 0.3
    backend.disturbances = (Hoist(ROBOT.overlay.torso, height_m, height_m),)
    return backend


def test_a_sound_robot_passes_and_is_left_damped_where_it_was() -> None:
    robot = Wired()
    before = robot.read().joint_position.copy()
    assert wiggle(ROBOT, robot, PERIOD_S) == ""
    told = np.array([command.q for command in robot.sent])
    np.testing.assert_allclose(np.abs(told - told[0]).max(axis=0), FAR_RAD, err_msg="each joint is told to move, and as far")
    assert np.abs(robot.read().joint_position - before).max() < 0.2, "damped, it gives way a little"
    assert not robot.sent[-1].kp.any() and (robot.sent[-1].kd > 0.0).all()


def test_motors_that_are_swapped_are_named() -> None:
    robot = Wired()
    robot.order[list(KNEES)] = KNEES[::-1]
    said = wiggle(ROBOT, robot, PERIOD_S)
    assert "left_knee_joint was told to move, and right_knee_joint moved" in said
    assert "right_knee_joint was told to move, and left_knee_joint moved" in said and said.count("joint") == 4


def test_a_motor_that_turns_the_wrong_way_or_not_at_all_is_named() -> None:
    robot = Wired()
    robot.sign[KNEES[0]], robot.alive[KNEES[1]] = -1.0, 0.0
    said = wiggle(ROBOT, robot, PERIOD_S)
    assert said == "left_knee_joint moved the wrong way: see to its sign; right_knee_joint did not move: see to its motor and its encoder"


def test_two_joints_on_the_wire_of_one_are_found() -> None:
    robot = Wired()
    robot.order[KNEES[1]] = KNEES[0]
    assert wiggle(ROBOT, robot, PERIOD_S) == "right_knee_joint did not move: see to its motor and its encoder"


def test_readings_that_are_no_numbers_are_no_movement(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = Wired()
    monkeypatch.setattr(robot, "read", lambda: replace(robot.plant.read(), joint_position=np.full(ROBOT.n, np.nan)))
    assert wiggle(ROBOT, robot, PERIOD_S).count("a reading is no number") == ROBOT.n


@pytest.mark.parametrize("periods", [3, 700])
def test_an_emergency_stop_damps_at_once(periods: int) -> None:
    robot, asked = Wired(), iter([""] * (periods - 1) + ["wireless remote"])
    assert wiggle(ROBOT, robot, PERIOD_S, lambda: next(asked)) == "emergency stop: wireless remote"
    assert robot.sent[periods - 1].kp.any() and len(robot.sent) == periods + 100
    assert not any(command.kp.any() for command in robot.sent[periods:])
