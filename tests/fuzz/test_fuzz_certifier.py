"""Whatever is asked of the certifier, in whatever state: it never raises, and what it sends is inside the robot's limits."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from messages import with_one_entry
from mutation import fuzzed
from test_fuzz_messages import assert_sendable

from poise.control.dynamics import Dynamics
from poise.control.safety import SOLVERS, Certifier, SafetyConfig
from poise.control.support import Support
from poise.robots import JointCommand, RobotModel, load_robot
from poise.robots.commands import hold_command
from poise.robots.types import Array

NUMBERS = (np.nan, np.inf, -np.inf, 0.0, 1e-300, 1e300, -1e300, 1e6, -1e6, 200.0, -200.0, 3.0)


@cache
def parts() -> tuple[RobotModel, Dynamics, dict[str, Certifier]]:
    """The robot, its dynamics and a certifier for each solver."""
    robot = load_robot("g1")
    return robot, Dynamics(robot), {name: Certifier(robot, SafetyConfig(solver=name), 0.002) for name in SOLVERS}


@st.composite
def numbers(draw: st.DrawFn, sound: Array) -> Array:
    """As many numbers: the sound ones, with one, all or some of them out of the ordinary."""
    how = draw(st.sampled_from(("sound", "one", "all", "scaled")))
    if how == "one":
        return np.asarray(draw(with_one_entry(sound)))
    if how == "all":
        return np.full(sound.shape, draw(st.sampled_from(NUMBERS)))
    return sound * draw(st.floats(-100.0, 100.0)) if how == "scaled" else sound.copy()


@st.composite
def commands(draw: st.DrawFn) -> JointCommand:
    """A command with odd numbers, of the right shapes: the type promises no more."""
    sound = hold_command(parts()[0], parts()[0].posture)
    return JointCommand(**{f.name: draw(numbers(getattr(sound, f.name))) for f in fields(JointCommand)})


@fuzzed(250)
@given(
    command=commands(),
    support=st.sampled_from(list(Support)),
    flags=st.tuples(st.booleans(), st.booleans()),
    solver=st.sampled_from(sorted(SOLVERS)),
    data=st.data(),
)
def test_commands(command: JointCommand, support: Support, flags: tuple[bool, bool], solver: str, data: st.DataObject) -> None:
    robot, dynamics, certifiers = parts()
    joints, speeds = data.draw(numbers(robot.posture)), data.draw(numbers(np.full(robot.n, 0.1)))
    predicted: Any = data.draw(st.one_of(st.none(), numbers(np.ones(robot.n))))
    with np.errstate(all="ignore"):
        start = robot.standing_configuration()
        start[7:] = joints
        dynamics.update(start, np.concatenate((np.zeros(6), speeds)))
        resting, external = flags
        sent, certificate = certifiers[solver].certify(
            dynamics, command, support, resting=resting, arms_external=external, predicted=predicted
        )
    assert certificate.changed or sent is command
    measured = np.isfinite(joints).all() and np.isfinite(speeds).all()
    assert_sendable(robot, sent)
    if measured:
        torque = sent.tau + sent.kp * (sent.q - joints) + sent.kd * (sent.v - speeds)
        assert (np.abs(torque) <= robot.torque_limit * (1.0 + 1e-9) + 1e-9).all() or certificate.method == "damping"
        assert np.isfinite(certificate.torque_change_nm) or not np.isfinite(command.tau).all()


def test_gains_that_no_motor_has_are_sent_as_the_torque_that_they_ask_for() -> None:
    robot, dynamics, certifiers = parts()
    dynamics.update(robot.standing_configuration(), np.zeros(robot.n + 6))
    for gain in (-1.0, 1e300):
        wanted = hold_command(robot, robot.posture)
        command = replace(wanted, kp=np.full(robot.n, gain))
        sent, certificate = certifiers["daqp"].certify(dynamics, command, Support.BOTH)
        assert "gain" in certificate.reasons and not sent.kp.any()
        assert_sendable(robot, sent)


def test_a_measurement_beyond_all_proportion_is_damped() -> None:
    robot, dynamics, certifiers = parts()
    for joints, speeds in ((1e300, 0.0), (0.0, -1e300)):
        start = np.concatenate((robot.standing_configuration()[:7], np.full(robot.n, joints)))
        with np.errstate(all="ignore"):
            dynamics.update(start, np.concatenate((np.zeros(6), np.full(robot.n, speeds))))
            sent, certificate = certifiers["daqp"].certify(dynamics, hold_command(robot, robot.posture), Support.LEFT)
        assert certificate.method == "damping"
        assert_sendable(robot, sent)
