"""Independent jobs in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def finished(work: Callable[[J], R], jobs: Sequence[J], processes: int) -> Iterator[R]:
    """Results in the order in which they come; with one process, or one job, the work is done here.

    Whatever interrupts it, jobs that have not begun are dropped, and those that have are waited for.
    """
    if processes <= 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    # Spawned, not forked: numerical libraries' threads do not survive a fork.
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(work, job) for job in jobs]):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
