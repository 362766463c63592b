"""Independent jobs in several processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def pool_of(processes: int) -> ProcessPoolExecutor:
    """Processes that end with this one, however it ends."""
    # Spawned, not forked: numerical libraries' threads do not survive a fork.
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)  # killed, it cannot say so: nobody would take the results, and the next job would never come

    threading.Thread(target=watch, daemon=True).start()


def finished(work: Callable[[J], R], jobs: Sequence[J], processes: int) -> Iterator[R]:
    """Results in the order in which they come; with one process, or one job, the work is done here.

    Whatever interrupts it, jobs that have begun are waited for and no other is begun; Ctrl-C once more ends them.
    """
    if processes <= 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    waiting, running = list(reversed(jobs)), set[Future[R]]()
    pool = pool_of(min(processes, len(jobs)))
    try:
        while waiting or running:
            while waiting and len(running) < processes:  # a job that the pool holds cannot be taken back
                running.add(pool.submit(work, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        _close(pool)


def _close(pool: ProcessPoolExecutor) -> None:
    workers = multiprocessing.active_children()
    try:
        pool.shutdown()
    except KeyboardInterrupt:
        for worker in workers:  # else the interpreter waits for them as it ends, and they for a job
            worker.kill()
        raise
