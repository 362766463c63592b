"""The same command for one seed or several: progress, several processes, a summary, the exit status."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import numpy as np

from poise.learning.processes import pool_of
from poise.robots import PoiseError

from .closed_loop import RunPlan
from .interrupt import StopRequest, held_back, let_through
from .options import check_json, console_for, parse_seeds
from .output import Exit, print_result, print_rows, write_json
from .progress import progress_bar

LOOK_S = 0.2  # between two looks at whether to stop
ROW = ("seed", "fell", "seconds", "mean_velocity", "learned_share", "position_drift_m", "tick_us")


def run_and_report(plan: RunPlan, seed: int, seeds: str | None, json_path: str | None) -> Exit:
    """Run a plan for `seed`, or for the list `seeds`, print what came out, the report's path last, and write it to json_path.

    Raises:
        PoiseError: something that was asked for cannot be used.
    """
    check_json(json_path)
    chosen = (seed,) if seeds is None else parse_seeds(seeds)
    if min(chosen) < 0:
        raise PoiseError(f"--seed {seed}: give a whole number of at least 0")
    if len(chosen) > 1 and plan.port is not None:
        raise PoiseError("--view shows one run; give a single seed")
    with StopRequest() as stop:
        results = _one(plan, chosen[0], stop) if len(chosen) == 1 else _several(plan, chosen, stop)
    _print(plan.command, results, seeds is not None, json_path)
    watched = plan.port is not None and any(result["ticks"] for result in results)  # Ctrl-C is how it ends
    if stop.requested and not watched:
        print("poise: interrupted; what was finished is kept", file=sys.stderr)
    if any(result["fell"] for result in results):
        return Exit.FAILED
    return Exit.INTERRUPTED if stop.requested and not watched else Exit.HELD


def summarise(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures over several runs; shares are of all ticks, p50 is the median of the runs' medians, p99 the worst run's."""
    ticks = max(sum(r["ticks"] for r in results), 1)
    times = {q: [r["tick_us"][q] for r in results if r["tick_us"][q] is not None] for q in ("p50", "p99")}
    unlearned = _total(r["unlearned_reasons"] for r in results)
    return {
        "runs": len(results),
        "falls": sum(r["fell"] for r in results),
        "seconds": sum(r["seconds"] for r in results),
        "learned_share": sum(r["learned_share"] * r["ticks"] for r in results) / ticks,
        "unlearned_share": {reason: count / ticks for reason, count in unlearned.most_common()},
        "proposals": {
            "made": sum(r["proposals"]["made"] for r in results),
            "rejected": sum(r["proposals"]["rejected"] for r in results),
            "reasons": dict(_total(r["proposals"]["reasons"] for r in results).most_common()),
        },
        "interventions": {
            "rate": sum(r["interventions"]["count"] for r in results) / ticks,
            "max_torque_change_nm": max((r["interventions"]["max_torque_change_nm"] for r in results), default=0.0),
            "reasons": dict(_total(r["interventions"]["reasons"] for r in results).most_common()),
        },
        "tick_us": {
            "p50": float(np.median(times["p50"])) if times["p50"] else None,
            "p99": max(times["p99"], default=None),
        },
    }


def _total(counts: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def _one(plan: RunPlan, seed: int, stop: StopRequest) -> list[dict[str, Any]]:
    with progress_bar("{task.completed:.0f} of {task.total:.0f} s") as progress:
        task = progress.add_task(plan.command, total=plan.scenario(seed).seconds)
        return [plan(seed, stop, lambda time_s: progress.update(task, completed=time_s))]


def _several(plan: RunPlan, seeds: Sequence[int], stop: StopRequest) -> list[dict[str, Any]]:
    """The results of what was run, in the order of the seeds; after Ctrl-C nothing new is begun."""
    done: dict[int, dict[str, Any]] = {}
    waiting, running = list(reversed(seeds)), dict[Future[dict[str, Any]], int]()
    processes, told = min(len(seeds), os.cpu_count() or 1), False
    with (
        progress_bar("{task.completed:.0f} of {task.total:.0f} runs") as progress,
        pool_of(processes) as pool,
    ):
        task = progress.add_task(plan.command, total=len(seeds))
        while running or (waiting and not stop.requested):
            while waiting and len(running) < processes and not stop.requested:
                seed = waiting.pop()
                with held_back():  # a process that is still being loaded would break, and the others with it
                    running[pool.submit(_in_process, plan, seed)] = seed
            for future in wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED).done:
                done[running.pop(future)] = future.result()
                progress.advance(task)
            if stop.requested and not told:  # the signal may have come to this process alone
                told = True
                for child in multiprocessing.active_children():
                    child.terminate()
    return [done[seed] for seed in seeds if seed in done]


def _in_process(plan: RunPlan, seed: int) -> dict[str, Any]:
    with StopRequest(insist=False) as stop, let_through():
        return plan(seed, stop)


def _print(command: str, results: list[dict[str, Any]], several: bool, json_path: str | None) -> None:
    console = console_for(json_path)
    summary = summarise(results) if several else results[0]
    if several:
        print_rows(f"{command}: runs", [{name: result[name] for name in ROW} for result in results], console)
    print_result(command, {name: value for name, value in summary.items() if name not in ("folder", "report")}, None, console)
    if json_path is not None:
        write_json(json_path, {"runs": results, "summary": summary} if several else summary)
    for report in (result["report"] for result in results if result["report"]):
        console.print(f"report: {Path(report).resolve()}", soft_wrap=True, highlight=False)
