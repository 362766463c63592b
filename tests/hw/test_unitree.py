"""The stack's side of the wire, and both sides together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from wire import G1_MOTORS, PERIOD_S, Walked, all_joints, parts, plant

from poise.hw import unitree
from poise.hw.dds import LOW_CMD_TOPIC, LOW_STATE_TOPIC, Bus
from poise.hw.unitree import UnitreeBackend
from poise.hw.unitree_hg import LOW_CMD, LOW_STATE, Record, new, sealed
from poise.robots import PoiseError, RobotModel
from poise.robots.commands import damping_command, hold_command
from poise.robots.conformance import check_backend

pytestmark = pytest.mark.realtime

DOMAIN = 53


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    with Bus("lo", DOMAIN) as joined:
        yield joined


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The robot of these tests moves when it is commanded, however long that takes."""
    monkeypatch.setattr(unitree, "NEXT_S", 20.0)


def low_state(tick: int) -> Record:
    record = new(LOW_STATE)
    record["tick"], record["mode_machine"] = tick, 5
    record["imu_state"]["quaternion"][0] = 1.0
    return sealed(record)


def found(bus: Bus, robot: RobotModel, read_only: bool = False) -> UnitreeBackend:
    """A backend that has found a robot, which says nothing more."""
    writer, ended = bus.writer(LOW_STATE_TOPIC, LOW_STATE), threading.Event()

    def speak() -> None:
        while not ended.wait(0.01):
            writer.write(low_state(2))

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    backend = UnitreeBackend(robot, bus, read_only=read_only, first_s=20.0)
    ended.set()
    thread.join()
    backend.reset()
    return backend


def test_it_keeps_the_contract_of_backends_over_the_wire(bus: Bus) -> None:
    assert check_backend(lambda: Walked(bus, plant()), parts()[0], reproducible=False) == []


def test_each_joint_that_is_commanded_moves_and_no_other(bus: Bus) -> None:
    """Both motor maps end to end, against names that the plant itself has."""
    robot, _ = parts()
    backend = Walked(bus, plant(floating=True))
    try:
        for i, name in enumerate(robot.joint_names):
            for _ in range(60):
                backend.write(hold_command(robot, robot.posture))
            before = all_joints(backend.plant)
            wanted = robot.posture.copy()
            wanted[i] += 0.1
            for _ in range(60):
                backend.write(hold_command(robot, wanted))
            moved = all_joints(backend.plant) - before
            assert f"{G1_MOTORS[int(np.argmax(np.abs(moved)))]}_joint" == name and moved.max() > 0.02
            assert backend.read().joint_position[i] == pytest.approx(all_joints(backend.plant)[G1_MOTORS.index(name[:-6])], abs=1e-5)
    finally:
        backend.close()


def test_what_it_sends_is_what_it_says_it_sends(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    robot, _ = parts()
    backend, heard = found(bus, robot), bus.reader(LOW_CMD_TOPIC, LOW_CMD)
    monkeypatch.setattr(unitree, "NEXT_S", 0.001)
    strong = replace(hold_command(robot, robot.posture), tau=2.0 * robot.torque_limit)
    for command in (hold_command(robot, robot.posture + 0.1), strong, replace(strong, q=np.full(robot.n, np.nan))):
        sent = backend.write(command)
        (record,) = heard.take()
        motors = record["motor_cmd"][[G1_MOTORS.index(name[:-6]) for name in robot.joint_names]]
        for field, value in (("q", sent.q), ("dq", sent.v), ("kp", sent.kp), ("kd", sent.kd)):
            np.testing.assert_array_equal(motors[field], value.astype(np.float32))
        assert (np.abs(motors["tau"]) <= robot.torque_limit.astype(np.float32)).all()
        assert int(record["mode_machine"]) == 5
    np.testing.assert_array_equal(sent.kp, damping_command(robot).kp)
    np.testing.assert_array_equal(sent.kd, damping_command(robot).kd)


def test_read_only_and_closed_it_sends_nothing(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    robot, _ = parts()
    silent, closed, heard = found(bus, robot, read_only=True), found(bus, robot), bus.reader(LOW_CMD_TOPIC, LOW_CMD)
    monkeypatch.setattr(unitree, "NEXT_S", 0.001)
    closed.close()
    for backend in (silent, closed):
        backend.write(hold_command(robot, robot.posture))
        backend.idle()
    assert not heard.wait(0.1)


def test_the_newest_state_counts_and_when_it_came(bus: Bus) -> None:
    backend, writer = found(bus, parts()[0]), bus.writer(LOW_STATE_TOPIC, LOW_STATE)
    before_s = time.monotonic()
    for tick in (4, 6, 8):
        writer.write(low_state(tick))
    backend.idle()
    assert backend.read().stamp_s == pytest.approx(0.008)
    assert before_s <= backend.arrived_s <= time.monotonic()
    came_s = backend.arrived_s
    backend.reset()
    assert backend.arrived_s == came_s and backend.read().stamp_s == pytest.approx(0.008), "nothing new came"


def test_what_is_not_whole_changes_nothing_and_is_counted(bus: Bus) -> None:
    backend, writer = found(bus, parts()[0]), bus.writer(LOW_STATE_TOPIC, LOW_STATE)
    bad = low_state(100)
    bad["tick"] = 102
    writer.write(bad)
    writer.write(low_state(10))
    backend.idle()
    assert backend.read().stamp_s == pytest.approx(0.010) and backend.refused == 1


def test_without_a_robot_it_says_how_to_start_one(bus: Bus) -> None:
    with pytest.raises(PoiseError, match="no robot speaks on rt/lowstate within 0.05 s; .*poise simulate --robot g1 --dds"):
        UnitreeBackend(parts()[0], bus, first_s=0.05)


def test_the_period_of_the_wire_is_the_plants(bus: Bus) -> None:
    backend = Walked(bus, plant())
    try:
        stamps = []
        for _ in range(50):
            backend.write(hold_command(parts()[0], parts()[0].posture))
            stamps.append(backend.read().stamp_s)
        np.testing.assert_allclose(np.diff(stamps), PERIOD_S, atol=1e-9)
        assert backend.speaker.heard == 50 and backend.refused == 0
    finally:
        backend.close()
