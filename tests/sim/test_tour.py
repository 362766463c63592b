from __future__ import annotations

import math
import pickle
import sys
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from holder import G1, Holder, Weak, g1_plant

from poise.robots import Decision, Intent, PoiseError, RobotModel, RobotState
from poise.robots.commands import hold_command
from poise.sim import MujocoBackend, tour
from poise.sim.falls import read_fall
from poise.sim.punches import Punch
from poise.sim.tour import STAGES, Crane, Harness, TourConfig, TourWork, draws, run_tour, summarise

pytest.importorskip("gaitkeeper.tour")

SHORT = TourConfig(seconds=5.0, noise="none")
ARMS = list(range(15, 29))


class Listener(Holder):
    """Holds the posture and keeps what it is asked for."""

    def __init__(self, gain: float = 4.0) -> None:
        super().__init__(gain=gain)
        self.intents: list[Intent] = []

    def step(self, state: RobotState, intent: Intent) -> Decision:
        self.intents.append(intent)
        return super().step(state, intent)


def make_holder(robot: RobotModel, seed: int) -> Holder:
    """A stack factory that can be pickled."""
    return Holder(robot)


def harness(stage: str, seed: int = 0, config: TourConfig = SHORT) -> Harness:
    return Harness(G1, stage, seed, config, 0.002)


@pytest.mark.parametrize("seconds", [0.0, 7.0, 95.0, math.nan])
def test_a_tour_is_made_of_whole_waypoints(seconds: float) -> None:
    with pytest.raises(PoiseError, match="multiple of 5"):
        TourConfig(seconds=seconds)


def test_unusable_input_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PoiseError, match="known: own, arms_hold, arms_walk, punches"):
        harness("dance")
    with pytest.raises(PoiseError, match="no such file"):
        harness("own", config=TourConfig(plant=Path("missing.xml")))
    monkeypatch.setitem(sys.modules, "gaitkeeper.tour", None)
    with pytest.raises(PoiseError, match=r"pip install -e '\.\[bench\]'") as error:
        draws()
    assert "\n" not in str(error.value)


def test_the_crane_holds_the_robot_at_the_stance_and_lets_go_after_three_seconds() -> None:
    h = harness("own", seed=5)
    h.hang()
    backend, g = h.backend, draws()
    assert backend.data.time == pytest.approx(3.0)
    np.testing.assert_allclose(backend.base_position_world, [0.0, 0.0, 0.793], atol=1e-3)
    np.testing.assert_allclose(backend.base_orientation_wxyz, [1.0, 0.0, 0.0, 0.0], atol=1e-3)
    stance = dict(zip(g.BENCH_MOTORS, g.BENCH_STANCE, strict=True))
    sag = backend.read().joint_position - [stance[name] for name in G1.joint_names]
    assert np.abs(sag).max() < 0.12  # the benchmark's gains are soft
    assert np.abs(backend.read().joint_velocity).max() < 0.05
    backend.write(hold_command(G1, G1.posture))
    backend.write(hold_command(G1, G1.posture))
    assert backend.data.qvel[2] == pytest.approx(-3 * 9.81 * 0.002, rel=0.3)  # it falls freely from the release on


