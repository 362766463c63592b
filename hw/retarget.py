"""An operator's hands and head as arms and torso of the robot: inverse kinematics, by Pink, of the arms alone.

Poses are in the chest's frame: x forward, y left, z up, with the torso's axes and its origin halfway between the shoulders. A hand is the
last link of an arm. Each call is one step of damped least squares over joint velocities, within limits of position and speed: a target
that is out of reach is approached as near as the limits allow.

Source: the tasks and limits, S. Caron, Pink; the weighting between them is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pinocchio as pin

from poise.learning.features import roll_pitch_yaw
from poise.robots import PoiseError, RobotModel
from poise.robots.types import Array

try:
    from pink import Configuration, solve_ik
    from pink.exceptions import PinkError
    from pink.limits import ConfigurationLimit, VelocityLimit
    from pink.tasks import FrameTask, PostureTask
except ImportError as error:
    raise PoiseError("hands need Pink and more: in the checkout, .venv/bin/pip install -e '.[teleop]'") from error

SPEED_RADPS = 2.5  # of a joint towards a target, below what proposals may ask (3.5)
HOME_RADPS = 0.6  # and on the way home
LONGEST_S = 0.05  # of a step: after a gap the arms go on from where they are
TORSO_RAD = 0.4  # roll, pitch and yaw of the torso, as far as the head can turn it
# Costs of a metre and of a radian of a hand's error and of a radian from the nominal posture: place before attitude, and both before looks.
PLACE, ATTITUDE, POSTURE = 1.0, 0.03, 1e-3
HANDS = ("left_hand", "right_hand")
DAMPING = 3.0  # of joint velocities, times the square of what is missed: an arm that is stretched towards something far comes to rest


class Pose(NamedTuple):
    """Where something is, and how it is turned."""

    position: Array  # (3,) m
    wxyz: Array  # (4,), unit


class Retarget:
    """Holds where the arms are asked to be, from call to call.

    Attributes:
        chest_in_torso: origin of the chest's frame, (3,) m in the torso's.
    """

    def __init__(self, robot: RobotModel, speed_radps: float = SPEED_RADPS) -> None:
        """Begin with the nominal posture.

        Raises:
            PoiseError: the robot has not two arms.
        """
        model, self.chest_in_torso = _arms_of(robot)
        self._order = [robot.arm_joints.index(name) for name in list(model.names)[1:]]  # of the model's joints among the arms
        arms = robot.arms[self._order]
        self._low, self._high = robot.walking_min[arms], robot.walking_max[arms]
        model.lowerPositionLimit, model.upperPositionLimit = self._low, self._high
        self._home = np.clip(robot.posture[arms], self._low, self._high)
        self._configuration = Configuration(model, model.createData(), self._home)
        self._tasks = [FrameTask(hand, PLACE, ATTITUDE, lm_damping=DAMPING) for hand in HANDS]
        self._posture = PostureTask(POSTURE)
        self._posture.set_target(self._home)
        speed = np.minimum(robot.velocity_limit[arms], speed_radps)
        self._limits = [ConfigurationLimit(model), VelocityLimit(model, speed)]

    @property
    def arms(self) -> Array:
        """Where the arms are asked to be, (n_arms,) rad, in the order of `Intent.arms`."""
        arms = np.empty(len(self._order))
        arms[self._order] = self._configuration.q
        return arms

    @property
    def hands(self) -> tuple[Pose, Pose]:
        """Where the hands are then, left and right, in the chest's frame."""
        left, right = (self._pose(task.frame) for task in self._tasks)
        return left, right

    def toward(self, hands: Sequence[Pose | None], dt: float) -> Array:
        """The arms a step of dt s nearer to targets of the left and the right hand; an arm without one goes towards its posture."""
        tasks: list[Any] = [self._posture]
        for task, hand in zip(self._tasks, hands, strict=True):
            if hand is not None:
                task.set_target(_se3(hand))
                tasks.append(task)
        dt = min(dt, LONGEST_S)
        if dt > 0.0:
            self._step(tasks, dt)
        return self.arms

    def homeward(self, dt: float) -> Array | None:
        """The arms a step of dt s nearer to the nominal posture; None once they are there: the stack has them again."""
        left = self._home - self._configuration.q
        if not left.any():
            return None
        most = HOME_RADPS * min(dt, LONGEST_S)
        self._configuration.update(self._configuration.q + np.clip(left, -most, most))
        return self.arms

    def _step(self, tasks: Sequence[Any], dt: float) -> None:
        try:
            velocity = solve_ik(self._configuration, tasks, dt, "daqp", limits=self._limits, safety_break=False)
        except PinkError:  # no solution: they stay where they are
            return
        if np.isfinite(velocity).all():
            self._configuration.update(np.clip(self._configuration.q + dt * velocity, self._low, self._high))

    def _pose(self, frame: str) -> Pose:
        pose = self._configuration.get_transform_frame_to_world(frame)
        x, y, z, w = pin.Quaternion(pose.rotation).coeffs()
        return Pose(pose.translation.copy(), np.array([w, x, y, z]))


def torso_of(head: Pose) -> tuple[float, float, float]:
    """Roll, pitch and yaw (rad) of a torso that looks where a head does, as far as the torso turns."""
    roll, pitch, yaw = (float(angle) for angle in np.clip(roll_pitch_yaw(head.wxyz), -TORSO_RAD, TORSO_RAD))
    return roll, pitch, yaw


def _se3(pose: Pose) -> Any:
    w, x, y, z = (float(part) for part in pose.wxyz)
    return pin.SE3(pin.Quaternion(w, x, y, z).normalized().toRotationMatrix(), np.asarray(pose.position, dtype=float))


def _arms_of(robot: RobotModel) -> tuple[Any, Array]:
    """The robot's arms on a chest that stands still, in whose frame the model's world is, and the chest's origin in the torso, (3,) m."""
    whole, data = robot.pinocchio, robot.pinocchio.createData()
    pin.framesForwardKinematics(whole, data, robot.standing_configuration())
    joints = sorted(whole.getJointId(name) for name in robot.arm_joints)
    shoulders = [joint for joint in joints if whole.parents[joint] not in joints]
    ends = [joint for joint in joints if joint not in [whole.parents[other] for other in joints]]
    if (len(shoulders), len(ends)) != (2, 2):
        raise PoiseError(f"hands need a robot with two arms of one chain each, and {robot.name} has not; leave them out")
    torso = data.oMf[robot.torso_frame]
    origin = torso.actInv(np.mean([data.oMi[joint].translation for joint in shoulders], axis=0))
    chest = torso * pin.SE3(np.eye(3), origin)
    arms, known = pin.Model(), dict[int, int]()
    for joint in joints:
        parent, place = whole.parents[joint], whole.jointPlacements[joint]
        if joint in shoulders:
            place = chest.actInv(data.oMi[parent] * place)
        known[joint] = arms.addJoint(known.get(parent, 0), whole.joints[joint], place, whole.names[joint])
    ends.sort(key=lambda joint: -chest.actInv(data.oMi[joint]).translation[1])
    for hand, joint in zip(HANDS, ends, strict=True):
        arms.addFrame(pin.Frame(hand, known[joint], pin.SE3.Identity(), pin.FrameType.OP_FRAME))
    return arms, np.asarray(origin)
