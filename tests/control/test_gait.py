"""The walker in the closed loop on the G1: it stands, walks, stops, and steps to where a push throws it."""

from __future__ import annotations

import numpy as np
import pytest
from loop import STAND, Loop, g1_parts, make_loop, standing_walker

from poise.control.dynamics import Dynamics
from poise.control.gait import Walker
from poise.control.lip import dcm_after
from poise.control.references import GaitCommand
from poise.control.swing import SwingFoot
from poise.control.vault import vault
from poise.control.walker_config import WalkerConfig
from poise.robots import Decision, Intent, WalkPlan
from poise.robots.types import LEFT, RIGHT, Array
from poise.sim import Push

GAIT = g1_parts()[0].overlay.gait


def plans(decisions: list[Decision]) -> list[WalkPlan]:
    """The plan of each tick."""
    made = [decision.plan for decision in decisions if decision.plan is not None]
    assert len(made) == len(decisions)
    return made


def steps(walk: list[WalkPlan]) -> list[list[WalkPlan]]:
    """The whole steps of a walk: the ticks on one stance foot."""
    changes = [i for i in range(1, len(walk)) if (walk[i].phase, walk[i].stance) != (walk[i - 1].phase, walk[i - 1].stance)]
    pieces = [walk[i:j] for i, j in zip(changes[:-1], changes[1:], strict=True)]
    return [piece for piece in pieces if piece[0].phase == "step"]


def sole_displacement(loop: Loop) -> Array:
    """From the left sole to the right one at the last tick, in the left one's axes, (2,) m."""
    belief = loop.decisions[-1].belief
    assert belief is not None
    left, right = belief.sole_position_world[:, :2]
    c, s = np.cos(belief.sole_yaw[LEFT]), np.sin(belief.sole_yaw[LEFT])
    return np.array([[c, s], [-s, c]]) @ (right - left)


@pytest.mark.parametrize("seed", [0, 2])
def test_it_stands_still(seed: int) -> None:
    """The pelvis stays over where it was put, though the posture that it was put in is not the one that it holds."""
    loop = make_loop(seed)
    start = loop.backend.base_position_world
    decisions = loop.run(2.0, STAND)
    assert loop.stands
    assert {plan.phase for plan in plans(decisions)} == {"stand"}
    assert np.linalg.norm((loop.backend.base_position_world - start)[:2]) < 0.02
    assert abs(loop.backend.yaw) < 0.05
    feet = np.array([decision.belief.sole_position_world for decision in decisions[250:] if decision.belief])
    assert np.ptp(feet, axis=0).max() < 0.01


def test_a_robot_that_is_let_down_walks_once_it_has_stood() -> None:
    """Dropped by 2 cm with a command in force."""
    loop, settle = make_loop(1), WalkerConfig().settle_s
    loop.backend.data.qpos[2] += 0.02
    decisions = loop.run(2.5)
    landed = max(i for i, decision in enumerate(decisions) if decision.plan is None) + 1
    walk = plans(decisions[landed:])
    stood = next(i for i, plan in enumerate(walk) if plan.phase != "stand") * loop.stack.period_s
    assert stood == pytest.approx(settle, abs=0.005)
    assert loop.stands and steps(walk)


@pytest.mark.parametrize("heading", [0.0, 0.8])
def test_a_stand_is_held_within_reach_of_the_middle(heading: float) -> None:
    """Wherever the pelvis has to go back to: 1 cm as asked, 5 cm cut to `placed_max`, whatever the heading."""
    robot = g1_parts()[0]
    config, d = WalkerConfig(), Dynamics(robot)
    q = robot.standing_configuration()
    q[3:7] = [0.0, 0.0, np.sin(heading / 2), np.cos(heading / 2)]
    d.update(q, np.zeros(d.nv))
    ahead = np.array([np.cos(heading), np.sin(heading)])
    for wish, held in ((0.01, 0.01), (0.05, config.placed_max)):
        walker = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, config, 0.002)
        walker.reset(heading)
        command = GaitCommand(np.zeros(3), 0.42, 0.62, np.zeros((2, 2)))
        walker.update(d, np.ones(2), command)
        middle = d.sole_position[:, :2].mean(axis=0)
        assert walker.two_feet.placed is not None
        walker.two_feet.placed += wish * ahead - (d.com[:2] - middle)
        for _ in range(2000):
            walker.update(d, np.ones(2), command)
        np.testing.assert_allclose(walker.dcm_target - middle, held * ahead, atol=1e-4)


