from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import chromium
import mujoco
import numpy as np
import pytest
from sample_run import com, sample_decision

from poise.launch.meshes import body_meshes, cluster
from poise.launch.view import Viewer, rejected_text, status_text
from poise.robots import PoiseError, RobotModel, load_robot
from poise.robots.plant import compile_plant

NOBODY: Any = None  # who clicked: the callbacks do not ask
Plant = tuple[RobotModel, mujoco.MjModel, mujoco.MjData]


@pytest.fixture(scope="module")
def plant() -> Plant:
    robot = load_robot("g1")
    model = compile_plant(robot.description)
    data = mujoco.MjData(model)
    data.qpos[:3], data.qpos[7:] = (1.5, 0.2, 0.75), robot.posture
    mujoco.mj_kinematics(model, data)
    return robot, model, data


@pytest.fixture(scope="module")
def viewer(plant: Plant) -> Iterator[Viewer]:
    viewer = Viewer(plant[0], plant[1], port=18080)
    yield viewer
    viewer.close()


def draw(viewer: Viewer, plant: Plant, tick: int) -> None:
    time.sleep(0.04)
    assert viewer.update(plant[2], sample_decision(plant[0], tick, np.random.default_rng(0)))


def test_it_serves_a_page_on_this_machine_only(viewer: Viewer) -> None:
    assert viewer.url.startswith("http://127.0.0.1:")
    with urlopen(viewer.url) as page:
        assert b"<html" in page.read().lower()
    port = int(viewer.url.rsplit(":", 1)[1])
    with socket.socket() as other:  # the port is still free on another address, so the server is not on all of them
        other.bind(("127.0.0.2", port))


def test_bodies_stand_where_the_plant_has_them(viewer: Viewer, plant: Plant) -> None:
    robot, model, data = plant
    draw(viewer, plant, 500)
    assert set(viewer._bodies) == set(range(1, model.nbody))
    for body, frame in viewer._bodies.items():
        assert np.allclose(frame.position, data.xpos[body]) and np.allclose(frame.wxyz, data.xquat[body])
    assert np.allclose(viewer._world.position, [-1.5, -0.2, 0.0]), "the view follows the robot"
    viewer._follow.value = False
    draw(viewer, plant, 500)
    assert np.allclose(viewer._world.position, 0.0)
    viewer._follow.value = True


def test_marks_show_belief_and_plan(viewer: Viewer, plant: Plant) -> None:
    decision = sample_decision(plant[0], 500, np.random.default_rng(0))
    belief, plan = decision.belief, decision.plan
    assert belief is not None and plan is not None
    draw(viewer, plant, 500)
    assert np.allclose(viewer._balls["com"].position, com(500))
    assert np.allclose(viewer._balls["dcm"].position[:2], belief.dcm_world)
    assert np.allclose(viewer._balls["zmp"].position[:2], plan.zmp_world)
    assert [mark.visible for mark in viewer._steps] == [True, True, True, False]
    assert np.allclose([mark.position[:2] for mark in viewer._steps[:3]], plan.footsteps[:, :2])
    assert viewer._soles[0].color != viewer._soles[1].color, "only one foot is in contact"
    draw(viewer, plant, 10)
    assert not any(mark.visible for mark in viewer._steps), "no footsteps while standing"


def test_what_the_stack_thinks_is_drawn_where_the_robot_is(viewer: Viewer, plant: Plant) -> None:
    robot, model, _ = plant
    data = mujoco.MjData(model)
    data.qpos[:7], data.qpos[7:] = (3.0, -1.0, 0.8, np.cos(0.6), 0.0, 0.0, np.sin(0.6)), robot.posture
    mujoco.mj_kinematics(model, data)
    decision = sample_decision(robot, 500, np.random.default_rng(0))
    assert decision.belief is not None
    time.sleep(0.04)
    assert viewer.update(data, decision)
    frame, turned = viewer._odometry, np.zeros(3)
    mujoco.mju_rotVecQuat(turned, decision.belief.base_position_world, np.array(frame.wxyz))
    assert np.allclose(frame.position + turned, [3.0, -1.0, 0.8]), "base on base"
    assert np.allclose(frame.wxyz, data.qpos[3:7]), "heading on heading: the sample's is zero"


def test_a_decision_without_belief_or_with_nan_draws_nothing_wrong(viewer: Viewer, plant: Plant) -> None:
    draw(viewer, plant, 7)
    assert "the state is older than 20 ms" in viewer._status.content
    decision = sample_decision(plant[0], 500, np.random.default_rng(0))
    assert decision.belief is not None
    time.sleep(0.04)
    assert viewer.update(plant[2], replace(decision, belief=replace(decision.belief, dcm_world=np.full(2, np.nan))))
    assert not viewer._balls["dcm"].visible and viewer._balls["com"].visible


def test_it_draws_30_times_a_second_at_most(viewer: Viewer, plant: Plant) -> None:
    decision = sample_decision(plant[0], 3, np.random.default_rng(0))
    end, drawn = time.monotonic() + 0.5, 0
    while time.monotonic() < end:
        drawn += viewer.update(plant[2], decision)
    assert 4 <= drawn <= 17


