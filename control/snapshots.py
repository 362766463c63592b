"""An object's state as a copy of its attributes, to go back to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def snapshot_of(of: object, but: Collection[str]) -> dict[str, object]:
    """All attributes by name, copied, but those named."""
    return {name: _copied(value) for name, value in of.__dict__.items() if name not in but}


def put_back(into: object, snapshot: dict[str, object]) -> None:
    """Set the attributes to copies of a snapshot's."""
    for name, value in snapshot.items():
        setattr(into, name, _copied(value))


def _copied(value: Any) -> Any:
    """What can be copied, copied; numbers, words and tuples, and plans, which are never written to, as they are."""
    return value.copy() if hasattr(value, "copy") else value
