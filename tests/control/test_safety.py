from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import random_state

from poise.control.dynamics import Dynamics
from poise.control.qp import DaqpSolver, QpSolution
from poise.control.safety import UNCHANGED, Certifier, SafetyConfig, Uncertified
from poise.control.support import Support, joint_acceleration, response_and_bias
from poise.control.viability import viable_acceleration
from poise.robots import JointCommand, RobotModel, load_robot
from poise.robots.commands import hold_command
from poise.robots.types import Array
from poise.sim.model_motion import ModelMotion

DT, CONFIG = 0.002, SafetyConfig()
BOTH, HANGING = Support.BOTH, Support.NONE


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
    sent, certificate = certifier(g1).certify(standing(g1), command, BOTH)
    assert sent is command
    assert not certificate.changed and certificate.reasons == () and certificate.method == "unchanged"


def test_torque_beyond_the_motor_is_clipped_and_named(g1: RobotModel) -> None:
    knee = g1.joint_names.index("left_knee_joint")
    command, zero = hold_command(g1, g1.posture), np.zeros(g1.n)
    torque = zero.copy()
    torque[knee] = 1.3 * g1.torque_limit[knee]
    d = standing(g1)
    sent, certificate = certifier(g1).certify(d, replace(command, tau=torque), BOTH)
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
    sent, certificate = certifier(g1).certify(standing(g1), command, BOTH)
    assert certificate.reasons == ("torque left_elbow_joint",)
    assert abs(sent.torque(g1.posture, np.zeros(g1.n))[elbow]) <= g1.torque_limit[elbow]


def test_motion_into_a_limit_is_braked_and_named(g1: RobotModel) -> None:
    """An elbow that flies at its limit under no torque: what is sent keeps the acceleration in its bound."""
    elbow = g1.joint_names.index("left_elbow_joint")
    q, v, zero = g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n)
    q[elbow], v[elbow] = g1.position_max[elbow] - 0.02, 1.6
    d = standing(g1, v, q)
    sent, certificate = certifier(g1).certify(d, JointCommand(q, v, zero, zero, zero, g1.torque_limit), BOTH)
    assert certificate.changed and certificate.method == "qp" and "motion left_elbow_joint" in certificate.reasons
    before, after = (joint_acceleration(d.block, d.nv, BOTH, torque) for torque in (zero, sent.torque(q, v)))
    low, high, rate = np.empty(g1.n), np.empty(g1.n), np.full(g1.n, CONFIG.braking)
    limits = (g1.position_min, g1.position_max, g1.velocity_limit)
    viable_acceleration(q, v, *limits, np.full(g1.n, CONFIG.fading), rate, DT, low, high)
    assert before[elbow] > high[elbow] + CONFIG.tolerance
    assert (after <= high + 1e-3).all() and (after >= low - 1e-3).all()
    # It is the nearest such torque: the least possible is asked of that joint, and little of the others.
    assert after[elbow] == pytest.approx(high[elbow], abs=1e-3)
    assert np.abs(np.delete(sent.tau, elbow)).max() < abs(sent.tau[elbow])
    assert certificate.active["motion left_elbow_joint"] > 0.0


def test_a_multiplier_is_what_room_in_its_bound_would_save(g1: RobotModel) -> None:
    """Against finite differences of the least cost, over the motor's own bound."""
    knee, elbow = (g1.joint_names.index(name) for name in ("right_knee_joint", "left_elbow_joint"))
    tau, q, v = np.zeros(g1.n), g1.posture.copy(), np.zeros(g1.n)
    tau[knee] = 2.0 * g1.torque_limit[knee]
    q[elbow], v[elbow] = g1.position_max[elbow] - 0.02, 1.6
    d = standing(g1, v, q)

    def least(robot: RobotModel) -> tuple[float, float]:
        request = JointCommand(g1.posture, 0.0 * tau, 0.0 * tau, 0.0 * tau, tau, robot.torque_limit)
        sent, certificate = Certifier(robot, CONFIG, DT).certify(d, request, BOTH)
        return float(0.5 * (((sent.tau - tau) / g1.torque_limit) ** 2).sum()), certificate.active.get("motor right_knee_joint", 0.0)

    room = 1e-3
    more, less = (replace(g1, torque_limit=g1.torque_limit + way * room * (np.arange(g1.n) == knee)) for way in (1.0, -1.0))
    price = least(g1)[1]
    assert price == pytest.approx((least(less)[0] - least(more)[0]) / (2.0 * room), rel=0.02)


