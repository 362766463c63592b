"""A hoist: the robot hangs on a rope, which somebody lets down."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from poise.robots import RobotModel

from .disturbances import body_id

STIFFNESS, DAMPING = 8000.0, 800.0  # N/m, N·s/m, of the rope, along it
SWAY, SWAY_DAMPING = 400.0, 80.0  # N/m, N·s/m, of what steadies the robot against swinging and turning
STEADY, STEADY_DAMPING = 60.0, 6.0  # N·m/rad, N·m·s/rad


@dataclass(frozen=True)
class Hoist:
    """Holds a body by its origin, from a height that changes evenly from one time to another; slack, it does nothing."""

    body: str
    from_m: float  # height of the body's origin over the ground at which the rope becomes tight
    to_m: float
    begin_s: float = 0.0
    end_s: float = 0.0
    at: tuple[float, float] = (0.0, 0.0)  # m, over which point of the ground

    def height_m(self, time_s: float) -> float:
        """At which height the rope is tight, at a time of the plant, s."""
        if time_s >= self.end_s:
            return self.to_m
        return float(np.interp(time_s, (self.begin_s, self.end_s), (self.from_m, self.to_m)))

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """See that there is such a body.

        Raises:
            PoiseError: there is none.
        """
        body_id(model, self.body)

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Pull up while the rope is tight, and keep from swinging as far as it carries."""
        body = model.body(self.body).id
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
        stretch = self.height_m(data.time) - data.xpos[body, 2]
        if stretch <= 0.0:
            return
        lift = max(0.0, STIFFNESS * stretch - DAMPING * velocity[5])
        share = min(1.0, lift / (-model.opt.gravity[2] * model.body_subtreemass[model.body_rootid[body]]))
        sway = SWAY * (np.array(self.at) - data.xpos[body, :2]) - SWAY_DAMPING * velocity[3:5]
        lean = np.cross(data.xmat[body].reshape(3, 3)[:, 2], (0.0, 0.0, 1.0))
        force = np.append(share * sway, lift)
        torque = share * (STEADY * lean - STEADY_DAMPING * velocity[:3])
        arm = data.xipos[body] - data.xpos[body]  # xfrc_applied acts at the centre of mass
        data.xfrc_applied[body, :3] += force
        data.xfrc_applied[body, 3:] += torque - np.cross(arm, force)
