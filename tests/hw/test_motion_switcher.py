from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from poise.hw import motion_switcher
from poise.hw.dds import Bus
from poise.hw.motion_switcher import SELECT_MODE, MotionSwitcher, MotionSwitcherClient
from poise.robots import PoiseError

pytestmark = pytest.mark.realtime

DOMAIN = 52
PATIENCE_S = 20.0


@pytest.fixture
def bus() -> Iterator[Bus]:
    with Bus("lo", DOMAIN) as joined:
        yield joined


@contextmanager
def serving(bus: Bus, mode: str) -> Iterator[MotionSwitcher]:
    """A robot's switcher that answers in a thread of its own."""
    switcher, ended = MotionSwitcher(bus, mode), threading.Event()

    def serve() -> None:
        while not ended.wait(0.002):
            switcher.serve()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield switcher
    finally:
        ended.set()
        thread.join()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion_switcher, "PATIENCE_S", PATIENCE_S)


@pytest.mark.parametrize("mode", ["ai", "", 'a "quoted" näme'])
def test_who_has_the_motors_is_told(bus: Bus, mode: str) -> None:
    with serving(bus, mode):
        assert MotionSwitcherClient(bus).mode() == mode


def test_it_lets_go_of_the_motors(bus: Bus) -> None:
    with serving(bus, "ai") as switcher:
        client = MotionSwitcherClient(bus)
        client.release()
        assert switcher.mode == "" and client.mode() == ""


def test_an_unknown_request_is_answered_as_the_robot_does(bus: Bus) -> None:
    with serving(bus, "ai") as switcher:
        with pytest.raises(PoiseError, match="refuses request 1002 with code 3203"):
            MotionSwitcherClient(bus)._call(SELECT_MODE)
        assert switcher.mode == "ai"


def test_who_refuses_to_tell_is_not_taken_for_one_who_lets_go(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(bus, "ai") as switcher:
        monkeypatch.setattr(switcher, "_answer", lambda api, parameter: (7001, ""))
        with pytest.raises(PoiseError, match="refuses request 1001 with code 7001"):
            MotionSwitcherClient(bus).mode()


def test_two_who_ask_get_their_own_answers(bus: Bus) -> None:
    with serving(bus, "ai"):
        one, other = MotionSwitcherClient(bus), MotionSwitcherClient(bus)
        assert (one.mode(), other.mode(), one.mode()) == ("ai", "ai", "ai")


def test_a_robot_that_is_not_there_is_said(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion_switcher, "PATIENCE_S", 0.3)
    with pytest.raises(PoiseError, match="does not answer within 0.3 s"):
        MotionSwitcherClient(bus).mode()
