from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poise.robots import Backend, JointCommand, RobotState, load_robot
from poise.robots.commands import damping_command, hold_command, sendable
from poise.robots.conformance import check_backend, state_findings
from poise.robots.mock import MockBackend
from poise.robots.plant import compile_plant
from poise.sim import NOISE, MujocoBackend

G1 = load_robot("g1")
PLANT = compile_plant(G1.description)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MockBackend(G1),
        lambda: MujocoBackend(G1, PLANT),
        lambda: MujocoBackend(G1, PLANT, noise=NOISE["hard"], latency_s=0.02, physics=0.001),
    ],
    ids=["mock", "mujoco", "mujoco hard"],
)
def test_backends_keep_the_contract(make: Callable[[], Backend]) -> None:
    assert check_backend(make, G1) == []


class Restless(MockBackend):
    def read(self) -> RobotState:
        self._state = replace(self._state, stamp_s=self._state.stamp_s + 1e-4)
        return self._state


class Gullible(MockBackend):
    def write(self, command: JointCommand) -> JointCommand:
        self._ticks += 1
        self._state = self._at(command.q, np.zeros(self.robot.n))
        return command


class Poisoned(MockBackend):
    def write(self, command: JointCommand) -> JointCommand:
        self._ticks += 1
        self._state = self._at(0.9 * self._state.joint_position + 0.1 * command.q, np.zeros(self.robot.n))
        return sendable(self.robot, command, self.robot.torque_limit)


class Frozen(MockBackend):
    def write(self, command: JointCommand) -> JointCommand:
        return sendable(self.robot, command, self.robot.torque_limit)


class Seedless(MockBackend):
    def reset(self, seed: int | None = None) -> RobotState:
        return super().reset(0)


class Unsteady(MockBackend):
    def reset(self, seed: int | None = None) -> RobotState:
        return super().reset(None)


class Disobedient(MockBackend):
    def write(self, command: JointCommand) -> JointCommand:
        return super().write(replace(command, kp=0.5 * command.kp))


class Once(MockBackend):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


class Blind(MockBackend):
    def read(self) -> RobotState:
        return replace(self._state, gyro_imu=np.zeros(2), base_orientation_wxyz=np.zeros(4), joint_velocity=np.full(self.robot.n, np.nan))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Restless, ["reading twice"]),
        (Gullible, ["clip torque_limit", "was sent as it was"]),
        (Poisoned, ["not well formed after"]),
        (Frozen, ["does not move the stamp"]),
        (Seedless, ["seed has no effect"]),
        (Unsteady, ["two different runs"]),
        (Disobedient, ["another kp"]),
        (Once, ["close: raised RuntimeError: already closed"]),
        (Blind, ["gyro_imu has shape (2,)", "not a unit quaternion", "joint_velocity is not finite"]),
    ],
)
def test_what_is_broken_is_found(broken: Callable[..., MockBackend], words: list[str]) -> None:
    findings = check_backend(lambda: broken(G1), G1)
    for word in words:
        assert any(word in finding for finding in findings), findings
    assert all("\n" not in finding for finding in findings)


def test_the_wire_need_not_be_reproducible() -> None:
    assert check_backend(lambda: Unsteady(G1), G1, reproducible=False) == []


def test_absent_readings_are_no_finding_but_absent_joints_are() -> None:
    state = MockBackend(G1).read()
    assert state_findings(replace(state, gyro_imu=None, base_orientation_wxyz=None), G1) == []
    blind = replace(state, joint_position=None)  # type: ignore[arg-type]
    assert state_findings(blind, G1) == ["state: joint_position is absent; a backend must give it"]


def test_the_mock_follows_within_its_limits() -> None:
    backend = MockBackend(G1, period_s=0.01)
    start = backend.reset(0).joint_position
    target = G1.posture + 1.0
    target[5] = 10.0  # beyond the joint's range
    backend.write(hold_command(G1, target))
    state = backend.read()
    reach = G1.velocity_limit * 0.01
    np.testing.assert_allclose(np.abs(state.joint_position - start).max(), reach.max())
    assert (np.abs(state.joint_velocity) <= G1.velocity_limit + 1e-9).all()
    np.testing.assert_allclose(state.joint_velocity * 0.01, state.joint_position - start)
    for _ in range(100):
        backend.write(hold_command(G1, target))
    np.testing.assert_allclose(backend.read().joint_position, np.clip(target, G1.position_min, G1.position_max), atol=1e-9)
    held = backend.read().joint_position
    backend.write(damping_command(G1))
    np.testing.assert_array_equal(backend.read().joint_position, held)


def test_sendable_keeps_what_can_be_sent() -> None:
    command = replace(hold_command(G1, G1.posture), torque_limit=np.linspace(-1.0, 200.0, G1.n))
    sent = sendable(G1, command, G1.torque_limit)
    assert sent.q is command.q
    np.testing.assert_array_equal(sent.torque_limit, np.clip(command.torque_limit, 0.0, G1.torque_limit))
    assert not sendable(G1, replace(command, v=np.zeros(2)), G1.torque_limit).kp.any()
    assert not sendable(G1, replace(command, torque_limit=np.full(G1.n, np.nan)), G1.torque_limit).kp.any()
