from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import random_state

from poise.control.dynamics import Dynamics
from poise.control.safety import UNCHANGED, Certifier, SafetyConfig, first_look, response_matrix, viable_acceleration
from poise.robots import JointCommand, RobotModel, load_robot
from poise.robots.commands import hold_command
from poise.robots.types import Array

DT, CONFIG, BOTH = 0.002, SafetyConfig(), np.ones(2)


def brake_from_viable_states(braking: float, semi_implicit: bool) -> tuple[Array, Array, float]:
    """Positions and speeds of joints ±1 rad, 20 rad/s, that always ask for the most allowed; the hardest braking asked."""
    rng, n = np.random.default_rng(0), 2000
    limit, fastest, low, high = np.ones(n), np.full(n, 20.0), np.empty(n), np.empty(n)
    q = rng.uniform(-1.0, 1.0, n)
    most = np.minimum(20.0, np.sqrt(2.0 * braking * (1.0 - np.abs(q))))
    v = rng.uniform(-1.0, 1.0, n) * most
    way, positions, speeds, hardest = np.ones(n), [], [], 0.0
    for tick in range(1000):
        if tick % 100 == 0:
            way = rng.choice([-1.0, 1.0], n)
        viable_acceleration(q, v, -limit, limit, fastest, braking, DT, low, high)
        assert (low <= high).all()
        acceleration = np.where(way > 0, high, low)
        onward = way * v > 0.0
        hardest = max(hardest, float(-(way * acceleration)[onward].min(initial=0.0)))
        v_next = v + acceleration * DT
        q = q + DT * (v_next if semi_implicit else 0.5 * (v + v_next))
        v = v_next
        positions.append(np.abs(q).max())
        speeds.append(np.abs(v).max())
    return np.array(positions), np.array(speeds), hardest


@pytest.mark.parametrize("braking", [20.0, 60.0, 200.0])
@pytest.mark.parametrize("semi_implicit", [True, False], ids=["as MuJoCo", "exact"])
def test_the_worst_requests_stay_within_the_limits(braking: float, semi_implicit: bool) -> None:
    """Full speed towards a limit, then the other way, for ever: with the assumed braking no joint passes its limit."""
    positions, speeds, hardest = brake_from_viable_states(braking, semi_implicit)
    assert positions.max() <= 1.0 + braking * DT**2  # a fraction of a milliradian, from one period's rounding
    assert positions.max() > 0.99  # it may use its range
    assert speeds.max() <= 20.0 + 1e-9
    assert hardest <= braking * (1.0 + 1e-9)  # never more than is assumed to be there


def test_outside_the_viable_set_the_joint_brakes_as_hard_as_it_can() -> None:
    low, high, one = np.empty(3), np.empty(3), np.ones(3)
    viable_acceleration(np.array([0.99, 1.2, 0.0]), np.array([10.0, 0.0, 25.0]), -one, one, 20.0 * one, 60.0, DT, low, high)
    np.testing.assert_allclose(high, [-60.0, 0.0, -60.0])  # too fast near the limit; still beyond it; faster than the motor


def test_first_look_refuses_nan_and_what_is_outside() -> None:
    one = np.ones(2)

    def look(torque: Array, acceleration: Array) -> bool:
        return bool(first_look(torque, 10.0 * one, acceleration, -5.0 * one, 5.0 * one, 0.5))

    assert look(np.array([10.0, -10.0]), np.array([5.4, -5.4]))
    for torque, acceleration in ((10.1, 0.0), (np.nan, 0.0), (0.0, 5.6), (0.0, -5.6), (0.0, np.nan)):
        assert not look(np.array([torque, 0.0]), np.array([0.0, acceleration]))


def accelerations(d: Dynamics, torque: Array, contact: Array) -> Array:
    """Joint accelerations of the constrained dynamics, from its whole optimality system (M −Jᵀ; J 0)."""
    jacobian = d.sole_jacobian[contact > 0.5].reshape(-1, d.v.size)
    k = len(jacobian)
    system = np.block([[d.mass_matrix, -jacobian.T], [jacobian, np.zeros((k, k))]])
    drift = d.sole_drift[contact > 0.5].reshape(-1)
    right = np.concatenate((np.concatenate((np.zeros(6), torque)) - d.bias, -drift))
    return np.asarray(np.linalg.solve(system, right)[6 : d.v.size])


