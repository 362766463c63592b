"""A foreign policy as a controller: its targets and gains, and what happens to bad files, outputs, states and intents."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_policy import contract_entries, write_contract, write_linear

from poise.learning.policy import PolicyController
from poise.robots import ContractError, Intent, RobotModel, RobotState
from poise.robots.types import Array

FORWARD = Intent(velocity=(0.5, 0.0, 0.0))


Spoil = Callable[[dict[str, Any]], Any]


def controller(robot: RobotModel, path: Path, weight: Array | None = None, spoil: Spoil | None = None, **network: Any) -> PolicyController:
    """Every output is the forward command, unless a weight is given."""
    entries = contract_entries(robot)
    if spoil is not None:
        spoil(entries)
    weight = np.tile([1.0, 0.0, 0.0], (robot.n, 1)) if weight is None else weight
    return PolicyController(robot, write_linear(path / "p.onnx", weight, **network), write_contract(path / "c.toml", entries))


def state(robot: RobotModel, stamp_s: float, gyro: float = 0.0) -> RobotState:
    upright, down = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 9.81])
    return RobotState(stamp_s, robot.posture.copy(), np.zeros(robot.n), None, upright, np.full(3, gyro), down)


def test_target_gains_and_order(robot: RobotModel, tmp_path: Path) -> None:
    """Outputs 0, 1, 2, … for joints in the contract's order, which is the robot's reversed; clipped at 2, times 0.5 rad."""
    c = controller(robot, tmp_path, np.zeros((robot.n, 3)), bias=np.arange(robot.n))
    decision = c.step(state(robot, 0.0), FORWARD)
    assert (decision.status, decision.reason, decision.plan, decision.belief) == ("ok", "", None, None)
    command, last = decision.command, robot.n - 1
    np.testing.assert_allclose((command.q - robot.posture)[[last, last - 1, last - 2, 0]], [0.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(command.kp, 100.0 + np.arange(robot.n)[::-1])
    np.testing.assert_allclose(command.kd, 2.0)
    assert not command.v.any() and not command.tau.any()
    assert c.period_s == pytest.approx(0.02)


def test_joints_that_it_does_not_move_are_held(robot: RobotModel, tmp_path: Path) -> None:
    moved = ["right_knee_joint", "left_knee_joint"]
    weight = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    c = controller(robot, tmp_path, weight, lambda e: e["action"].update(joints=moved, scale=[1.0, 0.1]))
    change = c.step(state(robot, 0.0), FORWARD).command.q - robot.posture
    wanted = np.zeros(robot.n)
    wanted[[robot.joint_names.index(name) for name in moved]] = [0.5, 0.1]
    np.testing.assert_allclose(change, wanted, atol=1e-7)


def test_it_sees_its_last_output_and_its_clocks(robot: RobotModel, tmp_path: Path) -> None:
    """Output = last output + sine of the clock of 0.08 s: 0, 1, 1 after three periods; standing, the clock is at a quarter."""

    def spoil(entries: dict[str, Any]) -> None:
        entries["action"].update(joints=["left_knee_joint"], scale=1.0, clip=10.0)
        entries["observation"]["terms"] = [{"name": "last_action"}, {"name": "phase_sin"}]
        entries["phase"] = {"period_s": 0.08, "offset": [0.0], "still": {"command": 0.01, "phase": 0.25}}

    c, knee = controller(robot, tmp_path, np.array([[1.0, 1.0]]), spoil), robot.joint_names.index("left_knee_joint")
    intents = [FORWARD, FORWARD, FORWARD, Intent(), Intent(velocity=(0.005, 0.0, 0.0)), Intent(velocity=(0.0, 0.0, 0.1)), FORWARD]
    outputs = [c.step(state(robot, 0.02 * i), intent).command.q[knee] - robot.posture[knee] for i, intent in enumerate(intents)]
    np.testing.assert_allclose(outputs, [0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0], atol=1e-6)


def test_outputs_that_are_not_finite_keep_the_last_command(robot: RobotModel, tmp_path: Path) -> None:
    """The square root of a command backward is not a number."""
    c = controller(robot, tmp_path, before="Sqrt")
    before = c.step(state(robot, 0.0), FORWARD)
    broken = c.step(state(robot, 0.02), Intent(velocity=(-0.5, 0.0, 0.0)))
    assert (before.status, broken.status) == ("ok", "degraded")
    assert broken.reason == "the policy's output is not finite: the last command is repeated"
    np.testing.assert_array_equal(broken.command.q, before.command.q)
    assert c.step(state(robot, 0.04), FORWARD).status == "ok"
    c.reset(0)
    first = c.step(state(robot, 0.0), Intent(velocity=(-0.5, 0.0, 0.0)))
    np.testing.assert_allclose(first.command.q, robot.posture)  # nothing was sent before: the default


def test_a_network_that_fails_keeps_the_last_command(robot: RobotModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(observation: object) -> Array:
        raise RuntimeError("out of memory\nand more")

    c = controller(robot, tmp_path)
    before = c.step(state(robot, 0.0), FORWARD)
    monkeypatch.setattr(c, "_network", fail)
    decision = c.step(state(robot, 0.02), FORWARD)
    assert (decision.status, decision.reason) == ("degraded", "the policy failed (out of memory): the last command is repeated")
    np.testing.assert_array_equal(decision.command.q, before.command.q)


def test_lost_states_are_bridged_and_then_damped(robot: RobotModel, tmp_path: Path) -> None:
    """Output = last output + 0.5, so that it says whether it has begun anew."""

    def spoil(entries: dict[str, Any]) -> None:
        entries["action"].update(joints=["left_knee_joint"], scale=1.0)
        entries["observation"]["terms"] = [{"name": "last_action"}]

    c = controller(robot, tmp_path, np.array([[1.0]]), spoil, bias=np.array([0.5]))
    lost = replace(state(robot, 0.02), gyro_imu=np.array([math.nan, 0.0, 0.0]))
    sent = c.step(state(robot, 0.0), FORWARD).command
    bridged, damped = c.step(lost, FORWARD), c.step(replace(lost, stamp_s=0.04), FORWARD)
    assert (bridged.status, damped.status) == ("degraded", "safe")
    assert "gyro not finite" in bridged.reason
    np.testing.assert_array_equal(bridged.command.q, sent.q)
    assert not damped.command.kp.any() and damped.command.kd.all() and damped.certificate.changed
    again = [c.step(state(robot, 0.06 + 0.02 * i), FORWARD) for i in range(2)]
    assert [decision.status for decision in again] == ["ok", "ok"]
    np.testing.assert_array_equal(again[0].command.q, sent.q)
    assert not np.array_equal(again[1].command.q, sent.q)


def test_a_waypoint_is_left_out(robot: RobotModel, tmp_path: Path) -> None:
    decision = controller(robot, tmp_path).step(state(robot, 0.0), Intent(waypoint=(1.0, 0.0, 0.0)))
    assert decision.status == "degraded" and "waypoint is left out" in decision.reason
    np.testing.assert_allclose(decision.command.q, robot.posture)


def test_a_snapshot_is_continued_bit_for_bit(robot: RobotModel, tmp_path: Path) -> None:
    def spoil(entries: dict[str, Any]) -> None:
        entries["observation"]["terms"] = [{"name": "last_action"}, {"name": "angular_velocity", "history": 3}, {"name": "phase_cos"}]
        entries["phase"] = {"period_s": 0.7, "offset": [0.0]}

    rng = np.random.default_rng(0)
    c = controller(robot, tmp_path, rng.normal(scale=0.2, size=(robot.n, robot.n + 10)), spoil)
    gyros = rng.normal(size=12)

    def drive(first: int, last: int) -> list[bytes]:
        return [c.step(state(robot, 0.02 * i, gyros[i]), FORWARD).command.q.tobytes() for i in range(first, last)]

    drive(0, 5)
    snapshot = c.snapshot()
    onward = drive(5, 12)
    c.restore(snapshot)
    assert drive(5, 12) == onward
    c.reset(0)
    assert drive(5, 12) != onward


def test_unusable_policies_are_refused_in_one_line(robot: RobotModel, tmp_path: Path) -> None:
    n = robot.n
    (tmp_path / "text").mkdir()
    contract = write_contract(tmp_path / "text" / "c.toml", contract_entries(robot))
    (tmp_path / "text" / "p.onnx").write_text("no network", encoding="utf-8")
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: controller(robot, tmp_path, np.zeros((n, 4))), r"does not take the contract's 3 numbers \(command 3 × 1\)"),
        (lambda: controller(robot, tmp_path, np.zeros((12, 3))), r"shape \(12,\), the contract moves 29 joints"),
        (lambda: controller(robot, tmp_path, np.full((n, 3), np.nan)), "not finite; export it again"),
        (lambda: controller(robot, tmp_path, inputs=2), "takes in0, in1; only networks with one input"),
        (lambda: PolicyController(robot, tmp_path / "none.onnx", contract), "no such file; give the ONNX file"),
        (lambda: PolicyController(robot, tmp_path / "text" / "p.onnx", contract), "cannot be read .*; give an ONNX file"),
    ]
    for build, words in cases:
        with pytest.raises(ContractError, match=words) as error:
            build()
        assert "\n" not in str(error.value)
