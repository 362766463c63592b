"""Does each joint move when it is told to, and the right way? For a robot that hangs, before it is armed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from poise.robots import Backend, RobotModel
from poise.robots.commands import damping_command, hold_command
from poise.robots.types import Array

FAR_RAD = 0.1  # how far each joint is told to move, away from its nearer limit
SETTLE_S, OUT_S, LOOK_S = 1.0, 0.2, 0.1  # before the first; to get there, and how long it is given there before it is looked at
DAMPED_S = 0.2  # afterwards
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
    middle, far = 0.5 * (robot.position_min + robot.position_max), round(OUT_S / period_s)

    def hold(targets: Iterable[Array]) -> None:
        for target in targets:
            backend.write(hold_command(robot, target))
            if who := stops():
                raise _StoppedError(who)

    try:
        hold([home] * round(SETTLE_S / period_s))  # a joint that nothing holds swings, and that is not meant here
        for joint, name in enumerate(robot.joint_names):
            before, away = np.array(backend.read().joint_position), np.zeros(robot.n)
            away[joint] = FAR_RAD if home[joint] < middle[joint] else -FAR_RAD
            hold(home + share * away for share in (*np.linspace(0.0, 1.0, far), *np.ones(round(LOOK_S / period_s))))
            if said := _judged(robot, joint, away[joint], np.array(backend.read().joint_position) - before):
                wrong.append(f"{name} {said}")
            hold([home] * far)
    except _StoppedError as who:
        wrong = [f"emergency stop: {who}"]
    for _ in range(round(DAMPED_S / period_s)):
        backend.write(replace(damping_command(robot), q=home))
    return "; ".join(wrong)


class _StoppedError(Exception):
    """Somebody asks for an emergency stop."""


def _judged(robot: RobotModel, joint: int, way: float, moved: Array) -> str:
    """What is wrong with how the joints moved, (n,) rad, when one was told to move by `way`."""
    if not np.isfinite(moved).all():
        return "was not seen to move: a reading is no number"
    least, its_own, most = LEAST * FAR_RAD, float(moved[joint] * np.sign(way)), int(np.argmax(np.abs(moved)))
    if its_own >= least:
        return ""  # a limp joint may swing along, and is found when it is told to move
    if its_own <= -least:
        return "moved the wrong way: see to its sign"
    if abs(moved[most]) >= least:
        return f"was told to move, and {robot.joint_names[most]} moved: see to the motor map"
    return "did not move: see to its motor and its encoder"
