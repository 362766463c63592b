"""Unitree's own SDK, unmodified, as a client of the simulated robot on domain 0, which it takes no other than; in a network of its own.

Prints what the client itself says, a mark after which every checksum is wrong, and last a line of JSON: what the client saw, and what our
own subscriber counted beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import unitree_interface

from poise.hw.dds import LOW_STATE_TOPIC, Bus
from poise.hw.unitree_hg import LOW_STATE

JOINT, TO_RAD = 18, 0.9  # the left elbow
STEP_S = 0.002
MARK = "from here on every checksum is wrong"


def main(seconds: float) -> None:
    command = [sys.executable, "-m", "poise.launch.cli", "simulate", "--dds", "--program", "", "--hoist", "manual"]
    robot = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert robot.stdin is not None and robot.stdout is not None
    print("status", file=robot.stdin, flush=True)
    robot.stdout.readline()
    client = unitree_interface.UnitreeInterface.create_g1("lo", unitree_interface.MessageType.HG)
    with Bus("lo") as bus:
        reader = bus.reader(LOW_STATE_TOPIC, LOW_STATE)
        reader.wait(5.0)
        reader.take()
        begin_s, stamps = time.monotonic(), list[tuple[float, int]]()
        begin = reading(client)
        while (spent_s := time.monotonic() - begin_s) < seconds:
            client.write_low_command(holding(client, begin, min(1.0, spent_s / (0.5 * seconds))))
            reader.wait(STEP_S)
            stamps += [(time.monotonic(), int(record["tick"])) for record in reader.take()]
        moved = reading(client)
        print(MARK, flush=True)
        print("fault corrupt 1", file=robot.stdin, flush=True)
        time.sleep(0.5)
        print("quit", file=robot.stdin, flush=True)
        robot.wait(20)
    ticks = np.array([tick for _, tick in stamps])
    told = {
        "states": len(stamps),
        "rate_hz": (len(stamps) - 1) / (stamps[-1][0] - stamps[0][0]),
        "tick_steps": sorted(set(np.diff(ticks).tolist())),
        "refused": reader.refused,
        "elbow_rad": [begin[JOINT], moved[JOINT]],
        "others_moved_rad": float(np.abs(np.delete(np.array(moved) - np.array(begin), JOINT)).max()),
    }
    print(json.dumps(told))


def reading(client: unitree_interface.UnitreeInterface) -> list[float]:
    return list(client.read_low_state().motor.q)[:29]


def holding(client: unitree_interface.UnitreeInterface, begin: list[float], share: float) -> unitree_interface.MotorCommand:
    command = client.create_zero_command()
    wanted = list(begin)
    wanted[JOINT] += share * (TO_RAD - begin[JOINT])
    command.q_target, command.kp, command.kd = wanted, [60.0] * 29, [2.0] * 29
    return command


if __name__ == "__main__":
    main(float(sys.argv[1]))
