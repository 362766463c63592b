"""Errors raised outside the control loop; each carries one line that says what is wrong and how to mend it."""

from __future__ import annotations


class PoiseError(Exception):
    """Unusable input: the message is one line for the user, whatever the names and values in it hold."""

    def __init__(self, message: str) -> None:
        """Say what is wrong; line breaks and what no terminal prints become spaces."""
        super().__init__("".join(letter if letter.isprintable() else " " for letter in message))


class RobotDescriptionError(PoiseError):
    """A robot description or overlay that is unknown, unreadable or disagrees with itself."""


class ContractError(PoiseError):
    """A policy file whose contract does not match the robot or this version."""


class RecordError(PoiseError):
    """A recording that cannot be read."""