def test_at_rest_the_multipliers_balance_what_is_sent(g1: RobotModel) -> None:
    """0 = (τ − τ_req)/τ_max² + Σ λ ∂bound/∂τ over the bounds that are named: the torque is the nearest that keeps them."""
    elbow, roll = g1.joint_names.index("left_elbow_joint"), g1.joint_names.index("right_shoulder_roll_joint")
    motion, c = ModelMotion(g1, Support.BASE, DT), certifier(g1)
    q, v = g1.posture.copy(), np.zeros(g1.n)
    q[elbow], v[elbow] = g1.position_max[elbow] - 0.1, 1.0
    motion.set(q, v)
    d, tau, zero = motion.dynamics, c.backup.torque(motion.dynamics, Support.BASE), np.zeros(g1.n)
    tau[elbow] += 0.5 * g1.torque_limit[elbow]
    tau[roll] += 0.1 * g1.torque_limit[roll]
    sent, certificate = c.certify(d, JointCommand(q, zero, zero, zero, tau, g1.torque_limit), Support.BASE, resting=True)
    assert certificate.method == "qp" and "motion left_elbow_joint" in certificate.active
    response = response_and_bias(d.block, d.nv, Support.BASE)[0]
    pull = (sent.tau - tau) / g1.torque_limit**2
    for name, multiplier in certificate.active.items():
        bound, joint = name.split()
        row = np.eye(g1.n) if bound == "motor" else response
        pull = pull + multiplier * row[g1.joint_names.index(joint)]
    np.testing.assert_allclose(pull * g1.torque_limit, 0.0, atol=1e-4)
    assert np.abs((sent.tau - tau) / g1.torque_limit).max() > 0.05


@pytest.mark.parametrize("speed", [15.0, 20.0])
def test_power_bounds_the_torque_of_a_fast_joint(g1: RobotModel, speed: float) -> None:
    knee = g1.joint_names.index("left_knee_joint")
    v, tau = np.zeros(g1.n), np.zeros(g1.n)
    v[knee], tau[knee] = -speed, -g1.torque_limit[knee]
    d = standing(g1, v)
    request = JointCommand(g1.posture, tau * 0.0, tau * 0.0, tau * 0.0, tau, g1.torque_limit)
    sent, certificate = certifier(g1).certify(d, request, HANGING)
    assert "power left_knee_joint" in certificate.reasons
    assert np.abs(sent.tau * v).max() <= g1.power_limit[knee] * (1.0 + 1e-9) < abs(tau[knee] * v[knee])


@pytest.mark.parametrize("joint", ["left_knee_joint", "right_shoulder_roll_joint"])
def test_targets_beyond_the_joints_limits_are_moved_inside_at_the_same_torque(g1: RobotModel, joint: str) -> None:
    d, i = standing(g1), g1.joint_names.index(joint)
    here = np.arange(g1.n) == i
    q, v = np.where(here, g1.position_max + 0.1, g1.posture), np.where(here, -1.1 * g1.velocity_limit, 0.0)
    request = JointCommand(q, v, 1.0 * here, 0.1 * here, np.zeros(g1.n), g1.torque_limit)
    sent, certificate = certifier(g1).certify(d, request, BOTH)
    assert certificate.reasons == ("target",) and certificate.torque_change_nm == 0.0
    assert sent.q[i] == g1.position_max[i] and sent.v[i] == -g1.velocity_limit[i]
    np.testing.assert_allclose(sent.torque(g1.posture, d.joint_velocity), request.torque(g1.posture, d.joint_velocity), atol=1e-9)


