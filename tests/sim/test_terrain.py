"""Terrains as rays and contacts find them, and walks over what was not planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from holder import G1, Holder, Weak

from poise.launch import build_stack
from poise.robots import Intent
from poise.robots.plant import compile_plant
from poise.sim import fallen
from poise.sim.disturbances import is_ground
from poise.sim.falls import read_fall
from poise.sim.locomotion import CASES_OF, LocomotionConfig, LocomotionWork, summarise
from poise.sim.mujoco_backend import ground_height
from poise.sim.robustness import CONDITIONS, KEPT_UP, WALKED_S
from poise.sim.terrain import RUN_IN_M, TERRAINS, Stairs


def ground(name: str, seed: int = 0) -> Any:
    """The height of a terrain over x and y, by rays on the plant."""
    model = compile_plant(G1.description, lambda spec: TERRAINS[name].lay(spec, seed))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return lambda x, y=3.0: ground_height(model, data, np.array([x, y, 5.0]))


@pytest.mark.parametrize("name", TERRAINS)
def test_the_run_in_is_flat_and_the_rest_is_not(name: str) -> None:
    height = ground(name)
    assert [height(x, y) for x in (-2.0, 0.0, 0.9) for y in (-1.0, 0.0, 1.0)] == pytest.approx([0.0] * 9, abs=1e-6)
    assert max(abs(height(x, 0.1)) for x in np.linspace(1.1, 3.7, 40)) > 0.01


@pytest.mark.parametrize("degrees", [-15, -5, 10])
def test_a_slope_rises_by_its_angle(degrees: int) -> None:
    height = ground(f"slope_{degrees:+d}")
    for along in (0.01, 1.0, 5.0):
        assert height(RUN_IN_M + along) == pytest.approx(along * np.tan(np.radians(degrees)), abs=1e-6)


@pytest.mark.parametrize("centimetres", [10, -5])
def test_a_step_is_as_high_as_it_says(centimetres: int) -> None:
    height = ground(f"step_{centimetres:+d}")
    assert [height(x) for x in (0.99, 1.01, 8.0)] == pytest.approx([0.0, 0.01 * centimetres, 0.01 * centimetres], abs=1e-6)


def test_stairs_go_up_and_down_again() -> None:
    height, stairs = ground("stairs"), Stairs()
    levels = [height(RUN_IN_M + (i + 0.5) * stairs.tread_m) / stairs.rise_m for i in range(10)]
    assert levels == pytest.approx([1, 2, 3, 4, 5, 4, 3, 2, 1, 0], abs=1e-6)
    assert stairs.crossed_m == pytest.approx(RUN_IN_M + 9 * 0.24 + 0.5)


@pytest.mark.parametrize(("name", "amplitude"), [("heightfield_4", 0.04), ("blocks_2", 0.02)])
def test_rough_ground_is_drawn_evenly_and_anew_for_each_seed(name: str, amplitude: float) -> None:
    half_width = 3.9 if name.startswith("heightfield") else 1.4
    drawn = [ground(name, seed) for seed in (0, 0, 1)]
    heights = [[height(x, y) for x in np.arange(1.3, 9.0, 0.5) for y in np.linspace(-half_width, half_width, 8)] for height in drawn]
    assert heights[0] == heights[1] != heights[2]
    assert 0.7 * amplitude < np.abs(heights[0]).max() <= amplitude + 1e-6 and abs(np.mean(heights[0])) < 0.3 * amplitude


def test_heights_of_the_field_s_points_are_those_drawn() -> None:
    height = ground("heightfield_4", 5)
    drawn = np.random.default_rng((5, 3)).uniform(-0.04, 0.04, (81, 111))
    for row, column in ((40, 1), (20, 50), (60, 100)):
        assert height(RUN_IN_M + 0.1 * column, 0.1 * row - 4.0) == pytest.approx(drawn[row, column], abs=1e-4)


def work() -> LocomotionWork:
    return LocomotionWork(G1, lambda robot, seed: Holder(robot), LocomotionConfig())


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_is_what_the_plant_has(name: str) -> None:
    condition = CONDITIONS[name]
    plain, other = work().backend(0.002, {}), work().backend(0.002, {"condition": name})
    torso = plain.model.body(G1.overlay.torso).id
    assert other.model.body_mass[torso] - plain.model.body_mass[torso] == pytest.approx(condition.payload_kg)
    feet = is_ground(other.model)
    assert other.model.geom_friction[feet, 0].max() == pytest.approx(condition.mu or 0.8)
    assert (other._delay, other._strength) == (round(condition.latency_s / other.model.opt.timestep), condition.strength)
    assert (other.noise == plain.noise) == (condition.noise is None)


def test_motors_give_the_share_that_they_have() -> None:
    whole, weak = work().backend(0.002, {}), work().backend(0.002, {"condition": "strength_0.6"})
    for backend in (whole, weak):
        backend.write(backend._active)
    dof = whole._plant.dof
    np.testing.assert_allclose(weak.data.qfrc_actuator[dof], 0.6 * whole.data.qfrc_actuator[dof], rtol=0.05, atol=0.05)


def test_who_stands_still_survives_and_crosses_nothing() -> None:
    (case,) = CASES_OF["step_+5"]([0])
    result = work()({**case, "command": [0.0, 0.0, 0.0]})
    assert (result["fell"], result["crossed"], result["survival_s"]) == (False, False, WALKED_S) and result["reached_m"] < 0.2


def test_rows_count_what_was_crossed() -> None:
    cases = [*CASES_OF["slope_+10"]([0, 1, 2]), *CASES_OF["friction_0.3"]([0])]
    said = {"survival_s": WALKED_S, "reached_m": 4.0, "distance_m": 4.0, "interventions": 0.0, "mu": 0.8}
    runs = [{**case, **said, "fell": i == 0, "crossed": i == 1} for i, case in enumerate(cases)]
    rows = {row["name"]: row for row in summarise(runs)["cases"]}
    assert (rows["slope_+10 at 0.5 m/s"]["survived"], rows["slope_+10 at 0.5 m/s"]["crossed"]) == (2, 1)
    assert [(name, row["of"]) for name, row in rows.items()] == [
        ("slope_+10 at 0.5 m/s", 3),
        ("friction_0.3 at 0.5 m/s", 1),
        ("friction_0.3 at 1 m/s", 1),
    ]
    assert KEPT_UP == 0.8


def test_a_fall_off_what_was_not_planned_is_kept_and_read(tmp_path: Path) -> None:
    (case,) = CASES_OF["slope_-15"]([0])
    weak = LocomotionWork(G1, Weak, LocomotionConfig(), tmp_path)
    assert weak(case)["fell"]
    (folder,) = tmp_path.iterdir()
    assert folder.name == "terrain-0.5_0_0-terrainslope_-15-seed0" and read_fall(folder).meta["case"] == case


@pytest.mark.parametrize(("name", "beyond_m"), [("slope_+10", 2.0), ("slope_-10", 2.0), ("step_+5", 1.8)])
def test_it_walks_blind_onto_what_is_not_flat(name: str, beyond_m: float) -> None:
    """A metre of run-in, and then ground that only its feet tell it of."""
    (case,) = CASES_OF[name]([1])
    backend, stack = work().backend(0.002, case), build_stack(G1, "model", seed=1)
    backend.reset(1)
    while backend.data.time < 8.0 and backend.base_position_world[0] < beyond_m:
        backend.write(stack.step(backend.read(), Intent(velocity=(0.5, 0.0, 0.0))).command)
        assert not fallen(backend), f"fallen at x = {backend.base_position_world[0]:.2f} m"
    assert backend.base_position_world[0] >= beyond_m


def test_it_carries_what_nobody_told_it_of() -> None:
    """15 kg on the torso, under which it stands up straight, and walks."""
    case = CASES_OF["payload_15"]([1])[0]
    backend, stack = work().backend(0.002, case), build_stack(G1, "model", seed=1)
    backend.reset(1)
    heights = []
    while backend.data.time < 3.0:
        backend.write(stack.step(backend.read(), Intent(velocity=(0.5, 0.0, 0.0))).command)
        heights.append(float(backend.data.qpos[2]))
    assert not fallen(backend) and backend.base_position_world[0] > 0.7
    assert min(heights) > heights[0] - 0.1 and np.mean(heights[-500:]) > heights[0] - 0.03
    assert stack.estimator.load.newton == pytest.approx(15.0 * 9.81 - 15.0, abs=25.0)


@pytest.mark.parametrize(("name", "late"), [("friction_0.2", 0), ("latency_40", 20)])
def test_it_finds_out_what_it_walks_with(name: str, late: int) -> None:
    """Ice, or commands that act 40 ms late, and nobody told it."""
    case = CASES_OF[name]([3])[0]
    backend, stack = work().backend(0.002, case), build_stack(G1, "model", seed=3)
    backend.reset(3)
    while backend.data.time < 6.0:
        backend.write(stack.step(backend.read(), Intent(velocity=(0.5, 0.0, 0.0))).command)
        assert not fallen(backend), f"fallen at {backend.data.time:.2f} s"
    assert backend.base_position_world[0] > 2.0 and stack.estimator.delay.periods == late
