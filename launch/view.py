"""A page in the browser that shows the robot and what the stack thinks, and takes a velocity and pushes."""

from __future__ import annotations

import io
import logging
import threading
import time
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from poise.robots import Belief, Decision, PoiseError, RobotModel, WalkPlan
from poise.robots.types import Array

if TYPE_CHECKING:
    import viser

FRAME_S = 1.0 / 30.0
BLUE, ORANGE, GREEN, GREY = (37, 99, 235), (234, 88, 12), (22, 163, 74), (148, 163, 184)
SKY = ((30, 64, 175), (59, 130, 246), (125, 175, 250), (190, 215, 252))  # the next footstep first


class Viewer:
    """Serves the page on this machine only. Call `update` as often as you like: it draws 30 times a second at most."""

    def __init__(self, robot: RobotModel, model: mujoco.MjModel, port: int = 8080) -> None:
        """Start the server, on the next free port from `port` on, and send the robot's shape.

        Raises:
            PoiseError: viser is not installed.
        """
        try:
            import viser
        except ImportError as error:
            raise PoiseError("the view needs viser: pip install -e '.[view]' in the checkout") from error
        self._robot = robot
        logging.getLogger("websockets").setLevel(logging.CRITICAL)  # a browser opens connections that it closes unused
        with redirect_stdout(io.StringIO()):  # viser prints a banner, also where --json - writes
            self._server = viser.ViserServer(host="127.0.0.1", port=port, label=f"poise · {robot.name}", verbose=False)
        self._server.initial_camera.position, self._server.initial_camera.look_at = (1.7, -1.3, 1.1), (0.0, 0.0, 0.55)
        self._due = 0.0
        self._pushed = threading.Event()
        self._rejected = ""
        self.stopped = False  # the stop button was pressed, or the last page is gone
        self._build_gui(robot.overlay.gait.velocity_max)
        self._build_scene(model)

    @property
    def url(self) -> str:
        """Address to open in a browser on this machine."""
        return f"http://127.0.0.1:{self._server.get_port()}"

    @property
    def hint(self) -> str:
        """What to do with the page, for people."""
        return f"Open {self.url} in a browser"

    @property
    def velocity(self) -> tuple[float, float, float]:
        """What the sliders ask: vx, vy (m/s) and wz (rad/s), heading frame."""
        most = self._robot.overlay.gait.velocity_max
        vx, vy, wz = (asked(slider.value, limit) for slider, limit in zip(self._sliders, most, strict=True))
        return vx, vy, wz

    def pushed(self) -> bool:
        """Whether the push button was pressed since the last call."""
        pressed = self._pushed.is_set()
        self._pushed.clear()
        return pressed

    def stop(self) -> None:
        """Set the velocity to zero, as the stop button does; from now on the page steers."""
        self.stopped = True
        for slider in self._sliders:
            slider.value = 0.0

    def update(self, data: mujoco.MjData, decision: Decision | None = None) -> bool:
        """Show the plant and the newest decision; returns whether it was time to draw."""
        if decision is not None and decision.proposals:
            self._rejected = rejected_text(decision)
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + FRAME_S
        with self._server.atomic():
            for body, frame in self._bodies.items():
                frame.position, frame.wxyz = data.xpos[body], data.xquat[body]
            base = data.body(self._robot.overlay.base).xpos
            if decision is not None and decision.belief is not None:
                self._align(data, decision.belief)
            self._world.position = (-base[0], -base[1], 0.0) if self._follow.value else (0.0, 0.0, 0.0)
            if decision is not None:
                self._show(decision)
        return True

    def close(self) -> None:
        """Stop the server."""
        with redirect_stdout(io.StringIO()):  # it prints that it did
            self._server.stop()

    def _build_gui(self, most: tuple[float, float, float]) -> None:
        gui = self._server.gui
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        with gui.add_folder("Walk"):
            names = ("forward, m/s", "left, m/s", "turn, rad/s")
            self._sliders: list[Any] = [gui.add_slider(name, -m, m, 0.05, 0.0) for name, m in zip(names, most, strict=True)]
            self._stop_button: Any = gui.add_button("Stop", color="red")
            self._push_button: Any = gui.add_button("Push", color="orange")
            self._follow: Any = gui.add_checkbox("follow the robot", True)
        with gui.add_folder("Status"):
            self._status = gui.add_markdown("waiting for the first tick")
        self._stop_button.on_click(lambda _: self.stop())
        self._push_button.on_click(lambda _: self._pushed.set())
        self._server.on_client_disconnect(self._stop_when_alone)

    def _stop_when_alone(self, client: viser.ClientHandle) -> None:
        """A page that is gone cannot say stop."""
        if not set(self._server.get_clients()) - {client.client_id}:
            self.stop()

    def _build_scene(self, model: mujoco.MjModel) -> None:
        from .meshes import body_meshes

        scene = self._server.scene
        self._world = scene.add_frame("/world", show_axes=False)
        scene.add_grid("/world/floor", infinite_grid=True, cell_size=0.25, section_size=1.0, plane_color=(226, 232, 240))
        self._bodies: dict[int, viser.FrameHandle] = {}
        for i, mesh in enumerate(body_meshes(model)):
            frame = f"/world/bodies/{mesh.body}"
            if mesh.body not in self._bodies:
                self._bodies[mesh.body] = scene.add_frame(frame, show_axes=False)
            vertices, faces = mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)
            scene.add_mesh_simple(f"{frame}/{i}", vertices, faces, color=mesh.colour, side="double")
        balls = (("com", BLUE, 0.035), ("dcm", ORANGE, 0.025), ("zmp", GREEN, 0.025))
        self._odometry = scene.add_frame("/world/odometry", show_axes=False)
        self._balls = {
            name: scene.add_icosphere(f"/world/odometry/{name}", radius, colour, visible=False) for name, colour, radius in balls
        }
        labels = (("com", "CoM"), ("dcm", "DCM"), ("zmp", "ZMP"))
        for name, text in labels:
            scene.add_label(f"/world/odometry/{name}/label", text, position=(0.0, 0.0, 0.05))
        self._soles = [self._add_sole(f"/world/odometry/soles/{side}", GREEN) for side in ("left", "right")]
        self._steps = [self._add_sole(f"/world/odometry/steps/{i}", colour) for i, colour in enumerate(SKY)]

    def _add_sole(self, name: str, colour: tuple[int, int, int]) -> Any:
        polygon = np.array(self._robot.overlay.sole_polygon)
        centre = polygon.mean(axis=0)
        polygon = polygon[np.argsort(np.arctan2(*(polygon - centre).T[::-1]))]
        vertices = np.column_stack([polygon, np.zeros(len(polygon))]).astype(np.float32)
        fan = np.array([[0, i, i + 1] for i in range(1, len(polygon) - 1)], dtype=np.uint32)
        return self._server.scene.add_mesh_simple(name, vertices, fan, color=colour, side="double", cast_shadow=False, visible=False)

    def _show(self, decision: Decision) -> None:
        if decision.belief is not None:
            self._show_belief(decision.belief)
        if decision.plan is not None:
            ground = 0.0 if decision.belief is None else float(decision.belief.sole_position_world[decision.plan.stance, 2])
            self._show_plan(decision.plan, ground)
        text = status_text(decision) + self._rejected
        if text != self._status.content:
            self._status.content = text

    def _align(self, data: mujoco.MjData, belief: Belief) -> None:
        """Lay the stack's odometry over the plant, base on base, so that what it thinks is drawn where the robot is."""
        base = data.body(self._robot.overlay.base)
        yaw = _yaw(base.xquat) - _yaw(belief.base_orientation_wxyz)
        cos, sin = np.cos(yaw), np.sin(yaw)
        turned = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ belief.base_position_world
        _place(self._odometry, base.xpos - turned, yaw)

    def _show_belief(self, belief: Belief) -> None:
        ground = float(belief.sole_position_world[:, 2].min())
        _place(self._balls["com"], belief.com_position_world)
        _place(self._balls["dcm"], np.append(belief.dcm_world, ground))
        for sole, position, yaw, contact in zip(self._soles, belief.sole_position_world, belief.sole_yaw, belief.contact, strict=True):
            _place(sole, position + [0.0, 0.0, 0.006], float(yaw))
            colour = GREEN if contact > 0.5 else GREY
            if tuple(sole.color) != colour:
                sole.color = colour

    def _show_plan(self, plan: WalkPlan, ground: float) -> None:
        _place(self._balls["zmp"], np.append(plan.zmp_world, ground))
        for i, mark in enumerate(self._steps):
            if i < len(plan.footsteps):
                x, y, yaw, _ = plan.footsteps[i]
                _place(mark, np.array([x, y, ground + 0.003]), float(yaw))
            else:
                mark.visible = False


