from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from poise.launch import live as module
from poise.launch.live import PACE_TICKS, Live
from poise.robots import Intent, RobotModel
from poise.sim import MujocoBackend, Push


class Page:
    """What a user does on the page."""

    hint = "Open http://127.0.0.1:1 in a browser"

    def __init__(self, *others: Any) -> None:
        self.velocity = (0.0, 0.0, 0.0)
        self.stopped = False
        self.presses = 0
        self.shown = 0
        self.closed = False

    def pushed(self) -> bool:
        self.presses -= 1
        return self.presses >= 0

    def update(self, *others: Any) -> None:
        self.shown += 1

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    made = Page()
    monkeypatch.setattr(module, "Viewer", lambda *others: made)
    return made


def test_the_page_takes_over_once_its_velocity_is_moved(g1: RobotModel, page: Page) -> None:
    wanted = Intent(waypoint=(1.0, 0.0, 0.0))
    live = Live(g1, MujocoBackend(g1), 8080, 0)
    assert live.intent(wanted) is wanted
    page.velocity = (0.3, 0.0, 0.1)
    assert live.intent(wanted).velocity == (0.3, 0.0, 0.1)
    page.velocity = (0.0, 0.0, 0.0)
    assert live.intent(wanted).velocity == (0.0, 0.0, 0.0)


def test_stop_stops_what_nobody_steered(g1: RobotModel, page: Page) -> None:
    live = Live(g1, MujocoBackend(g1), 8080, 0)
    page.stopped = True
    assert live.intent(Intent(velocity=(0.4, 0.0, 0.0))).velocity == (0.0, 0.0, 0.0)


def test_the_button_pushes_the_torso_with_ten_newton_seconds(g1: RobotModel, page: Page) -> None:
    backend = MujocoBackend(g1)
    live = Live(g1, backend, 8080, 0)
    decision: Any = None
    page.presses = 1
    live.show(decision)
    live.show(decision)
    (push,) = backend.disturbances
    assert isinstance(push, Push)
    assert (push.body, push.impulse, push.duration_s, push.start_s) == (g1.overlay.torso, 10.0, 0.2, backend.data.time)
    assert np.linalg.norm(push.direction) == pytest.approx(1.0)


def test_it_is_no_faster_than_real_time_and_closes_the_page(g1: RobotModel, page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    decision: Any = None
    with Live(g1, MujocoBackend(g1), 8080, 0) as live:
        start = time.perf_counter()
        for _ in range(5 * PACE_TICKS):
            live.show(decision)
        assert time.perf_counter() - start >= 0.099  # 50 ticks of 2 ms; a busy machine may take longer
    assert page.closed and page.shown == 5 * PACE_TICKS
    assert f"{page.hint}; Ctrl-C ends the run." in capsys.readouterr().err
