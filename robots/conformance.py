"""Whether a backend keeps the contract of `backend.Backend`: one sentence for each thing it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np

from .backend import Backend
from .commands import hold_command
from .model import RobotModel
from .types import JointCommand, RobotState

_SHAPES = {"base_orientation_wxyz": 4, "gyro_imu": 3, "accelerometer_imu": 3, "foot_force_n": 2}


def check_backend(make: Callable[[], Backend], robot: RobotModel, *, ticks: int = 20, reproducible: bool = True) -> list[str]:
    """Drive a backend through its contract and return the findings; none means that it keeps it.

    Args:
        make: makes a fresh backend; called several times.
        ticks: how many control periods each check drives the robot.
        reproducible: whether the same seed must give the same run; False for real robots and the wire.
    """
    checks: list[Callable[[Backend, RobotModel, int], Iterator[str]]] = [
        _check_states,
        _check_reading,
        _check_sent,
        _check_poison,
        _check_close,
    ]
    if reproducible:
        checks.append(_check_seed)
    findings = []
    for check in checks:
        try:
            backend = make()
            findings += list(check(backend, robot, ticks))
            backend.close()
        except Exception as error:  # whatever a backend raises is a finding
            findings.append(f"{check.__name__.removeprefix('_check_')}: raised {type(error).__name__}: {error}")
    return findings


def state_findings(state: RobotState, robot: RobotModel) -> list[str]:
    """What is wrong with one state: shapes, values that are not finite, a quaternion that is none."""
    sizes = _SHAPES | dict.fromkeys(("joint_position", "joint_velocity", "joint_torque"), robot.n)
    findings = [] if np.isfinite(state.stamp_s) else [f"state: stamp_s is {state.stamp_s}; give seconds"]
    for name, size in sizes.items():
        value = getattr(state, name)
        if value is None:
            if name in ("joint_position", "joint_velocity"):
                findings.append(f"state: {name} is absent; a backend must give it")
        elif np.shape(value) != (size,):
            findings.append(f"state: {name} has shape {np.shape(value)}; expected ({size},)")
        elif not np.isfinite(value).all():
            findings.append(f"state: {name} is not finite; leave unknown values absent")
    if state.base_orientation_wxyz is not None and not abs(np.linalg.norm(state.base_orientation_wxyz) - 1.0) < 1e-3:
        findings.append("state: base_orientation_wxyz is not a unit quaternion")
    return findings


def _check_states(backend: Backend, robot: RobotModel, ticks: int) -> Iterator[str]:
    """Every state is well formed, and each write moves the stamp on by the same period."""
    states = [backend.reset(1)]
    for _ in range(ticks):
        backend.write(hold_command(robot, robot.posture))
        states.append(backend.read())
    yield from dict.fromkeys(finding for state in states for finding in state_findings(state, robot))
    periods = np.diff([state.stamp_s for state in states])
    if not (periods > 0.0).all():
        yield "stamps: a write does not move the stamp on"
    elif np.ptp(periods) > 0.01 * periods.mean():
        yield f"stamps: periods vary from {periods.min():.6f} to {periods.max():.6f} s; a write must last one control period"


def _check_reading(backend: Backend, robot: RobotModel, ticks: int) -> Iterator[str]:
    """Reading changes nothing: the same state again, also right after a reset."""
    if not _equal(backend.reset(1), backend.read()):
        yield "read: after a reset, read gives another state than reset did"
    backend.write(hold_command(robot, robot.posture))
    if not _equal(backend.read(), backend.read()):
        yield "read: reading twice gives two states; a read must not advance time or draw noise"


def _check_sent(backend: Backend, robot: RobotModel, ticks: int) -> Iterator[str]:
    """A usable command is sent as it is, but for limits that are cut to the robot's."""
    backend.reset(1)
    wanted = hold_command(robot, robot.posture)
    sent = backend.write(replace(wanted, torque_limit=10.0 * robot.torque_limit))
    if not (sent.torque_limit <= robot.torque_limit * (1 + 1e-6)).all():
        yield "write: what was sent allows more torque than the robot's limit; clip torque_limit"
    changed = [
        name for name in ("q", "v", "kp", "kd", "tau") if not np.allclose(getattr(sent, name), getattr(wanted, name), rtol=1e-5, atol=1e-6)
    ]
    if changed:
        yield f"write: a usable command was sent with another {', '.join(changed)}"


def _check_poison(backend: Backend, robot: RobotModel, ticks: int) -> Iterator[str]:
    """Commands with NaN or infinity are not passed on, and the robot stays readable after them."""
    backend.reset(1)
    safe = hold_command(robot, robot.posture)
    for value in (np.nan, np.inf, -np.inf):
        for name in ("q", "v", "kp", "kd", "tau"):
            sent = backend.write(replace(safe, **{name: np.full(robot.n, value)}))
            if not all(np.isfinite(getattr(sent, f.name)).all() for f in fields(JointCommand)):
                yield f"write: a command with {name} {value} was sent as it was; send a safe one and return it"
    for _ in range(ticks):
        backend.write(safe)
    if state_findings(backend.read(), robot):
        yield "write: the state is not well formed after a command that is not finite"


def _check_close(backend: Backend, robot: RobotModel, ticks: int) -> Iterator[str]:
    """Closing twice is safe; an exception becomes the finding."""
    backend.reset(1)
    backend.close()
    backend.close()
    yield from ()


def _check_seed(backend: Backend, robot: RobotModel, ticks: int) -> Iterator[str]:
    """The same seed gives the same run, another seed another one."""
    runs = [_drive(backend, robot, seed, ticks) for seed in (1, 1, 2)]
    if not all(map(_equal, runs[0], runs[1])):
        yield "reset: the same seed gives two different runs"
    if all(map(_equal, runs[0], runs[2])):
        yield "reset: the seed has no effect; vary the start with it"


def _drive(backend: Backend, robot: RobotModel, seed: int, ticks: int) -> list[RobotState]:
    states = [backend.reset(seed)]
    for _ in range(ticks):
        backend.write(hold_command(robot, robot.posture))
        states.append(backend.read())
    return states


def _equal(a: RobotState, b: RobotState) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(RobotState))
