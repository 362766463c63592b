from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from poise.learning.processes import finished


def touched(file: Path) -> Path:
    """Leaves a file; takes a while."""
    file.touch()
    time.sleep(0.2)
    return file


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_every_job_is_done_once(processes: int) -> None:
    assert sorted(finished(math.sqrt, [1.0, 4.0, 9.0], processes)) == [1.0, 2.0, 3.0]
    assert list(finished(math.sqrt, [], processes)) == []


def test_an_error_is_the_callers() -> None:
    with pytest.raises(ValueError, match="math domain error"):
        list(finished(math.sqrt, [1.0, -1.0, 4.0], 2))


def test_what_is_left_alone_begins_nothing_more(tmp_path: Path) -> None:
    results = finished(touched, [tmp_path / str(i) for i in range(20)], 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) <= 4