@pytest.mark.parametrize("contact", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_response_matrix_is_the_change_of_the_constrained_dynamics(g1: RobotModel, contact: tuple[float, float]) -> None:
    d, rng, stands = Dynamics(g1), np.random.default_rng(2), np.array(contact)
    d.update(*random_state(g1, 2))
    torque, change = rng.normal(0.0, 20.0, g1.n), rng.normal(0.0, 5.0, g1.n)
    expected = accelerations(d, torque + change, stands) - accelerations(d, torque, stands)
    np.testing.assert_allclose(response_matrix(d, stands) @ change, expected, rtol=1e-4, atol=1e-3)


def standing(g1: RobotModel, v: Array | None = None, q: Array | None = None) -> Dynamics:
    """The robot in the nominal posture, or with other joint positions and velocities."""
    d, start, speed = Dynamics(g1), g1.standing_configuration(), np.zeros(g1.pinocchio.nv)
    start[7:] = g1.posture if q is None else q
    speed[6:] = 0.0 if v is None else v
    d.update(start, speed)
    return d


def certifier(g1: RobotModel) -> Certifier:
    return Certifier(g1, CONFIG, DT)


def test_a_request_inside_passes_as_the_same_object(g1: RobotModel) -> None:
    command = replace(hold_command(g1, g1.posture), tau=0.5 * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), command, np.zeros(g1.n), BOTH)
    assert sent is command
    assert not certificate.changed and certificate.reasons == () and certificate.method == "unchanged"


def test_torque_beyond_the_motor_is_clipped_and_named(g1: RobotModel) -> None:
    knee = g1.joint_names.index("left_knee_joint")
    command, zero = hold_command(g1, g1.posture), np.zeros(g1.n)
    torque = zero.copy()
    torque[knee] = 1.3 * g1.torque_limit[knee]
    d = standing(g1)
    sent, certificate = certifier(g1).certify(d, replace(command, tau=torque), zero, BOTH)
    assert certificate.changed and certificate.reasons == ("torque left_knee_joint",)
    assert np.abs(sent.torque(d.q[7:], d.v[6:])[knee]) <= g1.torque_limit[knee]
    assert sent.tau[knee] == pytest.approx(g1.torque_limit[knee], rel=1e-3)
    assert certificate.torque_change_nm == pytest.approx(0.3 * g1.torque_limit[knee], rel=0.02)
    others = np.delete(sent.tau, knee)
    assert np.abs(others).max() < 0.2 * g1.torque_limit[knee]


def test_gains_count_as_torque(g1: RobotModel) -> None:
    """A position target far away is a torque, too."""
    elbow = g1.joint_names.index("left_elbow_joint")
    command = hold_command(g1, g1.posture)
    command.q[elbow] += 3.0
    sent, certificate = certifier(g1).certify(standing(g1), command, np.zeros(g1.n), BOTH)
    assert certificate.reasons == ("torque left_elbow_joint",)
    assert abs(sent.torque(g1.posture, np.zeros(g1.n))[elbow]) <= g1.torque_limit[elbow]


