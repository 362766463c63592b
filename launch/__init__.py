"""The composition root and the commands: nothing here computes, it puts the parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compose import build_stack

__all__ = ["build_stack"]


# `poise` begins here too, before `cli` can catch Ctrl-C: nothing that takes time is imported.
def __getattr__(name: str) -> Any:
    """Import the composition root when it is first asked for: `poise --help` needs none of it."""
    if name == "build_stack":
        from .compose import build_stack

        return build_stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
