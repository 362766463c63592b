from __future__ import annotations

import os
import pty
import select
import termios
from collections.abc import Iterator

import pytest

from poise.hw.keyboard import GONE, HELP, STEP, Keyboard
from poise.hw.operation import STILL, Operated
from poise.robots import PoiseError

MOST = (1.0, 0.35, 1.2)


class Terminal:
    """A pseudo-terminal: what is typed at one end is read at the other."""

    def __init__(self) -> None:
        self.person, self.program = pty.openpty()
        self.before = termios.tcgetattr(self.program)
        self.keyboard = Keyboard(MOST, self.program)

    def press(self, keys: str) -> Operated:
        os.write(self.person, keys.encode())
        assert select.select([self.program], [], [], 5.0)[0]
        return self.keyboard.poll(0.0)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    for fd in (terminal.person, terminal.program):
        try:
            os.close(fd)
        except OSError:  # a test has closed it
            continue


def test_each_key_is_a_step_and_space_stands_still(terminal: Terminal) -> None:
    assert terminal.keyboard.poll(0.0).intent.velocity == STILL, "it does not wait for a key"
    assert terminal.press("w").intent.velocity == (STEP[0], 0.0, 0.0)
    assert terminal.press("waaqee").intent.velocity == pytest.approx((2 * STEP[0], 2 * STEP[1], -STEP[2]))
    assert terminal.keyboard.poll(0.0).intent.velocity == pytest.approx((2 * STEP[0], 2 * STEP[1], -STEP[2])), "what was asked stays"
    assert terminal.press("sssdddWq").intent.velocity == pytest.approx((0.0, -STEP[1], 0.0))
    assert terminal.press(" ").intent.velocity == STILL


def test_it_asks_for_no_more_than_the_gait_can(terminal: Terminal) -> None:
    assert terminal.press("w" * 50 + "d" * 50 + "q" * 50).intent.velocity == (MOST[0], -MOST[1], MOST[2])


def test_enter_goes_on_once(terminal: Terminal) -> None:
    said = terminal.press("\n")
    assert said.next and said.request == "" and not terminal.keyboard.poll(0.0).next


@pytest.mark.parametrize("key", ["x", "X", "\x1b", "\x1b\x1b"])
def test_an_emergency_stop_holds_until_it_is_released(terminal: Terminal, key: str) -> None:
    terminal.press("ww")
    assert terminal.press(key).emergency_stop
    said = terminal.press("w")
    assert said.emergency_stop and said.intent.velocity == STILL
    terminal.press(" ")
    terminal.keyboard.release()
    assert not (said := terminal.keyboard.poll(0.0)).emergency_stop and said.intent.velocity == STILL


@pytest.mark.parametrize("sequence", ["\x1b[A", "\x1bOP", "\x1b[1;5C", "\x1b[3~"])
def test_an_arrow_is_no_emergency_stop(terminal: Terminal, sequence: str) -> None:
    assert not (said := terminal.press(sequence + "w")).emergency_stop
    assert said.intent.velocity == (STEP[0], 0.0, 0.0)


def test_it_says_its_keys_once(terminal: Terminal) -> None:
    assert terminal.press("?").remark == HELP
    assert terminal.keyboard.poll(0.0).remark == ""


def test_keys_are_not_echoed_and_the_terminal_is_given_back(terminal: Terminal) -> None:
    terminal.press("w")
    assert not select.select([terminal.person], [], [], 0.0)[0], "nothing was written back"
    assert not termios.tcgetattr(terminal.program)[3] & (termios.ICANON | termios.ECHO)
    assert termios.tcgetattr(terminal.program)[3] & termios.ISIG, "Ctrl-C still interrupts"
    terminal.keyboard.close()
    assert termios.tcgetattr(terminal.program) == terminal.before


def test_a_terminal_that_is_closed_wants_velocity_zero(terminal: Terminal) -> None:
    terminal.press("ww")
    os.close(terminal.person)
    for _ in range(2):
        said = terminal.keyboard.poll(0.0)
        assert said.intent.velocity == STILL and said.remark == GONE and not said.emergency_stop
    terminal.keyboard.close()


def test_what_is_no_terminal_is_refused() -> None:
    read, write = os.pipe()
    with pytest.raises(PoiseError, match="needs a terminal"):
        Keyboard(MOST, read)
    os.close(read)
    os.close(write)
