"""Whether somebody else's command may be sent: as long as the stack could still catch the robot if it went wrong.

A policy, a teleoperator or a test may ask for joint commands in place of the stack's own (`Stack.step`, `request`). The certifier keeps
them within the motors and the joints; that the robot stays on its feet no bound on one tick can promise. So a request passes only while
the robot is upright and the capture point ξ = c + ċ/ω and the centre of pressure that the request takes are inside the hull of the soles,
while ground and certifier can give what is asked for, and no motor or encoder is at fault. Else the stack takes over, stands, and lets
requests pass again when it has stood still for a while: a simplex architecture (Sha, IEEE Software 2001), in which what is trusted stands
by for what is not.
"""

from __future__ import annotations

from copy import copy
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Array, JointCommand

from .dynamics import Dynamics
from .lip import GRAVITY
from .polygon import margin_inside, support_hull
from .support import ground_wrench, support_of

NO_COMMAND = "the request is no command for this robot"


class GateConfig(NamedTuple):
    """Up to where a request passes, and when requests pass again."""

    reach_m: float = -0.02  # of the capture point beyond the soles' hull
    cop_m: float = 0.01  # of the centre of pressure, that what is asked for takes, inside the hull of the soles that carry
    light: float = 0.3  # share of its weight that the ground carries at least
    slip: float = 1.0  # of the friction of the soles, that what is asked for takes
    lean_rad: float = 0.15  # of the base
    patience_s: float = 0.004  # of requests in a row that the certifier changed
    calm_s: float = 1.0  # of standing still, before requests pass again


class Gate:
    """Open while `why` is empty; called in a tick that has a request, `idle` in one that has none."""

    def __init__(self, robot: RobotModel, config: GateConfig, period_s: float) -> None:
        self._config, self._period, self._n = config, period_s, robot.n
        self._polygon, self._friction, self._weight = np.array(robot.overlay.sole_polygon), robot.overlay.friction, robot.mass * GRAVITY
        self.reset()

    def reset(self) -> None:
        """Open."""
        self.why = ""
        self._calm_s = self._changed_s = self._idle_s = 0.0

    @property
    def stops(self) -> str:
        """Why the robot is to be stopped in this tick; without a request nobody is kept out."""
        return "" if self._idle_s else self.why

    def idle(self) -> None:
        """A tick without a request. One that is missing opens no gate; after a while without any a stream begins anew."""
        self._idle_s += self._period
        if self._idle_s >= self._config.calm_s:
            self.why, self._calm_s, self._changed_s = "", 0.0, 0.0

    def copy(self) -> Gate:
        """An independent copy."""
        return copy(self)

    def __call__(
        self, request: JointCommand | None, d: Dynamics, dcm: Array, sole_yaw: Array, contact: Array, settled: bool, fault: str = ""
    ) -> str:
        """Why a request may not pass; empty: it may.

        Args:
            request: what somebody wants to send, as `taken` takes it.
            d: the robot as it is.
            dcm: capture point, (2,) m; sole_yaw: (2,) rad; contact: probabilities (2,).
            settled: whether the robot stands still.
            fault: a motor or an encoder that is at fault; empty: none.
        """
        self._idle_s = 0.0
        danger = fault or self._danger(request, d, dcm, sole_yaw, contact)
        self._calm_s = self._calm_s + self._period if settled and not danger else 0.0
        if danger:
            self.why = danger
        elif self._calm_s >= self._config.calm_s:
            self.why = ""
        self._changed_s = 0.0 if self.why else self._changed_s
        return self.why

    def answered(self, changed: bool) -> None:
        """Whether the certifier changed the torques of a request that was let through."""
        self._changed_s = self._changed_s + self._period if changed else 0.0

    def _danger(self, request: JointCommand | None, d: Dynamics, dcm: Array, sole_yaw: Array, contact: Array) -> str:
        cfg = self._config
        if request is None:
            return NO_COMMAND
        torque = request.torque(d.joint_position, d.joint_velocity)
        if not all(np.isfinite(numbers).all() for numbers in (torque, request.q, request.v, request.kp, request.kd)):
            return "the request is not finite"
        if self._changed_s > cfg.patience_s:
            return "requests break bounds"
        if not contact.max() > 0.5:
            return "no sole carries the robot"
        if not d.base_rotation[2, 2] > np.cos(cfg.lean_rad):
            return "the robot leans"
        if not margin_inside(dcm, support_hull(d.sole_position, sole_yaw, self._polygon)) > -cfg.reach_m:
            return "the capture point leaves the soles"
        return self._ground(torque, d, sole_yaw, contact)

    def _ground(self, torque: Array, d: Dynamics, sole_yaw: Array, contact: Array) -> str:
        """Whether the ground can give what a torque (n,) takes: pushing, by friction, its centre of pressure under the soles that carry."""
        wrench = ground_wrench(d.block, d.nv, int(support_of(contact)), torque)
        force, moment, height = wrench[:3], wrench[3:], float(d.sole_position[:, 2].min())
        if not force[2] > self._config.light * self._weight:
            return "the robot would be lifted"
        if not np.hypot(force[0], force[1]) <= self._config.slip * self._friction * force[2]:
            return "the soles would slip"
        cop = np.array((height * force[0] - moment[1], height * force[1] + moment[0])) / force[2]
        carrying = np.flatnonzero(contact > 0.5)[[0, -1]]  # one of them twice where it stands alone
        hull = support_hull(d.sole_position[carrying], sole_yaw[carrying], self._polygon)
        return "" if margin_inside(cop, hull) > self._config.cop_m else "the centre of pressure would leave the soles"


def taken(request: object, n: int) -> JointCommand | None:
    """Something as a command for n joints, in arrays that kernels are compiled for: copied where it must be; None: it is no command.

    Its numbers may be anything.
    """
    if type(request) is not JointCommand:  # another class may do anything when it is asked for torques
        return None
    given = [getattr(request, entry.name, None) for entry in fields(JointCommand)]
    values = [value for value in given if type(value) is np.ndarray and value.shape == (n,) and value.dtype == float]
    if len(values) < len(given):
        return None
    return request if all(value.flags.carray for value in values) else JointCommand(*(value.copy() for value in values))
