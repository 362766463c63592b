from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from wire import G1_MOTORS

from poise.hw import health as health_module
from poise.hw.dds import BATTERY_TOPIC, Bus
from poise.hw.health import BATTERY_LEAST, BEYOND_RAD, HOT_C, LEAN_RAD, RATE_HZ, RATE_STATES, UnitreeHealth
from poise.hw.unitree_g1 import Wiring
from poise.hw.unitree_hg import BMS_STATE, LOW_STATE, Record, new
from poise.robots import RobotModel, RobotState

pytestmark = pytest.mark.realtime

DOMAIN, PERIOD_S, NOW_S = 54, 0.002, 1234.5
KNEE, ELBOW = "left_knee_joint", "right_elbow_joint"


class Robot:
    """What health looks at of a backend: a robot that stands well, and speaks every 2 ms until now."""

    def __init__(self, robot: RobotModel) -> None:
        self.robot, self.low_state = robot, new(LOW_STATE)
        self.low_state["imu_state"]["quaternion"][0] = 1.0
        for name, q in zip(robot.joint_names, robot.posture, strict=True):
            self.motor(name)["q"] = q
        self.arrived_s = NOW_S

    def motor(self, joint: str) -> Record:
        return self.low_state["motor_state"][G1_MOTORS.index(joint.removesuffix("_joint"))]

    def read(self) -> RobotState:
        return Wiring(self.robot).state(self.low_state)


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    with Bus("lo", DOMAIN) as joined:
        yield joined


@pytest.fixture(autouse=True)
def at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "time", SimpleNamespace(monotonic=lambda: NOW_S))


def looked_at(backend: Robot, bus: Bus, states: int = RATE_STATES, period_s: float = PERIOD_S, ago_s: float = 0.0) -> UnitreeHealth:
    """After so many states, of which the last came so long ago."""
    health, last_s = UnitreeHealth(backend.robot, backend, bus), NOW_S - ago_s  # type: ignore[arg-type]
    for i in reversed(range(states)):
        backend.arrived_s = last_s - period_s * i
        health.look()
    return health


@pytest.fixture
def robot(g1: RobotModel) -> Robot:
    return Robot(g1)


def turned(robot: Robot, *euler: float) -> None:
    robot.low_state["imu_state"]["quaternion"] = Rotation.from_euler("xyz", euler).as_quat(scalar_first=True)


def test_nothing_speaks_against_a_robot_that_stands_well(robot: Robot, bus: Bus) -> None:
    turned(robot, 0.1, -0.2, 2.5)
    health = looked_at(robot, bus)
    assert health.unfit() == "" and health.stops() == "" and math.isnan(health.battery)


REASONS: dict[str, tuple[Callable[[Robot], Any], str]] = {
    "leans": (lambda robot: turned(robot, 0.0, LEAN_RAD + 0.02, 1.0), "the pelvis leans by 36°: put the robot upright"),
    "lies": (lambda robot: turned(robot, math.pi, 0.0, 0.0), "the pelvis leans by 180°: put the robot upright"),
    "no attitude": (lambda robot: robot.low_state["imu_state"]["quaternion"].fill(0.0), "the IMU's orientation is none"),
    "NaN attitude": (lambda robot: robot.low_state["imu_state"]["quaternion"].fill(np.nan), "the IMU's orientation is none"),
    "error": (lambda robot: robot.motor(KNEE).__setitem__("motorstate", 8), f"motor in error: {KNEE}"),
    "hot": (lambda robot: robot.motor(KNEE)["temperature"].__setitem__(1, HOT_C + 1), f"motor above 85 °C: {KNEE}: let it cool"),
    "NaN joint": (lambda robot: robot.motor(ELBOW).__setitem__("q", np.nan), f"not within its limits: {ELBOW}: see to encoders"),
}


@pytest.mark.parametrize("kind", REASONS)
def test_each_reason_by_itself(robot: Robot, bus: Bus, kind: str) -> None:
    spoil, said = REASONS[kind]
    spoil(robot)
    unfit = looked_at(robot, bus).unfit()
    assert said in unfit and ";" not in unfit


@pytest.mark.parametrize("beyond", [-1.0, 1.0])
def test_a_joint_may_be_a_little_beyond_its_limits(robot: Robot, bus: Bus, beyond: float) -> None:
    i = robot.robot.joint_names.index(KNEE)
    limit = robot.robot.position_min[i] if beyond < 0.0 else robot.robot.position_max[i]
    for far, fit in ((BEYOND_RAD - 0.01, True), (BEYOND_RAD + 0.01, False)):
        robot.motor(KNEE)["q"] = limit + beyond * far
        assert (looked_at(robot, bus).unfit() == "") == fit


def test_all_reasons_are_told(robot: Robot, bus: Bus) -> None:
    for spoil, _ in (REASONS["leans"], REASONS["error"], REASONS["NaN joint"]):
        spoil(robot)
    unfit = looked_at(robot, bus, states=3).unfit()
    assert unfit.count(";") == 3 and "states come" in unfit


@pytest.mark.parametrize(("rate_hz", "fit"), [(1.1 * RATE_HZ, True), (0.9 * RATE_HZ, False)])
def test_states_come_often_enough(robot: Robot, bus: Bus, rate_hz: float, fit: bool) -> None:
    unfit = looked_at(robot, bus, period_s=1.0 / rate_hz).unfit()
    assert unfit == "" if fit else unfit.startswith("states come 3") and unfit.endswith("look at the network")


def test_a_robot_that_was_just_found_has_to_speak_for_a_while(robot: Robot, bus: Bus) -> None:
    assert "states come 0 times a second" in looked_at(robot, bus, states=RATE_STATES - 1).unfit()


def test_a_robot_that_has_fallen_silent_is_not_fit(robot: Robot, bus: Bus) -> None:
    assert "states come" in looked_at(robot, bus, ago_s=10.0).unfit()


def test_one_state_is_counted_once(robot: Robot, bus: Bus) -> None:
    health = looked_at(robot, bus, states=1)
    for _ in range(2 * RATE_STATES):
        health.look()
    assert "states come 0 times a second" in health.unfit()


@pytest.mark.parametrize(("percent", "fit"), [(100, True), (BATTERY_LEAST, True), (BATTERY_LEAST - 1, False), (0, False)])
def test_the_battery_is_heard(robot: Robot, bus: Bus, percent: float, fit: bool) -> None:
    writer, health = bus.writer(BATTERY_TOPIC, BMS_STATE), looked_at(robot, bus)
    record = new(BMS_STATE)
    record["soc"] = int(percent)
    writer.write(record)
    assert health._batteries.wait(20.0)
    health.look()
    assert health.battery == percent
    assert ("the battery has" in health.unfit()) != fit


def test_the_remote_stops(robot: Robot, bus: Bus) -> None:
    health = looked_at(robot, bus)
    robot.low_state["wireless_remote"][2:4] = [1 << 5, 1 << 1]  # L2 is bit 5, B bit 9
    assert health.stops() == "wireless remote"
    robot.low_state["wireless_remote"][2:4] = [1 << 5, 0]
    assert health.stops() == ""
