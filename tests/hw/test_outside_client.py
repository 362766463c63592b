from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.realtime

SESSION = Path(__file__).with_name("outside_client.py")
MARK = "from here on every checksum is wrong"
SECONDS = 4.0


def test_unitrees_own_sdk_reads_the_simulated_robot_and_moves_a_joint() -> None:
    pytest.importorskip("unitree_interface", reason="Unitree's SDK (far-unitree-sdk) has no wheel for this Python or machine")
    if os.geteuid() != 0:
        pytest.skip("a network of its own, in which domain 0 is nobody else's, needs root")
    command = ["unshare", "--net", "sh", "-c", f"ip link set lo up && exec {sys.executable} {SESSION} {SECONDS}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    before, mark, after = done.stdout.partition(MARK)
    told = json.loads(done.stdout.splitlines()[-1])
    assert mark and "CRC Error" not in before
    assert "CRC Error" in after  # so that it would have been said
    assert told["tick_steps"] == [2] and told["refused"] == 0 and told["states"] > 100
    begin, end = told["elbow_rad"]
    assert end - begin > 0.05 and told["others_moved_rad"] < 0.05
