"""What a punch gives the robot, against MuJoCo's own momenta, and how far that throws the DCM, against the integrated pendulum."""

from __future__ import annotations

from copy import deepcopy

import mujoco
import numpy as np
import pytest
from holder import G1, g1_plant

from poise.control.lip import GRAVITY, natural_frequency
from poise.robots.types import Array
from poise.sim.punches import Punch, by_throw, judged, thrown_by
from poise.sim.senses import plant_map

HAND = Punch("left_elbow_link", (0.05, 0.01, -0.02), (120.0, -200.0, 90.0), "left_shoulder_yaw_link", start_s=0.0, duration_s=0.01)


def in_space(yaw: float) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The G1 in its nominal posture, turned, and nothing that acts on it."""
    model = deepcopy(g1_plant())
    model.opt.gravity[:], model.opt.timestep = 0.0, 1e-4
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_ACTUATION
    model.dof_frictionloss[:] = model.dof_damping[:] = 0.0
    data = mujoco.MjData(model)
    data.qpos[plant_map(model, G1).qpos] = G1.posture
    data.qpos[2:7] = [0.8, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
    mujoco.mj_forward(model, data)
    return model, data


def momenta(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[Array, Array]:
    """Of the whole robot: linear, and angular about its centre of mass, world axes."""
    mujoco.mj_subtreeVel(model, data)
    return model.body_subtreemass[1] * data.subtree_linvel[1], data.subtree_angmom[1].copy()


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_impulse_and_angular_momentum_are_what_the_plant_gets(yaw: float) -> None:
    model, data = in_space(yaw)
    said = thrown_by(HAND, model, data)
    for _ in range(round(HAND.duration_s / model.opt.timestep)):
        data.xfrc_applied[:] = 0.0
        HAND.apply(model, data)
        mujoco.mj_step(model, data)
    heading = np.array([[np.cos(yaw), np.sin(yaw), 0.0], [-np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    linear, angular = momenta(model, data)
    assert said["body"] == HAND.body
    np.testing.assert_allclose(said["impulse_ns"], heading @ linear, atol=0.02 * float(np.linalg.norm(linear)))  # the arm turns meanwhile
    np.testing.assert_allclose(said["momentum_nms"], heading @ angular, atol=0.05 * float(np.linalg.norm(angular)))


def test_the_throw_is_where_the_integrated_pendulum_ends_once_the_momentum_has_come_to_rest() -> None:
    """c̈ = ω² (c − p) − ω² λ̇ from rest after the blow, with λ brought to zero at once."""
    model, data = in_space(0.0)
    said = thrown_by(HAND, model, data)
    mass, omega = model.body_subtreemass[1], natural_frequency(float(data.subtree_com[1][2]))
    impulse, momentum = np.array(said["impulse_ns"]), np.array(said["momentum_nms"])
    shift = np.array([momentum[1], -momentum[0]]) / (mass * GRAVITY)
    place, speed, dt, stopped_s = np.zeros(2), impulse[:2] / mass, 1e-5, 1e-3
    for k in range(round(0.2 / dt)):
        rate = -shift / stopped_s if k * dt < stopped_s else np.zeros(2)
        speed = speed + dt * omega**2 * (place - rate)
        place = place + dt * speed
    dcm = (place + speed / omega) * np.exp(-omega * 0.2)
    assert said["throw_m"] == pytest.approx(np.hypot(*dcm), rel=0.01)


def test_a_blow_at_a_foot_throws_less_far_than_its_impulse_and_one_at_the_shoulder_farther() -> None:
    model, data = in_space(0.0)
    throws = {}
    for body in ("left_ankle_roll_link", "left_shoulder_roll_link"):
        punch = Punch(body, (0.0, 0.0, 0.0), (0.0, -300.0, 0.0), "pelvis", 0.0, 0.08)
        throws[body] = thrown_by(punch, model, data)["throw_m"]
    alone = 24.0 / (model.body_subtreemass[1] * natural_frequency(float(data.subtree_com[1][2])))
    assert throws["left_ankle_roll_link"] < 0.3 * alone
    assert throws["left_shoulder_roll_link"] > 1.3 * alone


def test_punches_are_counted_by_how_far_they_throw() -> None:
    punches = [{"throw_m": x, "fell": fell} for x, fell in ((0.1, False), (0.19, True), (0.05, False), (0.9, True))]
    assert by_throw(punches) == [
        {"throw_from_m": 0.0, "throw_to_m": 0.1, "punches": 1, "fell": 0},
        {"throw_from_m": 0.1, "throw_to_m": 0.2, "punches": 2, "fell": 1},
        {"throw_from_m": 0.4, "throw_to_m": None, "punches": 1, "fell": 1},
    ]
    assert by_throw([]) == []


def test_only_the_last_punch_of_a_run_that_ends_in_a_fall_felled() -> None:
    punches = [{"throw_m": 0.1}, {"throw_m": 0.1}]
    assert [punch["fell"] for punch in judged(punches, True)] == [False, True]
    assert [punch["fell"] for punch in judged(punches, False)] == [False, False]
    assert judged([], True) == []


def test_a_punch_begins_when_its_clock_says_so() -> None:
    assert HAND.begins_before(0.002)
    assert not HAND.begins_before(0.0) and not HAND.begins_before(1e-12)
