from __future__ import annotations

import numpy as np
import pytest
from holder import G1, g1_plant

from poise.robots import Intent, PoiseError, RecordError, RobotState
from poise.robots.commands import hold_command
from poise.robots.plain import from_plain, to_plain
from poise.sim import NOISE, MujocoBackend
from poise.sim.disturbances import Push
from poise.sim.faults import JOINT_READINGS, READINGS, SensorFault
from poise.sim.scenarios import Scenario, Segment

KNEE = G1.joint_names.index("left_knee_joint")


def states(*faults: SensorFault, ticks: int = 60) -> list[RobotState]:
    """What is read while the posture is held."""
    backend = MujocoBackend(G1, g1_plant(), noise=NOISE["nominal"], faults=faults)
    backend.reset(5)
    command, read = hold_command(G1, G1.posture), [backend.read()]
    for _ in range(ticks):
        backend.write(command)
        read.append(backend.read())
    return read


def same(a: RobotState, b: RobotState) -> bool:
    return to_plain(a) == to_plain(b)


@pytest.fixture(scope="module")
def sound() -> list[RobotState]:
    return states()


@pytest.mark.parametrize("reading", [name for name in READINGS if name != "foot_force_n"])
def test_a_reading_is_no_number_for_as_long_as_is_said_and_nothing_else_changes(sound: list[RobotState], reading: str) -> None:
    read = states(SensorFault(reading, "nan", 0.04, 0.02))
    for tick, (state, true) in enumerate(zip(read, sound, strict=True)):
        failing = 20 <= tick < 30
        assert np.isnan(getattr(state, reading)).all() == failing
        assert same(state, true) != failing, "noise is drawn as it would be"


def test_what_is_absent_stays_absent() -> None:
    assert all(state.foot_force_n is None for state in states(SensorFault("foot_force_n", "nan", 0.0, 1.0), ticks=3))


def test_a_dead_encoder_stays_where_it_was(sound: list[RobotState]) -> None:
    read = states(SensorFault("joint_position", "frozen", 0.04, 0.02, "left_knee_joint"))
    last = sound[19].joint_position[KNEE]
    assert [state.joint_position[KNEE] == last for state in read[19:31]] == [True] * 11 + [False]
    others = np.arange(G1.n) != KNEE
    assert all(np.array_equal(a.joint_position[others], b.joint_position[others]) for a, b in zip(read, sound, strict=True))
    assert all(np.array_equal(a.joint_velocity, b.joint_velocity) for a, b in zip(read, sound, strict=True))


def test_a_dropped_state_comes_again_with_its_stamp(sound: list[RobotState]) -> None:
    read = states(SensorFault("state", "frozen", 0.04, 0.02))
    assert all(same(state, sound[19]) for state in read[20:30])
    assert same(read[30], sound[30])


def test_a_run_is_restored_in_the_middle_of_a_fault() -> None:
    backend = MujocoBackend(G1, g1_plant(), faults=[SensorFault("joint_position", "frozen", 0.01, 0.04)])
    command = hold_command(G1, G1.posture)

    def read(ticks: int) -> list[RobotState]:
        states = []
        for _ in range(ticks):
            backend.write(command)
            states.append(backend.read())
        return states

    read(10)
    middle = backend.snapshot()
    first = read(20)
    backend.restore(middle)
    assert all(map(same, read(20), first))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (SensorFault("joint_velocty", "nan", 0.0, 1.0), "no reading 'joint_velocty'; known: joint_position"),
        (SensorFault("gyro_imu", "nan", 0.0, 1.0, "left_knee_joint"), "no gyro_imu of 'left_knee_joint'"),
        (SensorFault("joint_torque", "nan", 0.0, 1.0, "left_knee"), "no joint_torque of 'left_knee'"),
        (SensorFault("state", "nan", 0.0, 1.0), "can be frozen only"),
        (SensorFault("gyro_imu", "nan", 0.0, 0.0), "duration above 0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(fault: SensorFault, words: str) -> None:
    with pytest.raises(PoiseError, match=words) as refused:
        MujocoBackend(G1, g1_plant(), faults=[fault])
    assert "\n" not in str(refused.value)


def test_a_scenario_survives_a_recording() -> None:
    intent = Intent(velocity=(0.1, 0.0, 0.3), arms=G1.posture[G1.arms])
    fault = SensorFault(JOINT_READINGS[0], "nan", 0.5, 0.2, "left_knee_joint")
    push = Push("torso_link", (0.0, 1.0, 0.0), 8.0, 0.1 + 0.2, frame="heading")
    plain = to_plain(Scenario("all", (Segment(1.0, intent),), (push,), 3.0, (fault,)))
    read = from_plain(Scenario, plain)
    assert to_plain(read) == plain and read.pushes == (push,) and read.faults == (fault,)
    plain["pushes"][0]["frame"] = "base"
    with pytest.raises(RecordError, match="'base' is none of"):
        from_plain(Scenario, plain)
