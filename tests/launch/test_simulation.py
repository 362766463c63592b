from __future__ import annotations

import json
import math
from typing import Any

import mujoco
import numpy as np
import pytest

from poise.hw.wire_faults import WireFaults
from poise.launch.simulation import HANGING_M, HELD_S, HOIST_MPS, ORDERS, Simulation
from poise.robots import RobotModel
from poise.sim import NOISE, MujocoBackend, Push
from poise.sim.disturbances import is_ground

PERIOD_S = 0.002


class Speaker:
    """What a simulation needs of the robot on the wire."""

    def __init__(self, backend: MujocoBackend) -> None:
        self._backend, self.state = backend, backend.read()
        self.faults, self.remote, self.driven, self.steps = WireFaults(), bytes(40), False, 0
        self.commanded, self.changes, self.heard, self.refused = "nothing", list[Any](), 7, 3

    def step(self) -> None:
        self.steps += 1


class Stage:
    """A simulation and what is in it."""

    def __init__(self, robot: RobotModel, hanging: bool = True, by_itself: bool = False) -> None:
        self.backend = MujocoBackend(robot, noise=NOISE["none"])
        self.stands_m, self.torso = self.height(), robot.overlay.torso
        self.speaker = Speaker(self.backend)
        self.simulation = Simulation(robot, self.backend, self.speaker, hanging, by_itself)  # type: ignore[arg-type]

    def height(self) -> float:
        return float(self.backend.data.body("torso_link").xpos[2])

    @property
    def hoist(self) -> Any:
        return self.backend.disturbances[0]

    @property
    def pushes(self) -> tuple[Any, ...]:
        return self.backend.disturbances[1:]


@pytest.fixture
def stage(g1: RobotModel) -> Stage:
    return Stage(g1)


def test_it_hangs_where_its_soles_are_in_the_air(stage: Stage) -> None:
    assert stage.height() == pytest.approx(stage.stands_m + HANGING_M, abs=0.01)  # another posture is drawn
    assert not is_ground(stage.backend.model)[stage.backend.data.contact.geom].any()
    assert stage.hoist.height_m(0.0) == pytest.approx(stage.stands_m + HANGING_M)


def test_standing_nothing_holds_it(g1: RobotModel) -> None:
    stage = Stage(g1, hanging=False)
    assert stage.height() == stage.stands_m and stage.backend.disturbances == ()


def test_lower_and_raise_move_the_hoist_at_its_speed(stage: Stage) -> None:
    assert stage.simulation.order("lower") == ""
    hoist, height_m = stage.hoist, stage.height()
    assert hoist.height_m(0.0) == pytest.approx(height_m)
    assert hoist.height_m(0.5) == pytest.approx(height_m - 0.5 * HOIST_MPS) and hoist.height_m(60.0) == 0.0
    stage.backend.data.time = 20.0  # slack by now
    assert stage.simulation.order("raise") == ""
    assert stage.hoist.height_m(20.0) == pytest.approx(hoist.height_m(20.0))
    assert stage.hoist.height_m(60.0) == pytest.approx(stage.stands_m + HANGING_M)


@pytest.mark.parametrize(("degrees", "way"), [(0, (1.0, 0.0)), (90, (0.0, 1.0)), (-90, (0.0, -1.0)), (180, (-1.0, 0.0))])
def test_a_push_gives_its_impulse_its_way(stage: Stage, degrees: int, way: tuple[float, float]) -> None:
    model, data = stage.backend.model, stage.backend.data
    model.opt.gravity[:] = 0.0
    assert stage.simulation.order(f"push 20 {degrees}") == ""
    (push,) = stage.pushes
    assert isinstance(push, Push) and (push.impulse, push.start_s, push.body) == (20.0, data.time, stage.torso)
    stage.backend.disturbances = (push,)
    data.qpos[2] += 1.0
    data.qvel[:] = 0.0
    while data.time < push.start_s + push.duration_s + PERIOD_S:
        mujoco.mj_forward(model, data)
        data.xfrc_applied[:] = 0.0
        push.apply(model, data)
        mujoco.mj_step(model, data)
    mujoco.mj_subtreeVel(model, data)
    momentum = data.subtree_linvel[1] * model.body_subtreemass[1]
    np.testing.assert_allclose(momentum, [20.0 * way[0], 20.0 * way[1], 0.0], atol=1.0)  # heading turns while it is pushed


def test_the_remote_is_held_and_let_go(stage: Stage) -> None:
    assert stage.simulation.order("remote L2+B") == ""
    assert int.from_bytes(stage.speaker.remote[2:4], "little") == 1 << 5 | 1 << 9
    assert stage.simulation.order("remote none") == ""
    assert not any(stage.speaker.remote[2:4])


