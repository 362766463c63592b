"""What can go wrong on the wire of a simulated robot, and in its motors and encoders, by a line of words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from poise.robots import PoiseError, RobotModel

HELP = {
    "drop": "SHARE of the states are not sent",
    "corrupt": "SHARE of the states arrive with a changed bit",
    "nan": "SECONDS in which every state has a NaN, sealed",
    "garbage": "SECONDS in which bytes that are no message follow each state",
    "silence": "SECONDS without states, and deaf",
    "late": "SECONDS by which each state is late",
    "dead": "JOINT whose motor gives no torque, and says so",
    "stuck": "JOINT whose encoder stays where it is",
    "hot": "JOINT whose motor is at 100 °C",
    "battery": "PERCENT that is left",
}


@dataclass
class WireFaults:
    """What is wrong now; `until` in s of the robot's own clock."""

    drop: float = 0.0
    corrupt: float = 0.0
    late_s: float = 0.0
    nan_until_s: float = -np.inf
    garbage_until_s: float = -np.inf
    silent_until_s: float = -np.inf
    dead: set[int] = field(default_factory=set)
    stuck: set[int] = field(default_factory=set)
    hot: set[int] = field(default_factory=set)
    battery: float = 100.0

    def order(self, words: list[str], robot: RobotModel, now_s: float) -> None:
        """Begin what a line says, as `silence 0.1` or `dead left_knee_joint`.

        Raises:
            PoiseError: it says nothing that is known.
        """
        kind, value = (words + ["", ""])[:2]
        if kind not in HELP or len(words) != 2:
            known = "; ".join(f"{name} {what}" for name, what in HELP.items())
            raise PoiseError(f"fault {' '.join(words)!r} is none; known: {known}")
        if kind in ("dead", "stuck", "hot"):
            if value not in robot.joint_names:
                raise PoiseError(f"fault {kind} {value}: no such joint; it is one of {', '.join(robot.joint_names)}")
            getattr(self, kind).add(robot.joint_names.index(value))
            return
        number = _number(kind, value)
        if kind in ("drop", "corrupt", "battery"):
            setattr(self, kind, number)
        elif kind == "late":
            self.late_s = number
        else:
            setattr(self, {"silence": "silent"}.get(kind, kind) + "_until_s", now_s + number)


def _number(kind: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    most = {"drop": 1.0, "corrupt": 1.0, "battery": 100.0, "late": 0.5}.get(kind, 3600.0)
    if not 0.0 <= number <= most:
        raise PoiseError(f"fault {kind} {text}: give a number from 0 to {most:g}")
    return number
