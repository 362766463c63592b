"""Model-based control: knows no simulator and no network."""

from .protocols import Proposer, Situation, WorldModel
from .stack import Stack, StackConfig

__all__ = ["Proposer", "Situation", "Stack", "StackConfig", "WorldModel"]