def asked(value: object, most: float) -> float:
    """What a slider asks for within its ends; 0 where a page, which may be anybody's on this machine, sent no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return 0.0
    return float(min(max(value, -most), most))


def _yaw(wxyz: Array) -> float:
    w, x, y, z = wxyz
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def _place(handle: Any, position: Array, yaw: float = 0.0) -> None:
    """Move a mark there and show it; a position that is not finite hides it."""
    visible = bool(np.isfinite(position).all() and np.isfinite(yaw))
    if visible:
        handle.position, handle.wxyz = position, (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
    if handle.visible != visible:
        handle.visible = visible


def status_text(decision: Decision) -> str:
    """The newest decision in a few lines of Markdown."""
    lines = [f"**{decision.status}**, {decision.rung}, at {decision.stamp_s:.1f} s"]
    if decision.reason:
        lines.append(decision.reason)
    if decision.plan is not None:
        lines.append(f"{decision.plan.phase}, stance {('left', 'right')[decision.plan.stance]}, step {decision.plan.step_duration_s:.2f} s")
    if decision.certificate.changed:
        lines.append(f"certifier: {', '.join(decision.certificate.reasons)} ({decision.certificate.torque_change_nm:.0f} N·m)")
    if decision.proposal is not None:
        vx, vy, wz = decision.proposal.twist
        lines.append(f"in force: {decision.proposal.origin} {vx:+.2f}, {vy:+.2f} m/s, {wz:+.2f} rad/s")
    return "\n\n".join(lines)


def rejected_text(decision: Decision) -> str:
    """Why proposals were rejected at this tick, in Markdown."""
    broken = [f"- {v.constraint} by {abs(v.margin):.3g} {v.unit}" for v in decision.verdicts if not v.accepted]
    return f"\n\nlast proposals: {len(decision.proposals)} made, {len(broken)} rejected\n\n" + "\n".join(broken)
