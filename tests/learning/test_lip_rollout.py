"""The rollout against independent derivations: fine integration of the pendulum, and linear programmes for capture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from world_factories import orbit_offset, sign_of

from poise.control.footsteps import step_width
from poise.control.lip import natural_frequency, transfer_shift
from poise.learning import lip_rollout as lip
from poise.robots import load_robot
from poise.robots.types import LEFT, RIGHT, Array

ROBOT = load_robot("g1")
GAIT = ROBOT.overlay.gait
REACH, SOLE = lip.reach_box(GAIT), lip.sole_box(ROBOT.overlay.sole_polygon)
OMEGA = float(natural_frequency(GAIT.com_height_m))
KAPPA = float(transfer_shift(OMEGA, GAIT.double_support_s))
STEP_S = GAIT.step_duration_s
GROWTH = float(np.exp(OMEGA * STEP_S))


def rotation(angle: float) -> Array:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def rolled(
    dcm: Array, last_step: Array, steps: Array, twist: Array, elapsed_s: float, horizon_s: float
) -> tuple[float, float, float, float]:
    """`roll_out` with the left foot standing and the gait's own numbers."""
    width = GAIT.step_width_m
    height = np.full(3, GAIT.com_height_m)
    double = GAIT.double_support_s
    return lip.roll_out(dcm, last_step, 1.0, elapsed_s, STEP_S, steps, twist, width, STEP_S, height, horizon_s, double, REACH, SOLE)


