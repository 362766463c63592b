"""What the processes of a deployment tell each other, as records for mailboxes. What is unknown is NaN in a record."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

import numpy as np

from poise.robots import Intent, JointCommand, RobotModel, RobotState
from poise.robots.types import RUNGS

from .mailbox import Flag, Mailbox, Record
from .operation import REQUESTS

# What the supervisor does: in each but the first something is sent to the motors.
DISARMED, DAMPING, STAND_UP, STAND, WALK, SAFE_STOP, FAULT = MODES = (
    "disarmed",
    "damping",
    "stand up",
    "stand",
    "walk",
    "safe stop",
    "fault",
)
REASON = 1000  # bytes of a sentence

_COMMAND_FIELDS, _STATE_FIELDS = (tuple(field.name for field in fields(kind)) for kind in (JointCommand, RobotState))


@cache
def state_type(n: int) -> np.dtype:
    """A RobotState of n joints, the supervisor's count of states, and its mode, an index of MODES."""
    joints = [(name, "<f8", n) for name in ("joint_position", "joint_velocity", "joint_torque", "motor_fault")]
    imu = [("base_orientation_wxyz", "<f8", 4), ("gyro_imu", "<f8", 3), ("accelerometer_imu", "<f8", 3), ("foot_force_n", "<f8", 2)]
    return np.dtype([("number", "<u8"), ("mode", "u1"), ("stamp_s", "<f8"), *joints, *imu])


@cache
def command_type(n: int) -> np.dtype:
    """A JointCommand of n joints, the state that it answers, what the feet carry (N), the rung, an index of RUNGS, and a remark."""
    joints = [(name, "<f8", n) for name in _COMMAND_FIELDS]
    return np.dtype([("answers", "<u8"), ("carried_n", "<f8"), ("rung", "u1"), ("said", f"S{REASON}"), *joints])


@cache
def operation_type(arms: int) -> np.dtype:
    """What the operator wants: an Intent, a request, an index of REQUESTS, with its count, and whether all is to stop at once."""
    intent = [("velocity", "<f8", 3), ("waypoint", "<f8", 3), ("height_m", "<f8"), ("torso_rpy", "<f8", 3), ("arms", "<f8", arms)]
    return np.dtype([*intent, ("request", "u1"), ("requests", "<u8"), ("emergency_stop", "?")])


STATUS = np.dtype(
    [
        ("mode", "u1"),
        ("reason", f"S{REASON}"),
        ("states", "<u8"),  # that came
        ("missed", "<u8"),  # states that no command answered in time
        ("longest_silence_s", "<f8"),  # of the controller while it had the motors
        ("age_ms", "<f8", 2),  # of the state at the command, median and 99 %
        ("battery", "<f8"),  # %, NaN: not known
        ("carried_n", "<f8"),  # by the feet, as the controller believes
        ("rung", "u1"),  # that the controller is on
        ("said", f"S{REASON}"),  # by the controller
        ("refused", "<u8"),  # states that were not whole
        ("remote", "u1", 40),  # the bytes of the robot's wireless remote
    ]
)


class Mailboxes(NamedTuple):
    """What is between the operator's, the supervisor's and the controller's process."""

    state: Mailbox  # supervisor to controller
    command: Mailbox  # controller to supervisor
    operation: Mailbox  # operator to both
    status: Mailbox  # supervisor to all
    state_came: Any  # semaphores: something new lies in the mailbox
    command_came: Any
    end: Flag  # everything ends


def mailboxes(context: BaseContext, robot: RobotModel) -> Mailboxes:
    """New ones, for processes of one context."""
    types = (state_type(robot.n), command_type(robot.n), operation_type(len(robot.arms)), STATUS)
    state, command, operation, status = (Mailbox(context, kind) for kind in types)
    return Mailboxes(state, command, operation, status, context.Semaphore(0), context.Semaphore(0), Flag(context))


def state_record(state: RobotState, number: int, mode: int) -> Record:
    """The record of a state."""
    record = np.zeros((), state_type(len(state.joint_position)))
    for name in _STATE_FIELDS:
        value = getattr(state, name)
        record[name] = np.nan if value is None else value
    record["number"], record["mode"] = number, mode
    return record


def state_of(record: Record) -> RobotState:
    """The state of a record."""
    known: dict[str, Any] = {}
    for name in _STATE_FIELDS:
        value = record[name]
        known[name] = float(value) if not value.shape else None if _unknown(value) else value.copy()
    return RobotState(**known)


def _unknown(value: np.ndarray) -> bool:
    """Whether all of it is NaN; nearly always its first number tells."""
    return bool(np.isnan(value[0]) and np.isnan(value).all())


def command_record(command: JointCommand, answers: int, carried_n: float, rung: str, said: str = "") -> Record:
    """The record of a command."""
    record = np.zeros((), command_type(len(command.q)))
    for name in _COMMAND_FIELDS:
        record[name] = getattr(command, name)
    record["answers"], record["carried_n"], record["rung"], record["said"] = answers, carried_n, RUNGS.index(rung), said.encode()
    return record


def command_of(record: Record) -> JointCommand:
    """The command of a record."""
    return JointCommand(*(record[name].copy() for name in _COMMAND_FIELDS))


def operation_record(intent: Intent, arms: int, request: str, requests: int, emergency_stop: bool) -> Record:
    """The record of what an operator wants; `requests` counts up with each request that is meant."""
    record = np.zeros((), operation_type(arms))
    for name in ("velocity", "waypoint", "height_m", "torso_rpy", "arms"):
        value = getattr(intent, name)
        record[name] = np.nan if value is None else value
    record["request"], record["requests"], record["emergency_stop"] = REQUESTS.index(request), requests, emergency_stop
    return record


def intent_of(record: Record, stamp_s: float) -> Intent:
    """The intent of a record, wanted at a time by the clock of the states' stamps, s."""
    known: dict[str, Any] = {}
    for name in ("velocity", "waypoint", "torso_rpy"):
        known[name] = None if _unknown(record[name]) else tuple(record[name].tolist())
    height, arms = float(record["height_m"]), record["arms"]
    known["height_m"] = None if np.isnan(height) else height
    known["arms"] = None if _unknown(arms) else arms.copy()
    return Intent(**known, stamp_s=stamp_s)