def test_motion_into_a_limit_is_braked_and_named(g1: RobotModel) -> None:
    """An elbow that flies at its limit under no torque: what is sent keeps the predicted acceleration in its bound."""
    elbow = g1.joint_names.index("left_elbow_joint")
    q, v = g1.posture.copy(), np.zeros(g1.n)
    q[elbow], v[elbow] = g1.position_max[elbow] - 0.02, 1.6
    d = standing(g1, v, q)
    command = JointCommand(q, v, np.zeros(g1.n), np.zeros(g1.n), np.zeros(g1.n), g1.torque_limit)
    predicted = accelerations(d, np.zeros(g1.n), BOTH)
    sent, certificate = certifier(g1).certify(d, command, predicted, BOTH)
    assert certificate.changed and certificate.method == "qp" and "motion left_elbow_joint" in certificate.reasons
    after = accelerations(d, sent.torque(d.q[7:], d.v[6:]), BOTH)
    low, high = np.empty(g1.n), np.empty(g1.n)
    viable_acceleration(q, v, g1.position_min, g1.position_max, g1.velocity_limit, CONFIG.braking, DT, low, high)
    assert predicted[elbow] > high[elbow] + CONFIG.tolerance
    assert after[elbow] <= high[elbow] + CONFIG.tolerance
    assert (after <= high + 5.0).all() and (after >= low - 5.0).all()
    # It is the nearest such torque: the least possible is asked of that joint, and little of the others.
    assert after[elbow] >= high[elbow] - 2.0
    assert np.abs(np.delete(sent.tau, elbow)).max() < abs(sent.tau[elbow])


@pytest.mark.parametrize("part", ["q", "v", "kp", "kd", "tau"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_becomes_damping(g1: RobotModel, part: str, bad: float) -> None:
    command = hold_command(g1, g1.posture)
    value = getattr(command, part).copy()
    value[3] = bad
    sent, certificate = certifier(g1).certify(standing(g1), replace(command, **{part: value}), np.zeros(g1.n), BOTH)
    assert certificate.changed and certificate.method == "damping" and certificate.reasons == ("not finite",)
    np.testing.assert_array_equal(sent.kp, 0.0)
    np.testing.assert_array_equal(sent.kd, g1.hold_kd)
    moving = np.full(g1.n, 0.5)
    np.testing.assert_allclose(sent.torque(g1.posture, moving), -0.5 * g1.hold_kd)


def test_a_measurement_that_is_not_finite_becomes_damping(g1: RobotModel) -> None:
    d = standing(g1)
    d.q[9] = np.nan
    sent, certificate = certifier(g1).certify(d, hold_command(g1, g1.posture), np.zeros(g1.n), BOTH)
    assert certificate.method == "damping"
    assert np.isfinite(sent.q).all() and np.isfinite(sent.torque(g1.posture, np.zeros(g1.n))).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("torque", [0.1, 3.0])
def test_a_prediction_that_is_not_finite_becomes_damping(g1: RobotModel, bad: float, torque: float) -> None:
    """Where the motion is not known no torque can be said to be safe."""
    d, predicted = standing(g1), np.zeros(g1.n)
    predicted[4] = bad
    sent, certificate = certifier(g1).certify(d, replace(hold_command(g1, g1.posture), tau=torque * g1.torque_limit), predicted, BOTH)
    assert certificate.changed and certificate.reasons == ("prediction not finite",) and certificate.method == "damping"
    np.testing.assert_array_equal(sent.torque(g1.posture, np.zeros(g1.n)), 0.0)


def barely_too_fast(g1: RobotModel, beyond: float) -> tuple[Dynamics, JointCommand, Array]:
    """A state and request whose elbow is predicted to accelerate `beyond` rad/s² more than its bound."""
    elbow = g1.joint_names.index("left_elbow_joint")
    q, v, predicted, zero = g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n), np.zeros(g1.n)
    q[elbow] = g1.position_max[elbow] - 0.02
    v[elbow] = np.sqrt(2.0 * CONFIG.braking * 0.02) - CONFIG.braking * DT
    predicted[elbow] = beyond
    return standing(g1, v, q), JointCommand(q, v, zero, zero, zero, g1.torque_limit), predicted


def test_a_change_too_small_to_report_is_not_made(g1: RobotModel) -> None:
    """The prediction is over its bound by little more than the tolerance, and the response is large: next to no torque."""
    d, request, predicted = barely_too_fast(g1, CONFIG.tolerance + 1e-6)
    tolerant = Certifier(g1, replace(CONFIG, reported_change=0.05), DT)
    sent, certificate = tolerant.certify(d, request, predicted, BOTH)
    assert sent is request and certificate == UNCHANGED
    strict = Certifier(g1, replace(CONFIG, reported_change=1e-5), DT)
    sent, certificate = strict.certify(d, request, predicted, BOTH)
    assert certificate.changed and certificate.reasons == ("motion left_elbow_joint",)
    assert 1e-5 < np.abs(sent.tau / g1.torque_limit).max() < 0.05


def test_a_torque_barely_beyond_the_motor_is_not_a_small_change(g1: RobotModel) -> None:
    request = replace(hold_command(g1, g1.posture), tau=g1.torque_limit * (1.0 + 1e-6))
    sent, certificate = certifier(g1).certify(standing(g1), request, np.zeros(g1.n), BOTH)
    assert certificate.changed and certificate.reasons[0].startswith("torque ")
    assert (np.abs(sent.tau) <= g1.torque_limit).all()


@pytest.mark.parametrize("factor", [1.5, -1.0, np.nan, np.inf])
def test_a_torque_limit_that_is_not_the_motors_is_replaced(g1: RobotModel, factor: float) -> None:
    request = replace(hold_command(g1, g1.posture), torque_limit=factor * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), request, np.zeros(g1.n), BOTH)
    assert certificate.changed and certificate.reasons == ("torque limit",) and certificate.torque_change_nm == 0.0
    np.testing.assert_array_equal(sent.torque_limit, g1.torque_limit)
    np.testing.assert_array_equal(sent.kp, request.kp)
    beyond = replace(request, tau=2.0 * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), beyond, np.zeros(g1.n), BOTH)
    assert (np.abs(sent.torque(g1.posture, np.zeros(g1.n))) <= g1.torque_limit).all() and len(certificate.reasons) == g1.n


