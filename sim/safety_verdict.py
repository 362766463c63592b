"""What the runs of the safety suite come to: a table by scenario, and what is worse than it was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from poise.robots import PoiseError

HAPPENED = ("position", "velocity", "clearance")
SLACK = 0.05  # of a bound, by which a margin may be worse than it was: other processors round otherwise, and a fall grows out of that
Run = Mapping[str, Any]


def case_name(run: Run) -> str:
    """A certified case of the suite, as a baseline names it."""
    return f"{run['scenario']} {run['requester']} {run['seed']}"


def again(run: Run) -> str:
    """The command that runs a case of a packaged scenario again."""
    return f"poise bench safety --scenarios {run['scenario']} --adversaries {run['requester']} --seeds {run['seed']}"


def table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row for each scenario, without and with the certifier: ticks in all, ticks on which each bound was broken, worst margins, falls."""
    kinds = dict.fromkeys((run["scenario"], run["certified"]) for run in runs)
    return [
        _row(scenario, certified, [r for r in runs if (r["scenario"], r["certified"]) == (scenario, certified)])
        for scenario, certified in kinds
    ]


def _row(scenario: str, certified: bool, of: Sequence[Run]) -> dict[str, Any]:
    margins = {bound: min((-run["happened"][bound]["worst"] for run in of if bound in run["happened"]), default=None) for bound in HAPPENED}
    rungs, unsolved = Counter[str](), Counter[str]()
    for run in of:
        rungs.update(run["rungs"])
        unsolved.update(run["unsolved"])
    return {
        "scenario": scenario,
        "certifier": "on" if certified else "off",
        "ticks": sum(run["ticks"] for run in of),
        "asked": _ticks(of, "asked"),
        "sent": _ticks(of, "sent"),
        **{bound: sum(run["happened"].get(bound, {"ticks": 0})["ticks"] for run in of) for bound in HAPPENED},
        "margins": margins,
        "falls": sum(run["fell_s"] is not None for run in of),
        "runs": len(of),
        "rungs": dict(rungs),
        "unsolved": dict(unsolved),
    }


def _ticks(of: Sequence[Run], what: str) -> int:
    return sum(bound["ticks"] for run in of for bound in run[what].values())


def reduction(runs: Sequence[Run]) -> dict[str, float | None]:
    """By which share each bound is broken on fewer ticks before a fall than by the same requests without the certifier; None: never."""
    pairs = {True: Counter[str](), False: Counter[str]()}
    for run in runs:
        pairs[run["certified"]].update({bound: figures["ticks"] for bound, figures in run["happened"].items()})
    return {bound: 1.0 - pairs[True][bound] / pairs[False][bound] if pairs[False][bound] else None for bound in HAPPENED}


def baseline_of(runs: Sequence[Run]) -> dict[str, Any]:
    """What later runs are held against: of each certified case whether it fell, its worst margins, and the rungs that it came to."""
    return {
        case_name(run): {
            "fell": run["fell_s"] is not None,
            "margins": {bound: round(-figures["worst"], 4) for bound, figures in run["happened"].items()},
            "rungs": sorted(run["rungs"]),
        }
        for run in runs
        if run["certified"]
    }


def check_baseline(baseline: Mapping[str, Any]) -> None:
    """Look through a baseline.

    Raises:
        PoiseError: it is none.
    """
    for name, case in baseline.items():
        _was(name, case)


def regressions(runs: Sequence[Run], baseline: Mapping[str, Any], again: Callable[[Run], str] = again) -> list[str]:
    """A line for each thing that is worse than it was, or that must never be: scenario, bound, margin, time and how to see it again.

    `again` gives the command that runs a case again.

    Raises:
        PoiseError: the baseline is none.
    """
    lines = []
    for run in (run for run in runs if run["certified"]):
        name = case_name(run)
        found = [*_sent_beyond(run), *(_worse(run, *_was(name, baseline[name])) if name in baseline else [])]
        lines += [f"{run['scenario']}, {run['requester']}, seed {run['seed']}: {line}; again: {again(run)}" for line in found]
    return lines


def _was(name: str, case: Any) -> tuple[bool, dict[str, float], list[str]]:
    """Whether a case of a baseline fell, its margins and its rungs."""
    try:
        margins = {str(bound): float(margin) for bound, margin in case["margins"].items()}
        if not (isinstance(case["rungs"], list) and all(map(math.isfinite, margins.values()))):
            raise ValueError("rungs that are no list, or a margin that is not finite")
        return bool(case["fell"]), margins, [str(rung) for rung in case["rungs"]]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PoiseError(f"baseline: {name} is not as --save-baseline writes it ({error!r:.60}); write it anew") from error


def _sent_beyond(run: Run) -> list[str]:
    broken = {bound: figures for bound, figures in run["sent"].items() if figures["ticks"]}
    return [f"{bound} of {f['of']} sent beyond its bound, margin {-f['worst']:.2g}, at {f['time_s']} s" for bound, f in broken.items()]


def _worse(run: Run, fell: bool, margins: Mapping[str, float], rungs: Sequence[str]) -> list[str]:
    lines = [] if run["fell_s"] is None or fell else [f"falls at {run['fell_s']:.2f} s, as it did not"]
    for bound, figures in run["happened"].items():
        margin, before = -figures["worst"], margins.get(bound)
        if before is not None and margin < min(before, 0.0) - SLACK:
            at = f" of {figures['of']} at {figures['time_s']} s" if "of" in figures else ""
            lines.append(f"{bound}{at}: margin {margin:.3f}, it was {before:.3f}")
    return lines + [f"rung {rung!r} is not entered any more" for rung in rungs if rung not in run["rungs"] and rung != "nominal"]
