"""The sources of an operator's intents, by the names that commands know them by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import mujoco

from poise.hw.operation import Merged, Operator
from poise.hw.wireless_remote import WirelessRemote
from poise.robots import PoiseError, RobotModel

if TYPE_CHECKING:
    from .teleop_page import TeleopPage

SOURCES = ("page", "keyboard", "gamepad", "stream", "remote")


class Sources(Merged):
    """Sources that were opened together.

    Attributes:
        page: the page, where it is among them.
        remote: the robot's wireless remote, where it is; to be fed.
    """

    def __init__(self, names: Sequence[str], robot: RobotModel, model: mujoco.MjModel, port: int, stream: tuple[str, int]) -> None:
        """Open them, all or none.

        Args:
            names: of SOURCES.
            model: whose shape the page shows.
            port: of the page, on 127.0.0.1.
            stream: address and port where the stream of poses is listened for.

        Raises:
            PoiseError: one cannot be opened.
        """
        self.page: TeleopPage | None = None
        self.remote: WirelessRemote | None = None
        opened: list[Operator] = []
        with ExitStack() as held:
            for name in dict.fromkeys(names):
                opened.append(self._open(name, robot, model, port, stream))
                held.callback(opened[-1].close)
            held.pop_all()
        super().__init__(opened)

    def _open(self, name: str, robot: RobotModel, model: mujoco.MjModel, port: int, stream: tuple[str, int]) -> Operator:
        most = robot.overlay.gait.velocity_max
        if name == "page":
            from .teleop_page import TeleopPage

            self.page = TeleopPage(robot, model, port)
            return self.page
        if name == "keyboard":
            from poise.hw.keyboard import Keyboard

            return Keyboard(most)
        if name == "gamepad":
            from poise.hw.gamepad import Gamepad

            return Gamepad(most)
        if name == "stream":
            from poise.hw.pose_stream import PoseStream

            host, stream_port = stream
            return PoseStream(robot, stream_port, host)
        if name == "remote":
            self.remote = WirelessRemote(most)
            return self.remote
        raise PoiseError(f"--source {name}: unknown; known: {', '.join(SOURCES)}")
