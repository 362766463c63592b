from __future__ import annotations

import numpy as np
import pytest

from poise.control.backup import HELD, Backup, BrakingConfig
from poise.control.braking import TOO_FAR, TOO_FAST, TOO_NEAR, TOO_STRONG, TOO_SUDDEN, Brake, coasted
from poise.control.clearance import ClearanceConfig, capsules_of
from poise.control.support import Support, joint_acceleration
from poise.robots import RobotModel
from poise.sim.model_motion import ModelMotion

DT = 0.002
HELD_SUPPORTS = [support for support in Support if support is not Support.NONE]


def make_backup(robot: RobotModel) -> Backup:
    return Backup(robot, BrakingConfig(), capsules_of(robot), ClearanceConfig().least_m, 1.0, DT)


def moving(robot: RobotModel, support: Support, seed: int, speed: float) -> ModelMotion:
    """The model near its posture at random joint speeds, rad/s."""
    rng, motion = np.random.default_rng(seed), ModelMotion(robot, support, DT)
    motion.set(robot.posture + rng.uniform(-0.05, 0.05, robot.n), rng.uniform(-speed, speed, robot.n))
    return motion


@pytest.mark.parametrize("ticks", [0, 1, 15, 100, 500])
def test_coasting_is_what_steps_of_its_own_law_do(ticks: int) -> None:
    """Against semi-implicit steps of q̈ = −min(b, λ|q̇|) sign q̇, from fast, slow and resting joints of either way."""
    v, q = np.array([8.0, -3.0, 1.0, -0.2, 0.0]), np.linspace(-1.0, 1.0, 5)
    rate, decay, far = np.full(5, 20.0), np.array([10.0, 10.0, 10.0, 4.0, 4.0]), np.full(5, 9.0)
    to = (np.empty(5), np.empty(5), np.empty(5))
    coasted(Brake(decay, rate, -far, far, far, far, far), q, v, ticks * DT, DT, to)
    here, speed = q.copy(), v.copy()
    for _ in range(ticks):
        speed = speed - DT * np.minimum(rate, decay * np.abs(speed)) * np.sign(speed)
        here = here + DT * speed
    np.testing.assert_allclose(to[0], here, atol=1e-3)  # a period may begin fast and end slow
    np.testing.assert_allclose(to[1], speed, atol=2e-3)
    np.testing.assert_allclose(to[2], -np.minimum(rate, decay * np.abs(to[1])) * np.sign(to[1]), atol=1e-12)


def test_a_joint_that_would_not_stop_within_its_range_brakes_harder_and_one_beyond_it_comes_back() -> None:
    """The law of a robot that is not quite the model: by steps of it, all end inside, without a swing."""
    rate, decay, one = np.full(5, 20.0), np.array([10.0, 10.0, 4.0, 25.0, 25.0]), np.ones(5)
    q, v = np.array([0.8, -0.9, 0.98, 1.02, -1.01]), np.array([4.0, -2.0, 0.3, 0.5, 0.0])
    brake, to = Brake(decay, rate, -one, one, 20.0 * one, one, one), (np.empty(5), np.empty(5), np.empty(5))
    hardest, furthest = 0.0, np.abs(q)
    for _ in range(500):
        coasted(brake, q, v, 0.0, DT, to)
        hardest = max(hardest, float(np.abs(to[2]).max()))
        v = v + DT * to[2]
        q = q + DT * v
        furthest = np.maximum(furthest, np.abs(q))
    assert 20.0 < hardest <= 40.0 + 1e-9
    assert (np.abs(q) <= 1.0 + 1e-6).all() and (np.abs(q) > 0.97).all() and np.abs(v).max() < 1e-3
    assert (furthest[:3] < 1.001).all() and furthest[3] < 1.03


def test_coasting_for_ever_ends_at_rest() -> None:
    v, q, one = np.array([8.0, -0.5]), np.zeros(2), np.ones(2)
    to = (np.empty(2), np.empty(2), np.empty(2))
    coasted(Brake(10.0 * one, 20.0 * one, -9.0 * one, 9.0 * one, one, one, one), q, v, np.inf, 1e-6, to)
    np.testing.assert_allclose(to[0], [(8.0**2 + 2.0**2) / 40.0, -0.05], rtol=1e-4)
    np.testing.assert_array_equal(to[1], 0.0)


@pytest.mark.parametrize("support", HELD_SUPPORTS)
@pytest.mark.parametrize("seed", range(3))
def test_its_torques_brake_the_model_as_said(g1: RobotModel, support: Support, seed: int) -> None:
    """By the whole robot's own equations of motion, which know nothing of the rooted tree."""
    motion, backup = moving(g1, support, seed, 1.0), make_backup(g1)
    d, law = motion.dynamics, np.full(g1.n, BrakingConfig().decay)
    carrying = {Support.LEFT: g1.legs[:6], Support.RIGHT: g1.legs[6:], Support.BOTH: g1.legs}.get(support, g1.legs[:0])
    law[carrying] = BrakingConfig().decay_carrying
    found = joint_acceleration(d.block, d.nv, support, backup.torque(d, support))
    wanted = -law * d.joint_velocity  # all slower than b/λ
    free = np.setdiff1d(np.arange(g1.n), g1.legs if support is Support.BOTH else [])
    np.testing.assert_allclose(found[free], wanted[free], atol=1e-6)
    if support is Support.BOTH:
        # Closing the loop changes the legs' the least: along nothing that the loop leaves free.
        (left, right), legs = d.sole_jacobian, 6 + g1.legs
        loop = right[:, legs] - right[:, :6] @ np.linalg.solve(left[:, :6], left[:, legs])
        leaves_free = np.linalg.svd(loop)[2][6:]
        np.testing.assert_allclose(leaves_free @ (found - wanted)[g1.legs], 0.0, atol=1e-5)


