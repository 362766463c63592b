from __future__ import annotations

import gc
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from holder import G1, Holder, g1_plant

from poise.robots import Decision, Intent, RobotState
from poise.sim import NOISE, MujocoBackend
from poise.sim.realtime import PUSH_EVERY_S, PUSH_IMPULSE, TimedStack, measure, pushes, quantiles, quiet_core

STAND = Intent()


def backend() -> MujocoBackend:
    return MujocoBackend(G1, g1_plant(), noise=NOISE["none"])


class Busy(Holder):
    """Burns a known thread CPU time a step, more at every hundredth, whose slow part runs then only."""

    def step(self, state: RobotState, intent: Intent) -> Decision:
        slow = self.ticks % 100 == 0
        until = time.thread_time_ns() + (600_000 if slow else 200_000)
        while time.thread_time_ns() < until:
            pass
        parts = {"track": 200.0, "tick": 200.0} | ({"propose": 400.0} if slow else {})
        return replace(super().step(state, intent), timings_us=parts)


def test_quantiles_of_known_values() -> None:
    assert quantiles(list(range(1001))) == pytest.approx({"p50": 500.0, "p99": 990.0, "p999": 999.0, "max": 1000.0})
    assert quantiles([], ("p50", "p99")) == {"p50": None, "p99": None}


def test_steps_are_measured_and_parts_are_the_stack_s_own() -> None:
    result = measure(Busy(), backend(), STAND, seconds=1.0, warmup_s=0.2)
    assert result["seconds"] == pytest.approx(1.0)
    assert not result["fell"]
    assert result["tick_us"] == {"p50": 200.0, "p99": 200.0, "p999": 200.0, "max": 200.0}
    assert result["parts_us"] == {"track": {"p50": 200.0, "p99": 200.0}, "propose": {"p50": 400.0, "p99": 400.0}}
    assert 200.0 <= result["step_us"]["p50"] < 350.0
    assert result["step_us"]["max"] >= 600.0
    assert result["overruns"] == 0
    # 500 steps of at least 0.2 ms in a second; everything else of the process comes on top.
    assert 0.1 <= result["cpu_s_per_s"]["stack"] < result["cpu_s_per_s"]["all"]
    assert 0.0 < result["real_time_factor"] <= 1.0 / result["cpu_s_per_s"]["stack"]


def test_the_warm_up_is_not_counted() -> None:
    stack = Busy()
    result = measure(stack, backend(), STAND, seconds=0.1, warmup_s=0.1)
    assert stack.ticks == 100
    assert "propose" not in result["parts_us"]  # it ran at the first tick


def test_ticks_longer_than_the_period_are_overruns() -> None:
    class Late(Holder):
        def step(self, state: RobotState, intent: Intent) -> Decision:
            return replace(super().step(state, intent), timings_us={"tick": 2500.0 if self.ticks % 10 == 0 else 1999.0})

    assert measure(Late(), backend(), STAND, seconds=0.2, warmup_s=0.0)["overruns"] == 10


def test_a_fall_ends_the_measurement_and_is_said() -> None:
    result = measure(Holder(gain=0.5), backend(), STAND, seconds=10.0, warmup_s=0.2)
    assert result["fell"]
    assert 0.0 < result["seconds"] < 9.0
    at_once = measure(Holder(gain=0.5), backend(), STAND, seconds=1.0, warmup_s=9.0)  # falls in the warm-up
    assert at_once["fell"]
    assert at_once["seconds"] == 0.0
    assert at_once["tick_us"]["p50"] is None


def test_a_timed_stack_decides_what_the_stack_decides() -> None:
    stack, plant = Holder(), backend()
    timed = TimedStack(stack)
    assert timed.step(plant.read(), STAND).command is stack.command
    assert len(timed.step_us) == 1
    assert timed.step_us[0] > 0.0
    assert timed.cpu_s >= 0.0


def test_the_core_and_the_collector_are_given_back() -> None:
    allowed = os.sched_getaffinity(0)
    with quiet_core() as core:
        assert core in allowed
        assert os.sched_getaffinity(0) == {core}
        assert not gc.isenabled()
    assert os.sched_getaffinity(0) == allowed
    assert gc.isenabled()
    with pytest.raises(RuntimeError), quiet_core():
        raise RuntimeError
    assert os.sched_getaffinity(0) == allowed
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with quiet_core():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_without_affinity_it_measures_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, cores: set[int]) -> None:
        raise PermissionError

    for name, value in (("sched_setaffinity", refuse), ("sched_getaffinity", None)):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, value) if value else patch.delattr(os, name)
            with quiet_core() as core:
                assert core is None


def test_pushes_are_regular_horizontal_and_drawn_from_the_seed() -> None:
    drawn = pushes("torso_link", 10.0, seed=3)
    assert [push.start_s for push in drawn] == [PUSH_EVERY_S * k for k in range(1, 7)]
    assert all(push.impulse == PUSH_IMPULSE and push.direction[2] == 0.0 for push in drawn)
    np.testing.assert_allclose([np.hypot(*push.direction[:2]) for push in drawn], 1.0)
    assert drawn == pushes("torso_link", 10.0, seed=3)
    assert drawn != pushes("torso_link", 10.0, seed=4)
