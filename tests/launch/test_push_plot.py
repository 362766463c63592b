from __future__ import annotations

from pathlib import Path

import numpy as np

from poise.launch.push_plot import push_polar, write_push_polar
from poise.sim.pushing import push_summary

WALK, STAND = [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]
PUSH = push_summary(
    [
        {"command": command, "direction": direction, "fell": False, "strict_ns": base + 10.0 * direction + 5.0 * timing}
        for command, base in ((WALK, 20.0), (STAND, 40.0))
        for direction in range(8)
        for timing in range(3)
    ]
)


def test_each_command_has_the_median_and_the_least_of_each_direction() -> None:
    walking, standing = push_polar(PUSH).axes
    for axis, base in ((walking, 20.0), (standing, 40.0)):
        median, least = (np.array(line.get_xydata()) for line in axis.lines)
        np.testing.assert_allclose(median[:, 0], [*np.arange(8) * np.pi / 4, 0.0])
        np.testing.assert_allclose(median[:-1, 1], base + 10.0 * np.arange(8) + 5.0)
        np.testing.assert_allclose(least[:, 1], [*(base + 10.0 * np.arange(8)), base])  # closed


def test_it_is_written_as_a_picture(tmp_path: Path) -> None:
    write_push_polar({"walking": PUSH["walking"]}, tmp_path / "pushes.svg")
    assert (tmp_path / "pushes.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
