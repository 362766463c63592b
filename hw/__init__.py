"""What runs the stack on a robot; it knows no simulator."""

from .clock import Clock

__all__ = ["Clock"]
