"""The command line as a function, and made-up results of its runs."""

from __future__ import annotations

from typing import Any

from poise.launch.cli import main


def run_main(*arguments: str) -> int:
    """Exit status, whichever way the command line ended."""
    try:
        return main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)


def made_up(seed: int, fell: bool, ticks: int = 1000, **others: Any) -> dict[str, Any]:
    return {
        "seed": seed,
        "fell": fell,
        "seconds": 2.0,
        "ticks": ticks,
        "mean_velocity": [0.0, 0.0, 0.0],
        "velocity_error": None,
        "learned_share": 0.75,
        "unlearned_reasons": {"rejected: reach": ticks // 4},
        "proposals": {"made": 8, "rejected": 3, "reasons": {"reach": 3}},
        "interventions": {"rate": 0.01, "count": 10, "max_torque_change_nm": 4.0 + seed, "reasons": {"torque": 10}},
        "tick_us": {"p50": 500.0 + seed, "p99": 900.0 + seed},
        "position_drift_m": 0.1,
        "folder": None,
        "report": None,
    } | others
