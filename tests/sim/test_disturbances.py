from __future__ import annotations

import mujoco
import numpy as np
import pytest
from holder import G1, g1_plant, g1_spec, pair_plant

from poise.robots import PoiseError
from poise.robots.commands import damping_command, hold_command
from poise.sim import NOISE, Friction, MujocoBackend, Payload, Push, contact_friction
from poise.sim.disturbances import Disturbance, body_id


def floating() -> mujoco.MjModel:
    """The G1 in empty space: nothing but a push can change its momentum."""
    spec = g1_spec()
    spec.option.gravity = [0.0, 0.0, 0.0]
    spec.option.disableflags = int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    return spec.compile()


def momentum(backend: MujocoBackend) -> np.ndarray:
    mujoco.mj_forward(backend.model, backend.data)
    mujoco.mj_subtreeVel(backend.model, backend.data)
    return np.array(backend.data.subtree_linvel[backend.model.body("pelvis").id] * G1.mass)


@pytest.mark.parametrize(("start_s", "duration_s", "physics"), [(0.1, 0.2, 0.002), (0.0513, 0.2, 0.002), (0.1, 0.0033, 0.001)])
def test_a_push_delivers_its_impulse_exactly(start_s: float, duration_s: float, physics: float) -> None:
    push = Push("torso_link", (3.0, -4.0, 0.0), 5.0, start_s, duration_s)
    backend = MujocoBackend(G1, floating(), physics=physics, noise=NOISE["none"], disturbances=[push])
    for _ in range(int(start_s / 0.002)):
        backend.write(damping_command(G1))
    np.testing.assert_allclose(momentum(backend), 0.0, atol=1e-9)
    for _ in range(150):
        backend.write(damping_command(G1))
    np.testing.assert_allclose(momentum(backend), [3.0, -4.0, 0.0], atol=0.02)
    assert not backend.data.xfrc_applied.any()


def test_a_push_in_the_heading_frame_turns_with_the_robot() -> None:
    push = Push("left_wrist_yaw_link", (1.0, 0.0, 0.0), 1.0, 0.0, 0.002, frame="heading")
    backend = MujocoBackend(G1, floating(), noise=NOISE["none"], disturbances=[push])
    yaw = 2.0
    backend.data.qpos[3:7] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
    backend.write(damping_command(G1))
    np.testing.assert_allclose(momentum(backend), [np.cos(yaw), np.sin(yaw), 0.0], atol=0.01)


def test_pushes_add_up() -> None:
    pushes = [Push("torso_link", (1.0, 0.0, 0.0), 2.0, 0.0, 0.1), Push("torso_link", (0.0, 1.0, 0.0), 3.0, 0.05, 0.1)]
    backend = MujocoBackend(G1, floating(), noise=NOISE["none"], disturbances=pushes)
    for _ in range(100):
        backend.write(damping_command(G1))
    np.testing.assert_allclose(momentum(backend), [2.0, 3.0, 0.0], atol=0.02)


def test_a_payload_adds_weight_at_the_centre_of_mass() -> None:
    plain, loaded = (MujocoBackend(G1, g1_plant(), disturbances=d, noise=NOISE["none"]) for d in ((), [Payload("torso_link", 15.0)]))
    torso = plain.model.body("torso_link").id
    np.testing.assert_array_equal(loaded.model.body_ipos[torso], plain.model.body_ipos[torso])
    np.testing.assert_array_equal(loaded.model.body_inertia[torso], plain.model.body_inertia[torso])
    assert loaded.model.body_subtreemass[0] == pytest.approx(plain.model.body_subtreemass[0] + 15.0)
    for backend in (plain, loaded):
        mujoco.mj_forward(backend.model, backend.data)
    weight = loaded.data.qfrc_bias[2] - plain.data.qfrc_bias[2]
    assert weight == pytest.approx(15.0 * 9.81, rel=1e-6)


def settled(backend: MujocoBackend) -> MujocoBackend:
    for _ in range(50):
        backend.write(hold_command(G1, G1.posture))
    return backend


def test_friction_decided_by_the_feets_priority() -> None:
    spec = g1_spec()
    spec.geom("floor").friction[0] = 0.1
    assert set(contact_friction(*_plant(settled(MujocoBackend(G1, spec.compile()))))) == {0.6}  # the floor has no say
    friction = contact_friction(*_plant(settled(MujocoBackend(G1, g1_plant(), disturbances=[Friction(0.3)]))))
    assert len(friction) >= 3
    np.testing.assert_allclose(friction, 0.3)


def test_friction_decided_by_explicit_pairs() -> None:
    assert set(contact_friction(*_plant(settled(MujocoBackend(G1, pair_plant()))))) == {0.9}
    friction = contact_friction(*_plant(settled(MujocoBackend(G1, pair_plant(), disturbances=[Friction(1.2)]))))
    assert len(friction) >= 3
    np.testing.assert_allclose(friction, 1.2)


def test_friction_decided_by_the_larger_of_two() -> None:
    spec = g1_spec()
    for geom in spec.geoms:
        geom.priority = 0
    friction = contact_friction(*_plant(settled(MujocoBackend(G1, spec.compile(), disturbances=[Friction(0.2)]))))
    np.testing.assert_allclose(friction, 0.2)


@pytest.mark.parametrize("mu", [0.05, 0.8])
def test_contact_forces_keep_the_cone_that_is_read_back(mu: float) -> None:
    push = Push("torso_link", (0.0, 1.0, 0.0), 30.0, 0.0)
    backend = settled(MujocoBackend(G1, g1_plant(), disturbances=[Friction(mu), push]))
    force = np.zeros(6)
    for k in range(backend.data.ncon):
        mujoco.mj_contactForce(backend.model, backend.data, k, force)
        assert np.abs(force[1:3]).sum() <= contact_friction(*_plant(backend))[k] * force[0] * (1 + 1e-9)  # a pyramid
    sliding = np.linalg.norm(backend.data.subtree_linvel[0][:2])
    assert np.isfinite(sliding)


@pytest.mark.parametrize(
    ("disturbance", "word"),
    [
        (Push("torso", (1.0, 0.0, 0.0), 5.0, 0.0), "torso_link"),
        (Push("torso_link", (0.0, 0.0, 0.0), 5.0, 0.0), "direction"),
        (Payload("torso_link", -100.0), "take less away"),
        (Friction(0.0), "above 0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(disturbance: Disturbance, word: str) -> None:
    with pytest.raises(PoiseError, match=word) as error:
        MujocoBackend(G1, g1_plant(), disturbances=[disturbance])
    assert "\n" not in str(error.value)


def _plant(backend: MujocoBackend) -> tuple[mujoco.MjModel, mujoco.MjData]:
    return backend.model, backend.data


def test_a_body_that_the_plant_lacks_is_said_with_those_that_it_has() -> None:
    assert body_id(g1_plant(), "pelvis") > 0
    with pytest.raises(PoiseError, match=r"no body 'hip'; it has pelvis, .*; give an MJCF of the robot"):
        body_id(g1_plant(), "hip")
    ball = mujoco.MjModel.from_xml_string("<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>")
    with pytest.raises(PoiseError, match="no body 'hip'; it has none with a name"):
        body_id(ball, "hip")
