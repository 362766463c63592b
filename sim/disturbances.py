"""What is done to a plant: pushes, payloads, friction. Each edits the model once, or acts before every physics step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from poise.control.rotation import matrix_from_quat, yaw_of
from poise.robots import PoiseError, RobotModel
from poise.robots.types import Array

FRICTION_MAX = 10.0  # rubber on rubber has 1.2


class Disturbance(Protocol):
    """One thing that happens to the plant; stateless, so that a run can be restored at any moment."""

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Change the plant's own copy of the model, once, before the run."""
        ...

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Act on the plant for the coming physics step; `xfrc_applied` was zeroed before."""
        ...


@dataclass(frozen=True)
class Push:
    """A constant force at a body's centre of mass that delivers an impulse in a direction, exactly, for any physics step."""

    body: str
    direction: tuple[float, float, float]  # of any length above 0
    impulse: float  # N·s
    start_s: float
    duration_s: float = 0.2
    frame: Literal["world", "heading"] = "world"  # heading: world turned by the yaw of the body's free joint

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Check the push against the model.

        Raises:
            PoiseError: the model has no such body, or the push has no direction or no duration.
        """
        body_id(model, self.body)
        if not np.linalg.norm(self.direction) > 0.0 or not self.duration_s > 0.0:
            raise PoiseError(f"push on {self.body}: direction {self.direction} and duration {self.duration_s} s must not be zero")

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Add the force, weighted with the share of the coming step that the push covers."""
        step = model.opt.timestep
        covered = min(data.time + step, self.start_s + self.duration_s) - max(data.time, self.start_s)
        if covered <= 0.0:
            return
        body = model.body(self.body).id
        direction = np.array(self.direction) / np.linalg.norm(self.direction)
        if self.frame == "heading":
            direction = _heading(model, data, body) @ direction
        data.xfrc_applied[body, :3] += direction * self.impulse / self.duration_s * covered / step


@dataclass(frozen=True)
class Payload:
    """A point mass fixed at a body's centre of mass."""

    body: str
    mass: float  # kg

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Add the mass; a point mass at the centre of mass leaves the inertia about it as it was.

        Raises:
            PoiseError: the model has no such body, or its mass would not stay positive.
        """
        body = body_id(model, self.body)
        if model.body_mass[body] + self.mass <= 0.0:
            raise PoiseError(f"payload of {self.mass} kg on {self.body}: the body has {model.body_mass[body]:.3g} kg; take less away")
        model.body_mass[body] += self.mass
        mujoco.mj_setConst(model, mujoco.MjData(model))

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The model carries it."""


@dataclass(frozen=True)
class Friction:
    """One sliding friction coefficient for all contacts of the feet with the ground, whichever geometry decides it."""

    mu: float

    def edit(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        """Set it on the feet, on everything that does not move, and on explicit contact pairs with the latter.

        Raises:
            PoiseError: the coefficient is not positive, or none that materials have.
        """
        if not 0.0 < self.mu <= FRICTION_MAX:
            raise PoiseError(f"friction {self.mu}: must be above 0, and at most {FRICTION_MAX:g}")
        feet = [body_id(model, name) for name in robot.overlay.sole_bodies]
        ground = is_ground(model)
        model.geom_friction[ground | np.isin(model.geom_bodyid, feet), 0] = self.mu
        # A pair has two sliding coefficients, one for each tangent direction, and overrides its geometries.
        model.pair_friction[ground[model.pair_geom1] | ground[model.pair_geom2], :2] = self.mu

    def apply(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The model carries it."""


def contact_friction(model: mujoco.MjModel, data: mujoco.MjData) -> Array:
    """Sliding friction of each present contact with the ground, as the solver uses it, (contacts,)."""
    ground = is_ground(model)
    return np.array([c.friction[0] if c.dim > 1 else 0.0 for c in data.contact if ground[c.geom1] or ground[c.geom2]])


def body_id(model: mujoco.MjModel, name: str) -> int:
    """Index of a body.

    Raises:
        PoiseError: the model has no body of that name.
    """
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
    if body < 0:
        known = ", ".join(filter(None, (model.body(b).name for b in range(1, model.nbody)))) or "none with a name"
        raise PoiseError(f"the plant has no body {name!r}; it has {known}; give an MJCF of the robot")
    return int(body)


def is_ground(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Which geometries are fixed to the world, (ngeom,) bool."""
    return np.asarray(model.body_weldid[model.geom_bodyid] == 0)


def _heading(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> Array:
    # From qpos: derived quantities lag a step behind after an integration step.
    root = model.body_rootid[body]
    address = model.jnt_qposadr[model.body_jntadr[root]] + 3
    yaw = yaw_of(matrix_from_quat(data.qpos[address : address + 4]))
    return np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
