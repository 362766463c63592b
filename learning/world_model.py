"""The first world model: each proposal is stepped ahead as a pendulum over its footsteps and as a posture over its knots.

The first broken constraint rejects it, by name. In order: `finite`, `joint_limit`, `joint_speed`, `height`,
`step_duration`, `reach`, `self_collision`, `zmp_margin`, `demonstrated`. Where the robot stands on both feet, `zmp_margin` is the room
of the DCM, shifted as the upper body shifts the centre of mass, inside the support polygon; while it steps, the room of the
DCM at the coming touchdowns inside what steps within reach can catch (`lip_rollout.capture_margin`).
Arms that something else moves are not judged: they stay where they are measured. `demonstrated` comes last, because what
physics forbids is named by physics; it is 1 minus the strangeness that a proposer measures, and is left out where none is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from poise.control.footsteps import step_width
from poise.control.polygon import support_hull
from poise.control.protocols import Situation
from poise.control.rotation import turned
from poise.robots import MotionProposal, RobotModel, Verdict
from poise.robots.types import LEFT, Array

from . import lip_rollout as lip
from .postures import UpperBody, all_finite, limit_margin, speed_margin

UNITS = {
    "finite": "",
    "joint_limit": "rad",
    "joint_speed": "rad/s",
    "height": "m",
    "step_duration": "s",
    "reach": "m",
    "self_collision": "m",
    "zmp_margin": "m",
    "demonstrated": "",
}
# The margin of each constraint that counts as comfortable: 1 on the common scale of the score.
COMFORT = {
    "joint_limit": 0.2,
    "joint_speed": 2.0,
    "height": 0.03,
    "step_duration": 0.05,
    "reach": 0.05,
    "self_collision": 0.02,
    "zmp_margin": 0.03,
    "demonstrated": 0.5,
}
ROUNDING = 1e-9  # a value clipped to its limit stands on it


@dataclass(frozen=True)
class WorldModelConfig:
    """Bounds and weights of the judgement."""

    joint_speed_max: float = 3.5  # rad/s, above what demonstrations hold; motors are faster
    clearance_m: float = 0.01  # least distance between capsules
    support_margin_m: float = 0.01  # least distance of the DCM from the edge of the support polygon
    knots_max: int = 64
    likelihood_range_nats: float = 20.0  # below the likeliest by so much counts −1
    weight_likelihood: float = 1.0
    weight_margin: float = 1.0
    weight_velocity: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Motion:
    """A proposal whose numbers can be computed with; `path` (k, m) rad is the upper body, waist first."""

    period_s: float
    twist: Array
    height_m: Array
    path: Array
    step_duration_s: float
    steps: Array  # (STEPS, 3), demanded
    width_m: float
    log_likelihood: float | None
    strangeness: float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Now:
    """What all proposals of one situation share."""

    situation: Situation
    posture: Array  # (n,) rad, measured
    start: Array  # (m,) rad, upper-body reference in force
    com: Array  # (3,) m, base frame
    dcm: Array  # (2,) m, stance frame
    last_step: Array  # (2,) m, from the other sole to the stance sole, stance frame
    hull: Array  # (corners, 2) m, support polygon of both soles, world
    sole: Array  # (3,) x, y (m), yaw of the stance sole, world
    heading: float  # rad, of the base in the stance frame
    stance_sign: float  # +1 when the left foot stands


@dataclass(slots=True)
class _Imagined:
    """What one proposal's evaluation hands from one constraint to the next."""

    com: Array = field(default_factory=lambda: np.empty((0, 3)))  # (k, 3) m
    dcm_end: tuple[float, float] | None = None


