"""Somebody else's commands: what closes the gate, what opens it, and that the stack catches the robot behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from loop import STAND, WALK, Loop, make_loop

from poise.control.dynamics import Dynamics
from poise.control.gate import NO_COMMAND, Gate, GateConfig, taken
from poise.control.safety import Certifier, SafetyConfig
from poise.control.support import Support, joint_acceleration
from poise.robots import Decision, JointCommand, RobotModel
from poise.robots.commands import hold_command
from poise.robots.types import Array
from poise.sim.adversaries import ADVERSARIES

DT, CONFIG = 0.002, GateConfig()


def standing(g1: RobotModel, pitch: float = 0.0) -> Dynamics:
    """The nominal posture at rest, the base turned about its y axis by some angle."""
    d, q = Dynamics(g1), g1.standing_configuration()
    q[3:7] = (0.0, np.sin(pitch / 2), 0.0, np.cos(pitch / 2))
    d.update(q, np.zeros(d.nv))
    return d


def still(g1: RobotModel, d: Dynamics) -> JointCommand:
    """Torques that hold the posture on both soles."""
    zero, probe = np.zeros(g1.n), np.eye(g1.n)
    free = joint_acceleration(d.block, d.nv, Support.BOTH, zero)
    response = np.column_stack([joint_acceleration(d.block, d.nv, Support.BOTH, row) - free for row in probe])
    tau = np.array(np.linalg.lstsq(response, -free, rcond=None)[0], dtype=float)
    return JointCommand(g1.posture, zero, zero, zero, tau, g1.torque_limit)


def asked(
    g1: RobotModel,
    request: JointCommand | None,
    d: Dynamics | None = None,
    dcm: Array | None = None,
    contact: tuple[float, float] = (1.0, 1.0),
) -> str:
    """What a new gate says."""
    d = standing(g1) if d is None else d
    return Gate(g1, CONFIG, DT)(request, d, d.com[:2] if dcm is None else dcm, np.zeros(2), np.array(contact), settled=True)


def test_torques_that_hold_the_robot_pass(g1: RobotModel) -> None:
    assert asked(g1, still(g1, standing(g1))) == ""


@pytest.mark.parametrize("joint_and_why", [("knee", "lifted"), ("ankle_pitch", "centre of pressure"), ("hip_pitch", "slip")])
def test_what_the_ground_cannot_give_does_not_pass(g1: RobotModel, joint_and_why: tuple[str, str]) -> None:
    """Knees that jump, ankles that tip the robot over its toes, hips that throw it forward."""
    part, why = joint_and_why
    of = np.array([f"{part}_joint" in name for name in g1.joint_names])
    request = still(g1, standing(g1))
    found = {asked(g1, replace(request, tau=request.tau + share * g1.torque_limit * of)) for share in np.linspace(-1.0, 1.0, 21)}
    assert "" in found and any(why in said for said in found)


def test_what_is_no_command_or_not_finite_does_not_pass(g1: RobotModel) -> None:
    request, d = still(g1, standing(g1)), standing(g1)
    values: list[dict[str, Any]] = [{"tau": np.zeros(3)}, {"q": [0.0] * g1.n}, {"kp": None}, {"q": np.zeros(g1.n, np.float32)}]
    bad: list[object] = [None, 3.0, JointCommand.__new__(JointCommand), *(replace(request, **value) for value in values)]
    for value in bad:
        assert taken(value, g1.n) is None
    assert asked(g1, None, d) == NO_COMMAND
    spoiled = request.tau.copy()
    spoiled[4] = np.nan
    assert "not finite" in asked(g1, replace(request, tau=spoiled))
    far = replace(request, q=request.q + 0.01, kp=np.full(g1.n, np.inf))
    assert "not finite" in asked(g1, far), "though clipped torques are finite"


def test_arrays_that_kernels_do_not_know_are_copied(g1: RobotModel) -> None:
    request = still(g1, standing(g1))
    assert taken(request, g1.n) is request
    odd: list[Array] = [
        np.frombuffer(request.tau.tobytes()),
        np.repeat(request.tau, 2)[::2],
        np.frombuffer(b" " + request.tau.tobytes(), offset=1),
    ]
    for tau in odd:
        copied = taken(replace(request, tau=tau), g1.n)
        assert copied is not None and copied.tau.flags.carray
        np.testing.assert_array_equal(copied.tau, request.tau)


def test_a_robot_that_is_hard_to_catch_is_not_left_to_others(g1: RobotModel) -> None:
    request, d = still(g1, standing(g1)), standing(g1)
    assert "leans" in asked(g1, request, standing(g1, pitch=0.2))
    assert "carries" in asked(g1, request, contact=(0.4, 0.1))
    assert "capture point" in asked(g1, request, dcm=d.com[:2] + [0.2, 0.0])


def test_the_centre_of_pressure_is_held_against_the_soles_that_carry(g1: RobotModel) -> None:
    """Torques that hold the posture on one sole, with the weight between both: it would tip over its edge."""
    d = standing(g1)
    left = Certifier(g1, SafetyConfig(), DT).backup.torque(d, Support.LEFT)
    request = replace(still(g1, d), tau=left)
    assert asked(g1, request, d, contact=(1.0, 0.0)) == "the centre of pressure would leave the soles"


def test_it_opens_again_after_a_while_of_standing_still(g1: RobotModel) -> None:
    gate, d, request = Gate(g1, CONFIG, DT), standing(g1), still(g1, standing(g1))

    def ask(settled: bool, contact: float = 1.0) -> str:
        return gate(request, d, d.com[:2], np.zeros(2), np.full(2, contact), settled)

    assert ask(True, contact=0.0) and ask(False), "once shut it stays so while the robot moves"
    ticks = round(CONFIG.calm_s / DT)
    assert all(ask(True) for _ in range(ticks - 2)) and ask(False)
    answers = [ask(True) for _ in range(ticks + 2)]
    assert answers[ticks - 3] and answers[-1] == ""


def test_requests_that_the_certifier_has_to_change_again_and_again_shut_it(g1: RobotModel) -> None:
    gate, d, request, shut = Gate(g1, CONFIG, DT), standing(g1), still(g1, standing(g1)), []
    for tick in range(30):
        gate.answered(tick % 2 == 0)
        shut.append(gate(request, d, d.com[:2], np.zeros(2), np.ones(2), settled=False))
    assert set(shut) == {""}, "now and then is no reason"
    for _ in range(30):
        gate.answered(True)
        shut.append(gate(request, d, d.com[:2], np.zeros(2), np.ones(2), settled=False))
    assert shut[-1] == "requests break bounds"


# -- in the closed loop -------------------------------------------------------------------------------------------


def run(loop: Loop, seconds: float, request: Callable[[Array, Array], JointCommand]) -> list[Decision]:
    """Somebody else asks for the commands of a while."""
    for _ in range(round(seconds / DT)):
        state = loop.backend.read()
        decision = loop.stack.step(state, STAND, request(np.array(state.joint_position), np.array(state.joint_velocity)))
        loop.backend.write(decision.command)
        loop.decisions.append(decision)
    return loop.decisions[-round(seconds / DT) :]


def test_a_stream_with_gaps_is_let_in_no_earlier(g1: RobotModel) -> None:
    gate, d, request = Gate(g1, CONFIG, DT), standing(g1), still(g1, standing(g1))

    def ask(contact: float = 1.0) -> str:
        return gate(request, d, d.com[:2], np.zeros(2), np.full(2, contact), settled=True)

    assert ask(contact=0.0)
    for _ in range(200):
        gate.idle()
        assert gate.stops == "" and gate.why
        assert ask() and gate.stops
    for _ in range(round(CONFIG.calm_s / DT) + 1):
        gate.idle()
    assert ask() == "", "a new stream"


def test_a_motor_at_fault_stops_a_robot_that_takes_requests(g1: RobotModel) -> None:
    loop = make_loop(seed=1)
    own = loop.run(0.2, STAND)[-1].command
    faults = np.zeros(g1.n)
    faults[3] = 1.0
    state = replace(loop.backend.read(), motor_fault=faults)
    decision = loop.stack.step(state, STAND, own)
    assert decision.rung == "safe stop" and g1.joint_names[3] in decision.reason


def test_an_intent_that_cannot_be_used_is_remarked_while_requests_pass(g1: RobotModel) -> None:
    loop = make_loop(seed=1)
    own = loop.run(0.2, STAND)[-1].command
    decision = loop.stack.step(loop.backend.read(), "nonsense", own)  # type: ignore[arg-type]
    assert decision.plan is None and decision.status == "degraded" and "intent" in decision.reason


@pytest.mark.parametrize("name", ["pumping", "oscillating"])
def test_the_stack_catches_the_robot_from_an_adversary_and_walks_on(g1: RobotModel, name: str) -> None:
    loop = make_loop(seed=5)
    loop.run(0.4, STAND)
    adversary = ADVERSARIES[name](g1, np.random.default_rng(5), DT)
    taken = run(loop, 1.6, adversary)
    assert loop.stands and "safe stop" in {decision.rung for decision in taken}
    walked = loop.run(1.6, WALK)
    assert loop.stands and walked[-1].rung in ("nominal", "recovery step") and walked[-1].plan is not None
    assert loop.backend.base_position_world[0] > 0.05


def test_a_snapshot_behind_the_gate_continues_bit_for_bit(g1: RobotModel) -> None:
    loop = make_loop(seed=2)
    loop.run(0.2, STAND)
    hold = hold_command(g1, g1.posture)
    run(loop, 0.1, lambda q, v: replace(hold, tau=g1.torque_limit))
    plant, stack = loop.backend.snapshot(), loop.stack.snapshot()
    first = run(loop, 0.2, lambda q, v: hold)
    loop.backend.restore(plant)
    loop.stack.restore(stack)
    again = run(loop, 0.2, lambda q, v: hold)
    assert [d.rung for d in first] == [d.rung for d in again]
    np.testing.assert_array_equal([d.command.tau for d in first], [d.command.tau for d in again])
