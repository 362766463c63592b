from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
from holder import G1, Holder, g1_plant

from poise.robots import Intent
from poise.sim import NOISE, MujocoBackend
from poise.sim.disturbances import is_ground
from poise.sim.stride import touches_ground
from poise.sim.tracking import (
    SAMPLE_S,
    STANDING_STRIDE_S,
    TRACKED,
    Watch,
    energy_rows,
    gait_period_s,
    rmse,
    tracking_cases,
    tracking_rows,
)

PERIOD_S = 0.002


def backend() -> MujocoBackend:
    return MujocoBackend(G1, g1_plant(), noise=NOISE["none"])


def test_figures_of_a_known_walk() -> None:
    """In the air, so that the gait period is the one of a stand; along a heading of 0.7 rad, 0.05 m/s too slow, surging once a period."""
    plant = backend()
    watch, decision = Watch(plant, [0.5, 0.0, 0.0]), Holder().step(plant.read(), Intent())
    heading, speed, surge, power = 0.7, 0.45, 0.2, 100.0
    plant.data.qpos[3:7] = [np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)]
    for tick in range(round(15.0 / PERIOD_S)):
        time_s = tick * PERIOD_S
        way = speed * time_s - surge * STANDING_STRIDE_S / (2.0 * np.pi) * np.cos(2.0 * np.pi * time_s / STANDING_STRIDE_S)
        plant.data.qpos[:3] = [way * np.cos(heading), way * np.sin(heading), 2.0]
        plant.energy_j, plant.positive_energy_j = power * time_s, 0.75 * power * time_s
        if tick == 0:
            mujoco.mj_forward(plant.model, plant.data)
        watch(decision, plant.read())
    figures = watch.figures()
    assert figures["gait_period_s"] == STANDING_STRIDE_S
    np.testing.assert_allclose(figures["mean_velocity"], [speed, 0.0, 0.0], atol=2e-3)
    np.testing.assert_allclose(figures["rmse"], [np.hypot(0.05, surge / np.sqrt(2.0)), 0.0, 0.0], rtol=0.01, atol=1e-9)
    np.testing.assert_allclose(figures["rmse_gait"], [0.05, 0.0, 0.0], rtol=1e-6, atol=1e-9)
    weight_n = 9.81 * float(plant.model.body_mass.sum())
    assert figures["power_w"] == pytest.approx(power)
    assert figures["cost_of_transport"] == pytest.approx(power / (weight_n * speed), rel=0.005)
    assert figures["positive_cost_of_transport"] == pytest.approx(0.75 * figures["cost_of_transport"])


@pytest.mark.parametrize(("roll", "clearance_m", "expected"), [(0.0, 0.0, True), (-0.1, 0.0, True), (0.1, 0.0, False), (0.0, 0.1, False)])
def test_the_left_foot_touches(roll: float, clearance_m: float, expected: bool) -> None:
    """Both feet on the ground, the left one alone, the right one alone, none."""
    plant = backend()
    model, data = plant.model, plant.data
    data.qpos[3:7] = [np.cos(roll / 2), np.sin(roll / 2), 0.0, 0.0]
    mujoco.mj_kinematics(model, data)
    bodies = [model.body(name).id for name in G1.overlay.sole_bodies]
    spheres = np.flatnonzero(np.isin(model.geom_bodyid, bodies) & (model.geom_type == mujoco.mjtGeom.mjGEOM_SPHERE))
    data.qpos[2] += clearance_m - 0.001 - (data.geom_xpos[spheres, 2] - model.geom_size[spheres, 0]).min()
    mujoco.mj_forward(model, data)
    assert touches_ground(data, model.geom_bodyid == bodies[0], is_ground(model)) is expected


def test_the_error_of_a_sine_is_gone_over_its_period() -> None:
    t = np.arange(500)
    error = np.column_stack((0.1 + 0.3 * np.sin(2.0 * np.pi * t / 40), np.full(500, -0.2)))
    np.testing.assert_allclose(rmse(error, 1), [np.sqrt((error[:, 0] ** 2).mean()), 0.2])
    np.testing.assert_allclose(rmse(error, 40), [0.1, 0.2])
    np.testing.assert_allclose(rmse(error[:10], 40), np.abs(error[:10].mean(axis=0)))  # no longer than what there is


def test_the_gait_period_is_from_touchdown_to_touchdown() -> None:
    stance, swing = [True] * 25, [False] * 15
    chatter = [True, False, True]  # no swing
    touches = np.array([*swing, *(3 * [*stance, *chatter, *swing]), *stance])
    assert gait_period_s(touches, SAMPLE_S) == pytest.approx(43 * SAMPLE_S)
    assert gait_period_s(np.ones(200, bool), SAMPLE_S) == STANDING_STRIDE_S


def test_the_cases_are_those_of_the_protocol() -> None:
    assert len(tracking_cases([0, 1])) == 2 * len(TRACKED) == 22


def run(command: list[float], seed: int, vx: float, fell: bool = False) -> dict[str, Any]:
    figures = {
        "mean_velocity": [vx, 0.01, 0.0],
        "rmse": [0.1 + 0.1 * seed, 0.2, 0.3],
        "rmse_gait": [0.01, 0.02, 0.03],
        "cost_of_transport": 0.4 + 0.1 * seed if any(command) else None,
        "positive_cost_of_transport": 0.3 if any(command) else None,
        "power_w": 5.0 + seed,
    }
    return {"command": command, "seed": seed, "fell": fell, "drift_m": 0.02 * seed, "interventions": 0.01 * seed} | (
        dict.fromkeys(figures) if fell else figures
    )


def test_rows_by_hand() -> None:
    walk, stand = [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]
    runs = [run(walk, 0, 0.48), run(walk, 1, 0.51), run(walk, 2, 0.0, fell=True), run(stand, 0, 0.0), run(stand, 1, 0.0)]
    walking, standing = tracking_rows(runs)
    assert (walking["runs"], walking["falls"], walking["drift_m"]) == (3, 1, None)
    np.testing.assert_allclose(walking["mean_velocity"], [0.495, 0.01, 0.0])
    np.testing.assert_allclose(walking["rmse"], [0.15, 0.2, 0.3])
    assert walking["worst_error"] == pytest.approx(0.02)
    assert walking["falls_interval"][0] < 1 / 3 < walking["falls_interval"][1]
    assert (standing["falls"], standing["drift_m"], standing["interventions"]) == (0, 0.02, 0.005)
    walked, stood = energy_rows(runs)
    assert (walked["cost_of_transport"], walked["positive_cost_of_transport"]) == pytest.approx((0.45, 0.3))
    assert stood == {"command": stand, "cost_of_transport": None, "positive_cost_of_transport": None, "power_w": 5.5}


def test_where_all_fell_there_is_no_figure() -> None:
    (row,) = tracking_rows([run([0.5, 0.0, 0.0], 0, 0.0, fell=True)])
    assert (row["falls"], row["mean_velocity"], row["rmse"], row["worst_error"]) == (1, None, None, None)
    assert energy_rows([run([0.5, 0.0, 0.0], 0, 0.0, fell=True)])[0]["cost_of_transport"] is None
