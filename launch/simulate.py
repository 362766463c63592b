"""`poise simulate`: a simulated robot that speaks the real one's protocol."""

from __future__ import annotations

import queue
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from .arguments import DAY_S, File, Noise, Seconds, Switch

if TYPE_CHECKING:
    from poise.hw.loop import Timing
    from poise.hw.simulated import SimulatedRobot

    from .output import Exit
    from .simulation import Simulation

SHOW_EVERY = 16  # ticks
TORSO_IMU = "imu_in_torso"  # site of a plant that has a second IMU
PRIORITY = 90  # above a deployment on the same machine: the world waits for nobody


@dataclass(frozen=True)
class Simulate:
    """A simulated robot on the wire, in real time, for `poise deploy` and other clients; it takes orders from standard input (`help`)."""

    robot: str = "g1"
    """Name of a robot."""
    dds: Switch = False
    """Speak Unitree's topics over DDS; there is nothing else to speak yet, so it has to be given."""
    interface: str = "lo"
    """Network interface; lo: this machine alone."""
    domain: int = 0
    """DDS domain; real robots are on 0. Several robots on one machine take one each."""
    start: Literal["hanging", "standing"] = "hanging"
    """On a hoist, soles in the air, or on its feet."""
    hoist: Literal["auto", "manual"] = "auto"
    """auto: lowered once commands have held the joints for 4 s; manual: by the order `lower`."""
    program: str = "ai"
    """The robot's own motion program that has the motors until it is released; an empty one: none has."""
    plant: File = None
    """MJCF of the robot that is simulated. None: the one of its description."""
    noise: Noise = "nominal"
    """Of the sensors."""
    seed: int = 0
    """Of start posture, noise and faults."""
    seconds: Seconds = None
    """How long, s."""
    view: Switch = False
    """Show it in the browser, with buttons for hoist and pushes."""
    port: int = 8080
    """Of the page of --view, on 127.0.0.1."""
    json: File = None
    """Write the result there; - is standard output."""

    def __call__(self) -> Exit:
        """Run until the time is over, `quit`, or Ctrl-C."""
        from poise.hw.process import RealtimeConfig, enter_realtime
        from poise.robots import PoiseError

        from .options import check_count, check_json, check_port, check_seconds, console_for
        from .output import Exit, print_result

        if not self.dds:
            raise PoiseError("poise simulate speaks DDS only, and says so: give --dds")
        check_json(self.json)
        check_port(self.port)
        check_count("--domain", self.domain, 0, 232)
        check_count("--seed", self.seed, 0)
        seconds = DAY_S if self.seconds is None else self.seconds
        check_seconds(seconds)
        orders, show = self._page() if self.view else (queue.SimpleQueue[str](), None)
        for refused in enter_realtime(RealtimeConfig(priority=PRIORITY)):
            print(f"poise: {refused}", file=sys.stderr)
        with ExitStack() as held:
            simulation, speaker = self._robot(held)
            timing = self._run(simulation, seconds, orders, show)
            result = {"heard": speaker.heard, "refused": speaker.refused, "stamp_s": speaker.state.stamp_s, **timing.plain()}
        print_result("simulated robot", result, self.json, console_for(self.json))
        return Exit.HELD

    def _robot(self, held: ExitStack) -> tuple[Simulation, SimulatedRobot]:
        import mujoco

        from poise.control import StackConfig
        from poise.hw.dds import Bus
        from poise.hw.simulated import SimulatedRobot
        from poise.robots import load_robot
        from poise.robots.plant import compile_plant
        from poise.sim import NOISE, MujocoBackend
        from poise.sim.senses import imu_at

        from .simulation import Simulation

        robot, period_s = load_robot(self.robot), StackConfig().period_s
        plant = None if self.plant is None else compile_plant(self.plant)
        backend = MujocoBackend(robot, plant, period_s=period_s, noise=NOISE[self.noise])
        backend.reset(self.seed)
        bus = held.enter_context(Bus(self.interface, self.domain))
        there = mujoco.mj_name2id(backend.model, mujoco.mjtObj.mjOBJ_SITE, TORSO_IMU) >= 0
        torso_imu = partial(imu_at, backend.model, backend.data, TORSO_IMU) if there else None
        speaker = SimulatedRobot(robot, backend, bus, period_s, self.program, self.seed, torso_imu)
        return Simulation(robot, backend, speaker, self.start == "hanging", self.hoist == "auto"), speaker

    def _page(self) -> tuple[Any, Any]:
        """The page's process, before this one is scheduled before all others: where its orders come from, and what it is shown by."""
        import multiprocessing

        from poise.hw.mailbox import Mailbox
        from poise.robots import load_robot
        from poise.robots.plant import compile_plant

        from .posed import pose_type
        from .simulate_page import PageProcess

        context = multiprocessing.get_context("spawn")
        pose = Mailbox(context, pose_type(compile_plant(self.plant or load_robot(self.robot).description)))
        orders = context.Queue()
        PageProcess(self.robot, self.plant, self.port, pose, orders).start(context)
        return orders, pose.put

    def _run(self, simulation: Simulation, seconds: float, orders: Any, show: Any) -> Timing:
        from poise.control import StackConfig
        from poise.hw.clock import Clock
        from poise.hw.loop import Timing, run_loop

        threading.Thread(target=_read_lines, args=(orders,), daemon=True).start()
        clock, timing = Clock(StackConfig().period_s), Timing()
        ticks = round(seconds / clock.period_s)
        print(f"a simulated {self.robot} speaks on {self.interface}, domain {self.domain}; Ctrl-C ends it", file=sys.stderr, flush=True)

        def step(tick: int) -> bool:
            """Obey, move, speak and show; whether to go on."""
            while not orders.empty():
                if said := simulation.order(orders.get()):
                    print(f"poise: {said}", file=sys.stderr, flush=True)
            simulation.step()
            if show is not None and tick % SHOW_EVERY == 0:
                show(simulation.pose())
            return tick < ticks and not simulation.ended

        run_loop(clock, step, timing)
        return timing


def _read_lines(orders: Any) -> None:
    """Standard input, line by line, until it ends."""
    for line in sys.stdin:
        orders.put(line)