@pytest.mark.parametrize("part", ["q", "v", "kp", "kd", "tau"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("support", list(Support))
def test_what_is_not_finite_becomes_braking(g1: RobotModel, part: str, bad: float, support: Support) -> None:
    """The measurement is sound: the robot is stopped as it stands, gravity borne; in the air its joints are damped."""
    command = hold_command(g1, g1.posture)
    value = getattr(command, part).copy()
    value[3] = bad
    d = standing(g1)
    sent, certificate = certifier(g1).certify(d, replace(command, **{part: value}), support)
    assert certificate.changed and certificate.method == "brake" and certificate.reasons == ("not finite",)
    np.testing.assert_array_equal(sent.kp, 0.0)
    if support is not Support.NONE:
        np.testing.assert_allclose(joint_acceleration(d.block, d.nv, support, sent.tau), 0.0, atol=1e-5)


@pytest.mark.parametrize("at", ["q", "v"])
def test_a_measurement_that_is_not_finite_becomes_damping(g1: RobotModel, at: str) -> None:
    d = standing(g1)
    (d.joint_position if at == "q" else d.joint_velocity)[2] = np.nan
    sent, certificate = certifier(g1).certify(d, hold_command(g1, g1.posture), BOTH)
    assert certificate.method == "damping" and certificate.reasons == ("measurement not finite",)
    np.testing.assert_array_equal(sent.kp, 0.0)
    np.testing.assert_array_equal(sent.kd, g1.hold_kd)
    assert np.isfinite(sent.q).all()
    fastest = sent.torque(g1.posture, g1.velocity_limit)
    assert (np.abs(fastest) <= g1.torque_limit).all() and (np.abs(fastest) * g1.velocity_limit <= g1.power_limit * (1.0 + 1e-12)).all()


def test_a_change_too_small_to_report_is_not_made(g1: RobotModel) -> None:
    """An elbow that is over its bound by little more than the tolerance, and that takes next to no torque to slow."""
    elbow = g1.joint_names.index("left_elbow_joint")
    q, v, zero = g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n)
    q[elbow] = g1.position_max[elbow] - 0.02
    v[elbow] = np.sqrt(2.0 * CONFIG.braking * 0.02) - CONFIG.braking * DT
    d = standing(g1, v, q)
    low, high, rate = np.empty(g1.n), np.empty(g1.n), np.full(g1.n, CONFIG.braking)
    limits = (g1.position_min, g1.position_max, g1.velocity_limit)
    viable_acceleration(q, v, *limits, np.full(g1.n, CONFIG.fading), rate, DT, low, high)
    tau = certifier(g1).backup.torque(d, BOTH)  # some torque about which the elbow's is found that just breaks its bound
    response = joint_acceleration(d.block, d.nv, BOTH, tau + np.eye(g1.n)[elbow]) - joint_acceleration(d.block, d.nv, BOTH, tau)
    tau[elbow] += (high[elbow] + CONFIG.tolerance + 1e-3 - joint_acceleration(d.block, d.nv, BOTH, tau)[elbow]) / response[elbow]
    request = JointCommand(q, zero, zero, zero, tau, g1.torque_limit)
    sent, certificate = Certifier(g1, replace(CONFIG, reported_change=0.05), DT).certify(d, request, BOTH)
    assert sent is request and not certificate.changed and certificate.reasons == ()
    assert list(certificate.active) == ["motion left_elbow_joint"], "met all the same, and said so"
    sent, certificate = Certifier(g1, replace(CONFIG, reported_change=1e-5), DT).certify(d, request, BOTH)
    assert certificate.changed and certificate.reasons == ("motion left_elbow_joint",)
    assert 1e-5 < np.abs((sent.tau - tau) / g1.torque_limit).max() < 0.05


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_is_believed_where_it_is_one_and_the_robot_moves_on(g1: RobotModel, bad: float) -> None:
    d, request = standing(g1), hold_command(g1, g1.posture)
    assert certifier(g1).certify(d, request, BOTH, predicted=np.full(g1.n, bad))[0] is request, "its own says that it is sound"
    elbow = g1.joint_names.index("left_elbow_joint")
    q, v, zero = g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n)
    q[elbow], v[elbow] = g1.position_max[elbow] - 0.02, 1.6
    fast, still = standing(g1, v, q), JointCommand(q, zero, zero, zero, zero, g1.torque_limit)
    assert certifier(g1).certify(fast, still, BOTH, predicted=-50.0 * v)[0] is still
    assert certifier(g1).certify(fast, still, BOTH, predicted=-50.0 * v, resting=True)[1].changed
    onward, certificate = certifier(g1).certify(fast, still, BOTH, predicted=zero)
    assert certificate.reasons == ("motion left_elbow_joint",) and onward.tau[elbow] < -0.1


def test_arms_that_something_else_moves_are_not_held_by_the_legs(g1: RobotModel) -> None:
    """One that flies at the trunk: nothing is changed where it is somebody else's; moved by the stack it is braked, by arms alone."""
    q, v, zero = g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n)
    roll = g1.joint_names.index("left_shoulder_roll_joint")
    q[roll], v[roll] = 0.1, -6.0
    d = standing(g1, v, q)
    request = JointCommand(q, zero, zero, zero, certifier(g1).backup.torque(standing(g1, zero, q), BOTH), g1.torque_limit)
    sent, certificate = certifier(g1).certify(d, request, BOTH, arms_external=True)
    assert sent is request and certificate is UNCHANGED
    braked, ours = certifier(g1).certify(d, request, BOTH)
    assert ours.changed and any(reason.startswith("clearance ") for reason in ours.reasons)
    change = np.abs(braked.tau - request.tau)
    assert change[g1.arms].max() > 0.1 and np.delete(change, g1.arms).max() < 1e-6