def test_the_crane_keeps_a_body_where_it_is_against_a_force() -> None:
    model, data = g1_plant(), mujoco.MjData(g1_plant())
    data.qpos[:7] = [3.0, 1.0, 2.0, 0.6, 0.8, 0.0, 0.0]
    data.qvel[:6] = 1.0
    crane = Crane("pelvis", 1.1, until_s=0.5)
    crane.apply(model, data)
    np.testing.assert_array_equal(data.qpos[:7], [0.0, 0.0, 1.1, 1.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(data.qvel[:6], 0.0)
    data.time, data.qpos[0] = 0.5, 0.3
    crane.apply(model, data)
    assert data.qpos[0] == 0.3


def test_a_punch_is_a_force_at_its_point_that_turns_with_its_frame() -> None:
    model, data = g1_plant(), mujoco.MjData(g1_plant())
    rng = np.random.default_rng(1)
    data.qpos[3:7] = rng.normal(size=4)
    data.qpos[7:] = rng.uniform(-0.5, 0.5, G1.n)
    mujoco.mj_forward(model, data)
    point, force = rng.uniform(-0.1, 0.1, 3), rng.uniform(-100.0, 100.0, 3)
    punch = Punch("left_elbow_link", tuple(point), tuple(force), "left_shoulder_yaw_link", start_s=0.0, duration_s=0.08)
    punch.apply(model, data)
    body, frame = model.body("left_elbow_link").id, model.body("left_shoulder_yaw_link").id
    at = data.xpos[body] + data.xmat[body].reshape(3, 3) @ point
    expected, got = np.zeros(model.nv), np.zeros(model.nv)
    mujoco.mj_applyFT(model, data, data.xmat[frame].reshape(3, 3) @ force, np.zeros(3), at, body, expected)
    given = data.xfrc_applied[body].copy()
    mujoco.mj_applyFT(model, data, given[:3], given[3:], data.xipos[body].copy(), body, got)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert np.abs(expected).max() > 1.0


def test_a_punch_lasts_its_time_whatever_the_clock_has_rounded() -> None:
    punch, acting = Punch("pelvis", (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), "pelvis", 3.1, 0.08), []
    plant = MujocoBackend(G1, g1_plant(), disturbances=[Crane("pelvis", 0.9, 99.0), punch])
    for _ in range(1700):
        plant.write(hold_command(G1, G1.posture))
        acting.append(bool(plant.data.xfrc_applied.any()))
    assert sum(acting) == 40
    assert acting.index(True) == 1550


def test_punches_are_the_benchmark_s() -> None:
    h, g = harness("punches", seed=4), draws()
    punches = [d for d in h.backend.disturbances if isinstance(d, Punch)]
    drawn = g.bench_punches(4, g.bench_motor_links(h.backend.model))
    assert len(punches) == len(drawn) == 18
    assert [p.start_s - 3.0 for p in punches] == pytest.approx([0.1 + 5.0 * k for k in range(18)])
    assert [p.force for p in punches] == [d.vector for d in drawn]
    assert max(np.linalg.norm(p.force) * p.duration_s for p in punches) <= 40.0
    assert not any(isinstance(d, Punch) for d in harness("arms_walk").backend.disturbances)


def test_own_arms_are_left_to_the_stack() -> None:
    command = hold_command(G1, G1.posture)
    assert harness("own").with_arms(command, 0) is command


def test_held_arms_have_the_benchmark_s_gains_and_legs_are_untouched() -> None:
    h, command = harness("arms_hold"), hold_command(G1, G1.posture)
    sent = h.with_arms(command, 700)
    legs, wn = [i for i in range(G1.n) if i not in ARMS], 20.0 * np.pi
    assert [G1.joint_names[i] for i in ARMS] == list(draws().BENCH_ARMS)
    for name in ("q", "v", "kp", "kd", "tau", "torque_limit"):
        np.testing.assert_array_equal(getattr(sent, name)[legs], getattr(command, name)[legs])
    np.testing.assert_allclose(sent.kp[ARMS], 0.01 * wn**2)
    np.testing.assert_allclose(sent.kd[ARMS], 4.0 * 0.01 * wn)
    np.testing.assert_allclose(sent.q[ARMS], [0.2, 0.2, 0, 0.6, 0, 0, 0, 0.2, -0.2, 0, 0.6, 0, 0, 0], atol=1e-12)
    assert not sent.v[ARMS].any()
    assert not sent.tau[ARMS].any()


def test_walking_arms_move_within_their_limits_and_differ_by_seed() -> None:
    command = hold_command(G1, G1.posture)
    walks = [np.array([h.with_arms(command, k).q[ARMS] for k in range(250)]) for h in (harness("arms_walk", s) for s in (0, 0, 1))]
    np.testing.assert_array_equal(walks[0], walks[1])
    assert np.abs(walks[0] - walks[2]).max() > 0.1
    assert (walks[0] >= G1.position_min[ARMS] - 1e-6).all()
    assert (walks[0] <= G1.position_max[ARMS] + 1e-6).all()
    assert 0.0 < np.abs(np.diff(walks[0], axis=0)).max() <= 0.06 + 1e-9  # per control step at most what it draws


@pytest.mark.parametrize("stage", ["own", "arms_hold"])
def test_a_robot_that_stands_is_as_far_off_as_the_waypoint_is(stage: str) -> None:
    stack = Listener()
    result = run_tour(stack, G1, stage, 0, SHORT)
    x, y, yaw = draws().bench_waypoints(0)[0]
    assert result["complete"]
    assert result["survival_s"] == 5.0
    assert (result["targets"], result["reached"]) == (1, 0)
    assert result["pos_err_cm"] == pytest.approx(100.0 * math.hypot(x, y), abs=10.0)
    assert abs(result["yaw_err_deg"] - abs(math.degrees(yaw))) < 10.0
    assert result["mu"] == pytest.approx(0.8)
    assert result["energy_kj"] > 0.0
    assert len(stack.intents) == 2500
    assert {intent.arms_external for intent in stack.intents} == {stage != "own"}
    velocities = np.array([intent.velocity for intent in stack.intents])
    assert (velocities.min(axis=0) >= [-0.5, -0.3, -1.0]).all()
    assert (velocities.max(axis=0) <= [1.0, 0.3, 1.0]).all()
    assert all((velocities[k : k + 10] == velocities[k]).all() for k in range(0, 2500, 10))  # 50 Hz
    assert np.abs(velocities).max(axis=0) == pytest.approx([1.0, 0.3, 1.0])


def test_a_fall_ends_the_run() -> None:
    result = run_tour(Holder(gain=0.3), G1, "own", 0, SHORT)
    assert not result["complete"]
    assert 0.2 < result["survival_s"] < 5.0
    assert result["targets"] == 0
    assert result["pos_err_cm"] is None
    assert result["yaw_err_deg"] is None


def test_a_run_repeats_and_its_work_is_picklable() -> None:
    work = pickle.loads(pickle.dumps(TourWork(G1, make_holder, TourConfig(seconds=5.0))))
    first, second = (work({"stage": "punches", "seed": 2}) for _ in range(2))
    assert first == second
    assert (first["stage"], first["seed"]) == ("punches", 2)
    drawn = draws().bench_punches(2, draws().bench_motor_links(g1_plant()))[0]
    (punch,) = first["punches"]
    assert punch["body"] == drawn.body
    assert np.linalg.norm(punch["impulse_ns"]) == pytest.approx(np.linalg.norm(drawn.vector) * drawn.duration)
    assert punch["fell"] is not first["complete"] and punch["throw_m"] > 0.0


def run(stage: str, seed: int, survival_s: float, energy_kj: float, error: float | None) -> dict[str, Any]:
    return {
        "stage": stage,
        "seed": seed,
        "complete": survival_s == 90.0,
        "survival_s": survival_s,
        "pos_err_cm": error,
        "yaw_err_deg": error,
        "energy_kj": energy_kj,
        "punches": [{"throw_m": 0.07, "fell": False}, {"throw_m": 0.32, "fell": survival_s < 90.0}] if stage == "punches" else [],
    }


def test_the_summary_of_known_runs() -> None:
    runs = [
        run("own", 0, 90.0, 6.0, 10.0),
        run("own", 1, 30.0, 1.0, 20.0),
        run("own", 2, 3.0, 0.1, None),
        run("punches", 0, 2.0, 0.5, None),
    ]
    summary = summarise(runs)
    assert list(summary) == ["own", "punches"]
    assert summary["own"] | {"complete_interval": None} == {
        "mean_survival_s": 41.0,
        "complete": 1,
        "runs": 3,
        "complete_interval": None,
        "pos_err_cm": 15.0,
        "yaw_err_deg": 15.0,
        "energy_kj": 6.0,
        "by_throw": [],
    }
    assert summary["punches"]["by_throw"] == [
        {"throw_from_m": 0.0, "throw_to_m": 0.1, "punches": 1, "fell": 0},
        {"throw_from_m": 0.3, "throw_to_m": 0.35, "punches": 1, "fell": 1},
    ]
    # Wilson (1927): the roots of (p − k/n)² = z² p (1 − p) / n.
    for p in summary["own"]["complete_interval"]:
        assert (p - 1 / 3) ** 2 == pytest.approx(1.959964**2 * p * (1.0 - p) / 3, rel=1e-5)
    assert summary["punches"]["pos_err_cm"] is None
    assert summary["punches"]["energy_kj"] is None
    assert summarise([]) == {}
    assert set(summary) <= set(STAGES)


def test_a_fall_is_kept_from_its_last_seconds_on_and_replays_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "FALL_KEPT_S", 0.5)
    work = TourWork(G1, Weak, TourConfig(seconds=5.0), tmp_path, {"mode": "weak"})
    result = work({"stage": "punches", "seed": 2})
    log = read_fall(tmp_path / "punches-seed2")
    assert log.meta["case"] == {"stage": "punches", "seed": 2} and log.meta["mode"] == "weak"
    assert not result["complete"] and len(log.tick["tick"]) == 250
    assert log.tick["tick"][-1] == round(result["survival_s"] / 0.002)
    comparison = work.replay(log)
    assert comparison.difference() is None and comparison.ticks == 250
    other = TourWork(G1, make_holder, work.config).replay(log).difference()
    assert other is not None and other.tick == log.tick["tick"][0]
