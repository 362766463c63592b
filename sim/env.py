"""A gymnasium environment at the level of proposals: an agent proposes motions, the stack walks them on a MuJoCo plant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from poise.control.protocols import Proposer, Situation
from poise.control.rotation import matrix_from_quat, yaw_of
from poise.robots import Belief, Decision, Intent, MotionProposal, RobotModel, RobotState, load_robot
from poise.robots.types import Array

from .metrics import fallen, mean_velocity
from .mujoco_backend import MujocoBackend

PROPOSAL_PERIOD_S = 0.1
KNOTS = 10
TORSO_RANGE = 0.3  # rad, roll, pitch and yaw
ARM_RANGE = 0.5  # rad, from the nominal posture
COMMAND_MIN, COMMAND_MAX = (-0.3, -0.2, -0.6), (0.8, 0.2, 0.6)  # m/s, m/s, rad/s
VELOCITY_SCALE = 0.25  # m/s and rad/s: an error of that size costs 63 % of the tracking reward
EFFORT_WEIGHT = 1e-3  # per W
PHASES = ("stand", "shift", "step")


class EnvStack(Protocol):
    """What the environment needs of a stack."""

    def reset(self, seed: int = 0) -> None:
        """Start a run."""
        ...

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """Decide one control period."""
        ...


MakeStack = Callable[[RobotModel, Proposer], EnvStack]


class ActionProposer:
    """Proposes what the agent last asked for, and nothing else."""

    def __init__(self, proposal: MotionProposal) -> None:
        self.proposal = proposal

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def propose(self, situation: Situation) -> tuple[MotionProposal, ...]:
        """The agent's motion."""
        return (self.proposal,)


def decode(action: NDArray[np.float32], robot: RobotModel) -> MotionProposal:
    """The motion that an action in [−1, 1]^(8 + n_arms) stands for; zeros are the nominal gait at rest.

    In order: twist (3), height, torso roll, pitch and yaw (3), arms (n_arms), step duration.
    """
    values, gait = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0), robot.overlay.gait
    arms = robot.posture[robot.arms] + ARM_RANGE * values[7:-1]
    return MotionProposal(
        origin="agent",
        period_s=PROPOSAL_PERIOD_S,
        twist=values[:3] * gait.velocity_max,
        height_m=np.full(KNOTS, _between(values[3], gait.height_range_m[0], gait.com_height_m, gait.height_range_m[1])),
        torso_rpy=np.tile(TORSO_RANGE * values[4:7], (KNOTS, 1)),
        arm_position=np.tile(np.clip(arms, robot.position_min[robot.arms], robot.position_max[robot.arms]), (KNOTS, 1)),
        step_duration_s=_between(values[-1], gait.step_duration_min_s, gait.step_duration_s, gait.step_duration_max_s),
        footstep_offset=np.zeros((2, 2)),
    )


def _between(value: float, low: float, nominal: float, high: float) -> float:
    return float(np.interp(value, (-1.0, 0.0, 1.0), (low, nominal, high)))


class WalkEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Follow a velocity command; one step is one proposal period of 0.1 s, the stack ticks within it.

    The reward is exp(−|v error|²/0.25²) averaged over the velocity and the turning rate, less 1e-3 a watt of Σ|τ·q̇|;
    velocities in it are the simulator's truth, observations are the stack's belief. A fall ends the episode.
    """

    metadata = {"render_modes": []}  # gymnasium declares it so

    def __init__(self, make_stack: MakeStack, robot: str = "g1", **backend: Any) -> None:
        """Build the stack around an `ActionProposer`.

        Args:
            make_stack: picklable factory of the stack.
            backend: keywords of `MujocoBackend`.

        Raises:
            PoiseError: the robot or the backend's keywords are refused.
        """
        self.robot = load_robot(robot)
        self.backend = MujocoBackend(self.robot, **backend)
        self._ticks = round(PROPOSAL_PERIOD_S / self.backend.period_s)
        size = 8 + len(self.robot.arms)
        self._proposer = ActionProposer(decode(np.zeros(size, np.float32), self.robot))
        self._stack = make_stack(self.robot, self._proposer)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (20 + 2 * self.robot.n,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; `options["velocity"]` fixes the command (vx, vy m/s, wz rad/s), else it is drawn."""
        super().reset(seed=seed)
        run_seed = int(self.np_random.integers(2**31))
        drawn = self.np_random.uniform(COMMAND_MIN, COMMAND_MAX)
        vx, vy, wz = (float(value) for value in (options or {}).get("velocity", drawn))
        self._intent = Intent(velocity=(vx, vy, wz))
        self._proposer.proposal = decode(np.zeros(self.action_space.shape or (), np.float32), self.robot)
        self.backend.reset(run_seed)
        self._stack.reset(run_seed)
        self._seen = np.zeros(self.observation_space.shape or (), np.float32)
        for _ in range(self._ticks):  # a whole period, so that a stack that proposes once a period does so as a step begins
            decision = self._tick()
        return self._observe(decision), _info(decision, [])

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Propose a motion and walk one proposal period with what the stack makes of it."""
        self._proposer.proposal = decode(action, self.robot)
        poses, work, rejected = [self._pose()], 0.0, list[str]()
        for _ in range(self._ticks):
            decision = self._tick()
            rejected += [verdict.constraint for verdict in decision.verdicts if not verdict.accepted]
            poses.append(self._pose())
            work += self.backend.power_w
            if fallen(self.backend):
                break
        power = work / (len(poses) - 1)
        tracking = self._tracking(np.array(poses))
        info = _info(decision, rejected) | {"tracking": tracking, "power_w": power}
        return self._observe(decision), tracking - EFFORT_WEIGHT * power, fallen(self.backend), False, info

    def close(self) -> None:
        """Release the plant."""
        self.backend.close()

    def _tick(self) -> Decision:
        decision = self._stack.step(self.backend.read(), self._intent)
        self.backend.write(decision.command)
        return decision

    def _pose(self) -> Array:
        return np.array([*self.backend.base_position_world[:2], self.backend.yaw])

    def _tracking(self, poses: Array) -> float:
        error = np.subtract(mean_velocity(poses, self.backend.period_s), self._intent.velocity or (0.0, 0.0, 0.0)) / VELOCITY_SCALE
        return float(0.5 * np.exp(-(error[0] ** 2 + error[1] ** 2)) + 0.5 * np.exp(-(error[2] ** 2)))

    def _observe(self, decision: Decision) -> NDArray[np.float32]:
        """What the stack believes; where it has no belief, the last observation stands."""
        if decision.belief is not None:
            self._seen = observe(decision, decision.belief, self.backend.read(), self.robot)
        return self._seen.copy()


def _info(decision: Decision, rejected: list[str]) -> dict[str, Any]:
    """What the stack did with the action: its status, and the constraints that the proposal broke."""
    return {"status": decision.status, "reason": decision.reason, "rejected": rejected}


def observe(decision: Decision, belief: Belief, state: RobotState, robot: RobotModel) -> NDArray[np.float32]:
    """Observation (20 + 2 n,).

    In order: base height over the stance sole (m), up in the base frame (3), angular velocity (3, rad/s), velocity in the
    heading frame (3, m/s), DCM from the stance sole in the heading frame (2, m), phase (one-hot 3), side, time in phase
    over step duration, command (3), joint positions from the posture (n, rad), joint velocities (n, rad/s).
    """
    plan = decision.plan
    rotation = matrix_from_quat(belief.base_orientation_wxyz)
    yaw = yaw_of(rotation)
    heading = np.array([[np.cos(yaw), np.sin(yaw), 0.0], [-np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    sole = belief.sole_position_world[plan.stance if plan else 0]
    phase = [float(plan is not None and plan.phase == name) for name in PHASES]
    gait = (float(2 * plan.stance - 1), plan.time_in_phase_s / plan.step_duration_s) if plan else (0.0, 0.0)
    parts = (
        [belief.base_position_world[2] - sole[2]],
        rotation[2],
        belief.base_angular_velocity_base,
        heading @ belief.base_velocity_world,
        heading[:2, :2] @ (belief.dcm_world - sole[:2]),
        phase,
        gait,
        decision.intent.velocity or (0.0, 0.0, 0.0),
        state.joint_position - robot.posture,
        state.joint_velocity,
    )
    return np.concatenate(parts).astype(np.float32)
