from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from scipy.integrate import solve_ivp

from poise.control import StackConfig
from poise.control.dynamics import Dynamics
from poise.control.reaction import dcm_of_swing, leg_momentum, legs_momentum_as_shift, momentum_as_shift
from poise.robots import RobotModel
from poise.robots.types import Array

OMEGA, SHIFT = 3.98, 0.006


def dcm_with_swing(time_s: float, way: float, velocity: float) -> float:
    """The DCM over a ZMP at 0, from 0, while the foot takes the cubic from `velocity` to rest, `way` m on; integrated numerically."""
    start, end = 6.0 * way / time_s**2 - 4.0 * velocity / time_s, -6.0 * way / time_s**2 + 2.0 * velocity / time_s

    def flow(t: float, dcm: Array) -> Array:
        return np.asarray(OMEGA * (dcm + SHIFT * (start + (end - start) * t / time_s)))

    return float(solve_ivp(flow, (0.0, time_s), [0.0], rtol=1e-10, atol=1e-12).y[0, -1])


@pytest.mark.parametrize("time_s", [0.03, 0.1, 0.4, 0.6])
def test_dcm_of_swing_is_the_integral(time_s: float) -> None:
    way, velocity = dcm_of_swing(time_s, OMEGA, SHIFT)
    assert way == pytest.approx(dcm_with_swing(time_s, 1.0, 0.0), rel=1e-6)
    assert velocity == pytest.approx(dcm_with_swing(time_s, 0.0, 1.0), rel=1e-6)


def test_a_leg_at_rest_adds_nothing_and_the_last_moment_is_bounded() -> None:
    assert dcm_of_swing(0.3, OMEGA, 0.0) == (0.0, 0.0)
    assert dcm_of_swing(0.0, OMEGA, SHIFT) == dcm_of_swing(0.03, OMEGA, SHIFT)


def test_leg_momentum_is_that_of_a_foot_that_is_moved(g1: RobotModel) -> None:
    """The pelvis held, each foot moved level by a small inverse kinematics: Pinocchio's momentum about the centre of mass."""
    model, data = g1.pinocchio, g1.pinocchio.createData()
    q, found = g1.standing_configuration(), []
    for foot, axis in ((0, 0), (0, 1), (1, 0), (1, 1)):
        leg, frame = g1.legs.reshape(2, -1)[foot] + 6, g1.sole_frames[foot]
        jacobian = pin.computeFrameJacobian(model, data, q, frame, pin.LOCAL_WORLD_ALIGNED)
        v, twist = np.zeros(model.nv), np.zeros(6)
        twist[axis] = 1.0
        v[leg] = np.linalg.solve(jacobian[:, leg], twist)
        angular = pin.computeCentroidalMomentum(model, data, q, v).angular
        found.append(-angular[1] if axis == 0 else angular[0])
    assert leg_momentum(g1) == pytest.approx(np.mean(found), rel=1e-9)
    assert np.ptp(found) < 0.1 * np.mean(found)  # one number stands for both legs and axes


@pytest.mark.parametrize("swing_velocity", [(0.0, 0.0), (1.2, 0.0), (0.5, -0.4)])
def test_legs_momentum_is_that_of_a_walking_body(g1: RobotModel, swing_velocity: tuple[float, float]) -> None:
    """Pelvis, trunk and arms glide on over a stance foot at rest, the swing foot moves level; from Pinocchio's momentum."""
    d, weight = Dynamics(g1), g1.mass * 9.81
    v, legs = np.zeros(d.nv), g1.legs.reshape(2, -1) + 6
    v[:2] = 0.6, 0.2
    d.update(g1.standing_configuration(), v)
    for foot, velocity in ((0, (0.0, 0.0)), (1, swing_velocity)):
        relative = np.array([*velocity, 0.0, 0.0, 0.0, 0.0]) - d.sole_jacobian[foot][:, :6] @ v[:6]
        v[legs[foot]] = np.linalg.solve(d.sole_jacobian[foot][:, legs[foot]], relative)
    centroidal = pin.computeCentroidalMomentum(g1.pinocchio, g1.pinocchio.createData(), g1.standing_configuration(), v)
    shift = leg_momentum(g1) / weight
    found = legs_momentum_as_shift(np.array(swing_velocity), centroidal.linear[:2] / g1.mass, shift, shift)
    np.testing.assert_allclose(found, momentum_as_shift(centroidal.angular[:2], weight), rtol=0.2, atol=3e-4)


def test_the_g1_has_the_numbers_of_the_page(g1: RobotModel) -> None:
    """Those of docs/locomotion.md: k and s, and what a metre of a whole swing of 0.4 s adds to the DCM."""
    k = StackConfig().swing_share * leg_momentum(g1)
    shift = k / (g1.mass * 9.81)
    assert (round(leg_momentum(g1), 2), round(k, 2), round(shift, 4)) == (1.35, 2.03, 0.0062)
    assert dcm_with_swing(0.4, 1.0, 0.0) * shift / SHIFT == pytest.approx(0.23, abs=0.005)
