"""What is sent in a tick that has no plan: a bridged gap, somebody else's command, a robot in the air, a fall, no state."""

from __future__ import annotations

from typing import NamedTuple

from poise.robots import RobotModel
from poise.robots.commands import hold_command
from poise.robots.types import Array, Certificate, JointCommand, RobotState

from .dynamics import Dynamics, fill_frames
from .ladder import Rung
from .safety import UNCHANGED, Certifier
from .soundness import SoundnessMonitor
from .support import Support

FALLS = "falls: hips bent, arms to the ground"  # the reason of a decision while balance is given up
BLIND = "the joints are held softly, then hips bent, arms to the ground"
LIES = "lies: every joint is damped"
ALOFT = "in the air: the posture is held until the feet carry the robot"


class Unplanned(NamedTuple):
    """What is sent, on which rung and why."""

    status: str
    reason: str
    rung: Rung
    command: JointCommand
    certificate: Certificate


def repeated(monitor: SoundnessMonitor, problem: str, rung: Rung) -> Unplanned:
    """A gap that is short enough: the last command stands in, and the robot stays on its rung."""
    return Unplanned("degraded", f"{problem}: the last command is repeated", rung, monitor.last_command, UNCHANGED)


def damped(certifier: Certifier, monitor: SoundnessMonitor, problem: str) -> Unplanned:
    """Where not even the joints are known nobody can do anything: every joint is damped."""
    reason, command = f"{problem}: every joint is damped", certifier.damping(monitor.last_position)
    return Unplanned("safe", reason, Rung.DAMPING, command, Certificate(True, (reason,), 0.0, "damping"))


def fallen(d: Dynamics, certifier: Certifier, state: RobotState, wanted: JointCommand, problem: str, lies: bool) -> Unplanned:
    """A fall that cannot be saved, or an attitude that is lost, which `problem` says: what is wanted, within the motors."""
    assert state.base_orientation_wxyz is not None and state.gyro_imu is not None
    d.run(state.base_orientation_wxyz, state.gyro_imu, state.joint_position, state.joint_velocity)
    fill_frames(d.source, d.frames, d.terms)
    command, certificate = certifier.certify(d, wanted, Support.NONE, urgent=True)
    reason = LIES if lies else f"{problem}: {BLIND}" if problem else FALLS
    return Unplanned("safe", reason, Rung.DAMPING if lies else Rung.DESCENT, command, certificate)


def aloft(robot: RobotModel, d: Dynamics, certifier: Certifier, posture: Array, arms: Array | None) -> Unplanned:
    """In the air there is nothing to balance on: a posture (n,) is held; arms (n_arms,) that something else moves are where they are."""
    held = posture.copy()
    if arms is not None:
        held[robot.arms] = arms
    command, certificate = certifier.certify(d, hold_command(robot, held), Support.NONE, arms_external=arms is not None)
    return Unplanned("degraded", ALOFT, Rung.SAFE_STOP, command, certificate)


def passed_on(command: JointCommand, certificate: Certificate, remark: str) -> Unplanned:
    """Somebody else's command, as the certifier lets it through; `remark`: what else is wrong."""
    return Unplanned("degraded" if remark else "ok", remark, Rung.FILTERED if certificate.changed else Rung.NOMINAL, command, certificate)
