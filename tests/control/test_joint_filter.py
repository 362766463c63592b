from __future__ import annotations

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from poise.control.dynamics import Dynamics
from poise.control.estimator import Estimator, EstimatorConfig
from poise.control.joint_filter import JointFilterConfig, gains, steady_gain, track_joints
from poise.robots import RobotModel, RobotState
from poise.robots.types import Array

DT, CONFIG = 0.002, JointFilterConfig()
WALK = CONFIG.acceleration_std**2 * np.array([[DT**3 / 3.0, DT**2 / 2.0], [DT**2 / 2.0, DT]])  # of q and q̇ in a period


def settled(gain: Array) -> Array:
    """Covariance (2, 2) of [q, q̇] after a correction, once it has settled, of a filter with any gain."""
    step, noise = np.array([[1.0, DT], [0.0, 1.0]]), np.diag([CONFIG.encoder_std**2, CONFIG.rate_std**2])
    rest = np.eye(2) - gain
    return np.asarray(solve_discrete_lyapunov(rest @ step, rest @ WALK @ rest.T + gain @ noise @ gain.T))


def test_no_gain_is_better_than_the_steady_one() -> None:
    gain, rng = steady_gain(CONFIG, DT), np.random.default_rng(0)
    best = np.diag(settled(gain))
    assert best[1] < (0.6 * CONFIG.rate_std) ** 2  # against the measured rate alone
    for _ in range(50):
        other = gain * (1.0 + rng.uniform(-0.2, 0.2, (2, 2)))
        assert (np.diag(settled(other)) >= best * (1.0 - 1e-9)).all()


def test_rates_are_as_wrong_as_the_gain_makes_them() -> None:
    """Joints with random accelerations, as encoders and rate sensors with the stated noise see them."""
    rng, joints, gain = np.random.default_rng(1), 400, steady_gain(CONFIG, DT)
    q, v, errors = np.zeros(joints), np.zeros(joints), []
    position, rate = np.zeros(joints), np.zeros(joints)
    for tick in range(200):
        moved, change = rng.multivariate_normal(np.zeros(2), WALK, joints).T
        q, v = q + DT * v + moved, v + change
        seen = (q + CONFIG.encoder_std * rng.normal(size=joints), v + CONFIG.rate_std * rng.normal(size=joints))
        track_joints(position, rate, *seen, DT, gain)
        if tick >= 100:
            errors.append(rate - v)
    np.testing.assert_allclose(np.std(errors), np.sqrt(settled(gain)[1, 1]), rtol=0.05)


def test_a_steady_motion_is_followed_without_lag() -> None:
    gain, speed = steady_gain(CONFIG, DT), np.array([3.0, -1.0])
    position, rate = np.zeros(2), np.zeros(2)
    for tick in range(1, 101):
        track_joints(position, rate, tick * DT * speed, speed, DT, gain)
    np.testing.assert_allclose(rate, speed, rtol=1e-6)
    np.testing.assert_allclose(position, 100 * DT * speed, rtol=1e-6)
    track_joints(position, rate, 110 * DT * speed, speed, 10 * DT, gain)  # nothing was heard for a while
    np.testing.assert_allclose(rate, speed, rtol=1e-6)


def growth(gain: Array, dt: float) -> float:
    """By what an error grows from one state to the next, states dt apart."""
    return float(np.abs(np.linalg.eigvals((np.eye(2) - gain) @ np.array([[1.0, dt], [0.0, 1.0]]))).max())


def test_errors_die_away_however_far_apart_states_are() -> None:
    of_each = gains(CONFIG, DT, 25)
    assert all(growth(of_each[k - 1], k * DT) < 0.7 for k in range(1, 26))
    assert growth(of_each[0], 3 * DT) > 1.0  # which is why there is one for each


def test_the_estimator_follows_joints_by_the_gain_of_the_time_between_states(g1: RobotModel) -> None:
    """A knee that sways, seen at every third tick."""
    estimator, at, errors = Estimator(g1, Dynamics(g1), EstimatorConfig(), DT), g1.joint_names.index("left_knee_joint"), []
    for tick in range(0, 1500, 3):
        t, q, v = tick * DT, g1.posture.copy(), np.zeros(g1.n)
        q[at] += 0.2 * np.sin(6.0 * t)
        v[at] = 1.2 * np.cos(6.0 * t)
        upright = (np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3), np.array([0.0, 0.0, 9.81]))
        estimator.update(RobotState(t, q, v, None, *upright), t, np.ones(2))
        errors.append(abs(estimator.parts.joint_rate[at] - v[at]))
    assert max(errors[50:]) < 0.1
