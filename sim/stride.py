"""When strides begin and how long they are: by the controller's plan, or where it has none by the plant's contacts."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from poise.robots import Decision, RobotState
from poise.robots.types import LEFT

from .disturbances import body_id, is_ground
from .mujoco_backend import MujocoBackend

SWING_LEAST_S = 0.1  # off the ground for less is no swing


class StrideWatch:
    """Is told every tick of a run; a stride begins where the left foot's stance does."""

    def __init__(self, backend: MujocoBackend) -> None:
        model = backend.model
        self._backend = backend
        self._foot = model.geom_bodyid == body_id(model, backend.robot.overlay.sole_bodies[LEFT])
        self._ground = is_ground(model)
        self._stance: int | None = None
        self._off_s = 0.0
        self._touchdown_s: float | None = None
        self.stride_s: float | None = None
        """Of the stride that has begun, s: what is planned, or the time between the last two touchdowns; None before."""

    def __call__(self, decision: Decision, state: RobotState) -> None:
        """Look for a beginning."""
        plan = decision.plan
        if plan is None:
            self._look_at_the_foot()
            return
        if (self._stance, plan.stance) == (1 - LEFT, LEFT):
            self.stride_s = 2.0 * plan.step_duration_s
        self._stance = plan.stance

    def begun(self) -> bool:
        """Whether a stride has begun."""
        return self.stride_s is not None

    def _look_at_the_foot(self) -> None:
        data = self._backend.data
        touches, now = touches_ground(data, self._foot, self._ground), float(data.time)
        if touches and self._off_s > SWING_LEAST_S:
            self.stride_s = None if self._touchdown_s is None else now - self._touchdown_s
            self._touchdown_s = now
        self._off_s = 0.0 if touches else self._off_s + self._backend.period_s


def touches_ground(data: mujoco.MjData, foot: NDArray[np.bool_], ground: NDArray[np.bool_]) -> bool:
    """Whether any geometry of a foot is in contact with the ground, both (ngeom,) bool."""
    one, other = data.contact.geom[:, 0], data.contact.geom[:, 1]
    return bool((foot[one] & ground[other] | foot[other] & ground[one]).any())
