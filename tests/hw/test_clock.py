from __future__ import annotations

import time

import pytest
from fake_time import PERIOD_NS, READ_NS, FakeTime, fake_clock
from hypothesis import given
from hypothesis import strategies as st

from poise.hw.clock import Clock


def test_ticks_lie_on_the_absolute_grid_and_errors_do_not_add_up() -> None:
    clock, source, start = fake_clock(oversleep_ns=50_000)
    for tick in range(1, 1001):
        source.work(700_000 + 37 * tick)
        assert clock.wait() == 0
        assert clock.tick == tick
        assert 0 <= source.ns - (start + tick * PERIOD_NS) <= 2 * READ_NS
    assert (clock.overruns, clock.skipped) == (0, 0)


def test_it_sleeps_up_to_the_spin_and_spins_the_rest() -> None:
    clock, source, start = fake_clock(spin_s=0.0003)
    clock.wait()
    assert len(source.slept_ns) == 1
    assert source.slept_ns[0] == pytest.approx(PERIOD_NS - 300_000, abs=3 * READ_NS)
    source.work(start + 2 * PERIOD_NS - 200_000 - source.ns)  # less than the spin before the tick
    clock.wait()
    assert len(source.slept_ns) == 1
    assert clock.tick == 2


def test_oversleeping_past_the_tick_is_told_as_lateness() -> None:
    clock, source, start = fake_clock(oversleep_ns=500_000)
    assert clock.wait() == 0
    assert clock.lateness_s == pytest.approx(300e-6, abs=3e-9 * READ_NS)
    assert source.ns == pytest.approx(start + PERIOD_NS + 300_000, abs=3 * READ_NS)


@pytest.mark.parametrize(
    ("work_ns", "skipped"),
    [
        (PERIOD_NS - READ_NS, 0),  # just in time
        (PERIOD_NS, 1),  # late by one reading of the time
        (PERIOD_NS + 1_500_000, 1),
        (2 * PERIOD_NS - READ_NS, 1),  # just in time for the second
        (3 * PERIOD_NS + 10_000, 3),
    ],
)
def test_a_late_caller_loses_whole_ticks_and_keeps_the_phase(work_ns: int, skipped: int) -> None:
    clock, source, start = fake_clock()
    source.work(work_ns)
    assert clock.wait() == skipped
    assert (clock.tick, clock.skipped, clock.overruns) == (1 + skipped, skipped, int(skipped > 0))
    assert 0 <= source.ns - (start + clock.tick * PERIOD_NS) <= 2 * READ_NS
    assert clock.wait() == 0
    assert clock.tick == 2 + skipped


@given(st.lists(st.integers(0, 5 * PERIOD_NS), max_size=30), st.integers(0, 3 * PERIOD_NS))
def test_whatever_the_work_it_wakes_at_the_first_tick_still_to_come(work: list[int], oversleep_ns: int) -> None:
    clock, source, start = fake_clock(oversleep_ns)
    lost = 0
    for ns in work:
        before = clock.tick
        source.work(ns)
        asked = source.ns + READ_NS
        lost += clock.wait()
        due = start + clock.tick * PERIOD_NS
        assert asked <= due
        assert due - PERIOD_NS < asked or clock.tick == before + 1
        assert source.ns >= due
    assert (clock.skipped, clock.tick) == (lost, lost + len(work))


def test_restart_makes_now_the_start_and_forgets_the_counts() -> None:
    clock, source, _ = fake_clock()
    source.work(10 * PERIOD_NS)
    clock.wait()
    source.work(10 * PERIOD_NS)
    clock.restart()
    start = source.ns
    assert (clock.tick, clock.overruns, clock.skipped, clock.lateness_s) == (0, 0, 0, 0.0)
    assert clock.wait() == 0
    assert 0 <= source.ns - (start + PERIOD_NS) <= 2 * READ_NS


@pytest.mark.parametrize(("period_s", "spin_s"), [(0.0, 0.0), (-0.002, 0.0), (1e-10, 0.0), (0.002, -1e-3)])
def test_impossible_periods_are_refused(period_s: float, spin_s: float) -> None:
    with pytest.raises(ValueError, match="a Clock takes a period"):
        Clock(period_s, FakeTime(), spin_s)


def test_on_the_system_s_time_it_never_wakes_early_and_keeps_the_average() -> None:
    clock = Clock(0.002)
    start, before = time.monotonic(), clock.tick
    for _ in range(25):
        clock.wait()
        assert clock.lateness_s >= 0.0
    elapsed = time.monotonic() - start
    assert clock.period_s == 0.002
    assert elapsed >= (clock.tick - before) * clock.period_s - 1e-4
    assert elapsed - clock.lateness_s <= (clock.tick + 1) * clock.period_s
