"""The control stack: `Stack.step` is the whole data flow of one tick."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Array, Belief, Certificate, Decision, Intent, JointCommand, RobotState

from .advice import Advises
from .deliberation import Deliberation, Elsewhere
from .descent import Descent
from .dynamics import Dynamics
from .estimator import Estimator
from .gait import Walker
from .gate import Gate, taken
from .ladder import Ladder, Rung, Walk
from .let_down import LetDown
from .lip import GRAVITY
from .motion import MotionReference
from .proposals import Choice, GivenArms
from .protocols import Proposer, WorldModel
from .reaction import leg_momentum
from .references import GaitCommand, Reference
from .rotation import matrix_from_quat, yaw_of
from .safety import Certifier
from .scripted import ScriptedProposer
from .situations import situation_of
from .soundness import SoundnessMonitor
from .stack_config import StackConfig
from .stepping import toward
from .stopwatch import Stopwatch
from .support import support_of
from .tracking import whole_body_targets
from .unplanned import Unplanned, aloft, damped, fallen, passed_on, repeated
from .wholebody import WholeBody, WholeBodySolution

SETTLED_S, RESTING_MPS = 0.5, 0.2  # a robot rests that has stood for so long, its centre of mass and soles slower than that
HELD = "the whole-body QP failed: the posture is held"
LOST = "the estimate is not finite: every joint is damped"
UNLOADED = 0.5  # probability of contact below which a foot carries nothing
HALT, HALT_BUT_ARMS = Intent(), Intent(arms_external=True)  # what is followed while the robot is stopped


class Stack:
    """One robot's controller. Nothing in `step` raises for bad states, intents or proposals."""

    def __init__(
        self,
        robot: RobotModel,
        config: StackConfig | None = None,
        proposer: Proposer | None = None,
        world_model: WorldModel | None = None,
        certifier: type[Certifier] = Certifier,
        elsewhere: Elsewhere | None = None,
        advises: Advises | None = None,
    ) -> None:
        """`elsewhere` proposes and imagines out of the tick, in place of `proposer` and `world_model`; `advises` solves the MPC so."""
        self.robot, self.config = robot, config or StackConfig()
        cfg = self.config
        self.dynamics = Dynamics(robot)
        self.estimator = Estimator(robot, self.dynamics, cfg.estimator, cfg.period_s)
        self._swing_momentum = cfg.swing_share * leg_momentum(robot)
        shift = self._swing_momentum / (robot.mass * GRAVITY)
        self._walker = Walker(robot.overlay.gait, np.array(robot.overlay.sole_polygon), shift, cfg.walker, cfg.period_s, advises)
        self.whole_body, self.certifier = WholeBody(robot, cfg.whole_body), certifier(robot, cfg.safety, cfg.period_s)
        arm_limits = (robot.walking_min[robot.arms], robot.walking_max[robot.arms])
        self._motion = MotionReference(arm_limits, robot.overlay.gait.height_range_m, cfg.period_s)
        timing, scripted = (len(robot.arms), cfg.propose_delay, cfg.propose_overdue), ScriptedProposer(robot)
        given = GivenArms(proposer, scripted, self._motion)
        self._choices = Deliberation(scripted, given, world_model, elsewhere, *timing)
        self._monitor = SoundnessMonitor(robot, cfg.hold_ticks)
        self._let_down = LetDown(cfg.let_down, robot.mass * GRAVITY, cfg.period_s)
        self._descent = Descent(robot, cfg.descent, cfg.period_s)
        self._ladder = Ladder(cfg.ladder, cfg.period_s)
        self._gate = Gate(robot, cfg.gate, cfg.period_s)
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
        self._choices.reset(seed)
        self.estimator.reset()
        self._walker.reset(0.0)
        self._motion.reset(robot.posture[robot.arms], robot.overlay.gait.com_height_m, robot.overlay.gait.step_duration_s)
        self._monitor.reset()
        self._descent.reset()
        self._ladder.reset()
        self._gate.reset()
        self._passing = False  # somebody else's command was sent in the last tick
        self.certifier.reset()
        self._contact = np.ones(2)
        self._twist = np.zeros(3)
        self._started, self._stamp_s = False, math.nan

    # -- the tick ---------------------------------------------------------------------------------------------

    def step(self, state: RobotState, intent: Intent, request: JointCommand | None = None) -> Decision:
        """Decide one tick: estimate → propose → imagine → refine → track → certify → record.

        `request` is somebody else's command for this tick: it is sent, certified, in place of the stack's own while the gate lets it pass.
        """
        watch = Stopwatch()
        self._tick += 1
        problem, intent = self._monitor.check(state, intent)
        if problem and self._monitor.bridged:
            return self._unplanned(intent, repeated(self._monitor, problem, self._ladder.rung), watch)
        if problem and not self._may_fall_blind():
            return self._without_balance(intent, damped(self.certifier, self._monitor, problem), watch)
        if (wanted := self._descent(self._monitor.state, blind=bool(problem))) is not None:
            what = fallen(self.dynamics, self.certifier, self._monitor.state, wanted, problem, self._descent.lies)
            self._monitor.sent(what.command)
            return self._without_balance(intent, what, watch)
        self._estimate(self._monitor.state)
        watch.lap("estimate")
        if self._let_down.posture is not None:
            return self._aloft(self._let_down.posture, state, intent, watch)
        if request is None:
            self._gate.idle()
        elif (let_in := self._let_in(request)) is not None:
            return self._passed_on(let_in, intent, watch)
        self._own_again(state)
        asked = self._watched(intent)
        made = self._propose_and_imagine(state, asked, watch)
        reference = self._refine(asked)
        watch.lap("refine")
        solution, command = self._track(reference, asked, state)
        watch.lap("track")
        resting = reference.urgency == 0.0 and self._is_settled()
        command, certificate = self.certifier.certify(
            self.dynamics,
            command,
            support_of(reference.contact),
            resting=resting,
            arms_external=intent.arms_external,
            predicted=solution.acceleration[6:],
        )
        watch.lap("certify")
        walker = self._walker
        walk = Walk(certificate.method, solution.source, walker.phase, walker.touchdowns, reference.urgency, resting)
        decision = self._record(state, intent, made, command, certificate, solution, self._ladder.found(walk), watch)
        self.estimator.delay.sent(command.tau, solution.acceleration, reference.contact)
        self._monitor.sent(command)
        if solution.source == "hold" and not np.isfinite(self.dynamics.v).all():
            self._forget()  # an estimate that is not finite would stay so
        return decision

    def think(self) -> None:
        """What the last `step` left for when its command is out, the MPC; the next one does it first unless this was called."""
        self._walker.think()

    @np.errstate(over="ignore", invalid="ignore")  # numbers may be anything
    def _let_in(self, request: JointCommand) -> JointCommand | None:
        """A request that may be sent."""
        d, walker, command = self.dynamics, self._walker, taken(request, self.robot.n)
        walker.sense(d, self._motion.height_m)
        settled, fault = not self._passing and self._is_settled(), self._monitor.motor_fault
        return None if self._gate(command, d, walker.dcm, walker.sole_yaw, self.estimator.contact, settled, fault) else command

    def _passed_on(self, request: JointCommand, intent: Intent, watch: Stopwatch) -> Decision:
        """Somebody else's command, certified; which soles stand is found out."""
        self._passing, self._contact = True, np.ones(2)
        support, external = support_of(self.estimator.contact), intent.arms_external
        command, certificate = self.certifier.certify(self.dynamics, request, support, resting=self._is_slow(), arms_external=external)
        self._gate.answered(certificate.torque_change_nm > 0.0)
        self._monitor.sent(command)
        watch.lap("certify")
        what = passed_on(command, certificate, self._monitor.remark)
        self._ladder.left(what.rung)
        return self._unplanned(intent, what, watch, self._belief())

    def _own_again(self, state: RobotState) -> None:
        """After somebody else's commands it begins with a stand, the arms where they are."""
        if self._passing:
            self._passing, gait = False, self.robot.overlay.gait
            self._stand(state)
            self._motion.reset(np.array(state.joint_position)[self.robot.arms], gait.com_height_m, gait.step_duration_s)

    def _forget(self) -> None:
        """Begin with the next state as if it were the first."""
        self._started = False
        self.estimator.reset()

    def _may_fall_blind(self) -> bool:
        """Whether a robot without attitude can still be let down: its joints are known, and it was balanced, or falls already."""
        return self._monitor.blind and (self._started or self._descent.falling)

    def _without_balance(self, intent: Intent, what: Unplanned, watch: Stopwatch) -> Decision:
        """The estimate begins anew when the robot is balanced again."""
        self._forget()
        self._ladder.left(what.rung)
        watch.lap("certify")
        return self._unplanned(intent, what, watch)

    def _aloft(self, posture: Array, state: RobotState, intent: Intent, watch: Stopwatch) -> Decision:
        self._contact = np.zeros(2)
        self._walker.sense(self.dynamics, self._motion.height_m)
        arms = state.joint_position[self.robot.arms] if intent.arms_external else None
        what = aloft(self.robot, self.dynamics, self.certifier, posture, arms)
        self._ladder.left(what.rung)
        self._monitor.sent(what.command)
        watch.lap("certify")
        return self._unplanned(intent, what, watch, self._belief())

    def _watched(self, intent: Intent) -> Intent:
        """What is followed of an intent: nothing while the robot is stopped."""
        if self._ladder.watch(self._monitor.aimless, self._monitor.motor_fault or self._gate.stops):
            self._choices.forget()  # a stand is proposed at once
        if not self._ladder.stopping:
            return intent
        return HALT_BUT_ARMS if intent.arms_external else HALT

    def _is_settled(self) -> bool:
        """Whether the robot stands, and neither its centre of mass nor a sole moves."""
        return self._walker.phase == "stand" and self._walker.time > SETTLED_S and self._is_slow()

    def _is_slow(self) -> bool:
        """Whether neither its centre of mass nor a sole moves."""
        return max(abs(self.dynamics.com_velocity).max(), abs(self.dynamics.sole_velocity[:, :3]).max()) < RESTING_MPS

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
        unloaded = max(self.estimator.contact.tolist()) < UNLOADED
        if self._let_down(self.dynamics, state.accelerometer_imu, load, unloaded):
            self._contact = np.ones(2)
            self.estimator.reset()
            self.estimator.update(state, self._monitor.stamp_s, self._contact)
            self._stand(state)

    def _stand(self, state: RobotState) -> None:
        """Begin with a stand, facing where the robot does; what it did before counts no more."""
        assert state.base_orientation_wxyz is not None  # the monitor lets no state through without it
        self._walker.reset(float(yaw_of(matrix_from_quat(state.base_orientation_wxyz))))
        self._twist, self._stamp_s = np.zeros(3), math.nan
        self._choices.forget()

    def _propose_and_imagine(self, state: RobotState, intent: Intent, watch: Stopwatch) -> Choice | None:
        """At its own rate; what is chosen acts later."""
        begun = self._choices.begins(self._tick)
        if begun is not None:
            self._motion.take(begun.acting)
        first = self._choices.acting is None
        if not first and (self._tick - 1) % self.config.propose_every:
            return begun if self._choices.elsewhere else None
        self._walker.sense(self.dynamics, self._motion.height_m)
        told = (state, intent, self._tick, self._monitor.stamp_s, self._belief())
        situation = situation_of(self.robot, self.dynamics, self._walker, self._motion, *told)
        watch.lap("estimate")
        choice = self._choices.decide(situation, self._ladder.stopping, watch)
        if first:
            self._motion.take(self._choices.in_force.acting)
        return choice or (begun if self._choices.elsewhere else None)

    def _refine(self, intent: Intent) -> Reference:
        """The acting proposal as this tick's references, made exact by MPC, timing and foothold adaptation.

        References move on by as much time as has passed: a loop on a busy machine misses states now and then.
        """
        acting = self._choices.in_force
        proposal = acting.acting
        self.think()
        for _ in range(self._periods_since()):
            self._twist = toward(self._twist, proposal.twist, self._slew)
            self._motion.advance((self._tick - acting.ready) * self.period_s, acting.obeyed(intent), self._twist)
            command = GaitCommand(self._twist, self._motion.step_duration_s, self._motion.height_m, proposal.footstep_offset)
            reference = self._walker.update(self.dynamics, self.estimator.contact, command, self.estimator.parts.wrench)
        return reference

    def _periods_since(self) -> int:
        """Periods between the state that references were last made for and this one, by their stamps."""
        before, self._stamp_s = self._stamp_s, self._monitor.stamp_s
        passed = (self._stamp_s - before) / self.period_s
        return round(min(max(passed, 1.0), self.config.missed_most)) if math.isfinite(passed) else 1

    def _track(self, reference: Reference, intent: Intent, state: RobotState) -> tuple[WholeBodySolution, JointCommand]:
        robot, motion, d = self.robot, self._motion, self.dynamics
        self._contact = reference.contact
        joints, speed = robot.posture.copy(), np.zeros(robot.n)
        if intent.arms_external:  # moved by something else: they are where they are measured
            joints[robot.arms], speed[robot.arms] = state.joint_position[robot.arms], state.joint_velocity[robot.arms]
        else:
            joints[robot.arms], speed[robot.arms] = motion.arms, motion.arms_velocity
        targets = whole_body_targets(d, reference, motion, joints, speed, self._swing_momentum, robot.mass, self.estimator.load.newton)
        standing, lean = d.sole_rotation[reference.contact > 0.5, :, 2], (d.com[:2] - reference.zmp) / motion.height_m
        friction = self.estimator.grip.ask(reference.urgency, standing, lean)
        solution, zero = self.whole_body.solve(d, targets, self.estimator.load.newton, friction), np.zeros(robot.n)
        return solution, JointCommand(joints, speed, zero, zero, solution.torque, robot.torque_limit)

    # -- records ----------------------------------------------------------------------------------------------

    def _record(
        self,
        state: RobotState,
        intent: Intent,
        made: Choice | None,
        command: JointCommand,
        certificate: Certificate,
        solution: WholeBodySolution,
        rung: Rung,
        watch: Stopwatch,
    ) -> Decision:
        acting = self._choices.in_force
        plan, belief = self._walker.plan(), self._belief()
        blind = rung is Rung.DAMPING  # of the certifier
        reason = LOST if blind else HELD if solution.source == "hold" else ""
        reason = reason or "; ".join(filter(None, (self._ladder.stop, self._monitor.remark))) or acting.fault
        watch.lap("record")
        return Decision(
            tick=self._tick,
            stamp_s=self._monitor.stamp_s,
            status="safe" if blind else "degraded" if reason else "ok",
            reason=reason,
            intent=intent,
            belief=belief,
            plan=plan,
            command=command,
            certificate=certificate,
            proposal=acting.acting,
            proposal_age_s=(self._tick - acting.born) * self.period_s,
            proposals=made.proposals if made else (),
            verdicts=made.verdicts if made else (),
            chosen=made.chosen if made else -1,
            timings_us=watch.with_total(),
            rung=rung.words,
        )

    def _unplanned(self, intent: Intent, what: Unplanned, watch: Stopwatch, belief: Belief | None = None) -> Decision:
        watch.lap("record")
        acting = self._choices.acting
        return Decision(
            tick=self._tick,
            stamp_s=self._monitor.stamp_s,
            status=what.status,
            reason=what.reason,
            intent=intent,
            belief=belief,
            plan=None,
            command=what.command,
            certificate=what.certificate,
            proposal=acting.acting if acting else None,
            proposal_age_s=(self._tick - acting.born) * self.period_s if acting else 0.0,
            timings_us=watch.with_total(),
            rung=what.rung.words,
        )

    def _belief(self) -> Belief:
        return self.estimator.belief(self._walker.dcm, self._walker.sole_yaw)

    # -- replay -----------------------------------------------------------------------------------------------

    def snapshot(self) -> object:
        """Everything that `step` changes; with the plant's own state a run continues bit for bit."""
        scalars = (self._tick, self._contact.copy(), self._twist.copy(), self._started, self._passing, self._stamp_s)
        return (
            scalars,
            self.estimator.snapshot(),
            self._walker.snapshot(),
            self._motion.snapshot(),
            self._monitor.snapshot(),
            *(part.copy() for part in (self._let_down, self._descent, self._ladder, self._gate)),
            self.certifier.snapshot(),
            self._choices.snapshot(),
        )

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this stack."""
        scalars, estimator, walker, motion, monitor, let_down, descent, ladder, gate, sent, choices = snapshot
        self._tick, contact, twist, self._started, self._passing, self._stamp_s = scalars
        self._contact, self._twist = contact.copy(), twist.copy()
        self.estimator.restore(estimator)
        self._walker.restore(walker)
        self._motion.restore(motion)
        self._monitor.restore(monitor)
        self._let_down = let_down.copy()
        self._descent, self._ladder, self._gate = descent.copy(), ladder.copy(), gate.copy()
        self.certifier.restore(sent)
        self._choices.restore(choices)


__all__ = ["Array", "Stack", "StackConfig"]
