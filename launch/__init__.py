"""The composition root and the commands: nothing here computes, it puts the parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from .compose import build_stack

__all__ = ["build_stack"]

# An episode of 15 s; the environment's module is imported when the first one is made.
gymnasium.register("poise/G1-Walk-v0", entry_point="poise.launch.environment:walk_env", max_episode_steps=150)


def __getattr__(name: str) -> Any:
    """Import the composition root when it is first asked for: `poise --help` needs none of it."""
    if name == "build_stack":
        from .compose import build_stack

        return build_stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
