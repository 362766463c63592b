from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from wire import G1_MOTORS, PATIENCE_S, PERIOD_S, Client, all_joints, joint, parts, plant

from poise.hw.dds import BATTERY_TOPIC, TORSO_IMU_TOPIC, Bus
from poise.hw.simulated import SimulatedConfig, SimulatedRobot
from poise.hw.unitree_hg import BMS_STATE, IMU_STATE, LOW_STATE, encode, new
from poise.hw.wire_faults import HELP

pytestmark = pytest.mark.realtime

DOMAIN = 50
KNEE = G1_MOTORS.index("left_knee")


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    with Bus("lo", DOMAIN) as joined:
        yield joined


def speaking(bus: Bus, own_program: str = "", floating: bool = True) -> tuple[SimulatedRobot, Client]:
    backend = plant(floating)
    speaker = SimulatedRobot(parts()[0], backend, bus, PERIOD_S, own_program)
    return speaker, Client(bus, speaker, backend)


def order(speaker: SimulatedRobot, line: str) -> None:
    speaker.faults.order(line.split(), parts()[0], speaker.state.stamp_s)


@pytest.fixture(scope="module")
def held(bus: Bus) -> np.ndarray:
    """Where all joints are after 50 periods in which none is told to move, rad."""
    speaker, client = speaking(bus)
    client.steps(50, client.command())
    return all_joints(client.plant)


@pytest.mark.parametrize("number", range(29))
def test_each_motor_moves_the_joint_that_unitree_says(bus: Bus, held: np.ndarray, number: int) -> None:
    speaker, client = speaking(bus)
    (*_, last) = client.steps(50, client.command(**{G1_MOTORS[number]: 0.1}))
    now = all_joints(client.plant)
    moved = now - held
    assert int(np.argmax(np.abs(moved))) == number and moved[number] > 0.02
    np.testing.assert_allclose(last["motor_state"]["q"][:29], now, atol=1e-5)


def test_a_state_says_what_the_plant_does(bus: Bus) -> None:
    speaker, client = speaking(bus, floating=False)
    states = client.steps(20, client.command(left_elbow=0.2))
    assert len(states) == 20
    ticks = [int(state["tick"]) for state in states]
    assert np.diff(ticks).tolist() == [2] * 19 and int(states[-1]["mode_machine"]) == 5
    np.testing.assert_allclose(states[-1]["motor_state"]["q"][:29], all_joints(client.plant), atol=1e-6)
    assert not states[-1]["motor_state"]["q"][29:].any()
    np.testing.assert_allclose(np.linalg.norm(states[-1]["imu_state"]["quaternion"]), 1.0, atol=1e-6)


def test_a_wrong_checksum_is_not_obeyed(bus: Bus) -> None:
    speaker, client = speaking(bus)
    record = client.command(left_knee=0.3)
    record["motor_cmd"]["q"][KNEE] += 1.0
    client.steps(20, record)
    assert (speaker.heard, speaker.refused, speaker.driven) == (0, 20, False)


def test_while_its_own_program_has_the_motors_nobody_else_has(bus: Bus) -> None:
    speaker, client = speaking(bus, own_program="ai")
    before = joint(client.plant, "left_knee")
    client.steps(100, client.command(left_knee=0.3))
    assert speaker.heard == 0 and not speaker.driven
    assert abs(joint(client.plant, "left_knee") - before) < 0.05
    speaker._switcher.mode = ""
    client.steps(100, client.command(left_knee=0.3))
    assert speaker.heard == 100 and speaker.driven


def test_without_commands_the_motors_are_damped_in_time(bus: Bus) -> None:
    speaker, client = speaking(bus)
    client.steps(10, client.command())
    last_s, timeout_s = speaker.state.stamp_s, SimulatedConfig().timeout_s
    while speaker.driven:
        client.steps(1)
        assert speaker.state.stamp_s - last_s <= timeout_s + 3 * PERIOD_S
    assert speaker.state.stamp_s - last_s >= timeout_s
    wanted = speaker._wanted()
    assert not wanted.kp.any() and not wanted.tau.any() and (wanted.kd > 0.0).all()
    client.steps(1, client.command())
    assert speaker.driven


def test_a_motor_at_work_warms_up_as_far_as_its_torque_says(bus: Bus) -> None:
    speaker, client = speaking(bus, floating=False)
    cfg = SimulatedConfig(heating_c=60.0)
    share = 0.5
    speaker._temperature[:] = cfg.ambient_c
    torque = share * parts()[0].torque_limit
    speaker.state = type(speaker.state)(0.0, speaker.state.joint_position, speaker.state.joint_velocity, torque)
    for _ in range(round(cfg.warming_s / PERIOD_S)):
        speaker._warm()
    expected = cfg.ambient_c + share**2 * cfg.heating_c * (1.0 - np.exp(-1.0))
    np.testing.assert_allclose(speaker._temperature, expected, atol=0.01)


def test_dead_gives_no_torque_and_says_so(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "dead left_knee_joint")
    (*_, last) = client.steps(20, client.command(left_knee=0.3, right_knee=0.3))
    motor = last["motor_state"]
    assert np.flatnonzero(motor["motorstate"]).tolist() == [KNEE]
    assert float(motor["tau_est"][KNEE]) == 0.0 and abs(float(motor["tau_est"][G1_MOTORS.index("right_knee")])) > 0.5


