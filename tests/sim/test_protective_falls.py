from __future__ import annotations

import mujoco
import numpy as np
import pytest

from poise.control import Stack
from poise.launch import build_stack
from poise.robots import JointCommand, PoiseError, RobotModel
from poise.sim import MujocoBackend
from poise.sim.protective_falls import PARTS, WAYS, FallWork, fall, ground_contacts, parts, summarise


def model_stack(robot: RobotModel, seed: int) -> Stack:
    return build_stack(robot, "model", seed=seed)


def test_one_fall_is_run_in_every_way_from_the_same_state(g1: RobotModel) -> None:
    run = FallWork(g1, model_stack)({"seed": 0})
    assert run["fell"] and set(run["ways"]) == set(WAYS)
    for of in run["ways"].values():
        assert set(of) == set(PARTS)
        assert max(figures["peak_n"] for figures in of.values()) > 300.0, "something hits the ground"
        for figures in of.values():
            assert (figures["peak_n"] > 0.0) == (figures["impulse_ns"] > 0.0)
            assert figures["impulse_ns"] <= 3.5 * figures["peak_n"] + 1e-9
    assert run["ways"]["limp"] != run["ways"]["descent"]
    assert FallWork(g1, model_stack)({"seed": 0}) == run


def test_contacts_carry_the_weight_of_a_robot_that_lies(g1: RobotModel) -> None:
    backend = MujocoBackend(g1)
    backend.reset(0)
    backend.data.qpos[:7] = (0.0, 0.0, 0.3, np.cos(0.75), 0.0, np.sin(0.75), 0.0)
    zero = np.zeros(g1.n)
    limp = JointCommand(g1.posture, zero, zero, zero, zero, g1.torque_limit)
    found = fall(g1, backend, lambda _: limp)
    for _ in range(2000):
        backend.write(limp)
    total = sum(newton for _, _, newton in ground_contacts(backend))
    assert total == pytest.approx(g1.mass * 9.81, rel=0.05)
    assert max(figures["speed_mps"] for figures in found.values()) > 0.5
    assert found["torso"]["impulse_ns"] > 0.0 or found["pelvis"]["impulse_ns"] > 0.0


def test_a_part_meets_the_ground_as_fast_as_it_fell(g1: RobotModel) -> None:
    """Dropped flat from h its lowest part meets the ground at √(2 g h'), h' its own height above it."""
    backend = MujocoBackend(g1)
    backend.reset(0)
    backend.data.qpos[:7] = (0.0, 0.0, 1.0, np.cos(0.25 * np.pi), 0.0, np.sin(0.25 * np.pi), 0.0)
    zero = np.zeros(g1.n)
    found = fall(g1, backend, lambda _: JointCommand(g1.posture, zero, zero, zero, zero, g1.torque_limit))
    fastest = max(figures["speed_mps"] for figures in found.values())
    assert 3.0 < fastest < np.sqrt(2.0 * 9.81 * 1.0) + 3.0


def test_every_body_of_a_part_is_named(g1: RobotModel) -> None:
    backend = MujocoBackend(g1)
    names = {part: sorted(backend.model.body(body).name for body, of in parts(g1, backend.model).items() if of == part) for part in PARTS}
    assert names["torso"] == ["torso_link"] and names["knees"] == ["left_knee_link", "right_knee_link"]
    assert "pelvis" in names["pelvis"] and "left_hip_roll_link" in names["pelvis"]
    assert {"left_elbow_link", "right_wrist_yaw_link"} <= set(names["hands"])
    assert isinstance(backend.model, mujoco.MjModel)


def test_a_summary_takes_medians_of_falls_alone() -> None:
    def run(value: float, fell: bool = True) -> dict[str, object]:
        figures = {"peak_n": value, "impulse_ns": 2.0 * value, "speed_mps": 3.0 * value}
        return {"fell": fell, "ways": {way: dict.fromkeys(PARTS, figures) for way in WAYS} if fell else {}}

    found = summarise([run(1.0), run(5.0), run(2.0), run(9.0, fell=False)])
    assert found["falls"] == 3 and found["runs"] == 4
    assert found["medians"]["limp"]["torso"] == {"peak_n": 2.0, "impulse_ns": 4.0, "speed_mps": 6.0}
    with pytest.raises(PoiseError, match="no robot fell"):
        summarise([run(1.0, fell=False)])