def test_a_stand_brings_the_dcm_back_at_its_gain() -> None:
    """A pendulum over the ZMP of a stand: its error decays as e^(−kt) about a reference that goes home as e^(−4t)."""
    walker, config, period = standing_walker(), WalkerConfig(), 0.002
    home = walker.dcm.copy()
    walker.two_feet.reference, walker.dcm = home + [0.01, 0.0], home + [0.01, 0.005]
    walker._push.reset()
    for _ in range(150):
        walker.dcm = dcm_after(walker.dcm, walker._two_feet_reference().zmp, walker._omega, period)
    assert walker.dcm_target[0] - home[0] == pytest.approx(0.01 * np.exp(-config.dcm_return_rate * 0.3), rel=0.02)
    np.testing.assert_allclose(walker.dcm - walker.dcm_target, [0.0, 0.005 * np.exp(-config.dcm_gain * 0.3)], atol=5e-5)


def test_a_stand_meets_a_push_with_its_zmp_at_once() -> None:
    """Of 0.5 m/s forward that the ZMP does not explain 0.2 count: ω (ξ − p) is that much less, before there is any error."""
    calm, pushed = standing_walker(), standing_walker()
    pushed._push.begin_step()
    pushed._push._memory[:2] = [0.5, 0.0]
    ahead = pushed._two_feet_reference().zmp - calm._two_feet_reference().zmp
    np.testing.assert_allclose(ahead, [0.2 / calm._omega, 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("twist", "stance"), [((0.4, 0.0, 0.0), LEFT), ((0.0, 0.2, 0.0), RIGHT), ((0.0, -0.2, 0.0), LEFT), ((0.0, 0.0, 0.5), RIGHT)]
)
def test_the_first_step_is_taken_with_the_foot_on_the_side_it_goes_to(twist: tuple[float, float, float], stance: int) -> None:
    walker = standing_walker(twist)
    assert (walker.phase, walker.stance) == ("shift", stance)


def test_the_shift_ends_where_the_first_step_begins() -> None:
    """At W (1 − κ)/(e^(ωT) + 1) inside the stance foot, by hand, on the way off it; its rate is its derivative all along."""
    walker, config = standing_walker((0.4, 0.0, 0.0)), WalkerConfig()
    assert walker.phase == "shift" and walker.stance == LEFT
    start, omega, eps = walker.dcm.copy(), walker._omega, 1e-5

    def reference(time: float) -> tuple[Array, Array]:
        walker.time = time
        return walker._shift_reference()

    for time in (0.1, 0.2, 0.4):
        slope = (reference(time + eps)[0] - reference(time - eps)[0]) / (2 * eps)
        np.testing.assert_allclose(reference(time)[1], slope, atol=1e-7)
    np.testing.assert_allclose(reference(0.0), (start, np.zeros(2)), atol=1e-12)
    inside = GAIT.step_width_m * (1.0 - walker._kappa) / (np.exp(omega * 0.42) + 1.0)
    end, rate = reference(config.shift_s)
    np.testing.assert_allclose(end - walker._soles[LEFT, :2], [0.0, -inside], atol=1e-9)
    np.testing.assert_allclose(rate, [0.0, -omega * inside], atol=1e-9)


def test_it_walks_forward_without_a_fall_as_fast_as_asked() -> None:
    loop = make_loop()
    first = loop.run(1.5)
    start = loop.backend.base_position_world
    walk = plans(first + loop.run(1.5))
    assert loop.stands
    moved = loop.backend.base_position_world - start
    assert abs(moved[0] / 1.5 - 0.4) < 0.08
    assert abs(moved[1]) < 0.1 and abs(loop.backend.yaw) < 0.15
    assert {plan.phase for plan in walk[_first_step(walk) :]} == {"step"}  # once it walks it does not stand again
    made = steps(walk)
    assert len(made) >= 4
    assert [piece[0].stance for piece in made] == [(made[0][0].stance + i) % 2 for i in range(len(made))]
    for piece in made:
        assert GAIT.step_duration_min_s - 0.05 < len(piece) * 0.002 < GAIT.step_duration_max_s + 0.05
    contact = np.array([decision.belief.contact for decision in loop.decisions[_first_step(walk) :] if decision.belief])
    for foot in (LEFT, RIGHT):
        assert (contact[:, foot] < 0.1).mean() > 0.2  # each foot leaves the ground
    assert (contact.max(axis=1) > 0.5).mean() > 0.95  # and one stands


def _first_step(walk: list[WalkPlan]) -> int:
    return next(i for i, plan in enumerate(walk) if plan.phase == "step")


@pytest.mark.parametrize(
    ("ahead", "apart", "stops"),
    [(0.05, 0.11, True), (0.0, 0.24, True), (0.07, 0.24, False), (-0.07, 0.24, False), (0.0, 0.39, True), (0.0, 0.41, False)],
)
@pytest.mark.parametrize("stance", [LEFT, RIGHT])
def test_it_stops_after_a_step_that_is_neither_long_nor_wide(stance: int, ahead: float, apart: float, stops: bool) -> None:
    walker, swing, side = standing_walker(), 1 - stance, 1.0 if stance == LEFT else -1.0
    walker._begin_step(stance, 0.0)
    walker.swing, walker.time = SwingFoot(np.zeros(3), 0.0, 0.002), walker.step_duration
    walker.swing.phase = 0.9
    walker._soles = walker._soles.copy()
    walker._soles[swing] = walker._soles[stance] + np.array([ahead, -side * apart, 0.0])
    walker.dcm = walker._soles[:, :2].mean(axis=0)
    walker._land(np.ones(2))
    assert (walker.phase, walker.stance) == (("stand", stance) if stops else ("step", swing))


def test_it_stops_on_two_feet() -> None:
    loop = make_loop()
    loop.run(1.5)
    last = plans(loop.run(2.0, STAND))
    assert loop.stands
    assert {plan.phase for plan in last[-250:]} == {"stand"}
    forward, sideways = sole_displacement(loop)
    assert abs(forward) < 0.1 and -0.35 < sideways < -GAIT.reach_inward_m + 0.02


def test_the_foothold_lands_where_it_was_planned() -> None:
    loop = make_loop()
    decisions = loop.run(2.5)
    walk = plans(decisions)
    touchdowns = [i for i in range(1, len(walk)) if walk[i - 1].phase == "step" and walk[i].stance != walk[i - 1].stance]
    assert len(touchdowns) >= 4
    for i in touchdowns:
        belief = decisions[i].belief
        assert belief is not None
        landed = belief.sole_position_world[walk[i].stance, :2]
        assert np.linalg.norm(landed - walk[i - 1].footsteps[0, :2]) < 0.02


def test_the_lead_takes_up_what_touchdowns_are_late() -> None:
    """A sideways walk, whose touchdowns are 20 ms late without it: once the lead is learned they come when they are planned."""
    loop = make_loop()
    walk = plans(loop.run(6.0, Intent(velocity=(0.0, 0.2, 0.0))))
    assert loop.stands
    touchdowns = [i for i in range(1, len(walk)) if walk[i - 1].phase == "step" and walk[i].stance != walk[i - 1].stance]
    lateness = [walk[i - 1].time_in_phase_s + loop.stack.period_s - walk[i - 1].step_duration_s for i in touchdowns]
    assert len(lateness) >= 11
    assert np.abs(lateness[6:]).mean() < 0.01


def test_a_push_from_the_side_moves_the_foothold_with_it() -> None:
    loop, impulse = make_loop(), 10.0
    loop.run(1.2)
    while not _pushable(plans(loop.decisions)[-1]):
        loop.run(0.002)
    here, stack, plant = len(loop.decisions), loop.stack.snapshot(), loop.backend.snapshot()
    loop.run(0.6)
    calm = _last_of_step(plans(loop.decisions[here:]))
    loop.stack.restore(stack)
    loop.backend.restore(plant)
    loop.backend.disturbances = (Push("torso_link", (0.0, 1.0, 0.0), impulse, loop.backend.data.time, 0.1),)
    pushed = _last_of_step(plans(loop.run(2.0)))
    assert loop.stands
    dcm_change = impulse / g1_parts()[0].mass * np.sqrt(GAIT.com_height_m / 9.81)  # Δċ / ω
    forward, outward, _, _ = pushed.footsteps[0] - calm.footsteps[0]
    assert outward > 0.5 * dcm_change
    assert abs(forward) < outward  # it comes earlier as well, and so less far forward


def _pushable(plan: WalkPlan) -> bool:
    """Whether a push to the left can be caught by this step: the left foot swings, and for long enough yet."""
    return plan.phase == "step" and plan.stance == RIGHT and 0.05 < plan.time_in_phase_s < 0.1


def _last_of_step(walk: list[WalkPlan]) -> WalkPlan:
    """The last plan of the step that `walk` begins in."""
    return next(plan for plan, after in zip(walk, walk[1:], strict=False) if after.stance != plan.stance)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_push_towards_the_stance_foot_is_survived(seed: int) -> None:
    """15 N·s to the left, early in the stance of the left foot: the worst that a walk can meet."""
    loop = make_loop(seed)
    loop.run(1.2)
    while not _early_on_the_left(plans(loop.decisions)[-1]):
        loop.run(0.002)
    loop.backend.disturbances = (Push("torso_link", (0.0, 1.0, 0.0), 15.0, loop.backend.data.time, 0.1),)
    walk = plans(loop.run(3.0))
    assert loop.stands
    assert min(plan.step_duration_s for plan in walk[:150]) < GAIT.step_duration_min_s  # a hurried step


def _early_on_the_left(plan: WalkPlan) -> bool:
    return plan.phase == "step" and plan.stance == LEFT and 0.03 < plan.time_in_phase_s < 0.05


def test_a_standing_robot_steps_when_it_is_pushed_over_its_edge() -> None:
    loop = make_loop(disturbances=(Push("torso_link", (1.0, 0.0, 0.0), 20.0, 0.5, 0.1),))
    walk = plans(loop.run(3.0, STAND))
    assert loop.stands
    assert "step" in {plan.phase for plan in walk[250:]}
    assert {plan.phase for plan in walk[-100:]} == {"stand"}
    assert loop.backend.base_position_world[0] > 0.05


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_stand_that_is_pushed_sideways_steps_before_it_is_over_its_edge(side: float) -> None:
    """30 N·s: both feet are next to each other, and the outer one out again, before the DCM is out of reach."""
    loop = make_loop(disturbances=(Push("torso_link", (0.0, side, 0.0), 30.0, 0.5, 0.2),))
    walk = plans(loop.run(4.5, STAND))
    assert loop.stands
    first = next(k for k, plan in enumerate(walk) if plan.phase == "step")
    assert (first + 1) * 0.002 < 0.6, "a tenth of a second after the push begins"


def test_a_step_is_planned_with_the_push_but_not_the_one_off_two_feet() -> None:
    """Over its ZMP, a swing foot explains a rate of 4 s a; of 1 m/s more, 0.7 counts for 60 ms."""
    robot, config = g1_parts()[0], WalkerConfig()
    for double_support, share in ((0.02, 1.0), (0.0, 0.0)):
        walker = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, config, 0.002)
        walker.double_support, walker._omega, walker.swing = double_support, 4.0, SwingFoot(np.zeros(3), 0.0, 0.002)
        walker.swing.state[2, 0] = 20.0
        walker.dcm = walker.zmp = np.zeros(2)
        for _ in range(200):
            coming = walker._dcm_to_come()
            walker.dcm = walker.dcm + 0.002 * np.array([4.0 * 0.006 * 20.0 + 1.0, 0.0])
            walker.zmp = walker.dcm - 0.002 * np.array([4.0 * 0.006 * 20.0 + 1.0, 0.0])
        before = walker.dcm - 0.002 * np.array([4.0 * 0.006 * 20.0 + 1.0, 0.0])
        np.testing.assert_allclose(coming - before, [share * 0.06 * 0.7, 0.0], atol=1e-6)


