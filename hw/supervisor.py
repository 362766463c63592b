"""Who owns the motors: a state machine that passes sound, fresh commands of the controller on, and else brings the robot down.

It computes nothing that can fail: the safe commands are postures held and motors damped. What goes wrong is a sentence in `reason`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from poise.control.descent import Descent, DescentConfig
from poise.control.soundness import POSITION_MAX
from poise.robots import JointCommand, RobotModel, RobotState
from poise.robots.commands import damping_command, hold_command, usable
from poise.robots.types import Array

from .exchange import DAMPING, DISARMED, FAULT, SAFE_STOP, STAND, STAND_UP, WALK

CONTROLLED = (STAND, WALK)  # the controller has the motors
LONGEST_S = 0.01
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])  # what a descent is told of the attitude, which it does not look at


@dataclass(frozen=True)
class SupervisorConfig:
    """When the controller and the robot are no longer trusted, and how quickly a posture is taken."""

    heartbeat_s: float = 0.044  # without a sound new command; in simulation walks go on with their last one for 80 ms without a fall
    silence_s: float = 0.05  # without a new state
    operator_s: float = 1.0  # without a word from the operator
    carried_share: float = 0.5  # of the weight on the feet, or it does not walk
    stand_up_s: float = 3.0  # from where the joints are to the robot's posture
    descent: DescentConfig = DescentConfig(held_s=0.0)
    beyond_rad: float = 0.3  # of a joint's limits, beyond which no target of a stiff joint is
    gain_share: float = 4.0  # of the robot's holding gains, beyond which no gain is


class Supervisor:
    """Called once for each state, or each period without one; `mode` is one of `exchange.MODES`.

    Attributes:
        mode: what it does.
        reason: why it left the controller's hands; empty where it did not.
        longest_silence_s: the longest time without a sound command while the controller had the motors.
    """

    def __init__(self, robot: RobotModel, period_s: float, config: SupervisorConfig | None = None) -> None:
        self._robot, self._period, self._config = robot, period_s, config or SupervisorConfig()
        self._damping = damping_command(robot)
        self._descent = Descent(robot, self._config.descent, period_s)
        self.mode, self.reason = DISARMED, ""
        self.longest_silence_s = 0.0
        self._silent_s = self._unseen_s = self._spent_s = 0.0
        self._joints = robot.posture  # each where it was last seen
        self._from: Array | None = None  # where they were when it began to stand up
        self._last: JointCommand | None = None

    def request(self, wanted: str, unfit: str = "", carried_share: float = 1.0) -> None:
        """What the operator asks for.

        Args:
            wanted: one of `exchange.REQUESTS`; what cannot follow the present mode is not done.
            unfit: why the robot is not to be armed; empty where nothing speaks against it.
            carried_share: of its weight that its feet carry.
        """
        mode = self.mode
        if wanted == "disarm" and self.over:
            self.mode, self.reason = DISARMED, ""
        elif wanted == "arm" and mode == DISARMED:
            self.mode, self.reason = (DISARMED, unfit) if unfit else (DAMPING, "")
        elif wanted == "stand up" and mode == DAMPING:
            self.mode, self._spent_s, self._from = STAND_UP, 0.0, None
        elif wanted == "stand" and (mode == WALK or (mode == STAND_UP and self._spent_s >= self._config.stand_up_s)):
            self.mode = STAND
            if mode == STAND_UP:
                self._silent_s, self._last = 0.0, None
        elif wanted == "walk" and mode == STAND:
            carried = carried_share >= self._config.carried_share
            self.mode, self.reason = (WALK, "") if carried else (STAND, f"its feet carry {carried_share:.0%} of it: let it down")
        elif wanted == "safe stop" and mode not in (DISARMED, DAMPING, FAULT):
            self._stop("asked for")

    def emergency_stop(self, who: str) -> None:
        """Damp every motor, from now on until it is disarmed."""
        if self.mode not in (DISARMED, FAULT):
            self.mode, self.reason = FAULT, f"emergency stop: {who}"

    def operator_silent(self, seconds: float) -> None:
        """How long the operator has said nothing, s: one who is gone lets the robot stand."""
        if self.mode == WALK and seconds > self._config.operator_s:
            self.mode, self.reason = STAND, f"no word from the operator for {seconds:.1f} s"

    def has_fallen(self, rung: str) -> None:
        """The controller has brought the robot down itself, on that rung: it stays there until it is armed anew."""
        if self.mode in CONTROLLED:
            self._stop(f"the controller has let the robot down: {rung}")

    @property
    def over(self) -> bool:
        """Whether nothing is lost if it ends now: it sends nothing, or damps the motors of a robot that lies or hangs."""
        return self._descent.lies if self.mode == SAFE_STOP else self.mode in (DISARMED, DAMPING, FAULT)

    def step(self, state: RobotState, new_state: bool, command: JointCommand | None, elapsed_s: float | None = None) -> JointCommand | None:
        """What the motors get in this period; None: nothing is sent.

        Args:
            state: the newest.
            new_state: whether it came since the last call.
            command: the controller's, if one came since the last call.
            elapsed_s: since the last call, s; a period where None. More than LONGEST_S is a clock that jumped, or this process's own doing.
        """
        elapsed_s = self._period if elapsed_s is None else min(max(elapsed_s, 0.0), LONGEST_S)
        self._joints = np.where(np.abs(state.joint_position) <= POSITION_MAX, state.joint_position, self._joints)  # NaN is not
        self._unseen_s = 0.0 if new_state else self._unseen_s + elapsed_s
        if self.mode in CONTROLLED:
            self._watch(command, elapsed_s)
        if self.mode not in (DISARMED, DAMPING, FAULT) and self._unseen_s > self._config.silence_s:
            self._stop(f"no state from the robot for {self._unseen_s:.3f} s")
        if self.mode in CONTROLLED:
            return self._last or hold_command(self._robot, self._robot.posture)
        if self.mode == STAND_UP:
            return self._stand_up(elapsed_s)
        if self.mode == SAFE_STOP:
            known = replace(state, joint_position=self._joints, base_orientation_wxyz=UPRIGHT)
            return self._descent(known, blind=True) or self._damping
        return None if self.mode == DISARMED else self._damping

    def _watch(self, command: JointCommand | None, elapsed_s: float) -> None:
        """Take a sound command; without one for too long the controller is stopped."""
        if command is not None and self._is_sound(command):
            self._last, self._silent_s = command, 0.0
            return
        self._silent_s += elapsed_s
        self.longest_silence_s = max(self.longest_silence_s, self._silent_s)
        if self._silent_s > self._config.heartbeat_s:
            self._stop(f"no sound command from the controller for {self._silent_s:.3f} s")

    def _stop(self, reason: str) -> None:
        if self.mode != SAFE_STOP:
            self.mode, self.reason, self._last = SAFE_STOP, reason, None
            self._descent.reset()

    def _stand_up(self, elapsed_s: float) -> JointCommand:
        """From where the joints were, evenly, to the posture."""
        if self._from is None:
            self._from = self._joints
        self._spent_s += elapsed_s
        share = min(1.0, self._spent_s / self._config.stand_up_s)
        return hold_command(self._robot, self._from + share * (self._robot.posture - self._from))

    def _is_sound(self, command: JointCommand) -> bool:
        """Whether motors can take every number of a command, it asks for no more than they have, and no joint is thrown about by its gains.

        The wire has no place for a limit of torque: a stiff joint whose target is far off would get all that its motor has.
        """
        robot, cfg = self._robot, self._config
        if not usable(command, robot.n) or min(command.kp.min(), command.kd.min(), command.torque_limit.min()) < 0.0:
            return False
        least, most = robot.position_min - cfg.beyond_rad, robot.position_max + cfg.beyond_rad
        inside = (command.kp == 0.0) | ((command.q >= least) & (command.q <= most))
        soft = (command.kp <= cfg.gain_share * robot.hold_kp) & (command.kd <= cfg.gain_share * robot.hold_kd)
        return bool((inside & soft & (np.abs(command.tau) <= robot.torque_limit * (1.0 + 1e-6))).all())
