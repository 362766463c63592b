"""What fuzz tests share: a folder that is one for all examples, since each example writes its file anew."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files of examples."""
    return tmp_path_factory.mktemp("fuzz")
