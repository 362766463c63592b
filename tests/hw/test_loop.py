from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_time import PERIOD_NS, FakeTime, fake_clock

from poise.hw.clock import Clock
from poise.hw.loop import Timing, run_loop


def usual(time: FakeTime) -> None:
    time.work(PERIOD_NS // 4)


def run(costs: dict[int, Callable[[FakeTime], None]], ticks: int = 10) -> tuple[Timing, list[int]]:
    """Run to a tick; at each named one a step costs what is said, else a quarter of a period of work."""
    clock, source, _ = fake_clock()
    timing, taken = Timing(), list[int]()

    def step(tick: int) -> bool:
        taken.append(tick)
        costs.get(tick, usual)(source)
        return tick < ticks

    run_loop(clock, step, timing)
    return timing, taken


def test_a_step_at_every_tick() -> None:
    timing, taken = run({})
    assert taken == list(range(1, 11))
    assert (timing.ticks, timing.skipped) == (10, 0)
    assert timing.work.quantile(0.5) == pytest.approx(0.5e-3, rel=0.03)
    assert timing.cpu.quantile(0.5) == pytest.approx(0.5e-3, rel=0.03)
    assert timing.lateness.most_s < 5e-6


def test_ticks_lost_to_its_own_work_are_told_from_stolen_ones() -> None:
    timing, taken = run({3: lambda time: time.work(5 * PERIOD_NS // 2), 7: lambda time: time.steal(7 * PERIOD_NS // 4)})
    assert taken == [1, 2, 3, 6, 7, 9, 10]
    assert (timing.skipped_own, timing.skipped_stolen, timing.ticks) == (2, 1, 7)
    assert timing.plain()["skipped_own"] == 2
    assert timing.work.most_s == pytest.approx(5e-3, abs=1e-5) and timing.cpu.most_s == 5e-3


def test_what_a_step_raises_comes_out() -> None:
    clock, _, _ = fake_clock()

    def step(tick: int) -> bool:
        raise RuntimeError(f"at {tick}")

    with pytest.raises(RuntimeError, match="at 1"):
        run_loop(clock, step, Timing())


def test_what_passed_before_the_loop_is_no_skipped_tick() -> None:
    clock, source, _ = fake_clock()
    source.work(100 * PERIOD_NS)
    timing = Timing()
    run_loop(clock, lambda tick: False, timing)
    assert (timing.ticks, timing.skipped) == (1, 0)


def test_on_the_systems_time_work_is_its_own() -> None:
    clock, timing = Clock(0.002), Timing()

    def busy(tick: int) -> bool:
        end = clock.time.cpu_ns() + 5_000_000
        while clock.time.cpu_ns() < end:
            pass
        return timing.ticks < 3

    run_loop(clock, busy, timing)
    assert timing.skipped_own >= 3 * 2
    assert timing.cpu.quantile(0.0) >= 4.8e-3