def test_a_foot_that_has_to_catch_the_robot_is_lifted_higher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walker, "_sense_urgency", lambda walker, off_m: None)
    for urgency, share in ((0.0, 1.0), (1.0, 1.25)):
        walker, d = standing_walker((0.4, 0.0, 0.0)), Dynamics(g1_parts()[0])
        d.update(g1_parts()[0].standing_configuration(), np.zeros(d.nv))
        walker._begin_step(LEFT, 0.0)
        walker.urgency = urgency
        walker._step_reference()
        assert walker._lift == pytest.approx(share * GAIT.swing_height_m)


def test_the_swing_reference_stays_near_the_foot() -> None:
    robot, config = g1_parts()[0], WalkerConfig()
    walker, d = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, config, 0.002), Dynamics(robot)
    d.update(robot.standing_configuration(), np.zeros(d.nv))
    command = GaitCommand(np.array([0.5, 0.0, 0.0]), 0.45, 0.66, np.zeros((2, 2)))
    for _ in range(round((config.shift_s + 0.2) / 0.002)):  # the foot stays where it is
        walker.update(d, np.ones(2), command)
    assert walker.phase == "step" and walker.swing is not None
    ahead = np.abs(walker.swing.state[0, :2] - d.sole_position[1 - walker.stance, :2])
    assert 0.9 * config.swing_lag < ahead.max() < config.swing_lag + 0.002 * np.abs(walker.swing.state[1, :2]).max() + 1e-3