def test_a_fault_begins(stage: Stage) -> None:
    assert stage.simulation.order("fault silence 0.5") == ""
    assert stage.speaker.faults.silent_until_s == pytest.approx(stage.speaker.state.stamp_s + 0.5)


def test_hang_puts_it_back_as_it_was_while_its_clock_goes_on(stage: Stage) -> None:
    stage.simulation.order("lower")
    stage.simulation.order("push 5 0")
    stage.backend.data.time, stage.backend.data.qpos[:3] = 42.0, (3.0, 2.0, 0.1)
    assert stage.simulation.order("hang") == ""
    assert stage.height() == pytest.approx(stage.stands_m + HANGING_M, abs=0.01)
    assert np.abs(stage.backend.data.qpos[:2]).max() < 0.1 and stage.backend.data.time == 42.0 and stage.pushes == ()
    assert stage.hoist.height_m(42.0) == pytest.approx(stage.stands_m + HANGING_M)


def test_status_is_a_line_of_json(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage.simulation.order("status") == ""
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["heard"], told["refused"], told["commanded"]) == (7, 3, "nothing")
    assert told["tilt_rad"] == pytest.approx(0.0, abs=1e-6) and told["pelvis_height_m"] > 0.7


def test_quit_ends_it(stage: Stage) -> None:
    assert not stage.simulation.ended
    assert stage.simulation.order("quit") == "" and stage.simulation.ended


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("jump", "jump: not an order; there are lower: let the robot down to the ground; "),
        ("help", "help: not an order; there are lower: "),
        ("push", "push : give N·s from above 0 to 200 and degrees, as push 20 90"),
        ("push 20", "push 20: give N·s"),
        ("push 0 0", "give N·s"),
        ("push 201 0", "give N·s"),
        ("push -5 0", "give N·s"),
        ("push nan 0", "give N·s"),
        ("push 20 left", "give N·s"),
        ("push 20 361", "give N·s"),
        ("remote", "remote : give keys as L2+B, of R1, L1,"),
        ("remote L9", "remote L9: give keys"),
        ("remote l2+b", "remote l2+b: give keys"),
        ("fault", "fault '' is none; known: drop"),
        ("fault drop 2", "fault drop 2: give a number from 0 to 1"),
        ("fault dead tail_joint", "no such joint"),
    ],
)
def test_what_is_no_order_is_said_in_a_line_and_changes_nothing(stage: Stage, line: str, said: str) -> None:
    before = stage.backend.disturbances
    told = stage.simulation.order(line)
    assert said in told and "\n" not in told
    assert stage.backend.disturbances is before and vars(stage.speaker.faults) == vars(WireFaults())
    assert not stage.simulation.ended and stage.speaker.remote == bytes(40)


def test_an_empty_line_is_nothing(stage: Stage) -> None:
    assert stage.simulation.order("") == stage.simulation.order("  \t") == ""


def test_there_is_an_order_for_each_that_is_told_of(stage: Stage) -> None:
    arguments = {"push": "push 1 0", "remote": "remote none", "fault": "fault drop 0"}
    assert [stage.simulation.order(arguments.get(order, order)) for order in ORDERS] == [""] * len(ORDERS)


def drive(stage: Stage, seconds: float, driven: bool) -> None:
    stage.speaker.driven = driven
    for _ in range(round(seconds / PERIOD_S)):
        stage.simulation.step()


def is_let_down(stage: Stage) -> bool:
    return not math.isclose(stage.hoist.height_m(60.0), stage.stands_m + HANGING_M)


def test_by_itself_it_is_let_down_when_commands_have_held_it_for_a_while(g1: RobotModel) -> None:
    stage = Stage(g1, by_itself=True)
    drive(stage, 2 * HELD_S, driven=False)
    for _ in range(3):
        drive(stage, HELD_S - 0.1, driven=True)
        drive(stage, PERIOD_S, driven=False)
    assert not is_let_down(stage)
    drive(stage, HELD_S + 2 * PERIOD_S, driven=True)
    assert is_let_down(stage)
    stage.simulation.order("raise")
    drive(stage, 2 * HELD_S, driven=True)
    assert not is_let_down(stage), "once, and by itself no more"


def test_otherwise_it_hangs_until_it_is_told(stage: Stage) -> None:
    drive(stage, 2 * HELD_S, driven=True)
    assert not is_let_down(stage) and stage.speaker.steps == round(2 * HELD_S / PERIOD_S)