class LipWorldModel:
    """Implements `control.protocols.WorldModel`: about 0.1 ms of one core for a proposal of five knots."""

    def __init__(self, robot: RobotModel, config: WorldModelConfig = WorldModelConfig()) -> None:
        """Read the robot's geometry and compile the kernels."""
        self._robot, self._config, self._gait = robot, config, robot.overlay.gait
        self._body = UpperBody(robot, config.joint_speed_max)
        self._reach, self._sole = lip.reach_box(self._gait), lip.sole_box(robot.overlay.sole_polygon)
        self._polygon, self._velocity_max = np.array(robot.overlay.sole_polygon), np.array(self._gait.velocity_max)
        self._checks: tuple[tuple[str, Callable[[_Now, _Motion, _Imagined], float | None]], ...] = (
            ("joint_limit", self._joint_limit),
            ("joint_speed", self._joint_speed),
            ("height", self._height),
            ("step_duration", self._step_duration),
            ("reach", self._step_reach),
            ("self_collision", self._self_collision),
            ("zmp_margin", self._zmp_margin),
            ("demonstrated", self._demonstrated),
        )
        self._warm()

    def imagine(self, situation: Situation, proposals: tuple[MotionProposal, ...]) -> tuple[Verdict, ...]:
        """One verdict for each proposal, in order; never raises, whatever the proposals hold.

        The score of an accepted one is, each part times its weight: how far below the likeliest of this call it is
        (0…−1, 0 for one without a likelihood), plus its tightest margin over COMFORT (0…1), minus the distance of its
        twist from the command over the gait's largest velocity.
        """
        now = self._now(situation)
        motions = [self._read(now, proposal) for proposal in proposals]
        likelihoods = [m.log_likelihood for m in motions if m is not None and m.log_likelihood is not None]
        best = max(likelihoods, default=0.0)
        return tuple(self._judge(now, motion, best) for motion in motions)

    def _now(self, situation: Situation) -> _Now:
        belief, stance = situation.belief, situation.stance
        yaw = float(belief.sole_yaw[stance])
        place, yaws = _clean(belief.sole_position_world), _clean(belief.sole_yaw)
        w, x, y, z = belief.base_orientation_wxyz
        posture = _clean(situation.joint_position)
        start = self._body.path(np.atleast_2d(situation.torso_reference_rpy), np.atleast_2d(situation.arm_reference))[0]
        return _Now(
            situation=situation,
            posture=posture,
            start=start,
            com=self._body.com(posture),
            dcm=_clean(situation.dcm_offset_m),
            last_step=turned(-yaw, place[stance, :2] - place[1 - stance, :2]),
            hull=support_hull(place, yaws, self._polygon),
            sole=np.array([place[stance, 0], place[stance, 1], yaw]),
            heading=float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) - yaw),
            stance_sign=1.0 if stance == LEFT else -1.0,
        )

    def _read(self, now: _Now, proposal: MotionProposal) -> _Motion | None:
        """The proposal as clean arrays, or None where it is not one: wrong shapes, or numbers that are not finite."""
        try:
            height, torso = _clean(proposal.height_m), _clean(proposal.torso_rpy)
            k, arms = height.size, _clean(proposal.arm_position)
            twist, offset = _clean(proposal.twist), _clean(proposal.footstep_offset)
            numbers = [proposal.period_s, proposal.step_duration_s, *([] if proposal.log_likelihood is None else [proposal.log_likelihood])]
            period, step_s, *likelihood = (float(number) for number in numbers)
            strangeness = None if proposal.strangeness is None else float(proposal.strangeness)
        except Exception:  # a policy may hand over anything; what cannot be read is not a motion
            return None
        shapes = (height.shape, torso.shape, arms.shape, twist.shape, offset.shape)
        if shapes != ((k,), (k, 3), (k, len(self._body.arms)), (3,), (2, 2)) or not 0 < k <= self._config.knots_max:
            return None
        if not all(map(all_finite, (height, torso, arms, twist, offset, np.array([period, step_s, *likelihood])))) or period <= 0.0:
            return None
        if now.situation.intent.arms_external:
            arms[:] = now.posture[self._body.arms]
        width = step_width(self._gait, float(twist[1]), step_s)
        return _Motion(
            period_s=period,
            twist=twist,
            height_m=height,
            path=self._body.path(torso, arms),
            step_duration_s=step_s,
            steps=lip.demanded_steps(twist, step_s, width, now.stance_sign, offset, self._reach),
            width_m=width,
            log_likelihood=likelihood[0] if likelihood else None,
            strangeness=strangeness,
        )

    def _judge(self, now: _Now, motion: _Motion | None, likeliest: float) -> Verdict:
        if motion is None:
            return Verdict(False, "finite", -1.0, UNITS["finite"], -np.inf, {"finite": -1.0})
        margins, imagined = {"finite": 0.0}, _Imagined()
        for name, check in self._checks:
            margin = check(now, motion, imagined)
            if margin is None:
                continue
            margins[name] = margin
            if not margin >= -ROUNDING:  # NaN is broken too
                return Verdict(False, name, margin, UNITS[name], -np.inf, margins, imagined.dcm_end)
        tightest = min(margins.keys() - {"finite"}, key=lambda name: (margins[name] / COMFORT[name], name))
        score = self._score(now, motion, margins[tightest] / COMFORT[tightest], likeliest)
        return Verdict(True, "", margins[tightest], UNITS[tightest], score, margins, imagined.dcm_end)

    def _score(self, now: _Now, motion: _Motion, comfort: float, likeliest: float) -> float:
        c, likelihood = self._config, 0.0
        if motion.log_likelihood is not None:
            likelihood = max((motion.log_likelihood - likeliest) / c.likelihood_range_nats, -1.0)
        mismatch = math.hypot(*((motion.twist - now.situation.twist) / self._velocity_max))
        return c.weight_likelihood * likelihood + c.weight_margin * min(max(comfort, 0.0), 1.0) - c.weight_velocity * mismatch

    def _judged(self, now: _Now) -> int:
        """How many of the upper-body joints, from the waist on, the proposal answers for."""
        return self._body.waist if now.situation.intent.arms_external else len(self._body.joints)

    def _joint_limit(self, now: _Now, motion: _Motion, _: _Imagined) -> float:
        return limit_margin(motion.path, self._judged(now), self._body.lower, self._body.upper)

    def _joint_speed(self, now: _Now, motion: _Motion, _: _Imagined) -> float:
        return speed_margin(now.start, motion.path, self._judged(now), motion.period_s, self._body.speed)

    def _height(self, _: _Now, motion: _Motion, __: _Imagined) -> float:
        low, high = self._gait.height_range_m
        return min(float(motion.height_m.min()) - low, high - float(motion.height_m.max()))

    def _step_duration(self, _: _Now, motion: _Motion, __: _Imagined) -> float:
        return min(motion.step_duration_s - self._gait.step_duration_min_s, self._gait.step_duration_max_s - motion.step_duration_s)

    def _step_reach(self, now: _Now, motion: _Motion, _: _Imagined) -> float:
        return lip.reach_margin(motion.steps, 2, now.stance_sign, self._reach)

    def _self_collision(self, now: _Now, motion: _Motion, imagined: _Imagined) -> float | None:
        least, imagined.com = self._body.clearance(now.posture, now.start, motion.path)
        return None if now.situation.intent.arms_external else least - self._config.clearance_m

    def _zmp_margin(self, now: _Now, motion: _Motion, imagined: _Imagined) -> float:
        if now.situation.phase == "step":
            return self._capture(now, motion, imagined)
        return self._support(now, imagined)

    def _demonstrated(self, _: _Now, motion: _Motion, __: _Imagined) -> float | None:
        return None if motion.strangeness is None else 1.0 - motion.strangeness

    def _capture(self, now: _Now, motion: _Motion, imagined: _Imagined) -> float:
        """Room of the DCM at the coming touchdowns, m."""
        s, horizon = now.situation, motion.period_s * len(motion.height_m)
        margin, x, y, yaw = lip.roll_out(
            now.dcm,
            now.last_step,
            now.stance_sign,
            s.time_in_phase_s,
            s.step_duration_s,
            motion.steps,
            motion.twist,
            motion.width_m,
            motion.step_duration_s,
            motion.height_m,
            horizon,
            self._gait.double_support_s,
            self._reach,
            self._sole,
        )
        end = turned(yaw - now.heading - float(motion.twist[2]) * horizon, np.array([x, y]))
        imagined.dcm_end = (float(end[0]), float(end[1]))
        return margin

    def _support(self, now: _Now, imagined: _Imagined) -> float:
        """Room of the DCM, moved as the centre of mass moves at each knot, inside the polygon of both soles, m."""
        moved = lip.moved_dcm(now.dcm, imagined.com - now.com, now.heading, now.sole)
        end = turned(-now.heading - now.sole[2], moved[-1] - now.sole[:2])
        imagined.dcm_end = (float(end[0]), float(end[1]))
        return lip.support_margin(now.hull, moved) - self._config.support_margin_m

    def _warm(self) -> None:
        """Compile every kernel now: none may compile in the loop."""
        gait, two = self._gait, np.zeros(2)
        steps = lip.demanded_steps(np.zeros(3), gait.step_duration_s, gait.step_width_m, 1.0, np.zeros((2, 2)), self._reach)
        lip.reach_margin(steps, 2, 1.0, self._reach)
        lip.roll_out(
            two, two, 1.0, 0.1, 0.4, steps, np.zeros(3), 0.2, 0.4, np.full(1, 0.6), 1.0, gait.double_support_s, self._reach, self._sole
        )
        hull = support_hull(np.zeros((2, 3)), two, self._polygon)
        lip.support_margin(hull, lip.moved_dcm(two, np.zeros((1, 3)), 0.0, np.zeros(3)))
        path = np.zeros((1, len(self._body.joints)))
        all_finite(path), all_finite(path[0])
        limit_margin(path, 1, self._body.lower, self._body.upper)
        speed_margin(path[0], path, 1, 0.2, self._body.speed)
        self._body.clearance(self._robot.posture.copy(), path[0], path)
        self._body.com(self._robot.posture.copy())


def _clean(values: Array) -> Array:
    """A copy in the one layout that the kernels are compiled for: writable, rows together, 64-bit."""
    return np.array(values, dtype=np.float64, order="C")
