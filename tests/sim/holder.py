"""A stack that only holds a posture, made of the real types, and plants of the G1 that differ from its description."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import Any

import mujoco
import numpy as np

from poise.control.protocols import Proposer, Situation
from poise.robots import Belief, Certificate, Decision, Intent, RobotModel, RobotState, WalkPlan, load_robot
from poise.robots.commands import hold_command
from poise.robots.plant import compile_plant
from poise.robots.types import Array

G1 = load_robot("g1")


def g1_spec() -> Any:
    """The G1's description, to be edited and compiled."""
    return mujoco.MjSpec.from_file(str(G1.description))


@cache
def g1_plant() -> mujoco.MjModel:
    """The plant of the G1's description, compiled once; backends copy it."""
    return compile_plant(G1.description)


@cache
def pair_plant() -> mujoco.MjModel:
    """The G1 with feet that touch the floor through explicit pairs only."""
    spec = g1_spec()
    for side in ("left", "right"):
        feet = [g for g in spec.body(f"{side}_ankle_roll_link").geoms if g.type == mujoco.mjtGeom.mjGEOM_SPHERE]
        for k, geom in enumerate(feet):
            geom.name, geom.contype, geom.conaffinity = f"{side}_{k}", 0, 0
            spec.add_pair(geomname1=geom.name, geomname2="floor", condim=3, friction=[0.9, 0.9, 0.005, 1e-4, 1e-4])
    return spec.compile()


@cache
def motor_plant(shuffled: bool) -> mujoco.MjModel:
    """The G1 with geared motors and no sensors; shuffled: motors in reverse order, and the robot behind another free body."""
    spec = g1_spec()
    for element in (*spec.actuators, *spec.sensors, *spec.keys):
        spec.delete(element)
    for name in reversed(G1.joint_names) if shuffled else G1.joint_names:
        motor = spec.add_actuator(name=f"motor_{name}", target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.gear[0] = 2.0
    if not shuffled:
        return spec.compile()
    world = mujoco.MjSpec()
    box = world.worldbody.add_body(name="box", pos=[3.0, 0.0, 0.1])
    box.add_freejoint()
    box.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.1, 0.1, 0.1])
    world.option.timestep, world.option.integrator = spec.option.timestep, spec.option.integrator
    world.attach(spec, frame=world.worldbody.add_frame(), prefix="")
    return world.compile()


class Holder:
    """Holds the nominal posture with stiff joints (it stands; with gain 1 it soon falls); believes what `belief` says."""

    period_s = 0.002

    def __init__(self, robot: RobotModel = G1, proposer: Proposer | None = None, gain: float = 4.0) -> None:
        self.command = replace(hold_command(robot, robot.posture), kp=gain * robot.hold_kp, kd=gain * robot.hold_kd)
        self.proposer = proposer
        self.belief: Belief | None = belief_at(np.zeros(3), 0.0)
        self.ticks = 0

    def reset(self, seed: int = 0) -> None:
        self.ticks = 0

    def snapshot(self) -> int:
        return self.ticks

    def restore(self, snapshot: int) -> None:
        self.ticks = snapshot

    def step(self, state: RobotState, intent: Intent) -> Decision:
        start = time.thread_time_ns()
        proposals = () if self.proposer is None else self.proposer.propose(_situation(self.ticks, state, intent))
        self.ticks += 1
        return Decision(
            tick=self.ticks,
            stamp_s=state.stamp_s,
            status="ok",
            reason="",
            intent=intent,
            belief=self.belief,
            plan=WalkPlan("stand", 0, 0.0, 0.4, np.zeros((0, 4)), np.zeros(2), np.zeros(2), 0.62, 0.0, "none"),
            command=self.command,
            certificate=Certificate(False, (), 0.0, "unchanged"),
            proposal=proposals[0] if proposals else None,
            proposal_age_s=0.0,
            timings_us={"tick": (time.thread_time_ns() - start) / 1e3},
        )


class Weak(Holder):
    """Falls by itself; takes no time."""

    def __init__(self, robot: RobotModel = G1, seed: int = 0) -> None:
        super().__init__(robot, gain=0.3)

    def step(self, state: RobotState, intent: Intent) -> Decision:
        return replace(super().step(state, intent), timings_us={})


def belief_at(position: Array, yaw: float) -> Belief:
    """A belief of a base at a position (3,) m with a yaw, rad, and nothing else."""
    orientation = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    three, two = np.zeros(3), np.zeros(2)
    return Belief(position, orientation, three, three, three, three, two, np.zeros((2, 3)), two, np.ones(2), two, three, three, 0.0)


def _situation(tick: int, state: RobotState, intent: Intent) -> Situation:
    q, v, three, arms = state.joint_position, state.joint_velocity, np.zeros(3), np.zeros(len(G1.arms))
    belief = belief_at(three, 0.0)
    return Situation(tick, state.stamp_s, intent, three, belief, "stand", 0, 0.0, 0.4, np.zeros(2), q, v, arms, arms, three, 0.62)
