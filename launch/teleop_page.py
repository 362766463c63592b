"""The viewer's page with all that an operator needs: stages, posture, hands and an emergency stop."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from poise.hw.operation import REQUESTS, STILL, Buttons, Operated
from poise.hw.retarget import HANDS, TORSO_RAD, Pose, Retarget
from poise.robots import Intent, RobotModel
from poise.robots.types import Array

from .view import Viewer, asked

GONE = "the page is closed: velocity zero, the arms come home"
FIRST = -2.0  # of a row's order: above all others, whose orders are above 0
FAR_M = 2.0  # no hand is asked to be further from the chest


class TeleopPage(Viewer):
    """An operator. The sliders of the viewer give the velocity; a page that is gone wants velocity zero."""

    def __init__(self, robot: RobotModel, model: mujoco.MjModel, port: int = 8080) -> None:
        """Start the server, on the next free port from `port` on.

        Raises:
            PoiseError: viser or Pink is not installed, or the robot has not two arms.
        """
        self._retarget, self._buttons = Retarget(robot), Buttons()
        self._polled_s, self._was_open = float("nan"), False
        super().__init__(robot, model, port)
        gui = self._server.gui
        self._emergency: Any = gui.add_button("Emergency stop", color="red", order=FIRST)
        self._emergency.on_click(lambda _: self._buttons.stop())
        with gui.add_folder("Stages"):
            self._stages: list[Any] = [self._stage(request) for request in REQUESTS[1:]]
        with gui.add_folder("Posture"):
            self._add_posture(robot)
        self._add_hands(robot, model)

    def poll(self, now_s: float) -> Operated:
        """What the page says at a time, s."""
        dt, self._polled_s = now_s - self._polled_s, now_s
        is_open = bool(self._server.get_clients())
        self._was_open |= is_open
        gone = self._was_open and not is_open
        if gone and self._moving.value:
            self._moving.value = False
        intent = Intent(
            velocity=STILL if gone else self.velocity, height_m=self._height(), torso_rpy=self._torso(), arms=self._arms(max(dt, 0.0))
        )
        return self._buttons.told(intent, GONE if gone else "")

    def release(self) -> None:
        """Forget an emergency stop."""
        self._buttons.release()

    def _stage(self, request: str) -> Any:
        button = self._server.gui.add_button(request.capitalize())
        button.on_click(lambda _: self._buttons.ask(request))
        return button

    def _add_posture(self, robot: RobotModel) -> None:
        gui, gait = self._server.gui, robot.overlay.gait
        self._nominal_m = gait.com_height_m
        low, high = (limit - self._nominal_m for limit in gait.height_range_m)
        self._higher: Any = gui.add_slider("higher, m", round(low, 3), round(high, 3), 0.005, 0.0)
        angles = [f"torso {name}, rad" for name in ("roll", "pitch", "yaw")]
        self._tilts: list[Any] = [gui.add_slider(angle, -TORSO_RAD, TORSO_RAD, 0.02, 0.0) for angle in angles]
        self._moving: Any = gui.add_checkbox("move the hands", False)
        self._moving.on_update(lambda _: self._show_hands())

    def _add_hands(self, robot: RobotModel, model: mujoco.MjModel) -> None:
        chest = f"/world/bodies/{model.body(robot.overlay.torso).id}/chest"
        self._server.scene.add_frame(chest, show_axes=False, position=self._retarget.chest_in_torso)
        self._hands: list[Any] = [
            self._server.scene.add_transform_controls(f"{chest}/{hand}", scale=0.15, visible=False, depth_test=False) for hand in HANDS
        ]

    def _show_hands(self) -> None:
        """Put the handles where the hands are asked to be."""
        for handle, hand in zip(self._hands, self._retarget.hands, strict=True):
            if self._moving.value:
                handle.position, handle.wxyz = hand
            handle.visible = bool(self._moving.value)

    def _height(self) -> float | None:
        higher = asked(self._higher.value, self._nominal_m)
        return self._nominal_m + higher if higher else None

    def _torso(self) -> tuple[float, float, float] | None:
        roll, pitch, yaw = (asked(slider.value, TORSO_RAD) for slider in self._tilts)
        return (roll, pitch, yaw) if roll or pitch or yaw else None

    def _arms(self, dt: float) -> Array | None:
        if self._moving.value is True:
            return self._retarget.toward([_hand(handle) for handle in self._hands], dt)
        return self._retarget.homeward(dt)


def _hand(handle: Any) -> Pose | None:
    """Where a handle is; None where a page, which may be anybody's on this machine, sent no pose."""
    try:
        position, wxyz = np.array(handle.position, dtype=float), np.array(handle.wxyz, dtype=float)
    except (TypeError, ValueError):
        return None
    sound = position.shape == (3,) and wxyz.shape == (4,) and np.abs(position).max() <= FAR_M and 0.5 < np.linalg.norm(wxyz) < 2.0
    return Pose(position, wxyz) if sound else None
