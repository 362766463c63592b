from __future__ import annotations

from functools import cache

import mujoco
import numpy as np
import pytest

from poise.robots import PoiseError, RobotModel, load_robot
from poise.robots.commands import damping_command, hold_command
from poise.robots.plant import compile_plant
from poise.sim import NOISE, MujocoBackend
from poise.sim.hoist import STEADY, STIFFNESS, Hoist

GRAVITY, TORSO = 9.81, "torso_link"


@cache
def parts() -> tuple[RobotModel, mujoco.MjModel]:
    robot = load_robot("g1")
    return robot, compile_plant(robot.description)


def hanging(hoist: Hoist | None, up_m: float = 0.0) -> MujocoBackend:
    """The robot lifted by so much, on the hoist."""
    robot, plant = parts()
    backend = MujocoBackend(robot, plant, noise=NOISE["none"], disturbances=[] if hoist is None else [hoist])
    backend.data.qpos[2] += up_m
    mujoco.mj_forward(backend.model, backend.data)
    return backend


def height(backend: MujocoBackend) -> float:
    return float(backend.data.body(TORSO).xpos[2])


def standing_m() -> float:
    return height(hanging(None))


def hold(backend: MujocoBackend, seconds: float) -> None:
    robot, _ = parts()
    for _ in range(round(seconds / backend.period_s)):
        backend.write(hold_command(robot, robot.posture))


def weight_n(backend: MujocoBackend) -> float:
    return float(backend.model.body_mass.sum()) * GRAVITY


def ground_n(backend: MujocoBackend) -> float:
    """Upward force of all contacts with what does not move, N."""
    force, upward = np.zeros(6), 0.0
    for i, contact in enumerate(backend.data.contact):
        mujoco.mj_contactForce(backend.model, backend.data, i, force)
        upward += abs(float(contact.frame.reshape(3, 3).T[2] @ force[:3]))
    return upward


def test_tight_it_carries_the_weight() -> None:
    """At rest stiffness times stretch is m·g: the rope gives by 33.3 kg · 9.81 m/s² / 8000 N/m = 41 mm."""
    rope_m = standing_m() + 0.3
    backend = hanging(Hoist(TORSO, rope_m, rope_m), up_m=0.3)
    hold(backend, 3.0)
    assert weight_n(backend) == pytest.approx(33.3 * GRAVITY, rel=0.01)
    assert rope_m - height(backend) == pytest.approx(weight_n(backend) / STIFFNESS, abs=1e-3)
    assert backend.data.xfrc_applied[:, 2].sum() == pytest.approx(weight_n(backend), rel=0.01)
    assert backend.data.ncon == 0 and np.abs(backend.data.qvel).max() < 0.05 and backend.tilt < 0.2


def test_the_rope_pulls_at_the_bodys_origin() -> None:
    """About the body's origin the force has no moment: there is only the one that keeps it upright."""
    backend = hanging(Hoist(TORSO, standing_m() + 0.5, standing_m() + 0.5), up_m=0.3)
    backend.data.qvel[:] = 0.0
    backend.data.xfrc_applied[:] = 0.0
    Hoist(TORSO, standing_m() + 0.5, standing_m() + 0.5).apply(backend.model, backend.data)
    body = backend.data.body(TORSO)
    force, torque = backend.data.xfrc_applied[body.id, :3], backend.data.xfrc_applied[body.id, 3:]
    at_origin = torque + np.cross(body.xipos - body.xpos, force)
    lean = np.cross(body.xmat.reshape(3, 3)[:, 2], (0.0, 0.0, 1.0))
    np.testing.assert_allclose(at_origin, STEADY * lean, atol=1e-9)
    assert force[2] == pytest.approx(STIFFNESS * (standing_m() + 0.5 - body.xpos[2])) and np.abs(torque).max() > 1.0


def test_slack_it_does_nothing() -> None:
    alone, slack = hanging(None), hanging(Hoist(TORSO, standing_m() - 0.01, 0.0))
    for backend in (alone, slack):
        backend.reset(3)
        for _ in range(25):
            backend.write(hold_command(parts()[0], parts()[0].posture))
    np.testing.assert_array_equal(alone.data.qpos, slack.data.qpos)


def test_a_rope_only_pulls() -> None:
    rope_m = standing_m() + 0.3
    backend = hanging(Hoist(TORSO, rope_m, rope_m), up_m=0.28)
    backend.data.qvel[2] = 5.0  # m/s upward
    backend.data.xfrc_applied[:] = 0.0
    mujoco.mj_forward(backend.model, backend.data)
    Hoist(TORSO, rope_m, rope_m).apply(backend.model, backend.data)
    assert not backend.data.xfrc_applied.any()


def test_the_height_changes_evenly_between_its_times() -> None:
    hoist = Hoist(TORSO, 1.0, 0.4, 2.0, 5.0)
    assert [hoist.height_m(time_s) for time_s in (0.0, 2.0, 3.0, 5.0, 9.0)] == pytest.approx([1.0, 1.0, 0.8, 0.4, 0.4])
    assert Hoist(TORSO, 1.0, 0.7).height_m(0.0) == 0.7


def test_it_lowers_a_robot_to_its_feet() -> None:
    top_m = standing_m() + 0.12
    backend = hanging(Hoist(TORSO, top_m, 0.0, 1.0, 1.0 + top_m / 0.1), up_m=0.12)
    hold(backend, 0.9)
    assert backend.data.ncon == 0
    while ground_n(backend) < 0.7 * weight_n(backend):
        hold(backend, backend.period_s)
        assert backend.data.time < 1.0 + 0.2 / 0.1, "it is let down by no more than 20 cm"
    soles = {backend.model.body(name).id for name in parts()[0].overlay.sole_bodies}
    touching = {int(backend.model.geom_bodyid[geom]) for contact in backend.data.contact for geom in contact.geom}
    assert touching - {0} == soles and backend.tilt < 0.2
    assert height(backend) == pytest.approx(standing_m(), abs=0.02)


def test_it_keeps_from_swinging_and_turning() -> None:
    rope_m = standing_m() + 0.3
    backend = hanging(Hoist(TORSO, rope_m, rope_m), up_m=0.3)
    backend.data.qvel[:6] = [0.5, 0.3, 0.0, 0.3, 0.3, 0.3]  # m/s and rad/s
    hold(backend, 4.0)
    assert np.linalg.norm(backend.data.body(TORSO).xpos[:2]) < 0.1 and np.abs(backend.data.qvel[:6]).max() < 0.1


def test_limp_it_hangs() -> None:
    rope_m = standing_m() + 0.3
    backend = hanging(Hoist(TORSO, rope_m, rope_m), up_m=0.3)
    for _ in range(750):
        backend.write(damping_command(parts()[0]))
    assert abs(rope_m - height(backend) - weight_n(backend) / STIFFNESS) < 0.02 and np.isfinite(backend.data.qpos).all()


def test_a_body_that_is_not_there_is_refused() -> None:
    with pytest.raises(PoiseError, match="tail"):
        hanging(Hoist("tail", 1.0, 1.0))
