"""The composition root and the commands: nothing here computes, it puts the parts together."""

from .compose import build_stack

__all__ = ["build_stack"]
