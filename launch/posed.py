"""A robot drawn as its sensors say that it holds itself."""

from __future__ import annotations

import mujoco
import numpy as np

from poise.robots import RobotModel, RobotState
from poise.robots.plant import compile_plant
from poise.sim.senses import plant_map


class Posed:
    """A plant that is never simulated, only posed.

    Attributes:
        model: of its description.
        data: where its bodies are.
    """

    def __init__(self, robot: RobotModel) -> None:
        self.model = compile_plant(robot.description)
        self.data = mujoco.MjData(self.model)
        self._map, self._height_m = plant_map(self.model, robot), float(robot.standing_configuration()[2])

    def pose(self, state: RobotState) -> None:
        """As a state says; over the origin, at the height of a robot that stands: where it is nobody senses."""
        qpos, base = self.data.qpos, self._map.orientation - 3
        qpos[base : base + 3] = (0.0, 0.0, self._height_m)
        if state.base_orientation_wxyz is not None:
            qpos[base + 3 : base + 7] = state.base_orientation_wxyz
        qpos[self._map.qpos] = state.joint_position
        mujoco.mj_kinematics(self.model, self.data)


def pose_type(model: mujoco.MjModel) -> np.dtype:
    """A record of a plant's configuration."""
    return np.dtype([("qpos", "<f8", model.nq)])