def integrated(dcm: Array, last_step: Array, steps: Array, horizon_s: float) -> Array:
    """DCM (2,) in the first stance frame after `horizon_s`, by small midpoint steps of ξ̇ = ω(ξ − p(t)).

    p moves linearly from the old sole to the new one in double support and then stays under it.
    """
    soles, angle = [-last_step, np.zeros(2)], 0.0
    for step in steps:
        soles.append(soles[-1] + rotation(angle) @ step[:2])
        angle += step[2]

    def zmp(t: float) -> Array:
        index = int(t // STEP_S)
        share = min((t - index * STEP_S) / GAIT.double_support_s, 1.0)
        return np.asarray(soles[index] + share * (soles[index + 1] - soles[index]))

    count = 20000
    dt, xi = horizon_s / count, dcm.copy()
    for i in range(count):
        middle = xi + 0.5 * dt * OMEGA * (xi - zmp(i * dt))
        xi = xi + dt * OMEGA * (middle - zmp((i + 0.5) * dt))
    return np.asarray(rotation(-angle_at(steps, horizon_s)) @ (xi - soles[int(horizon_s // STEP_S) + 1]))


def angle_at(steps: Array, time_s: float) -> float:
    return float(steps[: int(time_s // STEP_S), 2].sum())


@pytest.mark.parametrize("twist", [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (-0.3, 0.1, 0.0), (0.4, 0.1, 0.5)])
@pytest.mark.parametrize("stance", [LEFT, RIGHT])
def test_reference_is_the_periodic_orbit_that_control_walks_on(twist: tuple[float, float, float], stance: int) -> None:
    velocity, sign, width = np.array(twist), sign_of(stance), step_width(GAIT, twist[1], STEP_S)
    steps = lip.demanded_steps(velocity, STEP_S, width, sign, np.zeros((2, 2)), np.array([-1.0, 1.0, 0.0, 1.0]))
    offsets = lip.reference_offsets(steps, velocity, STEP_S, width, sign, GROWTH, 1.0 - KAPPA)
    for j in range(lip.STEPS):
        last = steps[j - 1] if j > 0 else steps[1]  # two steps on, the gait repeats itself
        touchdown = offsets[j] - KAPPA * rotation(-last[2]) @ last[:2]
        np.testing.assert_allclose(touchdown, orbit_offset(ROBOT, velocity, STEP_S, stance if j % 2 == 0 else 1 - stance), atol=1e-6)


def test_standing_orbit_worked_by_hand() -> None:
    # Stepping in place on feet w apart, E b = −w e_y − b for the left foot: b_y = −w / (E + 1), without double support.
    steps = lip.demanded_steps(np.zeros(3), STEP_S, 0.2, 1.0, np.zeros((2, 2)), REACH)
    offsets = lip.reference_offsets(steps, np.zeros(3), STEP_S, 0.2, 1.0, GROWTH, 1.0)
    np.testing.assert_allclose(offsets[0], [0.0, -0.2 / (GROWTH + 1.0)], atol=1e-7)
    np.testing.assert_allclose(offsets[1], [0.0, 0.2 / (GROWTH + 1.0)], atol=1e-7)


@pytest.mark.parametrize("horizon", [0.15, 0.6, 1.0])
@pytest.mark.parametrize("twist", [(0.4, 0.0, 0.0), (0.3, 0.1, 0.5)])
def test_rollout_is_the_integrated_pendulum(horizon: float, twist: tuple[float, float, float]) -> None:
    velocity, offset = np.array(twist), np.array([[0.05, 0.02], [-0.03, 0.04]])
    steps = lip.demanded_steps(velocity, STEP_S, GAIT.step_width_m, 1.0, offset, REACH)
    offsets = lip.reference_offsets(steps, velocity, STEP_S, GAIT.step_width_m, 1.0, GROWTH, 1.0 - KAPPA)
    last_step = np.array([0.12, 0.19])
    touchdown = offsets[0] - KAPPA * last_step  # the offset from which the demanded steps come out exactly
    margin, x, y, turned = rolled(touchdown, last_step, steps, velocity, 0.0, horizon)
    np.testing.assert_allclose([x, y], integrated(touchdown, last_step, steps, horizon), atol=2e-6)
    assert turned == pytest.approx(angle_at(steps, horizon))
    assert margin > 0.0


def test_rollout_takes_up_in_the_middle_of_double_support() -> None:
    velocity, last_step = np.array([0.3, 0.0, 0.0]), np.array([0.126, 0.2])
    steps = lip.demanded_steps(velocity, STEP_S, GAIT.step_width_m, 1.0, np.zeros((2, 2)), REACH)
    start = np.array([0.02, -0.06])
    elapsed = 0.4 * GAIT.double_support_s
    later = integrated(start, last_step, steps, elapsed)
    whole = rolled(start, last_step, steps, velocity, 0.0, 0.8)
    np.testing.assert_allclose(rolled(later, last_step, steps, velocity, elapsed, 0.8 - elapsed), whole, atol=1e-6)


def test_a_push_is_met_by_the_sole_first_and_then_by_a_step_within_reach() -> None:
    steps = lip.demanded_steps(np.zeros(3), STEP_S, GAIT.step_width_m, 1.0, np.zeros((2, 2)), REACH)
    offsets = lip.reference_offsets(steps, np.zeros(3), STEP_S, GAIT.step_width_m, 1.0, GROWTH, 1.0 - KAPPA)
    undisturbed = rolled(offsets[0], np.zeros(2), steps, np.zeros(3), 0.1, 1.0)[0]
    for push in (0.02, 0.05, 0.08):  # m of DCM forward; the foot's edge is at 0.08
        assert rolled(offsets[0] + [push, 0.0], np.zeros(2), steps, np.zeros(3), 0.1, 1.0)[0] == pytest.approx(undisturbed, abs=1e-6)
    assert rolled(offsets[0] + [0.13, 0.0], np.zeros(2), steps, np.zeros(3), 0.1, 1.0)[0] > 0.0
    assert rolled(offsets[0] + [0.40, 0.0], np.zeros(2), steps, np.zeros(3), 0.1, 1.0)[0] < 0.0


def catchable(start: float, axis: int, steps: int = 14) -> bool:
    """Whether steps within reach and ZMPs under the sole keep the DCM bounded, by a linear programme over all of them."""
    low, high = (REACH[0], REACH[1]) if axis == 0 else (REACH[2], REACH[3])
    zmp = (SOLE[0], SOLE[1]) if axis == 0 else (-SOLE[2], SOLE[2])
    flip = 1.0 if axis == 0 else -1.0  # across, the next foot sees the offset from its other side
    # Unknowns u_0 p_0 u_1 p_1 …; b' = flip · (E b − (E − 1) p − λ u).
    row, constant = np.zeros(2 * steps), start
    for j in range(steps):
        row, constant = flip * GROWTH * row, flip * GROWTH * constant
        row[2 * j], row[2 * j + 1] = -flip * (1.0 - KAPPA), -flip * (GROWTH - 1.0)
    bound = 1.0
    result = linprog(
        np.zeros(2 * steps), A_ub=np.array([row, -row]), b_ub=[bound - constant, bound + constant], bounds=[(low, high), zmp] * steps
    )
    return bool(result.status == 0)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_capture_margin_is_the_edge_of_what_a_linear_programme_can_catch(axis: int, side: float) -> None:
    inside = np.array([0.0, 0.03])  # along, and across towards the next foot

    def margin(value: float) -> float:
        place = inside.copy()
        place[axis] = value
        return float(lip.capture_margin(np.array([place[0], -place[1]]), 1.0, GROWTH, 1.0 - KAPPA, REACH, SOLE))

    values = inside[axis] + side * np.linspace(0.0, 0.4, 4001)
    edge = values[np.argmax([margin(v) < 0.0 for v in values])]
    assert catchable(edge - side * 0.001, axis)
    assert not catchable(edge + side * 0.001, axis)


def test_reach_margin_worked_by_hand() -> None:
    steps = np.array([[0.1, -0.2, 0.0], [0.3, 0.15, 0.0], [9.0, 9.0, 0.0]])
    assert lip.reach_margin(steps, 1, 1.0, REACH) == pytest.approx(0.2 - GAIT.reach_inward_m)
    assert lip.reach_margin(steps, 2, 1.0, REACH) == pytest.approx(0.15 - GAIT.reach_inward_m)
    assert lip.reach_margin(steps, 1, -1.0, REACH) == pytest.approx(-0.2 - GAIT.reach_inward_m)  # across the stance foot


def test_support_margin_worked_by_hand() -> None:
    rectangle = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    assert lip.support_margin(rectangle, np.array([[0.5, 0.4]])) == pytest.approx(0.4)
    assert lip.support_margin(rectangle, np.array([[0.5, 0.4], [2.3, 0.5]])) == pytest.approx(-0.3)
    assert np.isnan(lip.support_margin(rectangle, np.array([[0.5, 0.4], [np.nan, 0.0]])))


def test_moved_dcm_worked_by_hand() -> None:
    # The stance foot faces world y, the base 90° left of it: the base's x is the world's −x.
    moved = lip.moved_dcm(np.array([0.1, 0.0]), np.array([[0.02, 0.0, 0.5]]), np.pi / 2, np.array([1.0, 2.0, np.pi / 2]))
    np.testing.assert_allclose(moved, [[1.0, 2.1], [0.98, 2.1]], atol=1e-12)
