"""Does each joint move when it is told to, the right way, and no other? For a robot that hangs, before it is armed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from poise.robots import Backend, RobotModel
from poise.robots.commands import damping_command, hold_command
from poise.robots.types import Array

FAR_RAD = 0.1  # how far each joint is told to move, away from its nearer limit
SETTLE_S, OUT_S, LOOK_S = 1.0, 0.2, 0.1  # before the first; to get there, and how long it is given there before it is looked at
LEAST = 0.4  # of what it was told to move it must have moved


def wiggle(robot: RobotModel, backend: Backend, period_s: float, stops: Callable[[], str] = lambda: "") -> str:
    """Move each joint a little and back, and damp them all.

    Args:
        robot: the model by which joints are named.
        backend: where commands go, and what paces them.
        period_s: of the backend.
        stops: who asks for an emergency stop, looked at each period; empty: nobody.

    Returns:
        What did not move as it was told, in a sentence; empty where all did.
    """
    home, wrong = np.array(backend.read().joint_position), list[str]()
    for _ in range(round(SETTLE_S / period_s)):  # a joint that nothing holds swings, and that is not meant here
        backend.write(hold_command(robot, home))
    middle = 0.5 * (robot.position_min + robot.position_max)
    for joint, name in enumerate(robot.joint_names):
        before = np.array(backend.read().joint_position)
        way = FAR_RAD if home[joint] < middle[joint] else -FAR_RAD
        for share in (*np.linspace(0.0, 1.0, round(OUT_S / period_s)), *np.ones(round(LOOK_S / period_s))):
            target = home.copy()
            target[joint] += share * way
            backend.write(hold_command(robot, target))
            if who := stops():
                backend.write(damping_command(robot))
                return f"emergency stop: {who}"
        if said := _judged(robot, joint, way, np.array(backend.read().joint_position) - before):
            wrong.append(f"{name} {said}")
        for _ in range(round(OUT_S / period_s)):
            backend.write(hold_command(robot, home))
    backend.write(replace(damping_command(robot), q=home))
    return "; ".join(wrong)


def _judged(robot: RobotModel, joint: int, way: float, moved: Array) -> str:
    """What is wrong with how the joints moved, (n,) rad, when one was told to move by `way`."""
    if not np.isfinite(moved).all():
        return "was not seen to move: a reading is no number"
    least, its_own, most = LEAST * FAR_RAD, float(moved[joint] * np.sign(way)), int(np.argmax(np.abs(moved)))
    if its_own >= least:
        return ""
    if its_own <= -least:
        return "moved the wrong way: see to its sign"
    if abs(moved[most]) >= least:
        return f"was told to move, and {robot.joint_names[most]} moved: see to the motor map"
    return "did not move: see to its motor and its encoder"
