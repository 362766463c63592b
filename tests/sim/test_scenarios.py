from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest

from poise.robots import Intent, PoiseError, RobotModel
from poise.robots.plain import to_plain
from poise.sim import MujocoBackend
from poise.sim.scenarios import QUICK_TOUR_S, TOUR_S, Scenario, Segment, demo_scenario, steady_scenario

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_four_pushes_of_ten_newton_seconds(seed: int) -> None:
    seconds, pushes = TOUR_S, demo_scenario(seed).pushes
    starts = np.array([push.start_s for push in pushes])
    assert len(pushes) == 4
    assert {(push.impulse, push.duration_s, push.body) for push in pushes} == {(10.0, 0.2, "torso_link")}
    assert np.linalg.norm([push.direction for push in pushes], axis=1) == pytest.approx(np.ones(4))
    assert (np.diff(starts) > 0.08 * seconds).all()
    assert starts[0] > 0.04 * seconds and starts[-1] < seconds - 1.0


def test_the_quick_tour_is_the_beginning_of_the_whole() -> None:
    quick, whole = demo_scenario(3, QUICK_TOUR_S), demo_scenario(3)
    assert quick.seconds == QUICK_TOUR_S < whole.seconds
    assert to_plain(quick.pushes) == to_plain(whole.pushes) and to_plain(quick.segments) == to_plain(whole.segments)


def test_the_scenario_is_a_function_of_the_seed() -> None:
    assert to_plain(demo_scenario(3)) == to_plain(demo_scenario(3))
    firsts = {demo_scenario(seed).pushes[0].start_s for seed in SEEDS}
    directions = {demo_scenario(seed).pushes[0].direction for seed in SEEDS}
    assert len(firsts) == len(directions) == len(SEEDS)


def test_pushes_come_from_all_sides_and_in_all_phases() -> None:
    pushes = [push for seed in range(100) for push in demo_scenario(seed).pushes]
    quadrants = np.histogram([np.arctan2(push.direction[1], push.direction[0]) for push in pushes], 4, (-np.pi, np.pi))[0]
    phases = np.histogram([push.start_s % 0.84 / 0.84 for push in pushes], 4, (0.0, 1.0))[0]
    assert quadrants.min() > 60 and phases.min() > 60


def test_the_tour_holds_what_it_promises() -> None:
    intents = [demo_scenario(0).intent(t) for t in np.arange(0.0, TOUR_S, 0.1)]
    velocities = {intent.velocity for intent in intents if intent.velocity is not None}
    assert {(0.0, 0.0, 0.6), (0.0, 0.0, -0.6)} <= velocities
    assert any(v[0] > 0 for v in velocities) and any(v[0] < 0 for v in velocities)
    assert any(v[1] > 0 for v in velocities) and any(v[1] < 0 for v in velocities)
    assert len({intent.waypoint for intent in intents if intent.waypoint is not None}) == 3
    assert any(intent.height_m is not None and intent.torso_rpy is not None for intent in intents)


def test_a_segment_ends_at_its_time_and_the_last_goes_on() -> None:
    walk, stand = Intent(velocity=(0.5, 0.0, 0.0)), Intent()
    scenario = Scenario("two", (Segment(1.0, walk), Segment(2.0, stand)), (), 5.0)
    assert scenario.intent(0.0) is walk and scenario.intent(0.999) is walk
    assert scenario.intent(1.0) is stand and scenario.intent(4.0) is stand


@pytest.mark.parametrize(
    ("times", "seconds", "named"), [((), 1.0, "order"), ((2.0, 1.0), 2.0, "order"), ((1.0,), 0.0, "above 0"), ((1.0,), np.inf, "above 0")]
)
def test_an_impossible_scenario_is_refused(times: tuple[float, ...], seconds: float, named: str) -> None:
    with pytest.raises(PoiseError, match=named):
        Scenario("odd", tuple(Segment(t, Intent()) for t in times), (), seconds)


def test_a_steady_scenario_wants_one_thing() -> None:
    intent = Intent(waypoint=(1.0, 0.0, 0.0))
    scenario = steady_scenario(7, intent, 3.0)
    assert scenario.intent(0.0) is scenario.intent(9.0) is intent
    assert (scenario.pushes, scenario.seconds) == ((), 3.0)


def test_scenarios_reach_other_processes() -> None:
    make = pickle.loads(pickle.dumps(partial(steady_scenario, intent=Intent(velocity=(0.1, 0.0, 0.0)), seconds=2.0)))
    assert make(0).intent(0.0).velocity == (0.1, 0.0, 0.0)


def test_the_pushes_suit_the_robot(g1: RobotModel) -> None:
    assert len(MujocoBackend(g1, disturbances=demo_scenario(0).pushes).disturbances) == 4
