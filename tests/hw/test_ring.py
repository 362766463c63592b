"""A ring between two processes: what comes out is what went in, in order, or nothing."""

from __future__ import annotations

import multiprocessing
import random

from hypothesis import given
from hypothesis import strategies as st

from poise.hw.ring import Ring

SPAWN = multiprocessing.get_context("spawn")


def _put_all(ring: Ring, messages: list[bytes]) -> None:
    for message in messages:
        while not ring.put(message):
            pass


@given(st.lists(st.one_of(st.none(), st.binary(max_size=60))))
def test_it_is_a_queue_of_limited_size(steps: list[bytes | None]) -> None:
    """None takes one out; against a list."""
    ring, inside = Ring(SPAWN, 100), list[bytes]()
    for step in steps:
        if step is None:
            assert ring.take() == (inside.pop(0) if inside else None)
        else:
            fits = sum(8 + len(message) for message in [*inside, step]) <= 100
            assert ring.put(step) == fits
            inside += [step] if fits else []


def test_between_processes_nothing_is_lost_torn_or_twice() -> None:
    rng = random.Random(0)
    messages, ring = [rng.randbytes(rng.randrange(3000)) for _ in range(5000)], Ring(SPAWN, 10_000)
    process = SPAWN.Process(target=_put_all, args=(ring, messages))
    process.start()
    try:
        taken, going = list[bytes](), True
        while going:
            going = process.is_alive()  # looked at first: then all that it put in is there
            while (message := ring.take()) is not None:
                taken.append(message)
    finally:
        process.kill()
        process.join()
    assert taken == messages


def test_what_does_not_match_its_checksum_is_not_there_yet() -> None:
    ring = Ring(SPAWN, 100)
    ring.put(b"first")
    place = 8  # behind the head
    ring._raw[place] ^= 1
    assert ring.take() is None
    ring._raw[place] ^= 1
    assert ring.take() == b"first"