def test_a_tighter_torque_limit_is_kept(g1: RobotModel) -> None:
    request = replace(hold_command(g1, g1.posture), torque_limit=0.5 * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), request, np.zeros(g1.n), BOTH)
    assert sent is request and not certificate.changed


def test_answers_do_not_depend_on_the_tick_before(g1: RobotModel) -> None:
    d, zero = standing(g1), np.zeros(g1.n)
    first, second = (replace(hold_command(g1, g1.posture), tau=factor * g1.torque_limit) for factor in (1.5, -1.2))
    stream = certifier(g1)
    stream.certify(d, first, zero, BOTH)
    np.testing.assert_array_equal(stream.certify(d, second, zero, BOTH)[0].tau, certifier(g1).certify(d, second, zero, BOTH)[0].tau)


ROBOT = load_robot("g1")
SHARED, CERTIFIER = Dynamics(ROBOT), Certifier(ROBOT, CONFIG, DT)
number = st.floats(width=64) | st.floats(-100.0, 100.0)
garbage = st.lists(number, min_size=ROBOT.n, max_size=ROBOT.n).map(np.array)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflows of absurd numbers
@settings(max_examples=120, deadline=None)
@given(st.tuples(*[garbage] * 7), st.integers(0, 5), st.tuples(st.floats(), st.floats()))
def test_whatever_comes_in_what_goes_out_is_finite_and_within_the_motors(
    numbers: tuple[Array, ...], seed: int, contact: tuple[float, float]
) -> None:
    q, v, kp, kd, tau, predicted, limit = numbers
    SHARED.update(*random_state(ROBOT, seed))
    request = JointCommand(q, v, kp, kd, tau, limit)
    sent, certificate = CERTIFIER.certify(SHARED, request, predicted, np.array(contact))
    for value in (sent.q, sent.v, sent.kp, sent.kd, sent.tau, sent.torque_limit):
        assert np.isfinite(value).all()
    torque = sent.torque(SHARED.q[7:], SHARED.v[6:])
    assert (np.abs(torque) <= ROBOT.torque_limit).all()
    assert (np.abs(sent.tau + sent.kp * (sent.q - SHARED.q[7:]) + sent.kd * (sent.v - SHARED.v[6:])) <= ROBOT.torque_limit).all()
    assert certificate.method in ("unchanged", "qp", "clip", "damping")
    assert certificate.changed == bool(certificate.reasons) == (sent is not request)
