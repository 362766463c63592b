from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from holder import G1, Holder, belief_at, g1_plant

from poise.robots import Certificate, Decision, Intent, MotionProposal, RobotState, Verdict
from poise.sim import NOISE, MujocoBackend, fallen, run
from poise.sim.metrics import Meter, displacement, mean_velocity

STAND = Intent()


def backend() -> MujocoBackend:
    return MujocoBackend(G1, g1_plant(), noise=NOISE["none"])


def test_a_standing_robot_does_not_fall() -> None:
    seen: list[tuple[Decision, RobotState]] = []
    result = run(Holder(), backend(), lambda t, state: STAND, 3.0, on_tick=lambda decision, state: seen.append((decision, state)))
    assert not result.fell
    assert result.seconds == pytest.approx(3.0)
    assert len(seen) == 1500
    assert all(decision.stamp_s == state.stamp_s for decision, state in seen)
    assert result.velocity_error is not None and max(result.velocity_error) < 0.02
    assert result.distance_m < 0.05
    assert result.tick_us["p50"] is not None and 0.0 < result.tick_us["p50"] <= (result.tick_us["p99"] or 0.0)


def test_a_run_stops_at_the_fall() -> None:
    plant = backend()
    result = run(Holder(gain=0.5), plant, lambda t, state: STAND, 10.0)
    assert result.fell
    assert 0.2 < result.seconds < 10.0
    assert plant.tilt > np.radians(60.0) or plant.pelvis_height < 0.45
    assert result.seconds == pytest.approx(plant.data.time)


@pytest.mark.parametrize(
    ("pitch_deg", "height", "expected"),
    [(0, 0.75, False), (59, 0.75, False), (61, 0.75, True), (0, 0.46, False), (0, 0.44, True), (0, np.nan, True)],
)
def test_what_a_fall_is(pitch_deg: float, height: float, expected: bool) -> None:
    plant = backend()
    half = np.radians(pitch_deg) / 2
    plant.data.qpos[2:7] = [height, np.cos(half), 0.0, np.sin(half), 0.0]
    assert fallen(plant) is expected


def test_intents_see_the_time_of_the_run_and_the_state() -> None:
    plant, times = backend(), []
    run(Holder(), plant, lambda t, state: times.append((t, state.stamp_s)) or STAND, 0.01)  # type: ignore[func-returns-value]
    run(Holder(), plant, lambda t, state: times.append((t, state.stamp_s)) or STAND, 0.004)  # type: ignore[func-returns-value]
    np.testing.assert_allclose(
        times, [(0, 0), (0.002, 0.002), (0.004, 0.004), (0.006, 0.006), (0.008, 0.008), (0, 0.01), (0.002, 0.012)], atol=1e-12
    )


def test_the_result_is_json_with_stable_keys() -> None:
    result = json.loads(json.dumps(run(Holder(), backend(), lambda t, state: STAND, 0.1).to_dict()))
    stable = {"fell", "seconds", "mean_velocity", "velocity_error", "tick_us", "interventions", "proposals"}
    ours = {"learned_share", "unlearned_reasons", "energy_j", "distance_m", "position_drift_m", "yaw_drift"}
    assert set(result) == stable | ours
    assert set(result["tick_us"]) == {"p50", "p99"}
    assert set(result["proposals"]) == {"made", "rejected", "reasons"}
    assert result["interventions"]["rate"] == 0.0
    assert result["mean_velocity"] == pytest.approx([0.0, 0.0, 0.0], abs=0.3)


def test_energy_is_the_work_of_the_motors() -> None:
    plant, work, last = backend(), 0.0, [0.0]

    def add(decision: Decision, state: RobotState) -> None:
        after = plant.read()
        assert after.joint_torque is not None
        last.append(last[-1] + float(np.abs(after.joint_torque * after.joint_velocity).sum()) * 0.002)

    result = run(Holder(gain=0.5), plant, lambda t, state: STAND, 1.0, on_tick=add)
    work = last[-1]
    assert work > 1.0
    assert result.energy_j == pytest.approx(work, rel=1e-9)


def test_mean_velocity_on_a_circle() -> None:
    speed, turn, period = 0.5, 0.8, 0.002
    t = np.arange(0.0, 20.0, period)  # more than two full turns
    yaw = turn * t + 1.0
    poses = np.column_stack((speed / turn * np.sin(yaw), -speed / turn * np.cos(yaw), (yaw + np.pi) % (2 * np.pi) - np.pi))
    assert mean_velocity(poses, period) == pytest.approx((speed, 0.0, turn), abs=1e-3)
    sideways = np.column_stack((poses[:, 1], -poses[:, 0], poses[:, 2]))  # the same path, seen facing inwards or outwards
    assert np.abs(mean_velocity(sideways, period)[1]) == pytest.approx(speed, abs=1e-3)
    assert mean_velocity(poses[:1], period) == (0.0, 0.0, 0.0)


