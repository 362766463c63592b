from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import integrate_dcm, plane_rotation

from poise.control.adaptation import StepLimits
from poise.control.advice import Advisor, Question
from poise.control.footsteps import orbit_plan
from poise.control.lip import transfer_shift
from poise.control.mpc import MpcConfig
from poise.control.reaction import dcm_of_swing
from poise.robots.types import Array

OMEGA, STEP_S, DOUBLE_SUPPORT, WIDTH = 3.98, 0.42, 0.02, 0.2
LIMITS = StepLimits(forward=0.6, backward=0.5, inward=0.1, outward=0.65, time_min=0.18, time_max=0.6, across=0.1, apart=0.2)
COP = np.array([[-0.075, 0.076], [-0.012, 0.012]])


def question_on_orbit(side: float, elapsed: float, shift: float, off: float) -> tuple[Question, Array, Array]:
    """`elapsed` s into the swing of a step on the orbit, integrated; and the foothold and DCM offset that it leads to, world frame.

    The stance foot points `off` rad from where it was meant to.
    """
    kappa, in_air = float(transfer_shift(OMEGA, DOUBLE_SUPPORT)), STEP_S - DOUBLE_SUPPORT
    twist, sole, intended = np.array([0.5, 0.1, 0.4]), np.array([1.0, -2.0]), 0.8
    first, second, here, there = orbit_plan(twist, STEP_S, WIDTH, side, OMEGA, kappa, dcm_of_swing(in_air, OMEGA, shift)[0])
    last = plane_rotation(second[2]).T @ second[:2]
    way = first[:2] + last  # of the swing foot, from the old sole

    def pushed_zmp(t: float) -> Array:
        return np.asarray(-shift * 6.0 * way / in_air**2 * (1.0 - 2.0 * t / in_air))

    at_swing = (here + kappa * last) * np.exp(OMEGA * DOUBLE_SUPPORT)
    dcm = integrate_dcm(at_swing, pushed_zmp, OMEGA, elapsed)
    s = elapsed / in_air
    swing = np.stack((-last + way * s * s * (3.0 - 2.0 * s), way * 6.0 * s * (1.0 - s) / in_air))
    turn = plane_rotation(off)  # from the intended axes into the sole's
    question = Question(
        step=3,
        tick=100,
        side=side,
        sole=sole,
        yaw=intended - off,
        intended_yaw=intended,
        dcm=turn @ dcm,
        swing=swing @ turn.T,
        left=in_air - elapsed,
        step_s=STEP_S,
        in_air_s=in_air,
        omega=OMEGA,
        kappa=kappa,
        swing_shift=shift,
        momentum=np.zeros(2),
        twist=twist,
        width=WIDTH,
        shift=np.zeros((2, 2)),
    )
    return question, sole + plane_rotation(intended) @ first[:2], plane_rotation(intended + first[2]) @ there


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(("elapsed", "shift", "off"), [(0.0, 0.0, 0.0), (0.1, 0.0062, 0.0), (0.25, 0.0062, 0.1)])
def test_on_the_orbit_the_advice_is_the_orbit(side: float, elapsed: float, shift: float, off: float) -> None:
    """With the swing foot on its way, wherever the stance foot points."""
    question, foothold, offset = question_on_orbit(side, elapsed, shift, off)
    advice = Advisor(MpcConfig(), LIMITS, COP, 5).ask(question)
    assert advice.usable and (advice.step, advice.born, advice.ready) == (3, 100, 105)
    np.testing.assert_allclose(advice.touchdown, [foothold, offset], atol=2e-3)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_proposal_shifts_the_footsteps_forward_and_outward(side: float) -> None:
    """What is asked of the next step is its nominal place, moved; a plan that is on its orbit goes there in part."""
    question, _, _ = question_on_orbit(side, 0.0, 0.0, 0.0)
    advisor = Advisor(MpcConfig(), LIMITS, COP, 5)
    nominal = advisor.ask(question).touchdown[0]
    moved = advisor.ask(replace(question, shift=np.array([[0.04, 0.03], [0.0, 0.0]]))).touchdown[0]
    forward, left = plane_rotation(question.yaw).T @ (moved - nominal)
    assert 0.0 < forward < 0.04 and 0.0 < -side * left < 0.03