def test_a_hurried_step_has_no_lead() -> None:
    """Whole from the wanted duration down to half-way, none at the least."""
    robot = g1_parts()[0]
    walker, d = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, WalkerConfig(), 0.002), Dynamics(robot)
    d.update(robot.standing_configuration(), np.zeros(d.nv))
    walker.update(d, np.ones(2), GaitCommand(np.zeros(3), 0.45, 0.62, np.zeros((2, 2))))
    walker.feedback.lead_s = 0.03
    least = robot.overlay.gait.step_duration_hurried_s
    half_way = 0.5 * (least + 0.45)
    for duration, lead in (
        (0.6, 0.03),
        (0.45, 0.03),
        (half_way, 0.03),
        (0.5 * (half_way + least), 0.015),
        (least, 0.0),
        (0.5 * least, 0.0),
    ):
        walker.step_duration = duration
        assert walker._lead() == pytest.approx(lead)
    walker.feedback.lead_s = -0.02
    assert walker._lead() == 0.0, "a foot that lands too early is not slowed down on its way"


def test_the_body_vaults_forward_and_calm() -> None:
    """By the way forward of a nominal step, whole when calm, half when half urgent, not at all sideways or when urgent."""
    robot, config = g1_parts()[0], WalkerConfig()
    walker = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, config, 0.002)
    walker.time, walker.step_duration = 0.1, 0.4
    forward = GaitCommand(np.array([0.5, 0.2, 0.0]), 0.45, 0.66, np.zeros((2, 2)))
    walker._command = forward
    whole = vault(0.5 * 0.45, 0.1, 0.4, 0.66, config.vault_share, config.vault_lag)
    assert whole[0] != 0.0
    for urgency, share in ((0.0, 1.0), (0.5, 0.5), (1.0, 0.0)):
        walker.urgency = urgency
        np.testing.assert_allclose(walker._rise(), share * whole, atol=1e-12)
    walker.urgency, walker._command = 0.0, forward._replace(twist=np.array([0.0, 0.3, 1.0]))
    np.testing.assert_array_equal(walker._rise(), 0.0)


def test_urgency_comes_at_once_and_goes_slowly() -> None:
    robot, config = g1_parts()[0], WalkerConfig()
    walker = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), 0.006, config, 0.002)
    low, high = config.urgent_m
    walker._sense_urgency(low)
    assert walker.urgency == 0.0 and walker._shift_now() == 0.006
    walker._sense_urgency(0.5 * (low + high))
    assert walker.urgency == pytest.approx(0.5) and walker._shift_now() == pytest.approx(0.0045)
    walker._sense_urgency(2.0 * high)
    assert walker.urgency == 1.0 and walker._shift_now() == 0.003, "half of it is left to the body"
    for _ in range(round(0.5 * config.urgent_s / 0.002)):
        walker._sense_urgency(0.0)
    assert walker.urgency == pytest.approx(0.5, abs=0.01)
