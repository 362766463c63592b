from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import numpy as np
import pytest

from poise.hw.mailbox import Flag, Mailbox, Record

CONTEXT = multiprocessing.get_context("spawn")
NUMBERS = 200  # of a record, all the same: a mixture of two shows
WIDE = np.dtype([("values", "<u8", NUMBERS)])
PATIENCE_S = 60.0


def record(value: int) -> Record:
    made = np.zeros((), WIDE)
    made["values"] = value
    return made


def values(box: Mailbox) -> list[int]:
    """The different numbers of what is got; none where nothing is."""
    got = box.get()
    return [] if got is None else np.unique(got["values"]).tolist()


def test_the_newest_is_got_once() -> None:
    box = Mailbox(CONTEXT, WIDE)
    assert box.get() is None
    box.put(record(1))
    box.put(record(2))
    assert values(box) == [2] and box.get() is None
    box.put(record(2))
    assert values(box) == [2], "the same again is another record"


def test_a_record_of_zeros_is_one() -> None:
    box = Mailbox(CONTEXT, WIDE)
    box.put(record(0))
    assert values(box) == [0]


def test_what_is_got_stays_when_another_is_put() -> None:
    box = Mailbox(CONTEXT, WIDE)
    box.put(record(1))
    got = box.get()
    box.put(record(2))
    assert got is not None and np.unique(got["values"]).tolist() == [1]


def test_a_write_that_ended_at_any_byte_is_not_taken() -> None:
    """The new record's first bytes over the old one: what a writer leaves that died in mid-write."""
    box = Mailbox(CONTEXT, WIDE)
    box.put(record(3))
    old = bytes(box._raw)
    box.put(record(5))
    new = bytes(box._raw)
    differ = [k for k in range(1, len(new)) if new[:k] + old[k:] not in (old, new)]
    assert len(differ) > len(new) - 20
    for k in differ:
        box._raw[:] = new[:k] + old[k:]
        assert box.get() is None, k
    box._raw[:] = new
    assert values(box) == [5]


def hammer(box: Mailbox) -> None:
    for value in range(1, 1 << 40):
        box.put(record(value))


def ask(flag: Flag) -> None:
    while not flag.is_set():
        pass


def obey(flag: Flag) -> None:
    flag.set()


@contextmanager
def running(process: BaseProcess) -> Iterator[BaseProcess]:
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def read_until(box: Mailbox, count: int) -> list[int]:
    """So many records that came one after another, each whole."""
    came: list[int] = []
    end = time.monotonic() + PATIENCE_S
    while len(came) < count:
        assert time.monotonic() < end, "nothing comes"
        got = values(box)
        assert len(got) <= 1, f"a mixture of {got}"
        came += got
    return came


def test_a_reader_sees_no_mixture_and_nothing_older_while_another_process_writes() -> None:
    box = Mailbox(CONTEXT, WIDE)
    with running(CONTEXT.Process(target=hammer, args=(box,))):
        came = read_until(box, 200)
    assert (np.diff(came) > 0).all()


def test_a_writer_that_is_killed_leaves_something_whole_or_nothing() -> None:
    for _ in range(2):
        box = Mailbox(CONTEXT, WIDE)
        with running(CONTEXT.Process(target=hammer, args=(box,))) as writer:
            before = read_until(box, 1)[-1]
            assert writer.pid is not None
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
        left = values(box)
        assert len(left) <= 1 and all(value > before for value in left)
        assert box.get() is None


def test_a_flag_that_another_process_sets_is_set() -> None:
    flag = Flag(CONTEXT)
    assert not flag.is_set()
    process = CONTEXT.Process(target=obey, args=(flag,))
    process.start()
    process.join()
    assert flag.is_set()


@pytest.mark.parametrize("struck", [signal.SIGSTOP, signal.SIGKILL])
def test_a_process_that_stops_at_any_moment_holds_nobody_up(struck: signal.Signals) -> None:
    """With a lock in it, as multiprocessing's own Event has, who asks next waits for a process that is no more."""
    flag = Flag(CONTEXT)
    process = CONTEXT.Process(target=ask, args=(flag,))
    with running(process):
        time.sleep(0.5)
        for _ in range(20 if struck == signal.SIGSTOP else 1):
            assert process.pid is not None
            os.kill(process.pid, struck)
            asking = threading.Thread(target=flag.is_set, daemon=True)
            asking.start()
            asking.join(PATIENCE_S)
            assert not asking.is_alive()
            if struck == signal.SIGSTOP:
                os.kill(process.pid, signal.SIGCONT)
                time.sleep(0.001)