def test_a_torque_barely_beyond_the_motor_is_not_a_small_change(g1: RobotModel) -> None:
    request = replace(hold_command(g1, g1.posture), tau=g1.torque_limit * (1.0 + 1e-6))
    sent, certificate = certifier(g1).certify(standing(g1), request, BOTH)
    assert certificate.changed and certificate.reasons[0].startswith("torque ")
    assert (np.abs(sent.tau) <= g1.torque_limit).all()


@pytest.mark.parametrize("factor", [1.5, -1.0, np.nan, np.inf])
def test_a_torque_limit_that_is_not_the_motors_is_replaced(g1: RobotModel, factor: float) -> None:
    request = replace(hold_command(g1, g1.posture), torque_limit=factor * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), request, BOTH)
    assert certificate.changed and certificate.reasons == ("torque limit",) and certificate.torque_change_nm == 0.0
    np.testing.assert_array_equal(sent.torque_limit, g1.torque_limit)
    np.testing.assert_array_equal(sent.kp, request.kp)
    beyond = replace(request, tau=2.0 * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), beyond, BOTH)
    assert (np.abs(sent.torque(g1.posture, np.zeros(g1.n))) <= g1.torque_limit).all()
    assert sum(reason.startswith("torque ") for reason in certificate.reasons) == g1.n


def test_a_tighter_torque_limit_is_kept(g1: RobotModel) -> None:
    request = replace(hold_command(g1, g1.posture), torque_limit=0.5 * g1.torque_limit)
    sent, certificate = certifier(g1).certify(standing(g1), request, BOTH)
    assert sent is request and not certificate.changed


def test_a_copy_of_the_robots_torque_limit_is_the_robots(g1: RobotModel) -> None:
    for tau in (0.0 * g1.torque_limit, 1.5 * g1.torque_limit):
        own = torques(g1, tau)
        copied = replace(own, torque_limit=g1.torque_limit.copy())
        (sent, certificate), (expected, of_own) = (certifier(g1).certify(standing(g1), c, BOTH, resting=True) for c in (copied, own))
        assert certificate.reasons == of_own.reasons and certificate.method == of_own.method
        np.testing.assert_array_equal(sent.tau, expected.tau)


def test_no_motor_is_thrown_from_one_limit_to_the_other(g1: RobotModel) -> None:
    """From all to nothing in one period, and on in the next; a stream that begins anew knows nothing of it."""
    d, stream, limit = standing(g1), certifier(g1), g1.torque_limit
    wrist = g1.joint_names.index("left_wrist_yaw_joint")
    up, down = (torques(g1, share * limit * (np.arange(g1.n) == wrist)) for share in (1.0, -1.0))
    assert stream.certify(d, up, BOTH, predicted=np.zeros(g1.n))[0] is up
    held = stream.snapshot()
    sent, certificate = stream.certify(d, down, BOTH, predicted=np.zeros(g1.n))
    assert sent.tau[wrist] == 0.0 and certificate.reasons == ("jump left_wrist_yaw_joint",) and certificate.method == "clip"
    assert stream.certify(d, down, BOTH, predicted=np.zeros(g1.n))[0] is down
    stream.restore(held)
    assert stream.certify(d, down, BOTH, predicted=np.zeros(g1.n))[0].tau[wrist] == 0.0
    stream.restore(held)
    stream.reset()
    assert stream.certify(d, down, BOTH, predicted=np.zeros(g1.n))[0] is down


def test_a_target_moves_on_as_fast_as_the_joint_and_the_torque_is_the_same(g1: RobotModel) -> None:
    d, stream, wrist = standing(g1), certifier(g1), g1.joint_names.index("left_wrist_yaw_joint")
    step = 0.02 * (np.arange(g1.n) == wrist)
    first = replace(hold_command(g1, g1.posture), kd=np.zeros(g1.n))
    far = replace(first, q=g1.posture + 5.0 * step)
    stream.certify(d, first, BOTH, predicted=np.zeros(g1.n))
    pace = g1.velocity_limit[wrist] * DT
    for k in range(1, 4):
        sent, certificate = stream.certify(d, far, BOTH, predicted=np.zeros(g1.n))
        reached = min(k * pace, 0.1)
        assert sent.q[wrist] - g1.posture[wrist] == pytest.approx(reached)
        assert certificate.reasons == (("target",) if reached < 0.1 else ())
        np.testing.assert_allclose(sent.torque(g1.posture, np.zeros(g1.n)), far.torque(g1.posture, np.zeros(g1.n)), atol=1e-12)


