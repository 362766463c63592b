"""The control stack: `Stack.step` is the whole data flow of one tick."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from poise.robots import RobotModel
from poise.robots.commands import hold_command
from poise.robots.types import (
    Array,
    Belief,
    Certificate,
    Decision,
    Intent,
    JointCommand,
    MotionProposal,
    RobotState,
    Verdict,
)

from .descent import Descent, DescentConfig
from .dynamics import Dynamics, fill_frames
from .estimator import Estimator, EstimatorConfig, believed
from .footsteps import twist_command
from .gait import Walker
from .let_down import LetDown, LetDownConfig
from .lip import GRAVITY
from .motion import MotionReference
from .proposals import judged, plain
from .protocols import Proposer, Situation, WorldModel
from .reaction import left_to_the_body, leg_momentum
from .references import GaitCommand, Reference
from .rotation import matrix_from_quat, yaw_of
from .safety import UNCHANGED, Certifier, SafetyConfig
from .scripted import ScriptedProposer
from .soundness import SoundnessMonitor
from .stepping import toward
from .stopwatch import Stopwatch
from .support import Support, support_of
from .walker_config import WalkerConfig
from .wholebody import WholeBody, WholeBodyConfig, WholeBodySolution, WholeBodyTargets

FALLS = "falls: hips bent, arms to the ground"  # the reason of a decision while balance is given up
# A robot rests that has stood for so long, and whose centre of mass and soles are slower than that; another is to be balanced, not to be
# stopped as it stands.
SETTLED_S, RESTING_MPS = 0.5, 0.2


@dataclass(frozen=True)
class StackConfig:
    """Rates in ticks of `period_s`, slews in m/s² and rad/s²."""

    period_s: float = 0.002
    propose_every: int = 50
    propose_delay: int = 5  # ticks from a situation to the use of the proposals made for it
    hold_ticks: int = 10  # how long the last command stands in for an unusable state
    slew: tuple[float, float, float] = (0.8, 0.5, 1.5)
    # Of the angular momentum of a leg that swings from the hip of a pelvis at rest. Regressed on walks at 0.5 m/s the whole
    # body's is 1.4 times that: the knee bends as well, and the trunk answers. At 1.0 m/s a share of 1 costs 1.7 times the power.
    swing_share: float = 1.5
    estimator: EstimatorConfig = EstimatorConfig()
    let_down: LetDownConfig = LetDownConfig()
    descent: DescentConfig = DescentConfig()
    walker: WalkerConfig = field(default_factory=WalkerConfig)
    whole_body: WholeBodyConfig = field(default_factory=WholeBodyConfig)
    safety: SafetyConfig = field(default_factory=SafetyConfig)


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """Proposals of one moment, their verdicts and which of them acts from tick `ready` on."""

    born: int
    ready: int
    proposals: tuple[MotionProposal, ...]
    verdicts: tuple[Verdict, ...]
    chosen: int
    acting: MotionProposal
    fault: str  # why there are none, where the proposer or the world model failed


class Stack:
    """One robot's controller. Nothing in `step` raises for bad states, intents or proposals."""

    def __init__(
        self, robot: RobotModel, config: StackConfig | None = None, proposer: Proposer | None = None, world_model: WorldModel | None = None
    ) -> None:
        self.robot, self.config = robot, config or StackConfig()
        cfg = self.config
        self._scripted = ScriptedProposer(robot)
        self._proposer: Proposer = proposer or self._scripted
        self._world_model = world_model
        self.dynamics = Dynamics(robot)
        self.estimator = Estimator(robot, self.dynamics, cfg.estimator, cfg.period_s)
        self._swing_momentum = cfg.swing_share * leg_momentum(robot)
        shift = self._swing_momentum / (robot.mass * GRAVITY)
        self._walker = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), shift, cfg.walker, cfg.period_s)
        self.whole_body = WholeBody(robot, cfg.whole_body)
        self.certifier = Certifier(robot, cfg.safety, cfg.period_s)
        arm_limits = (robot.walking_min[robot.arms], robot.walking_max[robot.arms])
        self._motion = MotionReference(arm_limits, robot.overlay.gait.height_range_m, cfg.period_s)
        self._monitor = SoundnessMonitor(robot, cfg.hold_ticks)
        self._let_down = LetDown(cfg.let_down, robot.mass * GRAVITY, cfg.period_s)
        self._descent = Descent(robot, cfg.descent, cfg.period_s)
        self._slew = np.array(cfg.slew) * cfg.period_s
        self.reset()

    @property
    def period_s(self) -> float:
        """Control period: `step` is to be called once each."""
        return self.config.period_s

    def reset(self, seed: int = 0) -> None:
        """Start anew: the next state is taken as standing still."""
        robot = self.robot
        self._tick = 0
        self._proposer.reset(seed)
        self.estimator.reset()
        self._walker.reset(0.0)
        self._motion.reset(robot.posture[robot.arms], robot.overlay.gait.com_height_m, robot.overlay.gait.step_duration_s)
        self._monitor.reset()
        self._descent.reset()
        self._contact = np.ones(2)
        self._twist = np.zeros(3)
        self._acting: _Choice | None = None
        self._coming: _Choice | None = None
        self._started = False

    # -- the tick ---------------------------------------------------------------------------------------------

    def step(self, state: RobotState, intent: Intent) -> Decision:
        """Decide one tick: estimate → propose → imagine → refine → track → certify → record."""
        watch = Stopwatch()
        self._tick += 1
        problem, intent = self._monitor.check(state, intent)
        if problem and not self._monitor.bridged:
            return self._safe_decision(intent, problem, watch)
        if problem:
            reason = f"{problem}: the last command is repeated"
            return self._unplanned(intent, "degraded", reason, self._monitor.last_command, UNCHANGED, watch)
        if (wanted := self._descent(self._monitor.state)) is not None:
            return self._falling_decision(wanted, intent, watch)
        self._estimate(self._monitor.state)
        watch.lap("estimate")
        if self._let_down.posture is not None:
            return self._aloft_decision(self._let_down.posture, state, intent, watch)
        made = self._propose_and_imagine(state, intent, watch)
        reference = self._refine(intent)
        watch.lap("refine")
        solution, command = self._track(reference, intent, state)
        watch.lap("track")
        command, certificate = self.certifier.certify(
            self.dynamics,
            command,
            support_of(reference.contact),
            resting=reference.urgency == 0.0 and self._is_settled(),
            arms_external=intent.arms_external,
            predicted=solution.acceleration[6:],
        )
        watch.lap("certify")
        decision = self._record(state, intent, made, command, certificate, solution, watch)
        self._monitor.sent(command)
        return decision

    def _is_settled(self) -> bool:
        """Whether the robot stands, and neither its centre of mass nor a sole moves."""
        d = self.dynamics
        stands = self._walker.phase == "stand" and self._walker.time > SETTLED_S
        return stands and max(abs(d.com_velocity).max(), abs(d.sole_velocity[:, :3]).max()) < RESTING_MPS

    def _estimate(self, state: RobotState) -> None:
        """Take a state; after it a robot that was let down may have come to stand."""
        self.estimator.update(state, self._monitor.stamp_s, self._contact)
        if not self._started:
            self._started = True
            self._let_down.begin(self.dynamics)
            self._stand(state)
            return
        load = None if state.joint_torque is None else float(self.estimator.parts.wrench[:2, 2].sum())
        assert state.accelerometer_imu is not None  # the monitor lets no state through without it; the IMU's axes are the base's
        if self._let_down(self.dynamics, state.accelerometer_imu, load):
            self._contact = np.ones(2)
            self.estimator.reset()
            self.estimator.update(state, self._monitor.stamp_s, self._contact)
            self._stand(state)

    def _stand(self, state: RobotState) -> None:
        """Begin with a stand, facing where the robot does."""
        assert state.base_orientation_wxyz is not None  # the monitor lets no state through without it
        self._walker.reset(float(yaw_of(matrix_from_quat(state.base_orientation_wxyz))))

    def _propose_and_imagine(self, state: RobotState, intent: Intent, watch: Stopwatch) -> _Choice | None:
        """At its own rate; the result acts `propose_delay` ticks later, as it would from a thread of its own."""
        if self._coming is not None and self._tick >= self._coming.ready:
            self._acting, self._coming = self._coming, None
            self._motion.take(self._acting.acting)
        if self._acting is not None and (self._tick - 1) % self.config.propose_every:
            return None
        situation = self._situation(state, intent)
        watch.lap("estimate")
        proposals, verdicts, scores, fault = judged(self._proposer, self._world_model, situation, len(self.robot.arms), watch)
        chosen = int(np.argmax(scores)) if scores and max(scores) > -np.inf else -1
        acting = plain(proposals[chosen]) if chosen >= 0 else self._scripted.propose(situation)[0]
        first = self._acting is None  # nothing acts yet: no delay to wait for
        ready = self._tick + (0 if first else self.config.propose_delay)
        choice = _Choice(self._tick, ready, proposals, verdicts, chosen, acting, fault)
        if first:
            self._acting = choice
            self._motion.take(acting)
        else:
            self._coming = choice
        return choice

    def _refine(self, intent: Intent) -> Reference:
        """The acting proposal as this tick's references, made exact by MPC, timing and foothold adaptation."""
        assert self._acting is not None
        proposal = self._acting.acting
        self._twist = toward(self._twist, proposal.twist, self._slew)
        self._motion.advance((self._tick - self._acting.ready) * self.period_s, intent, self._twist)
        command = GaitCommand(self._twist, self._motion.step_duration_s, self._motion.height_m, proposal.footstep_offset)
        return self._walker.update(self.dynamics, self.estimator.contact, command)

    def _track(self, reference: Reference, intent: Intent, state: RobotState) -> tuple[WholeBodySolution, JointCommand]:
        robot, motion, d = self.robot, self._motion, self.dynamics
        self._contact = reference.contact
        joints, speed = robot.posture.copy(), np.zeros(robot.n)
        if intent.arms_external:  # moved by something else: they are where they are measured
            joints[robot.arms], speed[robot.arms] = state.joint_position[robot.arms], state.joint_velocity[robot.arms]
        else:
            joints[robot.arms], speed[robot.arms] = motion.arms, motion.arms_velocity
        momentum, rise = left_to_the_body(reference.urgency) * self._swing_momentum, reference.rise
        height = motion.height_m + float(rise[0])
        reaction = momentum / (robot.mass * height) * reference.swing[2, :2]
        targets = WholeBodyTargets(
            com_acceleration_xy=(GRAVITY + rise[2]) / height * (d.com[:2] - reference.zmp) + reaction,
            com_height=np.array([reference.ground_height + height, rise[1], rise[2]]),
            heading=reference.heading,
            torso_rpy=motion.torso_rpy,
            yaw_rate=reference.heading_rate,
            contact=reference.contact,
            swing=reference.swing,
            swing_yaw=reference.swing_yaw,
            swing_momentum=momentum,
            joints=joints,
            joint_velocity=speed,
            urgency=reference.urgency,
        )
        solution = self.whole_body.solve(d, targets)
        zero = np.zeros(robot.n)
        return solution, JointCommand(joints, speed, zero, zero, solution.torque, robot.torque_limit)

    # -- records ----------------------------------------------------------------------------------------------

    def _record(
        self,
        state: RobotState,
        intent: Intent,
        made: _Choice | None,
        command: JointCommand,
        certificate: Certificate,
        solution: WholeBodySolution,
        watch: Stopwatch,
    ) -> Decision:
        assert self._acting is not None
        plan, belief = self._walker.plan(), self._belief()
        reason = "" if solution.source != "hold" else "the whole-body QP failed: the posture is held"
        reason = reason or self._monitor.remark or self._acting.fault
        watch.lap("record")
        return Decision(
            tick=self._tick,
            stamp_s=self._monitor.stamp_s,
            status="degraded" if reason else "ok",
            reason=reason,
            intent=intent,
            belief=belief,
            plan=plan,
            command=command,
            certificate=certificate,
            proposal=self._acting.acting,
            proposal_age_s=(self._tick - self._acting.born) * self.period_s,
            proposals=made.proposals if made else (),
            verdicts=made.verdicts if made else (),
            chosen=made.chosen if made else -1,
            timings_us=watch.with_total(),
        )

    def _aloft_decision(self, posture: Array, state: RobotState, intent: Intent, watch: Stopwatch) -> Decision:
        """In the air there is nothing to balance on."""
        self._contact = np.zeros(2)
        self._walker.sense(self.dynamics, self._motion.height_m)
        held = posture.copy()
        if intent.arms_external:  # moved by something else: they are where they are measured
            held[self.robot.arms] = state.joint_position[self.robot.arms]
        wanted = hold_command(self.robot, held)
        command, certificate = self.certifier.certify(self.dynamics, wanted, Support.NONE, arms_external=intent.arms_external)
        self._monitor.sent(command)
        watch.lap("certify")
        reason = "falls from where it was let go: the posture is held until the feet carry the robot"
        return replace(self._unplanned(intent, "degraded", reason, command, certificate, watch), belief=self._belief())

    def _falling_decision(self, wanted: JointCommand, intent: Intent, watch: Stopwatch) -> Decision:
        """A fall that cannot be saved; the estimate begins anew when the robot has been put up again."""
        state = self._monitor.state
        assert state.base_orientation_wxyz is not None and state.gyro_imu is not None
        self._started = False
        self.estimator.reset()
        self.dynamics.run(state.base_orientation_wxyz, state.gyro_imu, state.joint_position, state.joint_velocity)
        fill_frames(self.dynamics.source, self.dynamics.frames, self.dynamics.terms)
        command, certificate = self.certifier.certify(self.dynamics, wanted, Support.NONE)
        self._monitor.sent(command)
        watch.lap("certify")
        return self._unplanned(intent, "safe", FALLS, command, certificate, watch)

    def _safe_decision(self, intent: Intent, problem: str, watch: Stopwatch) -> Decision:
        """Without a usable state nobody can balance: damp every joint, and start anew when states come back."""
        self._started = False
        self.estimator.reset()
        reason, command = f"{problem}: every joint is damped", self.certifier.damping(self._monitor.last_position)
        return self._unplanned(intent, "safe", reason, command, Certificate(True, (reason,), 0.0, "damping"), watch)

    def _unplanned(
        self, intent: Intent, status: str, reason: str, command: JointCommand, certificate: Certificate, watch: Stopwatch
    ) -> Decision:
        watch.lap("record")
        return Decision(
            tick=self._tick,
            stamp_s=self._monitor.stamp_s,
            status=status,
            reason=reason,
            intent=intent,
            belief=None,
            plan=None,
            command=command,
            certificate=certificate,
            proposal=self._acting.acting if self._acting else None,
            proposal_age_s=(self._tick - self._acting.born) * self.period_s if self._acting else 0.0,
            timings_us=watch.with_total(),
        )

    def _belief(self) -> Belief:
        d, e, walker = self.dynamics, self.estimator, self._walker
        x = believed(d.block, d.nv, e.memory, walker.dcm, walker.sole_yaw)
        poses = (x[:3], x[3:7], x[7:10], x[10:13], x[13:16], x[16:19], x[19:21], x[21:27].reshape(2, 3), x[27:29])
        force = d.base_rotation @ e.external_wrench[:3]
        return Belief(*poses, x[29:31], x[31:33], x[33:36], x[36:], age_s=0.0, external_force_world=force)

    def _situation(self, state: RobotState, intent: Intent) -> Situation:
        robot, walker, motion, d = self.robot, self._walker, self._motion, self.dynamics
        walker.sense(d, motion.height_m)
        pose = np.array([d.q[0], d.q[1], yaw_of(d.base_rotation)])
        return Situation(
            tick=self._tick,
            stamp_s=self._monitor.stamp_s,
            intent=intent,
            twist=twist_command(intent, robot.overlay.gait, pose),
            belief=self._belief(),
            phase=walker.phase,
            stance=walker.stance,
            time_in_phase_s=walker.time,
            step_duration_s=walker.step_duration,
            dcm_offset_m=walker.dcm_offset(),
            joint_position=np.array(state.joint_position),
            joint_velocity=np.array(state.joint_velocity),
            arm_reference=motion.arms.copy(),
            arm_reference_velocity=motion.arms_velocity.copy(),
            torso_reference_rpy=motion.torso_rpy.copy(),
            height_reference_m=motion.height_m,
        )

    # -- replay -----------------------------------------------------------------------------------------------

    def snapshot(self) -> object:
        """Everything that `step` changes; with the plant's own state a run continues bit for bit."""
        scalars = (self._tick, self._contact.copy(), self._twist.copy(), self._acting, self._coming, self._started)
        return (
            scalars,
            self.estimator.snapshot(),
            self._walker.snapshot(),
            self._motion.snapshot(),
            self._monitor.snapshot(),
            self._let_down.copy(),
            self._descent.copy(),
        )

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this stack."""
        scalars, estimator, walker, motion, monitor, let_down, descent = snapshot
        self._tick, contact, twist, self._acting, self._coming, self._started = scalars
        self._contact, self._twist = contact.copy(), twist.copy()
        self.estimator.restore(estimator)
        self._walker.restore(walker)
        self._motion.restore(motion)
        self._monitor.restore(monitor)
        self._let_down = let_down.copy()
        self._descent = descent.copy()


__all__ = ["Array", "Stack", "StackConfig"]
