from __future__ import annotations

import multiprocessing
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from poise.hw.exchange import (
    MODES,
    command_of,
    command_record,
    intent_of,
    mailboxes,
    operation_record,
    state_of,
    state_record,
)
from poise.robots import Intent, JointCommand, RobotModel, RobotState
from poise.robots.types import RUNGS

OPTIONAL = ("joint_torque", "base_orientation_wxyz", "gyro_imu", "accelerometer_imu", "foot_force_n", "motor_fault")


def a_state(n: int) -> RobotState:
    rng = np.random.default_rng(0)
    sizes = {"base_orientation_wxyz": 4, "gyro_imu": 3, "accelerometer_imu": 3, "foot_force_n": 2}
    known: dict[str, Any] = {field.name: rng.normal(size=sizes.get(field.name, n)) for field in fields(RobotState)}
    return RobotState(**(known | {"stamp_s": 12.34}))


def same(a: object, b: object) -> bool:
    return all(np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(type(a)))  # type: ignore[arg-type]


def test_a_state_comes_through_as_it_is(g1: RobotModel) -> None:
    state = a_state(g1.n)
    record = state_record(state, 7, MODES.index("walk"))
    assert same(state_of(record), state)
    assert (int(record["number"]), MODES[int(record["mode"])]) == (7, "walk")


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_unknown_stays_unknown(g1: RobotModel, name: str) -> None:
    absent: dict[str, Any] = {name: None}
    back = state_of(state_record(replace(a_state(g1.n), **absent), 1, 0))
    assert [field.name for field in fields(RobotState) if getattr(back, field.name) is None] == [name]


def test_one_number_that_is_nan_does_not_make_the_rest_unknown(g1: RobotModel) -> None:
    state = a_state(g1.n)
    state.joint_position[3] = np.nan
    back = state_of(state_record(state, 1, 0))
    np.testing.assert_array_equal(back.joint_position, state.joint_position)


def test_a_command_comes_through_as_it_is(g1: RobotModel) -> None:
    command = JointCommand(*np.random.default_rng(1).normal(size=(6, g1.n)))
    record = command_record(command, 99, 321.5, "recovery step")
    assert same(command_of(record), command)
    assert (int(record["answers"]), float(record["carried_n"]), RUNGS[int(record["rung"])]) == (99, 321.5, "recovery step")


@pytest.mark.parametrize(
    "intent",
    [
        Intent(),
        Intent(velocity=(0.1, -0.2, 0.3)),
        Intent(waypoint=(1.0, 2.0, -3.0), height_m=0.6),
        Intent(velocity=(0.0, 0.0, 0.0), torso_rpy=(0.1, 0.0, -0.1)),
    ],
)
def test_an_intent_comes_through_with_the_time_it_is_read_at(g1: RobotModel, intent: Intent) -> None:
    back = intent_of(operation_record(intent, len(g1.arms), "walk", 3, False), 5.5)
    assert same(back, replace(intent, stamp_s=5.5))


def test_arms_come_through(g1: RobotModel) -> None:
    arms = np.linspace(-1.0, 1.0, len(g1.arms))
    back = intent_of(operation_record(Intent(arms=arms), len(arms), "", 0, False), 0.0)
    assert back.arms is not None
    np.testing.assert_array_equal(back.arms, arms)


def test_every_mailbox_takes_its_record(g1: RobotModel) -> None:
    boxes = mailboxes(multiprocessing.get_context("spawn"), g1)
    boxes.state.put(state_record(a_state(g1.n), 1, 0))
    boxes.command.put(command_record(JointCommand(*np.zeros((6, g1.n))), 1, 0.0, RUNGS[0]))
    boxes.operation.put(operation_record(Intent(), len(g1.arms), "arm", 4, True))
    operation = boxes.operation.get()
    assert boxes.state.get() is not None and boxes.command.get() is not None and operation is not None
    assert (int(operation["requests"]), bool(operation["emergency_stop"])) == (4, True)
    assert boxes.status.get() is None and not boxes.end.is_set()
