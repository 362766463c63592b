"""The braking manoeuvre of one robot under each of its supports, ready for use in a tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from numba import njit

from poise.robots import RobotModel
from poise.robots.tree import Indices, Tree, build_tree
from poise.robots.types import LEFT, RIGHT, Array

from .braking import HELD, LOOKS, Brake, Loop, can_brake, manoeuvre_in, stopping_torque
from .clearance import Capsules, Shape
from .dynamics import Dynamics
from .rooted import packed, root_at
from .support import Support
from .viability import viable_acceleration

# Times of a rough look: on a stand where it begins says most; a sole has to hold the robot at the end, and a loop bends the way.
ROUGH = {Support.BASE: 1, Support.LEFT: 2, Support.RIGHT: 2, Support.NONE: 2, Support.BOTH: 3}
HELD_LINK = {Support.LEFT: LEFT, Support.RIGHT: RIGHT, Support.BOTH: LEFT}  # whose sole's link the tree is rooted at


@dataclass(frozen=True)
class BrakingConfig:
    """What the manoeuvre brakes by."""

    share: float = 0.35  # of what a motor could give its joint in the nominal posture; of that rate at the most,
    rate_max: float = 60.0  # rad/s²,
    decay: float = 25.0  # 1/s;
    decay_carrying: float = 4.0  # 1/s, of joints that carry the body
    speed_max: float = 12.0  # rad/s, of a joint of a robot that rests; faster ones load the others by turns that the looks miss
    motor_share: float = 0.9  # of torque and power that the manoeuvre may take from a state that is let into,
    margin: float = 0.04  # rad, that it leaves to every limit, for joints that stick and a plant that is another


Scope = tuple[float, float, float, float, int]  # clearance m, two shares of torque, period s, times: what `can_brake` ends with


@dataclass(frozen=True, eq=False)
class _Case:
    """One support: the manoeuvre with the tree from what stands still, and how the joints brake."""

    blocks: tuple[Array, Indices]  # of the packed manoeuvre
    looped: int  # joints in the loop
    brake: Brake
    whole: Scope
    rough: Scope


class Backup:
    """Whether the manoeuvre is open from a state, and its torques; without anything that stands, how fast joints may be at most."""

    def __init__(self, robot: RobotModel, config: BrakingConfig, capsules: Capsules, least_m: float, jump: float, period_s: float) -> None:
        """`capsules` are kept `least_m` apart; from one period to the next a torque changes by a `jump` at most, of its limit."""
        self._robot, self._config, self._period, self._capsules = robot, config, period_s, capsules
        tree = build_tree(robot.pinocchio)
        self._any = np.full(robot.n, np.nan)
        self._shape = (robot.n, len(capsules.link), len(capsules.pairs))
        self._least, self._shares = least_m, (config.motor_share, jump, period_s)
        self._cases: dict[Support, _Case] = {support: self._case(tree, support) for support in Support}

    def viable(self, d: Dynamics, support: Support, lower: Array, upper: Array) -> None:
        """Write the acceleration bounds (n,), rad/s², that keep the way to rest within the joints' limits."""
        b = self._cases[support].brake
        viable_acceleration(
            d.joint_position, d.joint_velocity, b.position_min, b.position_max, b.velocity, b.decay, b.rate, self._period, lower, upper
        )

    def _case(self, tree: Tree, support: Support) -> _Case:
        robot = self._robot
        links = [int(robot.pinocchio.frames[frame].parentJoint) - 1 for frame in robot.sole_frames]
        rooted = root_at(tree, links[HELD_LINK[support]] if support in HELD_LINK else 0)
        legs = np.split(robot.legs, 2)
        carrying = {Support.LEFT: legs[LEFT], Support.RIGHT: legs[RIGHT], Support.BOTH: robot.legs}.get(support, robot.legs[:0])
        looped = support is Support.BOTH
        way = {int(joint): float(sign) for joint, sign in zip(rooted.joint, rooted.way, strict=True)}
        joints = robot.legs if looped else robot.legs[:0]
        origin = np.array(robot.overlay.sole_origin)
        loop = Loop(links[RIGHT] if looped else 0, origin, joints, np.array([way[int(j)] for j in joints]))
        brake = self._braking(carrying)
        blocks = packed((rooted, self._capsules, loop, brake))
        whole, rough = (self._least, *self._shares, LOOKS[looped]), (-np.inf, *self._shares, ROUGH[support])
        return _Case(blocks, joints.size, brake, whole, rough)

    def _braking(self, carrying: Indices) -> Brake:
        robot, cfg = self._robot, self._config
        mass = pin.crba(robot.pinocchio, robot.pinocchio.createData(), robot.standing_configuration())
        rate = np.minimum(cfg.rate_max, cfg.share * robot.torque_limit / np.diag(mass)[6:])
        decay = np.full(robot.n, cfg.decay)
        decay[carrying] = cfg.decay_carrying
        speed = np.minimum(cfg.speed_max, robot.velocity_limit)
        least, most = robot.position_min + cfg.margin, robot.position_max - cfg.margin
        return Brake(decay, rate, least, most, speed, robot.torque_limit, robot.power_limit)

    def open_from(
        self, d: Dynamics, support: Support, q: Array, v: Array, before: Array | None = None, *, roughly: bool = False
    ) -> tuple[int, int]:
        """HELD where the manoeuvre is open from joints (q, v), (n,) each, else what it breaks, and the joint.

        before (n,) N·m: the torque that led there; None: any. `d` says how what stands still stands. roughly: a look at few times of the
        way, without the capsules, after which HELD says no more than that it may be open.
        """
        c, before = self._cases[support], self._any if before is None else before
        scope = c.rough if roughly else c.whole
        return _open_from(*c.blocks, self._shape, c.looped, d.base_rotation, d.joint_position, q, v, before, scope)

    def torque(self, d: Dynamics, support: Support) -> Array:
        """Torques (n,) N·m of the manoeuvre in the state of `d`; NaN where the legs' loop is singular."""
        c, out = self._cases[support], np.empty(self._robot.n)
        if _torque(*c.blocks, self._shape, c.looped, d.base_rotation, d.joint_position, d.joint_velocity, self._period, out):
            return out
        return np.full(self._robot.n, np.nan)


@njit(cache=True)
def _open_from(
    numbers: Array,
    indices: Indices,
    shape: Shape,
    looped: int,
    base_rotation: Array,
    now: Array,
    q: Array,
    v: Array,
    before: Array,
    scope: Scope,
) -> tuple[int, int]:
    """`can_brake` of a packed manoeuvre."""
    m = manoeuvre_in(numbers, indices, shape, looped)
    least, share, jump, dt, looks = scope
    return can_brake(m.tree, m.loop, m.brake, m.capsules, base_rotation, now, q, v, before, least, share, jump, dt, looks)


@njit(cache=True)
def _torque(
    numbers: Array, indices: Indices, shape: Shape, looped: int, base_rotation: Array, q: Array, v: Array, dt: float, torque: Array
) -> bool:
    """`stopping_torque` of a packed manoeuvre."""
    m = manoeuvre_in(numbers, indices, shape, looped)
    return stopping_torque(m.tree, m.loop, m.brake, base_rotation, q, v, dt, torque)


__all__ = ["HELD", "Backup", "BrakingConfig"]
