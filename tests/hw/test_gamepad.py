"""A gamepad, by the events that SDL makes of one: there is none on the machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

pygame = pytest.importorskip("pygame")

from poise.hw.gamepad import GONE, Gamepad  # noqa: E402  # only where pygame is
from poise.hw.operation import STILL, Operated  # noqa: E402

MOST = (1.0, 0.4, 1.2)
RB, B, START, BACK, A = 10, 1, 6, 4, 0  # SDL_GameControllerButton
LEFT_X, LEFT_Y, RIGHT_X, TRIGGER = 0, 1, 2, 5  # SDL_GameControllerAxis


@pytest.fixture
def pad() -> Iterator[Gamepad]:
    pad = Gamepad(MOST)
    yield pad
    pad.close()


def axis(number: int, value: int) -> None:
    pygame.event.post(pygame.event.Event(pygame.CONTROLLERAXISMOTION, instance_id=0, axis=number, value=value))


def button(number: int, down: bool = True) -> None:
    kind = pygame.CONTROLLERBUTTONDOWN if down else pygame.CONTROLLERBUTTONUP
    pygame.event.post(pygame.event.Event(kind, instance_id=0, button=number))


def polled(pad: Gamepad) -> Operated:
    return pad.poll(0.0)


def test_it_walks_only_while_the_shoulder_button_is_held(pad: Gamepad) -> None:
    axis(LEFT_Y, -32767)
    assert polled(pad).intent.velocity == STILL
    button(RB)
    assert polled(pad).intent.velocity == (1.0, 0.0, 0.0), "the stick forward is negative"
    button(RB, down=False)
    assert polled(pad).intent.velocity == STILL


def test_to_the_left_is_positive_and_the_dead_zone_is_nothing(pad: Gamepad) -> None:
    button(RB)
    axis(LEFT_X, -32768)
    axis(RIGHT_X, 32767)
    axis(LEFT_Y, 3000)
    axis(TRIGGER, 32767)
    assert polled(pad).intent.velocity == pytest.approx((0.0, 0.4, -1.2))


def test_b_is_the_emergency_stop_held_or_not(pad: Gamepad) -> None:
    button(B)
    button(B, down=False)
    button(RB)
    axis(LEFT_Y, -32767)
    said = polled(pad)
    assert said.emergency_stop and said.intent.velocity == STILL
    pad.release()
    assert not polled(pad).emergency_stop


def test_start_goes_on_back_stops_and_nothing_else_is_a_button(pad: Gamepad) -> None:
    button(START)
    button(BACK)
    button(A)
    said = polled(pad)
    assert said.next and said.request == "safe stop" and not said.emergency_stop
    button(START, down=False)
    said = polled(pad)
    assert not said.next and said.request == ""


def test_a_pad_that_is_pulled_out_wants_velocity_zero_until_it_is_held_again(pad: Gamepad) -> None:
    assert polled(pad).remark == GONE
    button(RB)
    axis(LEFT_Y, -32767)
    assert polled(pad).remark == ""
    pygame.event.post(pygame.event.Event(pygame.CONTROLLERDEVICEREMOVED, instance_id=0))
    said = polled(pad)
    assert said.remark == GONE and said.intent.velocity == STILL
    axis(LEFT_Y, -32767)
    assert polled(pad).intent.velocity == STILL, "the button is no longer held"


def test_a_pad_that_is_gone_before_it_is_opened_is_passed_over(pad: Gamepad) -> None:
    pygame.event.post(pygame.event.Event(pygame.CONTROLLERDEVICEADDED, device_index=7))
    assert polled(pad).remark == GONE


def test_ctrl_c_is_still_ours(pad: Gamepad) -> None:
    polled(pad)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
