from __future__ import annotations

import numpy as np
import pytest

from poise.hw.wire_faults import HELP, WireFaults
from poise.robots import PoiseError, RobotModel


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("drop 0.25", "drop", 0.25),
        ("corrupt 1", "corrupt", 1.0),
        ("nan 0.1", "nan_until_s", 7.1),
        ("garbage 2", "garbage_until_s", 9.0),
        ("silence 0.05", "silent_until_s", 7.05),
        ("late 0.01", "late_s", 0.01),
        ("battery 12", "battery", 12.0),
        ("dead left_knee_joint", "dead", {"left_knee_joint"}),
        ("stuck waist_yaw_joint", "stuck", {"waist_yaw_joint"}),
        ("hot right_elbow_joint", "hot", {"right_elbow_joint"}),
    ],
)
def test_an_order_changes_what_it_says_and_nothing_else(g1: RobotModel, line: str, field: str, value: object) -> None:
    faults, before = WireFaults(), vars(WireFaults())
    faults.order(line.split(), g1, 7.0)
    expected = {g1.joint_names.index(name) for name in value} if isinstance(value, set) else pytest.approx(value)
    assert getattr(faults, field) == expected
    assert all(getattr(faults, other) == before[other] for other in before if other != field)


def test_there_is_an_order_for_each_kind() -> None:
    assert set(HELP) == {"drop", "corrupt", "nan", "garbage", "silence", "late", "dead", "stuck", "hot", "battery"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "known: drop SHARE"),
        ("drop", "fault 'drop' is none"),
        ("drop 0.1 0.2", "fault 'drop 0.1 0.2' is none"),
        ("explode 1", "fault 'explode 1' is none"),
        ("drop 1.5", "give a number from 0 to 1"),
        ("drop -0.1", "give a number from 0 to 1"),
        ("corrupt much", "give a number from 0 to 1"),
        ("nan nan", "give a number from 0 to 3600"),
        ("silence inf", "give a number from 0 to 3600"),
        ("late 0.6", "give a number from 0 to 0.5"),
        ("battery 101", "give a number from 0 to 100"),
        ("dead tail_joint", "no such joint; it is one of left_hip_pitch_joint"),
    ],
)
def test_what_is_no_order_is_refused_in_a_line_and_changes_nothing(g1: RobotModel, line: str, said: str) -> None:
    faults = WireFaults()
    with pytest.raises(PoiseError) as refused:
        faults.order(line.split(), g1, 7.0)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert vars(faults) == vars(WireFaults())


def test_nothing_is_wrong_at_first() -> None:
    faults = WireFaults()
    assert (faults.drop, faults.corrupt, faults.late_s, faults.battery) == (0.0, 0.0, 0.0, 100.0)
    assert max(faults.nan_until_s, faults.garbage_until_s, faults.silent_until_s) == -np.inf
