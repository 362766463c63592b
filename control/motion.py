"""From the proposal in force to this tick's references: interpolated knots behind a critically damped filter, and a slow step duration."""

from __future__ import annotations

import numpy as np
from numba import njit

from poise.robots.types import Array, Intent, MotionProposal

ARM_RATE = 14.0  # 1/s, filter poles
BODY_RATE = 8.0
STEP_RATE = 1.0  # 1/s, of the step duration: draws of a policy differ ten times a second, and each change costs energy
SPEED_MAX = 3.5  # rad/s (and m/s, never reached), as fast as proposals may be (WorldModelConfig.joint_speed_max)
LONGEST_TICKS = 2000  # looked ahead from knot to knot: every arm has got where it is going by then
TORSO_MAX = 0.45  # rad, roll, pitch and yaw of the torso in the heading frame
# The speed, of which a m/s sideways counts SIDEWAYS, beyond which legs have to reach far, and by how much lower for each m/s of
# it the centre of mass has to be.
BRISK_MPS, SIDEWAYS, LOWER_M = 0.5, 3.3, 0.05


def brisk_mps(forward: float, sideways: float) -> float:
    """How much faster than a calm walk these velocities are, either way, m/s."""
    return max(0.0, abs(forward) - BRISK_MPS, SIDEWAYS * abs(sideways) - BRISK_MPS)


def highest_m(nominal_m: float, twist: Array) -> float:
    """The height of the centre of mass over the stance sole that leaves the legs their reach at a twist (3,); own rule, measured."""
    return nominal_m - LOWER_M * brisk_mps(float(twist[0]), float(twist[1]))


@njit(cache=True)
def follow(position: Array, velocity: Array, target: Array, low: Array, high: Array, rate: Array, speed_max: float, dt: float) -> None:
    """One tick of ẍ = rate²·(target − x) − 2·rate·ẋ on vectors, in place, with bounded speed and a target kept in [low, high]."""
    for i in range(position.size):
        wanted = min(high[i], max(low[i], target[i]))
        acceleration = rate[i] * rate[i] * (wanted - position[i]) - 2.0 * rate[i] * velocity[i]
        velocity[i] = min(speed_max, max(-speed_max, velocity[i] + dt * acceleration))
        position[i] += dt * velocity[i]


@njit(cache=True)
def interpolate(knots: Array, start: Array, period: float, age: float, out: Array) -> None:
    """Linear interpolation, in place, between `start` (m,) at age 0 and knots (k, m) at multiples of `period`; held after."""
    at = age / period
    index = int(np.floor(at))
    if index >= knots.shape[0]:
        out[:] = knots[knots.shape[0] - 1]
        return
    before = start if index == 0 else knots[index - 1]
    share = at - index
    for i in range(out.size):
        out[i] = before[i] + share * (knots[index, i] - before[i])


@njit(cache=True)
def respond(state: Array, target: Array, low: Array, high: Array, rate: Array, speed_max: float, dt: float, ticks: int, out: Array) -> None:
    """Positions (k, m) after each `ticks` ticks of `follow` from a state (2, m), positions and velocities, which moves on."""
    for knot in range(out.shape[0]):
        for _ in range(ticks):
            follow(state[0], state[1], target, low, high, rate, speed_max, dt)
        out[knot] = state[0]


class MotionReference:
    """Arms, torso attitude and height as one vector (n_arms + 3 + 1,)."""

    def __init__(self, arm_limits: tuple[Array, Array], height_range_m: tuple[float, float], period_s: float) -> None:
        """Targets are kept inside the arm limits (n_arms,) rad, TORSO_MAX and the height range."""
        arms = arm_limits[0].size
        self._dt = period_s
        torso = np.full(3, TORSO_MAX)
        self._low = np.concatenate((arm_limits[0], -torso, [height_range_m[0]]))
        self._high = np.concatenate((arm_limits[1], torso, [height_range_m[1]]))
        self._rate = np.concatenate((np.full(arms, ARM_RATE), np.full(4, BODY_RATE)))
        self.position, self._velocity, self._target, self._start = np.zeros((4, arms + 4))
        self._knots = np.zeros((1, arms + 4))
        self._period, self._nominal_m = 1.0, height_range_m[1]
        self.step_duration_s = self._step_s = 0.0
        # Views, in which every tick shows.
        self.arms, self.arms_velocity = self.position[:arms], self._velocity[:arms]  # (n_arms,) rad, rad/s
        self.torso_rpy = self.position[arms : arms + 3]  # rad, in the heading frame
        self._arms_target, self._torso_target = self._target[:arms], self._target[arms : arms + 3]

    def reset(self, arms: Array, height_m: float, step_duration_s: float) -> None:
        """Rest at an arm posture (n_arms,) rad, upright, at a height, about to walk with steps of a duration."""
        self.step_duration_s = self._step_s = step_duration_s
        self.position[:] = np.concatenate((arms, np.zeros(3), [height_m]))
        self._velocity[:] = 0.0
        self._nominal_m = height_m
        self._start[:] = self.position
        self._knots, self._period = self.position[None, :].copy(), 1.0

    def take(self, proposal: MotionProposal) -> None:
        """Follow a proposal from the present reference on."""
        self._start[:] = self.position
        self._knots = np.column_stack((proposal.arm_position, proposal.torso_rpy, proposal.height_m))
        self._period, self._step_s = proposal.period_s, proposal.step_duration_s

    def advance(self, age_s: float, intent: Intent, twist: Array) -> None:
        """One tick at an age of the proposal; posture targets of the intent go before its knots, and what a twist asks for before both."""
        interpolate(self._knots, self._start, self._period, age_s, self._target)
        if intent.arms is not None:
            self._arms_target[:] = intent.arms
        if intent.torso_rpy is not None:
            self._torso_target[:] = intent.torso_rpy
        if intent.height_m is not None:
            self._target[-1] = intent.height_m
        if (highest := highest_m(self._nominal_m, twist)) < self._nominal_m:
            self._target[-1] = min(self._target[-1], highest)
        self.step_duration_s += STEP_RATE * self._dt * (self._step_s - self.step_duration_s)
        follow(self.position, self._velocity, self._target, self._low, self._high, self._rate, SPEED_MAX, self._dt)

    def foreseen(self, here: Array, arms: Array, period_s: float, knots: int) -> Array:
        """Where the arms will be, (knots, n_arms) rad, looked at every period_s, if an intent gives (n_arms,) rad from now on.

        Now they are asked to be `here`, (2, n_arms) rad and rad/s.
        """
        m, out = arms.size, np.empty((knots, arms.size))
        state, ticks = here.copy(), int(min(max(period_s / self._dt, 1.0), LONGEST_TICKS) + 0.5)
        respond(state, arms, self._low[:m], self._high[:m], self._rate[:m], SPEED_MAX, self._dt, ticks, out)
        return out

    @property
    def height_m(self) -> float:
        """Centre of mass above the stance sole, m."""
        return float(self.position[-1])

    def snapshot(self) -> tuple[Array, Array, Array, Array, tuple[float, float, float]]:
        """The state, copied."""
        times = (self._period, self._step_s, self.step_duration_s)
        return self.position.copy(), self._velocity.copy(), self._start.copy(), self._knots.copy(), times

    def restore(self, snapshot: tuple[Array, Array, Array, Array, tuple[float, float, float]]) -> None:
        """Go back to a snapshot."""
        self.position[:], self._velocity[:], self._start[:] = snapshot[:3]
        self._knots = snapshot[3].copy()
        self._period, self._step_s, self.step_duration_s = snapshot[4]
