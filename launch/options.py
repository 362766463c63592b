"""What the commands have in common: reading and checking their options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from poise.robots import PoiseError

MOST_SEEDS, SEED_DIGITS = 10_000, 18


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from "0-4", "0,2,5" or both mixed, in the order given, each once.

    Raises:
        PoiseError: something else.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        known = all(
            number.isascii() and number.isdecimal() and len(number) <= SEED_DIGITS for number in ((first, last) if dash else (first,))
        )
        if not known or (dash and int(last) < int(first)):
            raise PoiseError(f"--seeds {text[:80]}: not a list of seeds; give them as 0-4 or 0,2,5")
        if dash and int(last) - int(first) >= MOST_SEEDS:
            raise PoiseError(f"--seeds {text}: more than {MOST_SEEDS} seeds; give a shorter range")
        seeds.update(dict.fromkeys(range(int(first), int(last or first) + 1)))
    return tuple(seeds)


def check_numbers(option: str, values: Sequence[float]) -> None:
    """Refuse NaN and infinity, and numbers that the stack would leave out of an intent.

    Raises:
        PoiseError: one of the values is such a one.
    """
    from poise.control.soundness import INTENT_MAX

    given = " ".join(f"{value:g}" for value in values)
    if not all(math.isfinite(value) for value in values):
        raise PoiseError(f"{option} {given}: not finite; give plain numbers")
    if max(map(abs, values)) > INTENT_MAX:
        raise PoiseError(f"{option} {given}: out of all proportion; give numbers in m, m/s, rad and rad/s")


def check_seconds(seconds: float) -> None:
    """Refuse a length that is not finite, or in which not one tick would run: nothing would be found out.

    Raises:
        PoiseError: it is such a one.
    """
    from poise.control import StackConfig  # slow to import, and most commands take no time

    least = StackConfig().period_s
    if not least <= seconds < math.inf:
        raise PoiseError(f"--seconds {seconds:g}: give a number of at least {least:g} (s), which is one tick")


def check_count(option: str, value: int, least: int = 1, most: int | None = None) -> None:
    """Refuse a whole number below the least or, where there is one, above the most.

    Raises:
        PoiseError: it is such a one.
    """
    if value < least:
        raise PoiseError(f"{option} {value}: give a whole number of at least {least}")
    if most is not None and value > most:
        raise PoiseError(f"{option} {value}: give a whole number of at most {most}")


def check_json(path: str | None) -> None:
    """Refuse a result file that could not be written after the work was done.

    Raises:
        PoiseError: its folder does not exist, or it is a folder.
    """
    if path is not None and path != "-" and (not Path(path).parent.is_dir() or Path(path).is_dir()):
        raise PoiseError(f"--json {path}: cannot be written; give a file in a folder that exists, or - for standard output")


def console_for(json_path: str | None) -> Console:
    """Where tables go: standard output, or standard error where `--json -` has taken that."""
    return Console(stderr=json_path == "-")


def check_port(port: int, option: str = "--port") -> None:
    """Refuse what is no port.

    Raises:
        PoiseError: it is none.
    """
    if not 1 <= port <= 65535:
        raise PoiseError(f"{option} {port}: give a number from 1 to 65535")
