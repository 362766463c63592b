"""A terminal's keys as an operator."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import tty

from poise.robots import Intent, PoiseError

from .operation import STILL, Buttons, Operated, Velocity, bounded

STEP: Velocity = (0.1, 0.05, 0.2)  # of one press: m/s forward, m/s to the left, rad/s to the left
STEPS = {"w": (0, 1), "s": (0, -1), "a": (1, 1), "d": (1, -1), "q": (2, 1), "e": (2, -1)}  # axis and way
HELP = "w s: forward, back; a d: left, right; q e: turn; space: stand still; Enter: go on; x or Esc: emergency stop; ?: this line"
GONE = "the terminal is closed: velocity zero"

_SEQUENCE = re.compile(rb"\x1b[\[O][0-9;]*[A-Za-z~]")  # of arrows and other keys, which begin with what Esc alone sends
_READ = 1024  # bytes a poll


class Keyboard:
    """Keys come one by one and without an echo while it is open."""

    hint = HELP

    def __init__(self, most: Velocity, fd: int | None = None) -> None:
        """Take over a terminal.

        Args:
            most: largest velocity each way, m/s and rad/s.
            fd: file descriptor of the terminal; standard input where None.

        Raises:
            PoiseError: it is no terminal.
        """
        self._most, self._fd = most, sys.stdin.fileno() if fd is None else fd
        try:
            self._before = termios.tcgetattr(self._fd)
        except termios.error as error:
            raise PoiseError("the keyboard needs a terminal, which this input is not; run in one, or take another source") from error
        tty.setcbreak(self._fd, termios.TCSANOW)
        self._buttons, self._velocity, self._gone = Buttons(), STILL, False

    def poll(self, now_s: float) -> Operated:
        """What the keys said that were pressed since the last poll."""
        keys = self._pressed()
        for key in keys:
            self._take(key)
        remark = GONE if self._gone else HELP if "?" in keys else ""
        return self._buttons.told(Intent(velocity=self._velocity), remark)

    def release(self) -> None:
        """Forget an emergency stop."""
        self._buttons.release()

    def close(self) -> None:
        """Give the terminal back as it was."""
        try:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        except termios.error:  # it is gone
            self._gone = True

    def _pressed(self) -> str:
        """The keys that wait, without those that send a sequence; none of a terminal that is gone."""
        if self._gone:
            return ""
        try:
            if not select.select([self._fd], [], [], 0.0)[0]:
                return ""
            keys = os.read(self._fd, _READ)
        except OSError:  # the other end was closed
            keys = b""
        if not keys:
            self._gone, self._velocity = True, STILL
        return _SEQUENCE.sub(b"", keys).decode("latin-1").lower()

    def _take(self, key: str) -> None:
        if key in STEPS:
            axis, way = STEPS[key]
            wanted = list(self._velocity)
            wanted[axis] = round(wanted[axis] + way * STEP[axis], 6)
            self._velocity = bounded(wanted, self._most)
        elif key == " ":
            self._velocity = STILL
        elif key in "\r\n":
            self._buttons.go_on()
        elif key in "x\x1b":
            self._velocity = STILL
            self._buttons.stop()
