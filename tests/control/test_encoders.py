"""Dead encoders are found out by the rates of their joints, and reckoned on; joints at rest are not taken for dead."""

from __future__ import annotations

import numpy as np
import pytest
from loop import STAND, make_loop

from poise.control.encoders import DEAD_RAD, Encoders
from poise.sim.faults import SensorFault

DT = 0.002


def test_a_reading_that_stands_still_while_its_joint_moves_is_reckoned_on() -> None:
    encoders, truth, said = Encoders(3), np.array([0.1, -0.2, 0.3]), []
    rates = np.array([0.5, -1.0, 0.0])
    for tick in range(200):
        truth = truth + DT * rates
        read = np.array([truth[0], -0.2, truth[2]])  # the second is dead from the start, the third at rest
        encoders(tick * DT, read, rates)
        said.append(read)
    np.testing.assert_array_equal(encoders.dead, [0.0, 1.0, 0.0])
    assert encoders.any_dead and said[-1][0] == truth[0] and said[-1][2] == truth[2]
    assert said[-1][1] == pytest.approx(truth[1], abs=2.0 * DT)
    found = next(tick for tick, read in enumerate(said) if read[1] != -0.2)
    assert found * DT == pytest.approx(DEAD_RAD / 1.0, abs=0.005), "as soon as it is more than noise"
    encoders(200 * DT, np.array([0.2, -0.7, 0.3]), rates)
    assert not encoders.any_dead, "it reads again"


def test_noise_alone_makes_no_encoder_dead() -> None:
    rng, encoders = np.random.default_rng(0), Encoders(29)
    for tick in range(5000):
        encoders(tick * DT, np.zeros(29), rng.normal(0.0, 0.3, 29))
        assert not encoders.any_dead


def test_over_a_gap_nothing_is_reckoned_and_a_snapshot_goes_on_alike() -> None:
    one, other = Encoders(1), Encoders(1)
    for tick in range(40):
        one(tick * DT, np.zeros(1), np.ones(1))
    other.restore(one.snapshot())
    for encoders in (one, other):
        read = np.zeros(1)
        encoders(5.0, read, np.ones(1))
        assert encoders.any_dead and read[0] == pytest.approx(39 * DT)
    one.reset()
    assert not one.any_dead and other.any_dead


def test_a_dead_encoder_stops_the_robot_which_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(seed=1)
    loop.run(0.3)
    fault = SensorFault("joint_position", "frozen", loop.backend.data.time, 9.0, "left_shoulder_pitch_joint")
    monkeypatch.setattr(loop.backend, "faults", (fault,))
    stopped = loop.run(5.0)  # a shoulder hardly moves in the first steps
    assert loop.stands and stopped[-1].rung == "safe stop"
    assert "encoder stands still: left_shoulder_pitch_joint" in stopped[-1].reason
    monkeypatch.setattr(loop.backend, "faults", ())
    assert loop.run(0.8, STAND)[-1].rung == "nominal"