@pytest.mark.parametrize("support", HELD_SUPPORTS)
def test_from_where_it_is_open_it_brings_the_model_to_rest_within_every_limit(g1: RobotModel, support: Support) -> None:
    backup, tried = make_backup(g1), 0
    for seed in range(30):
        motion = moving(g1, support, seed, [0.5, 2.0, 6.0][seed % 3])
        d = motion.dynamics
        if backup.open_from(d, support, d.joint_position, d.joint_velocity)[0] != HELD:
            continue
        tried += 1
        for _ in range(1500):
            torque = backup.torque(d, support)
            # It was looked at for 90 % of the motors: between two looks it may take a little more.
            assert (np.abs(torque) <= g1.torque_limit * 1.02).all() and (np.abs(torque * d.joint_velocity) <= g1.power_limit).all()
            motion.step(np.clip(torque, -g1.torque_limit, g1.torque_limit))
            assert (g1.position_min <= d.joint_position).all() and (d.joint_position <= g1.position_max).all()
        assert np.abs(d.joint_velocity).max() < 1e-3
    assert tried >= 4


@pytest.mark.parametrize("support", HELD_SUPPORTS)
def test_a_rough_look_lets_pass_what_is_open_and_nothing_that_cannot_begin(g1: RobotModel, support: Support) -> None:
    backup, found = make_backup(g1), set[tuple[bool, bool]]()
    for seed in range(60):
        d = moving(g1, support, seed, [0.5, 2.0, 6.0][seed % 3]).dynamics
        before = backup.torque(d, support) + [0.5, 0.95, 1.3][seed // 3 % 3] * g1.torque_limit
        state = (d, support, d.joint_position, d.joint_velocity, before)
        roughly, broken = backup.open_from(*state, roughly=True)[0] == HELD, backup.open_from(*state)[0]
        assert roughly if broken == HELD else True
        assert not roughly if broken == TOO_SUDDEN else True
        found.add((roughly, broken == HELD))
    assert found >= {(True, True), (False, False)}


def test_a_rough_look_sees_the_end_of_the_way_on_held_soles_but_no_capsules(g1: RobotModel) -> None:
    elbow, roll = g1.joint_names.index("left_elbow_joint"), g1.joint_names.index("left_shoulder_roll_joint")
    backup, far, hand, v, inward = make_backup(g1), g1.posture.copy(), g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n)
    far[elbow], v[elbow] = g1.position_max[elbow] - 0.06, 1.0
    hand[roll], inward[roll] = 0.1, -0.5
    for support, seen in ((Support.BASE, HELD), (Support.LEFT, TOO_FAR), (Support.BOTH, TOO_FAR)):
        d = ModelMotion(g1, support, DT).dynamics
        assert backup.open_from(d, support, far, v)[0] == TOO_FAR
        assert backup.open_from(d, support, far, v, roughly=True)[0] == seen
        assert backup.open_from(d, support, hand, inward)[0] == TOO_NEAR
        assert backup.open_from(d, support, hand, inward, roughly=True)[0] == HELD


@pytest.mark.parametrize(("q", "v", "broken"), [(0.05, 0.0, TOO_FAR), (-0.02, 1.2, TOO_FAR), (-1.0, 40.0, TOO_FAST)])
def test_what_closes_it_is_named(g1: RobotModel, q: float, v: float, broken: int) -> None:
    elbow, motion = g1.joint_names.index("left_elbow_joint"), ModelMotion(g1, Support.BASE, DT)
    d = motion.dynamics
    here, speed = g1.posture.copy(), np.zeros(g1.n)
    here[elbow], speed[elbow] = g1.position_max[elbow] + q, v
    assert make_backup(g1).open_from(d, Support.BASE, here, speed) == (broken, elbow)


def test_a_lean_that_the_ankle_cannot_hold_closes_it(g1: RobotModel) -> None:
    """At rest on one sole, tilted about its ankle: the weight's torque, from the potential energy, against the motor's."""
    ankle, motion = g1.joint_names.index("left_ankle_pitch_joint"), ModelMotion(g1, Support.LEFT, DT)
    backup, still = make_backup(g1), np.zeros(g1.n)
    for lean in np.linspace(0.0, -0.4, 9):
        q = g1.posture.copy()
        q[ankle] += lean
        motion.set(q, still)
        open_, joint = backup.open_from(motion.dynamics, Support.LEFT, q, still)
        if abs(_weight_about_ankle(motion)) > BrakingConfig().motor_share * g1.torque_limit[ankle]:
            assert (open_, joint) == (TOO_STRONG, ankle)
            return
        assert open_ == HELD
    raise AssertionError("never leaned far enough")


def _weight_about_ankle(motion: ModelMotion) -> float:
    """Torque of the weight about the left ankle's pitch axis, N·m: what the potential energy gains by it."""
    g1, heights, step = motion.robot, np.empty(2), 1e-5
    for i, way in enumerate((-step, step)):
        q = motion.dynamics.joint_position.copy()
        q[g1.joint_names.index("left_ankle_pitch_joint")] += way
        other = ModelMotion(g1, Support.LEFT, DT)
        other.set(q, np.zeros(g1.n))
        heights[i] = other.dynamics.com[2]
    return float(g1.mass * 9.81 * (heights[1] - heights[0]) / (2.0 * step))
