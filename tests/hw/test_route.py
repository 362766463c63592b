from __future__ import annotations

from pathlib import Path

import pytest

from poise.hw.exchange import DAMPING, DISARMED, FAULT, SAFE_STOP, STAND, STAND_UP, WALK
from poise.hw.operation import REQUESTS
from poise.hw.route import ASK_S, LYING_S, REST_S, Leg, RouteOperator, read_route, velocity_at
from poise.robots import PoiseError

LEGS = (Leg(2.0, (0.4, 0.0, 0.0)), Leg(1.0, (0.0, 0.0, 0.5)))
POLL_S = 0.02


def written(folder: Path, text: str) -> Path:
    path = folder / "route.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_legs_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "# round the table\n2 0.4 0 0\n\n  1e0\t0 -0.0 .5   # turn\n")
    assert read_route(path) == LEGS


@pytest.mark.parametrize(
    "line",
    ["5 0.4 0", "5 0.4 0 0 0", "five 0 0 0", "0 0.4 0 0", "-1 0.4 0 0", "nan 0 0 0", "1 nan 0 0", "inf 0 0 0", "1 0 0 inf", "1,0,0,0"],
)
def test_a_line_that_is_no_leg_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"1 0 0 0\n# nothing\n{line} # wrong\n")
    with pytest.raises(PoiseError, match=r"line 3: .* is no leg; give seconds vx vy wz, as 5 0\.4 0 0\.2") as refused:
        read_route(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_route_without_a_leg_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PoiseError, match="no leg in it"):
        read_route(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoiseError, match="nowhere.txt: cannot be read"):
        read_route(tmp_path / "nowhere.txt")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(PoiseError):
        read_route(binary)


@pytest.mark.parametrize(
    ("time_s", "velocity"),
    [(0.0, (0.4, 0.0, 0.0)), (1.999, (0.4, 0.0, 0.0)), (2.0, (0.0, 0.0, 0.5)), (2.999, (0.0, 0.0, 0.5)), (3.0, None), (99.0, None)],
)
def test_one_leg_follows_the_other(time_s: float, velocity: tuple[float, float, float] | None) -> None:
    assert velocity_at(LEGS, time_s) == velocity


class Robot:
    """Obeys each request at once, except that standing up takes its time; what `refuses` it does not do."""

    FOLLOWS = {
        ("arm", DISARMED): DAMPING,
        ("stand up", DAMPING): STAND_UP,
        ("stand", STAND_UP): STAND,
        ("walk", STAND): WALK,
        ("stand", WALK): STAND,
        ("safe stop", STAND): SAFE_STOP,
        ("disarm", SAFE_STOP): DISARMED,
        ("disarm", FAULT): DISARMED,
    }

    def __init__(self, operator: RouteOperator, begin_s: float = 1000.0) -> None:
        self.operator, self.now_s, self.mode, self.refuses = operator, begin_s, DISARMED, ""
        self.asked: list[tuple[float, str]] = []  # when, s, and what for
        self.modes = [(begin_s, DISARMED)]
        self.walked: list[tuple[float, float, float]] = []

    def go(self, seconds: float) -> None:
        for _ in range(round(seconds / POLL_S)):
            self.operator.sees(self.mode)
            said = self.operator.poll(self.now_s)
            assert said.request in REQUESTS and said.intent.velocity is not None and not said.emergency_stop
            if self.mode == WALK:
                self.walked.append(said.intent.velocity)
            else:
                assert said.intent.velocity == (0.0, 0.0, 0.0)
            if said.request:
                self.asked.append((self.now_s, said.request))
                self.be(self.FOLLOWS.get((said.request, self.mode), self.mode) if said.request != self.refuses else self.mode)
            self.now_s += POLL_S

    def be(self, mode: str) -> None:
        if mode != self.mode:
            self.mode = mode
            self.modes.append((self.now_s, mode))


def test_a_route_goes_through_all_stages_and_walks_each_leg_as_long_as_it_says() -> None:
    robot = Robot(RouteOperator(LEGS))
    while robot.mode != SAFE_STOP:
        robot.go(POLL_S)
    while robot.mode != DISARMED:
        robot.go(POLL_S)
    assert [mode for _, mode in robot.modes] == [DISARMED, DAMPING, STAND_UP, STAND, WALK, STAND, SAFE_STOP, DISARMED]
    for leg in LEGS:
        assert robot.walked.count(leg.velocity) * POLL_S == pytest.approx(leg.seconds, abs=2 * POLL_S)
    stops = [when for when, mode in robot.modes if mode == SAFE_STOP][0]
    disarms = next(when for when, mode in robot.modes if mode == DISARMED and when > stops)
    assert disarms - stops >= LYING_S - POLL_S, "it lies before the motors are let go"


def test_between_two_stages_it_rests() -> None:
    robot = Robot(RouteOperator(LEGS))
    robot.go(4.5)
    whens = [when for when, _ in robot.modes]
    assert all(later - earlier >= REST_S - POLL_S for earlier, later in zip(whens[1:], whens[2:], strict=False))


def test_what_is_refused_is_asked_for_again_and_not_more_often_than_it_should() -> None:
    robot = Robot(RouteOperator(LEGS))
    robot.refuses = "arm"
    robot.go(5.0)
    assert {request for _, request in robot.asked} == {"arm"} and len(robot.asked) >= 5
    whens = [when for when, _ in robot.asked]
    assert all(later - earlier >= ASK_S - 1e-9 for earlier, later in zip(whens, whens[1:], strict=False))


def test_a_walk_that_somebody_ended_is_not_begun_again() -> None:
    robot = Robot(RouteOperator(LEGS))
    while robot.mode != WALK:
        robot.go(POLL_S)
    robot.go(1.0)
    robot.be(STAND)  # nobody heard from the operator for a while, say
    robot.go(2 * REST_S)
    assert robot.mode == SAFE_STOP


def test_after_a_fault_it_disarms() -> None:
    robot = Robot(RouteOperator(LEGS))
    while robot.mode != WALK:
        robot.go(POLL_S)
    robot.be(FAULT)
    robot.go(2 * REST_S)
    assert robot.asked[-1][1] == "disarm" or robot.mode == DISARMED
