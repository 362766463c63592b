from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _mujoco_log_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo writes its warnings to MUJOCO_LOG.TXT in the working directory; some tests provoke them."""
    monkeypatch.chdir(tmp_path)