def test_sliders_stop_and_push(viewer: Viewer, plant: Plant) -> None:
    assert [slider.max for slider in viewer._sliders] == list(plant[0].overlay.gait.velocity_max)
    for slider, value in zip(viewer._sliders, (0.5, -0.1, 0.3), strict=True):
        slider.value = value
    assert viewer.velocity == (0.5, -0.1, 0.3)
    for callback in viewer._stop_button._impl.update_cb:
        callback(NOBODY)
    assert viewer.velocity == (0.0, 0.0, 0.0)
    assert not viewer.pushed()
    for callback in viewer._push_button._impl.update_cb:
        callback(NOBODY)
    assert viewer.pushed() and not viewer.pushed()


def test_reasons_are_kept_between_proposals(viewer: Viewer, plant: Plant) -> None:
    draw(viewer, plant, 500)
    draw(viewer, plant, 503)
    assert "4 made, 3 rejected" in viewer._status.content and "- zmp by 0.013 m" in viewer._status.content
    decision = sample_decision(plant[0], 1990, np.random.default_rng(0))
    assert "certifier: torque left_knee_joint (12 N·m)" in status_text(decision)
    assert rejected_text(decision).count("\n- ") == 0


def test_viser_prints_nothing_between_what_we_print(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    Viewer(plant[0], plant[1], port=18090).close()
    assert capsys.readouterr() == ("", "")


def test_without_viser_it_says_what_to_install(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(PoiseError, match=r"pip install -e '\.\[view\]'"):
        Viewer(plant[0], plant[1])


def test_meshes_are_lighter_and_keep_their_shape(plant: Plant) -> None:
    model, light = plant[1], body_meshes(plant[1])
    assert sum(len(mesh.faces) for mesh in light) < 0.25 * model.nmeshface
    for mesh in light:
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
    exact = body_meshes(model, cell_m=1e-6)
    for a, b in zip(light, exact, strict=True):
        assert np.allclose(a.vertices.min(axis=0), b.vertices.min(axis=0), atol=0.006)
        assert np.allclose(a.vertices.max(axis=0), b.vertices.max(axis=0), atol=0.006)


def test_clustering_by_hand() -> None:
    vertices = np.array([[0.1, 0.1, 0.0], [0.2, 0.3, 0.0], [1.5, 0.0, 0.0], [0.0, 1.5, 0.0]])
    merged, faces = cluster(vertices, np.array([[0, 1, 2], [0, 2, 3], [1, 2, 3]]), 1.0)
    assert len(merged) == 3 and faces.shape == (1, 3), "one triangle collapses, two become the same"
    assert np.isclose(merged, [0.15, 0.2, 0.0]).all(axis=1).any()


def test_primitive_shapes_and_heightfields_are_drawn() -> None:
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><asset><hfield name="h" nrow="3" ncol="4" size="2 1 0.5 0.1"/></asset><worldbody>
        <geom type="plane" size="1 1 1"/><geom type="hfield" hfield="h"/><body pos="0 0 3">
        <geom type="box" size=".1 .2 .3" pos="1 0 0" quat="0.7071068 0 0 0.7071068" rgba="1 0 0 1"/>
        <geom type="capsule" size=".1 .2" rgba="0 1 0 1"/><geom type="cylinder" size=".1 .2" rgba="0 0 1 1"/>
        <geom type="ellipsoid" size=".1 .2 .3" rgba="1 1 0 1"/></body></worldbody></mujoco>"""
    )
    model.hfield_data[:] = np.linspace(0, 1, 12)
    spans = {mesh.colour: np.ptp(mesh.vertices, axis=0) for mesh in body_meshes(model)}
    assert np.allclose(spans[128, 128, 128], [4, 2, 0.5])
    assert np.allclose(spans[255, 0, 0], [0.4, 0.2, 0.6], atol=1e-5), "turned by a quarter"
    assert np.allclose(spans[0, 255, 0], [0.2, 0.2, 0.6], atol=0.02)
    assert np.allclose(spans[0, 0, 255], [0.2, 0.2, 0.4], atol=1e-6)
    assert np.allclose(spans[255, 255, 0], [0.2, 0.4, 0.6], atol=0.03)


@pytest.mark.browser
@pytest.mark.skipif(chromium.BINARY is None, reason="no Chromium on this machine: apt-get install chromium")
def test_a_real_browser_draws_the_robot_and_drives_it(viewer: Viewer, plant: Plant, tmp_path: Path) -> None:
    with chromium.Page(viewer.url, tmp_path / "profile") as page:
        assert page.wait(lambda: page.evaluate(f"Boolean({chromium.button('Push')})"))
        draw(viewer, plant, 500)
        page.evaluate("(() => {const i = document.querySelector('input[type=text]'); i.focus(); i.select();})()")
        page.call("Input.insertText", text="0.5")
        assert page.wait(lambda: viewer.velocity == (0.5, 0.0, 0.0))
        page.evaluate(f"{chromium.button('Push')}.click()")
        assert page.wait(viewer.pushed)
        page.evaluate(f"{chromium.button('Stop')}.click()")
        assert page.wait(lambda: viewer.velocity == (0.0, 0.0, 0.0))
        assert page.wait(lambda: chromium.dark_share(page.picture()) > 0.003)
        (tmp_path / "page.png").write_bytes(page.picture())
        viewer._sliders[0].value = 0.4
    assert page.wait(lambda: viewer.velocity == (0.0, 0.0, 0.0), 20.0), "the page is gone: nobody could say stop"
