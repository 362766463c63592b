"""The page of `poise simulate`, in a process of its own: the plant, and who stands beside it as buttons."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext
from typing import Any

import mujoco

from poise.hw.mailbox import Mailbox
from poise.hw.wire_faults import HELP as FAULTS
from poise.robots import PoiseError, RobotModel, load_robot
from poise.robots.plant import compile_plant

from .view import FRAME_S, Viewer

DIRECTIONS = {"forward": 0.0, "left": 90.0, "backward": 180.0, "right": -90.0}


class PlantPage(Viewer):
    """Shows a plant; what is pressed becomes orders of `poise simulate`."""

    def __init__(self, robot: RobotModel, model: mujoco.MjModel, port: int, orders: Any) -> None:
        """Start the server, on the next free port from `port` on; orders are put into a queue.

        Raises:
            PoiseError: viser is not installed.
        """
        self._orders, self._joints = orders, robot.joint_names
        super().__init__(robot, model, port)

    def _build_gui(self, most: tuple[float, float, float]) -> None:
        gui = self._server.gui
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        with gui.add_folder("Hoist"):
            self._button("Lower", lambda: "lower")
            self._button("Raise", lambda: "raise")
            self._button("Hang up anew", lambda: "hang")
        with gui.add_folder("Push"):
            impulse: Any = gui.add_slider("N·s", 1.0, 60.0, 1.0, 10.0)
            way: Any = gui.add_dropdown("towards", tuple(DIRECTIONS))
            self._button("Push", lambda: f"push {impulse.value} {DIRECTIONS.get(way.value, 0.0)}")
        with gui.add_folder("Wireless remote"):
            self._button("Hold L2 and B: emergency stop", lambda: "remote L2+B")
            self._button("Let go", lambda: "remote none")
        with gui.add_folder("Fault"):
            kind: Any = gui.add_dropdown("kind", tuple(FAULTS))
            value: Any = gui.add_text("value", "0.1")
            gui.add_markdown("\n".join(f"- {name}: {what}" for name, what in FAULTS.items()))
            self._button("Begin", lambda: f"fault {kind.value} {value.value}")
        self._follow: Any = gui.add_checkbox("follow the robot", True)

    def _button(self, name: str, order: Any) -> None:
        button = self._server.gui.add_button(name)
        button.on_click(lambda _: self._orders.put(str(order())))


@dataclass(frozen=True)
class PageProcess:
    """What the page's process shows; `start` starts it."""

    robot: str
    plant: str | None
    port: int
    pose: Mailbox  # of `posed.pose_type`
    orders: Any

    def start(self, context: SpawnContext) -> Any:
        """A process that serves the page for as long as this one lives."""
        process = context.Process(target=self.serve, daemon=True)
        process.start()
        return process

    def serve(self) -> None:
        """Draw the newest pose 30 times a second."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        robot = load_robot(self.robot)
        model = compile_plant(self.plant or robot.description)
        data = mujoco.MjData(model)
        try:
            page = PlantPage(robot, model, self.port, self.orders)
        except PoiseError as error:
            print(f"poise: {error}", file=sys.stderr, flush=True)
            self.orders.put("quit")
            return
        print(f"Open {page.url} in a browser", file=sys.stderr, flush=True)
        while (parent := parent_process()) is not None and parent.is_alive():
            time.sleep(FRAME_S)
            record = self.pose.get()
            if record is not None:
                data.qpos[:] = record["qpos"]
                mujoco.mj_kinematics(model, data)
                page.update(data)
        page.close()