def test_after_the_safe_command_nothing_is_known_of_the_torque(g1: RobotModel) -> None:
    d, stream, limit = standing(g1), certifier(g1), g1.torque_limit
    wrist = np.arange(g1.n) == g1.joint_names.index("left_wrist_yaw_joint")
    stream.certify(d, torques(g1, limit * wrist), BOTH, predicted=np.zeros(g1.n))
    stream.damping(g1.posture)
    down = torques(g1, -limit * wrist)
    assert stream.certify(d, down, BOTH, predicted=np.zeros(g1.n))[0] is down


def torques(g1: RobotModel, tau: Array) -> JointCommand:
    """A command that is nothing but torques."""
    zero = np.zeros(g1.n)
    return JointCommand(g1.posture, zero, zero, zero, tau, g1.torque_limit)


ROBOT = load_robot("g1")
SHARED, CERTIFIER = Dynamics(ROBOT), Certifier(ROBOT, CONFIG, DT)
number = st.floats(width=64) | st.floats(-100.0, 100.0)
garbage = st.lists(number, min_size=ROBOT.n, max_size=ROBOT.n).map(np.array)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflows of absurd numbers
@settings(max_examples=120, deadline=None)
@given(st.tuples(*[garbage] * 6), st.integers(0, 5), st.sampled_from(Support), st.booleans())
def test_whatever_comes_in_what_goes_out_is_finite_and_within_the_motors(
    numbers: tuple[Array, ...], seed: int, support: Support, resting: bool
) -> None:
    q, v, kp, kd, tau, limit = numbers
    SHARED.update(*random_state(ROBOT, seed))
    request = JointCommand(q, v, kp, kd, tau, limit)
    before, target = CERTIFIER.snapshot()
    sent, certificate = CERTIFIER.certify(SHARED, request, support, resting=resting)
    for value in (sent.q, sent.v, sent.kp, sent.kd, sent.tau, sent.torque_limit):
        assert np.isfinite(value).all()
    torque = sent.torque(SHARED.q[7:], SHARED.v[6:])
    asked = sent.tau + sent.kp * (sent.q - SHARED.q[7:]) + sent.kd * (sent.v - SHARED.v[6:])
    for what in (torque, asked):
        assert (np.abs(what) <= ROBOT.torque_limit * (1.0 + 1e-9)).all()
        assert (np.abs(what * SHARED.v[6:]) <= ROBOT.power_limit * (1.0 + 1e-9)).all()
    assert not (np.abs(torque - before) > CONFIG.jump * ROBOT.torque_limit * (1.0 + 1e-9)).any(), "NaN is not: not known"
    assert not (np.abs(sent.q - target) > DT * ROBOT.velocity_limit * (1.0 + 1e-6)).any()
    assert (ROBOT.position_min <= sent.q).all() and (sent.q <= ROBOT.position_max).all()
    assert (np.abs(sent.v) <= ROBOT.velocity_limit).all()
    assert certificate.method in ("unchanged", "clip", "qp", "brake", "best")
    assert certificate.changed == bool(certificate.reasons) == (sent is not request)


def test_a_nearest_torque_that_is_not_found_is_told(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that may not iterate, and the real one; the count is of the last call alone."""
    elbow = g1.joint_names.index("left_elbow_joint")
    q, v, zero = g1.posture.copy(), np.zeros(g1.n), np.zeros(g1.n)
    q[elbow], v[elbow] = g1.position_max[elbow] - 0.02, 1.6
    fast, request = standing(g1, v, q), JointCommand(q, zero, zero, zero, zero, g1.torque_limit)
    for solve, method in ((True, "qp"), (False, "best")):
        tried = certifier(g1)
        if not solve:
            monkeypatch.setattr(DaqpSolver, "solve", lambda *_: QpSolution(zero, False, np.inf, 0, "capped", zero))
        assert tried.certify(fast, request, BOTH, predicted=zero)[1].method == method and tried.unsolved is not solve
        tried.certify(standing(g1), hold_command(g1, g1.posture), BOTH, predicted=zero)
        assert not tried.unsolved


def test_uncertified_sends_what_is_asked_for_whatever_it_is(g1: RobotModel) -> None:
    absurd = torques(g1, 100.0 * g1.torque_limit)
    sent, certificate = Uncertified(g1, CONFIG, DT).certify(standing(g1), absurd, BOTH)
    assert sent is absurd and certificate is UNCHANGED
