"""Arm gestures of the operator model, written for a left arm and mirrored for the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from poise.robots.types import Array


@dataclass(frozen=True)
class Gesture:
    """Joint angles (rad) by joint suffix, and a swing of some of them about that at `frequency_hz`."""

    pose: Mapping[str, float]
    swing: Mapping[str, float]
    frequency_hz: float
    both_arms: bool


GESTURES: Mapping[str, Gesture] = {
    "wave": Gesture({"shoulder_pitch": -0.5, "shoulder_roll": 1.1, "elbow": -0.5, "wrist_roll": 0.3}, {"shoulder_yaw": 0.28}, 1.1, False),
    "reach": Gesture({"shoulder_pitch": -0.9, "shoulder_roll": 0.25, "elbow": 0.5, "wrist_pitch": -0.2}, {}, 0.0, False),
    "carry": Gesture({"shoulder_pitch": -0.25, "shoulder_roll": 0.4, "elbow": 0.1, "wrist_roll": -0.3}, {}, 0.0, True),
    "free": Gesture({}, {}, 0.0, True),
    "out": Gesture({"shoulder_pitch": 0.1, "shoulder_roll": 1.15, "elbow": 1.0}, {}, 0.0, True),
}
FREE_POSE: Mapping[str, tuple[float, float]] = {  # where a free gesture's pose is drawn from, each arm for itself
    "shoulder_pitch": (-0.7, 0.3), "shoulder_roll": (0.4, 1.0), "shoulder_yaw": (-0.25, 0.25), "elbow": (0.0, 0.9),
    "wrist_roll": (-0.4, 0.4), "wrist_pitch": (-0.3, 0.3), "wrist_yaw": (-0.3, 0.3),
}  # fmt: skip
MIRRORED = ("roll", "yaw")  # these joints turn the other way on the right arm


@dataclass(frozen=True, eq=False)
class ArmMotion:
    """A gesture on one robot's arms: (n_arms,) arrays; `busy` is 1 for the arms that it takes."""

    busy: Array
    pose: Array  # rad
    swing: Array  # rad, amplitude
    frequency_hz: float


def arm_vector(joints: tuple[str, ...], by_suffix: Mapping[str, float]) -> Array:
    """Values (n_arms,) for both arms by joint suffix (`elbow`, `shoulder_roll`); 0 where none is given."""
    values = np.zeros(len(joints))
    for i, joint in enumerate(joints):
        suffix = joint.removesuffix("_joint").split("_", 1)[1]
        sign = -1.0 if joint.startswith("right_") and suffix.endswith(MIRRORED) else 1.0
        values[i] = sign * by_suffix.get(suffix, 0.0)
    return values


def no_gesture(joints: tuple[str, ...]) -> ArmMotion:
    """Arms left to the gait."""
    zero = np.zeros(len(joints))
    return ArmMotion(zero, zero, zero, 0.0)


def draw_gesture(rng: np.random.Generator, index: int, joints: tuple[str, ...], share: float) -> tuple[float, ArmMotion]:
    """A gesture (or, with probability 1 - share, none), somewhat varied, and how long it holds (2 to 5 s)."""
    hold = float(rng.uniform(2.0, 5.0))
    if index == 0 or rng.random() >= share:
        return hold, no_gesture(joints)
    name = str(rng.choice(list(GESTURES)))
    gesture = GESTURES[name]
    if name == "free":
        poses = [arm_vector(joints, {suffix: float(rng.uniform(*span)) for suffix, span in FREE_POSE.items()}) for _ in range(2)]
        pose = np.where([joint.startswith("left_") for joint in joints], *poses)
    else:
        pose = arm_vector(joints, {suffix: angle + float(rng.uniform(-0.12, 0.12)) for suffix, angle in gesture.pose.items()})
    arms = ("left_", "right_") if gesture.both_arms else (str(rng.choice(["left_", "right_"])),)
    busy = np.array([float(joint.startswith(arms)) for joint in joints])
    return hold, ArmMotion(
        busy=busy,
        pose=busy * pose,
        swing=busy * arm_vector(joints, gesture.swing) * float(rng.uniform(0.7, 1.0)),
        frequency_hz=gesture.frequency_hz * float(rng.uniform(0.8, 1.1)),
    )
