"""Punches, and how hard they are: a blow throws the DCM by what it gives the centre of mass and by what it turns the body.

The impulse J moves the DCM by J/(m ω). The angular momentum L about the centre of mass that comes with it has to come to rest as
well, and the moments that stop it push the centre of mass: by the balance of moments (docs/locomotion.md, λ) the DCM ends
ω (L_y, −L_x)/(m g) further. Both add up, or cancel: a blow at the head throws the farther, one at a foot the less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from poise.control.lip import GRAVITY, natural_frequency
from poise.control.reaction import momentum_as_shift
from poise.control.rotation import turned, yaw_of
from poise.robots import RobotModel

from .disturbances import body_id

THROWS_M = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, np.inf)  # edges of the table's rows


@dataclass(frozen=True)
class Punch:
    """A force on a body at a point of it, both turning with a body."""

    body: str
    point: tuple[float, float, float]  # m, in the body's frame
    force: tuple[float, float, float]  # N, in the frame of the body `frame`
    frame: str
    start_s: float
    duration_s: float

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Nothing to change."""

    def begins_before(self, time_s: float) -> bool:
        """Whether it has begun at that time, but for what the clock has rounded."""
        return self.start_s < time_s - 1e-9

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Add the force and its torque about the body's centre of mass while it lasts."""
        if not -1e-9 <= data.time - self.start_s < self.duration_s - 1e-9:
            return
        body, frame = body_id(model, self.body), body_id(model, self.frame)
        force = data.xmat[frame].reshape(3, 3) @ np.array(self.force)
        arm = data.xmat[body].reshape(3, 3) @ np.array(self.point) + data.xpos[body] - data.xipos[body]
        data.xfrc_applied[body, :3] += force
        data.xfrc_applied[body, 3:] += np.cross(arm, force)


def thrown_by(punch: Punch, model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, Any]:
    """What a punch that begins now does, world frame turned by the yaw of the body that hangs on the world.

    Returns:
        body; impulse_ns (3,) and momentum_nms (3,): J, and L about the centre of mass; throw_m: how far they throw the DCM.
    """
    root = model.body_rootid[body_id(model, punch.body)]
    frame, body, com = body_id(model, punch.frame), body_id(model, punch.body), data.subtree_com[root]
    impulse = data.xmat[frame].reshape(3, 3) @ np.array(punch.force) * punch.duration_s
    at = data.xmat[body].reshape(3, 3) @ np.array(punch.point) + data.xpos[body]
    momentum, mass = np.cross(at - com, impulse), float(model.body_subtreemass[root])
    omega = natural_frequency(float(com[2]))
    throw = impulse[:2] / (mass * omega) + omega * momentum_as_shift(momentum, mass * GRAVITY)
    yaw = yaw_of(data.xmat[root].reshape(3, 3))
    return {
        "body": punch.body,
        "impulse_ns": [*turned(-yaw, impulse[:2]).tolist(), float(impulse[2])],
        "momentum_nms": [*turned(-yaw, momentum[:2]).tolist(), float(momentum[2])],
        "throw_m": float(np.hypot(*throw)),
    }


def judged(punches: Sequence[Mapping[str, Any]], fell: bool) -> list[dict[str, Any]]:
    """The punches of a run, each with whether the robot fell before the next; `fell`: whether the run ended in a fall."""
    return [{**punch, "fell": fell and punch is punches[-1]} for punch in punches]


def by_throw(punches: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How many there were, and after how many the robot fell, by how far they throw the DCM, m."""
    thrown = np.array([punch["throw_m"] for punch in punches])
    fell = np.array([punch["fell"] for punch in punches], dtype=bool)
    rows = []
    for low, high in zip(THROWS_M[:-1], THROWS_M[1:], strict=True):
        inside = (low <= thrown) & (thrown < high)
        if inside.any():
            to = None if np.isinf(high) else high
            rows.append({"throw_from_m": low, "throw_to_m": to, "punches": int(inside.sum()), "fell": int(fell[inside].sum())})
    return rows
