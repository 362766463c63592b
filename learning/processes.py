"""Independent jobs in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def finished(work: Callable[[J], R], jobs: Sequence[J], processes: int) -> Iterator[R]:
    """Results in the order in which they come; with one process, or one job, the work is done here.

    Whatever interrupts it, jobs that have begun are waited for and no other is begun.
    """
    if processes <= 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    waiting, running = list(reversed(jobs)), set[Future[R]]()
    # Spawned, not forked: numerical libraries' threads do not survive a fork.
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        while waiting or running:
            while waiting and len(running) < processes:  # a job that the pool holds cannot be taken back
                running.add(pool.submit(work, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