def test_the_mean_is_over_the_last_two_thirds() -> None:
    meter, plant = Meter(0.01), backend()
    for k in range(300):
        plant.data.qpos[0] = 0.0 if k < 100 else 0.3 * (k - 100) * 0.01
        meter.before(plant)
        meter.decided(_decision(Intent(velocity=(9.0 if k < 100 else 0.5, 0.0, 0.0))))
    plant.data.qpos[0] = 0.6
    result = meter.result(False, plant)
    assert result.mean_velocity == pytest.approx((0.3, 0.0, 0.0))
    assert result.velocity_error == pytest.approx((0.2, 0.0, 0.0))
    assert result.distance_m == pytest.approx(0.6)


def test_no_velocity_error_where_a_waypoint_was_wanted() -> None:
    assert run(Holder(), backend(), lambda t, state: Intent(waypoint=(1.0, 0.0, 0.0)), 0.02).velocity_error is None


def test_drift_is_the_error_of_the_believed_move() -> None:
    meter, plant = Meter(0.01), backend()
    # Truth: from (1, 2) at heading 90° one metre ahead, without turning. Belief: from the origin 1.1 m ahead, 0.1 rad to the left.
    for x, y, yaw, believed_x, believed_yaw in ((1.0, 2.0, np.pi / 2, 0.0, 0.0), (1.0, 3.0, np.pi / 2, 1.1, 0.1)):
        plant.data.qpos[:2], plant.data.qpos[3:7] = (x, y), (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        meter.before(plant)
        meter.decided(replace(_decision(STAND), belief=belief_at(np.array([believed_x, 0.0, 0.7]), believed_yaw)))
    result = meter.result(False, plant)
    assert result.position_drift_m == pytest.approx(0.1)
    assert result.yaw_drift == pytest.approx(0.1)
    assert Meter(0.01).result(False, plant).position_drift_m is None


def test_displacement_undoes_itself() -> None:
    a, b = np.array([1.0, 2.0, 0.3]), np.array([-1.0, 0.5, -2.9])
    x, y, turn = displacement(a, b)
    cos, sin = np.cos(a[2]), np.sin(a[2])
    np.testing.assert_allclose([a[0] + cos * x - sin * y, a[1] + sin * x + cos * y], b[:2])
    assert np.cos(a[2] + turn - b[2]) == pytest.approx(1.0)


def test_decisions_are_counted() -> None:
    meter, plant = Meter(0.002), backend()
    good, bad = Verdict(True, "", 0.01, "m", 1.0), Verdict(False, "zmp", -0.02, "m", -np.inf)
    reach = replace(bad, constraint="reach")
    learned, scripted = _proposal("learned"), _proposal("scripted")
    ticks: list[dict[str, Any]] = [
        {"proposal": None},
        {"proposal": learned, "proposals": (learned, learned), "verdicts": (bad, good), "chosen": 1},
        {"proposal": learned},
        {"proposal": scripted, "proposals": (learned, learned), "verdicts": (bad, reach), "chosen": -1},
        {
            "proposal": scripted,
            "certificate": Certificate(True, ("torque left_knee_joint", "torque right_knee_joint", "speed waist_yaw_joint"), 4.0, "qp"),
        },
        {"proposal": learned, "status": "safe"},
    ]
    for tick in ticks:
        meter.before(plant)
        meter.decided(replace(_decision(STAND), **tick))
    result = meter.result(True, plant)
    assert result.fell
    assert result.proposals == {"made": 4, "rejected": 3, "reasons": {"zmp": 2, "reach": 1}}
    assert result.interventions == {"rate": 1 / 6, "count": 1, "max_torque_change_nm": 4.0, "reasons": {"torque": 1, "speed": 1}}
    assert result.unlearned_reasons == {"origin: none": 1, "rejected: zmp": 2, "safe command": 1}
    assert result.learned_share == pytest.approx(2 / 6)


def _decision(intent: Intent) -> Decision:
    return replace(Holder().step(backend_state(), intent), belief=None)


def backend_state() -> RobotState:
    return RobotState(0.0, G1.posture, np.zeros(G1.n))


def _proposal(origin: str) -> MotionProposal:
    arms = len(G1.arms)
    return MotionProposal(origin, 0.1, np.zeros(3), np.full(1, 0.62), np.zeros((1, 3)), np.zeros((1, arms)), 0.4, np.zeros((2, 2)))
