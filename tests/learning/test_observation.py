"""What a foreign policy sees, against vectors worked by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_policy import contract_entries, write_contract

from poise.learning.observation import Frame, Observer, Seen, clock_phase
from poise.learning.policy_contract import Clocks, PolicyContract, Still, read_policy_contract
from poise.robots import RobotModel, RobotState


def contract(robot: RobotModel, path: Path, **observation: Any) -> PolicyContract:
    entries = contract_entries(robot)
    entries["action"]["joints"] = ["left_knee_joint", "waist_yaw_joint"]
    entries["phase"] = {"period_s": 1.0, "offset": [0.0, 0.5]}
    entries["observation"] = observation
    return read_policy_contract(write_contract(path / "c.toml", entries))


def seen(robot: RobotModel, value: float = 0.0) -> Seen:
    """Pitched by 30°, nose down; the left knee 0.1 rad beyond its default and at 2 rad/s."""
    position, velocity = robot.posture.copy(), np.zeros(robot.n)
    knee = robot.joint_names.index("left_knee_joint")
    position[knee] += 0.1
    velocity[knee] = 2.0
    half = math.radians(15.0)
    state = RobotState(
        0.0,
        position,
        velocity,
        base_orientation_wxyz=np.array([math.cos(half), 0.0, math.sin(half), 0.0]),
        gyro_imu=np.array([0.1, 0.2, 0.3]),
        accelerometer_imu=np.array([0.0, 0.0, 9.81]),
    )
    return Seen(state, np.array([0.5, value, -0.4]), np.array([7.0, 8.0]), np.array([0.25, 0.75]))


def test_every_term_by_hand(robot: RobotModel, tmp_path: Path) -> None:
    terms = [
        {"name": "angular_velocity", "scale": 2.0},
        {"name": "projected_gravity"},
        {"name": "command", "scale": [2.0, 1.0, 0.5]},
        {"name": "command_linear"},
        {"name": "command_angular", "scale": -1.0},
        {"name": "joint_position", "scale": 10.0},
        {"name": "joint_velocity", "scale": 0.05},
        {"name": "last_action"},
        {"name": "phase_sin"},
        {"name": "phase_cos"},
    ]
    c = contract(robot, tmp_path, terms=terms, joints=["waist_yaw_joint", "left_knee_joint"])
    observer = Observer(robot, c)
    frame = observer.frame(seen(robot, 0.1))
    by_hand = [
        *(0.2, 0.4, 0.6),
        *(0.5, 0.0, -math.sqrt(0.75)),  # nose down, gravity has a part along the base's x
        *(1.0, 0.1, -0.2),
        *(0.5, 0.1),
        0.4,
        *(0.0, 1.0),
        *(0.0, 0.1),
        *(7.0, 8.0),
        *(1.0, -1.0),
        *(0.0, 0.0),
    ]
    observation = observer.observation(observer.remembered((), frame))
    assert observation.dtype == np.float32
    np.testing.assert_allclose(observation, by_hand, atol=1e-6)
    assert len(by_hand) == c.observation_size


HISTORIES = {
    ("oldest_first", "term", "zeros"): ([0.0, 0.0, 1.0, 7.0], [0.0, 1.0, 2.0, 7.0], [2.0, 3.0, 4.0, 7.0]),
    ("newest_first", "term", "zeros"): ([1.0, 0.0, 0.0, 7.0], [2.0, 1.0, 0.0, 7.0], [4.0, 3.0, 2.0, 7.0]),
    ("oldest_first", "term", "first"): ([1.0, 1.0, 1.0, 7.0], [1.0, 1.0, 2.0, 7.0], [2.0, 3.0, 4.0, 7.0]),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_periods_of_a_term_in_a_row(robot: RobotModel, tmp_path: Path, history: tuple[str, str, str]) -> None:
    """The sideways command is 1, 2, 3, 4; seen over three periods, and beside it the last action's first number."""
    terms = [{"name": "command", "scale": [0.0, 1.0, 0.0], "history": 3}, {"name": "last_action", "scale": [1.0, 0.0]}]
    c = contract(robot, tmp_path, terms=terms, history=dict(zip(("order", "by", "start"), history, strict=True)))
    first, second, last = HISTORIES[history]
    rows = sideways(robot, c)
    np.testing.assert_allclose([rows[0], rows[1], rows[3]], [first, second, last])


def test_periods_by_frame(robot: RobotModel, tmp_path: Path) -> None:
    terms = [{"name": "command", "scale": [0.0, 1.0, 0.0], "history": 2}, {"name": "last_action", "scale": [1.0, 0.0], "history": 2}]
    old = contract(robot, tmp_path, terms=terms, history={"by": "frame"})
    np.testing.assert_allclose(sideways(robot, old)[:2], [[0.0, 0.0, 1.0, 7.0], [1.0, 7.0, 2.0, 7.0]])
    new = contract(robot, tmp_path, terms=terms, history={"by": "frame", "order": "newest_first"})
    np.testing.assert_allclose(sideways(robot, new)[:2], [[1.0, 7.0, 0.0, 0.0], [2.0, 7.0, 1.0, 7.0]])


def sideways(robot: RobotModel, c: PolicyContract) -> list[list[float]]:
    """Observations of four periods, without what their scales switch off."""
    observer, rows = Observer(robot, c), []
    frames: tuple[Frame, ...] = ()
    masks = [t.scale != 0.0 for t in c.terms]
    if c.history.by == "frame":
        kept = np.concatenate(masks * c.terms[0].history)
    else:
        kept = np.concatenate([np.tile(mask, t.history) for mask, t in zip(masks, c.terms, strict=True)])
    for value in (1.0, 2.0, 3.0, 4.0):
        frames = observer.remembered(frames, observer.frame(seen(robot, value)))
        rows.append(observer.observation(frames)[kept].tolist())
    return rows


def test_clocks() -> None:
    clocks = Clocks(0.8, np.array([0.0, 0.5]), Still(0.01, np.array([0.25])))
    np.testing.assert_allclose(clock_phase(clocks, 0.2), [0.25, 0.75])
    np.testing.assert_allclose(clock_phase(clocks, None), [0.25, 0.25])
    assert clock_phase(None, 0.2).shape == (0,)
