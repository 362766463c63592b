from __future__ import annotations

from collections import deque

import numpy as np
import pinocchio as pin
import pytest

from poise.control.delay import LONGEST, Delay, DelayConfig
from poise.robots import RobotModel

CONFIG, DT = DelayConfig(), 0.002
STANDS = np.ones(2)


def learned(g1: RobotModel, late: int, seconds: float = 1.0, strength: float = 1.0, noise: float = 0.0, swing_nm: float = 20.0) -> Delay:
    """Of a robot whose commands act later by so many periods; torques swing, each joint's at its own rate."""
    delay, rng, n = Delay(CONFIG, g1.pinocchio, DT), np.random.default_rng(0), g1.n
    under_way = deque([np.zeros(n)] * (late + 1))
    for tick in range(round(seconds / DT)):
        acting = under_way.popleft()
        delay.measure(strength * acting + rng.normal(0.0, noise, n))
        torque = swing_nm * np.sin((5.0 + np.arange(n)) * DT * tick)
        delay.sent(torque, np.zeros(n + 6), STANDS)
        under_way.append(torque)
    return delay


@pytest.mark.parametrize("late", [0, CONFIG.least, 5, 10, 20, LONGEST - 1])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_it_finds_how_late_commands_act(g1: RobotModel, late: int, noise: float) -> None:
    assert learned(g1, late, noise=noise).periods == late


def test_weak_motors_are_not_late(g1: RobotModel) -> None:
    assert learned(g1, 0, strength=0.6).periods == 0


def test_a_robot_that_stands_still_tells_nothing(g1: RobotModel) -> None:
    assert learned(g1, 20, noise=0.1, swing_nm=0.2).periods == 0


def test_a_period_or_two_are_let_be(g1: RobotModel) -> None:
    assert not learned(g1, CONFIG.least - 1).late and learned(g1, CONFIG.least).late


def test_torques_that_are_not_finite_say_nothing(g1: RobotModel) -> None:
    delay = learned(g1, 10)
    delay.measure(np.full(g1.n, np.nan))
    assert delay.periods == 10


def test_the_state_is_predicted_by_what_is_under_way(g1: RobotModel) -> None:
    """Against the exact motion of constant acceleration, and Pinocchio's own integration where the base turns."""
    delay, rng = learned(g1, 20), np.random.default_rng(1)
    q, v = pin.neutral(g1.pinocchio), rng.uniform(-1.0, 1.0, g1.n + 6)
    v[3:6] = 0.0
    acceleration = rng.uniform(-5.0, 5.0, g1.n + 6)
    acceleration[3:6] = 0.0
    for _ in range(20):
        delay.sent(np.zeros(g1.n), acceleration, STANDS)
    later = 20 * DT
    got_q, got_v = delay.predicted(q, v)
    np.testing.assert_allclose(got_v, v + later * acceleration, atol=1e-12)
    np.testing.assert_allclose(got_q[7:], q[7:] + later * v[6:] + 0.5 * later**2 * acceleration[6:], atol=1e-12)
    turning = np.zeros(g1.n + 6)
    turning[5] = 2.0
    for _ in range(20):
        delay.sent(np.zeros(g1.n), np.zeros(g1.n + 6), STANDS)
    np.testing.assert_allclose(delay.predicted(q, turning)[0], pin.integrate(g1.pinocchio, q, later * turning), atol=1e-12)


def test_the_feet_that_stand_are_those_of_the_plan_that_acts(g1: RobotModel) -> None:
    delay, swings = learned(g1, 10), np.array([1.0, 0.0])
    for _ in range(10):
        delay.sent(np.zeros(g1.n), np.zeros(g1.n + 6), swings)
    np.testing.assert_array_equal(delay.planned(swings), STANDS)
    delay.sent(np.zeros(g1.n), np.zeros(g1.n + 6), swings)
    np.testing.assert_array_equal(delay.planned(swings), swings)
    np.testing.assert_array_equal(learned(g1, 0).planned(swings), swings)


def test_what_somebody_else_sends_tells_nothing(g1: RobotModel) -> None:
    """Torques that are not ours, though they happen to be what was sent ten periods ago; how late ours act is not forgotten."""
    delay = learned(g1, 0)
    for tick in range(490, 990):
        delay.measure(20.0 * np.sin((5.0 + np.arange(g1.n)) * DT * tick))
    assert delay.periods == 0
    late = learned(g1, 10)
    late.measure(np.zeros(g1.n))
    late.measure(np.zeros(g1.n))
    q, v = pin.neutral(g1.pinocchio), np.zeros(g1.n + 6)
    v[6:] = 1.0
    assert late.periods == 10
    np.testing.assert_array_equal(late.predicted(q, v)[1], v)


def test_accelerations_that_are_not_finite_do_not_count(g1: RobotModel) -> None:
    delay = learned(g1, 10)
    delay.sent(np.zeros(g1.n), np.full(g1.n + 6, np.nan), STANDS)
    assert np.isfinite(np.concatenate(delay.predicted(pin.neutral(g1.pinocchio), np.zeros(g1.n + 6)))).all()


def test_a_copy_goes_on_alone_and_reset_forgets(g1: RobotModel) -> None:
    delay = learned(g1, 10)
    other = delay.copy()
    delay.reset()
    assert (delay.periods, other.periods) == (0, 10)
    other.sent(np.ones(g1.n), np.ones(g1.n + 6), np.zeros(2))
    assert not delay._torque.any() and delay._contact.all()
