from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from poise.hw.operation import REQUESTS, STILL
from poise.launch.sources import SOURCES, Sources
from poise.launch.teleop_page import GONE, TeleopPage
from poise.robots import PoiseError, RobotModel
from poise.robots.plant import compile_plant

NOBODY: Any = None  # who clicked: the callbacks do not ask
PORT = 18280


@pytest.fixture(scope="module")
def page() -> Iterator[TeleopPage]:
    from poise.robots import load_robot

    robot = load_robot("g1")
    page = TeleopPage(robot, compile_plant(robot.description), PORT)
    yield page
    page.close()


def click(button: Any) -> None:
    for callback in button._impl.update_cb:
        callback(NOBODY)


def test_untouched_it_asks_for_standing_still_and_nothing_else(page: TeleopPage) -> None:
    said = page.poll(0.0)
    assert said.intent.velocity == STILL and said.remark == ""
    assert (said.intent.height_m, said.intent.torso_rpy, said.intent.arms) == (None, None, None)
    assert (said.request, said.next, said.emergency_stop) == ("", False, False)
    assert page.url in page.hint


def test_sliders_walk_and_hold_the_body(page: TeleopPage, g1: RobotModel) -> None:
    for slider, value in zip((*page._sliders, *page._tilts, page._higher), (0.5, -0.1, 0.3, 0.1, 0.2, -0.3, -0.06), strict=True):
        slider.value = value
    intent = page.poll(0.1).intent
    assert intent.velocity == (0.5, -0.1, 0.3) and intent.torso_rpy == (0.1, 0.2, -0.3)
    assert intent.height_m == pytest.approx(g1.overlay.gait.com_height_m - 0.06)
    click(page._stop_button)
    assert page.poll(0.2).intent.velocity == STILL
    for slider in (*page._tilts, page._higher):
        slider.value = 0.0
    assert page.poll(0.3).intent.torso_rpy is None and page.poll(0.3).intent.height_m is None


def test_numbers_that_are_none_are_nothing(page: TeleopPage) -> None:
    for slider in (*page._sliders, *page._tilts, page._higher):
        slider._impl.value = float("nan")  # as a client's message would
    intent = page.poll(0.4).intent
    assert intent.velocity == STILL and intent.torso_rpy is None and intent.height_m is None
    for slider in (*page._sliders, *page._tilts, page._higher):
        slider._impl.value = 0.0


def test_each_stage_is_asked_for_once_and_the_emergency_stop_holds(page: TeleopPage) -> None:
    assert [button.label.lower() for button in page._stages] == list(REQUESTS[1:])
    for button, request in zip(page._stages, REQUESTS[1:], strict=True):
        click(button)
        assert page.poll(0.5).request == request and page.poll(0.5).request == ""
    page._sliders[0].value = 0.5
    click(page._emergency)
    for _ in range(2):
        said = page.poll(0.6)
        assert said.emergency_stop and said.intent.velocity == STILL
    page.release()
    assert not page.poll(0.7).emergency_stop
    click(page._stop_button)


def test_handles_move_the_hands_and_without_them_the_arms_come_home(page: TeleopPage, g1: RobotModel) -> None:
    page._moving.value = True
    assert all(handle.visible for handle in page._hands)
    assert np.allclose(page._hands[0].position, page._retarget.hands[0].position), "they begin where the hands are"
    page.poll(1.0)
    page._hands[0].position = page._hands[0].position + np.array([0.1, 0.05, 0.1])
    for k in range(1, 100):
        arms = page.poll(1.0 + 0.02 * k).intent.arms
    assert np.linalg.norm(page._retarget.hands[0].position - page._hands[0].position) < 0.002
    assert arms is not None and np.abs(arms - g1.posture[g1.arms])[:7].max() > 0.2
    page._moving.value, now = False, 3.0
    while (arms := page.poll(now).intent.arms) is not None:
        now += 0.02
    assert 3.2 < now < 8.0 and not any(handle.visible for handle in page._hands)


def test_a_handle_that_is_nowhere_moves_no_hand(page: TeleopPage) -> None:
    page._moving.value = True
    before = page.poll(10.0).intent.arms
    page._hands[0]._impl.position = np.array([np.nan, 0.0, 0.0])
    page._hands[1]._impl.wxyz = np.zeros(4)
    after = page.poll(10.02).intent.arms
    assert before is not None and after is not None and np.isfinite(after).all()
    page._moving.value = False


def test_a_page_that_is_gone_wants_velocity_zero_and_the_arms_home(page: TeleopPage, monkeypatch: pytest.MonkeyPatch) -> None:
    clients: dict[int, Any] = {0: NOBODY}
    monkeypatch.setattr(page._server, "get_clients", lambda: clients)
    page._sliders[0].value, page._moving.value = 0.5, True
    assert page.poll(20.0).intent.velocity == (0.5, 0.0, 0.0) and page.poll(20.0).remark == ""
    clients.clear()
    said = page.poll(20.1)
    assert said.intent.velocity == STILL and said.remark == GONE and not page._moving.value


def test_sources_are_opened_all_or_none(g1: RobotModel, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[TeleopPage] = []
    monkeypatch.setattr(TeleopPage, "close", lambda self: closed.append(self))
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))
    with pytest.raises(PoiseError, match="needs a terminal"):
        Sources(("page", "keyboard"), g1, compile_plant(g1.description), PORT + 5, ("127.0.0.1", PORT))
    (page,) = closed
    page._server.stop()
    with pytest.raises(PoiseError, match=re.escape(", ".join(SOURCES))):
        Sources(("mouse",), g1, compile_plant(g1.description), PORT, ("127.0.0.1", PORT))


def test_sources_of_several_kinds_are_one(g1: RobotModel) -> None:
    sources = Sources(("gamepad", "stream", "gamepad"), g1, compile_plant(g1.description), PORT, ("127.0.0.1", PORT + 9))
    assert sources.page is None and sources.hint.count("\n") == 1
    assert sources.poll(0.0).intent.velocity == STILL
    sources.close()
