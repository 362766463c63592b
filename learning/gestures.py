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
    "out": Gesture({"shoulder_pitch": 0.1, "shoulder_roll": 1.15, "elbow": 1.0}, {}, 0.0, True),
}
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
    gesture = GESTURES[str(rng.choice(list(GESTURES)))]
    pose = {suffix: angle + float(rng.uniform(-0.12, 0.12)) for suffix, angle in gesture.pose.items()}
    arms = ("left_", "right_") if gesture.both_arms else (str(rng.choice(["left_", "right_"])),)
    busy = np.array([float(joint.startswith(arms)) for joint in joints])
    return hold, ArmMotion(
        busy=busy,
        pose=busy * arm_vector(joints, pose),
        swing=busy * arm_vector(joints, gesture.swing) * float(rng.uniform(0.7, 1.0)),
        frequency_hz=gesture.frequency_hz * float(rng.uniform(0.8, 1.1)),
    )