def test_stuck_stays_where_it_was_though_the_joint_moves(bus: Bus) -> None:
    speaker, client = speaking(bus)
    (*_, before) = client.steps(2, client.command())
    order(speaker, "stuck left_knee_joint")
    states = client.steps(60, client.command(left_knee=0.3, right_knee=0.3))
    told = {float(state["motor_state"]["q"][KNEE]) for state in states}
    assert told == {float(before["motor_state"]["q"][KNEE])}
    assert {float(state["motor_state"]["dq"][KNEE]) for state in states} == {0.0}
    assert joint(client.plant, "left_knee") - told.pop() > 0.05
    other = G1_MOTORS.index("right_knee")
    assert float(states[-1]["motor_state"]["q"][other]) == pytest.approx(joint(client.plant, "right_knee"), abs=1e-5)


def test_hot_says_its_temperature(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "hot left_knee_joint")
    (state,) = client.steps(1)
    temperatures = state["motor_state"]["temperature"][:29]
    assert temperatures[KNEE].tolist() == [100, 100]
    assert np.delete(temperatures, KNEE, 0).max() == SimulatedConfig().ambient_c


def test_battery_says_what_is_left(bus: Bus) -> None:
    speaker, client = speaking(bus)
    batteries = bus.reader(BATTERY_TOPIC, BMS_STATE)
    order(speaker, "battery 37")
    client.steps(2 * SimulatedConfig().battery_every)
    assert [int(battery["soc"]) for battery in batteries.take()] == [37, 37]


def test_drop_loses_its_share(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "drop 0.3")
    came = len(client.steps(500))
    assert abs(came - 350) < 5 * np.sqrt(500 * 0.3 * 0.7)
    order(speaker, "drop 1")
    assert client.steps(50) == []
    order(speaker, "drop 0")
    assert len(client.steps(5)) == 5


def test_corrupt_is_refused_where_it_shows(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "corrupt 1")
    came = client.steps(200)
    assert client.states.refused + len(came) == 200
    padding = 1.0 - (sum(_kept()) - 4.0) / (len(encode(new(LOW_STATE))) - 4.0)
    assert len(came) <= 200 * padding + 5 * np.sqrt(200 * padding) + 1, "what is taken had a bit changed that no field has"
    assert all(np.isfinite(state["motor_state"]["q"]).all() for state in came)


def _kept() -> list[int]:
    """1 for each byte on the wire that a field has: those whose change makes another message, or none."""
    from poise.hw.unitree_hg import decode, sealed

    data = encode(sealed(new(LOW_STATE)))
    changed = (data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :] for k in range(len(data)))
    return [decode(each, LOW_STATE) is None for each in changed]


def test_nan_is_sealed_and_ends(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "nan 0.02")
    states = client.steps(20)
    marred = [int(np.isnan(state["motor_state"]["q"]).sum()) for state in states]
    assert len(states) == 20 and client.states.refused == 0
    assert marred[:9] == [1] * 9 and marred[11:] == [0] * 9


def test_garbage_follows_each_state_and_is_refused(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "garbage 0.04")
    assert len(client.steps(19)) == 19
    assert client.states.refused == 19
    client.steps(10)
    refused = client.states.refused
    assert len(client.steps(10)) == 10 and client.states.refused == refused


def test_silence_is_no_state_and_no_ear(bus: Bus) -> None:
    speaker, client = speaking(bus)
    client.steps(1, client.command())
    order(speaker, "silence 0.1")
    assert client.steps(49, client.command(left_knee=0.2)) == []
    assert speaker.heard == 1 and not speaker.driven, "deaf for longer than its time-out"
    assert len(client.steps(5, client.command())) >= 4
    assert speaker.driven


def test_late_states_tell_of_the_past(bus: Bus) -> None:
    speaker, client = speaking(bus)
    order(speaker, "late 0.02")
    lags = []
    for _ in range(40):
        lags += [1000 * speaker.state.stamp_s - int(state["tick"]) for state in client.steps(1)]
    assert len(lags) in (30, 31) and max(lags) - min(lags) < 2.5
    assert np.median(lags) == pytest.approx(20.0, abs=2.5)


def test_every_fault_that_help_knows_is_tested() -> None:
    tested = {name.split("_")[1] for name in globals() if name.startswith("test_")}
    assert set(HELP) <= tested


def test_the_imu_in_the_torso_is_said_too(bus: Bus) -> None:
    reader, speaker = bus.reader(TORSO_IMU_TOPIC, IMU_STATE), speaking(bus)[0]
    speaker._torso_imu = lambda: (np.array([0.6, 0.0, 0.8, 0.0]), np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 9.8]))
    for _ in range(20):
        speaker.step()
    assert reader.wait(PATIENCE_S)
    records = reader.take()
    assert len(records) == 10
    np.testing.assert_allclose(records[-1]["quaternion"], [0.6, 0.0, 0.8, 0.0], atol=1e-6)
    np.testing.assert_allclose(records[-1]["gyroscope"], [1.0, 2.0, 3.0])
    assert records[-1]["accelerometer"][2] == pytest.approx(9.8) and records[-1]["rpy"][1] == pytest.approx(np.arcsin(0.96), abs=1e-5)
