"""The walker: phases, footholds and LIP references of one tick.

Phases: "stand" (both feet, DCM held near the middle), "shift" (the DCM is brought to where the first step starts) and
"step" (double support, then single support, until the swing foot lands or the stance foot is knocked away). Plans are in
the odometry world frame. The MPC gives the nominal foothold and DCM offset, at its own rate; timing and placement are adapted around it
every tick.
"""

from __future__ import annotations

import numpy as np

from poise.robots.overlay import Gait
from poise.robots.types import LEFT, RIGHT, Array, WalkPlan

from .adaptation import horizon_start, lead_of, limits_of
from .advice import Advice, Advises, Question, advisor_of, cop_box
from .crossing import waypoint
from .dynamics import Dynamics
from .footing import Footing
from .footsteps import orbit_plan, step_width
from .foresight import Foresight, PushWatch
from .ground import Ground
from .lip import GRAVITY
from .polygon import clamp_inside, margin_inside, support_hull
from .reaction import dcm_of_swing, left_to_the_body, legs_momentum_as_shift, momentum_as_shift
from .references import GaitCommand, Reference
from .rotation import turned, wrap_angle
from .snapshots import put_back, snapshot_of
from .step_feedback import StepFeedback
from .stepping import look, replan, toward
from .swing import SwingFoot
from .tripping import Trip
from .two_feet import TwoFeet
from .vault import vault
from .walker_config import WalkerConfig

Orbit = tuple[Array, Array, Array, Array]
_LEVEL, _NO_SWING, _NO_ADVICE, _NO_WRENCH = np.zeros(3), np.zeros((3, 3)), np.full((2, 2), np.nan), np.zeros((2, 6))


class Walker:
    """State machine over stand, shift and step; `update` is called once a tick."""

    def __init__(
        self, gait: Gait, polygon: Array, swing_shift: float, config: WalkerConfig, period_s: float, advises: Advises | None = None
    ) -> None:
        """swing_shift, s²: what the swing foot's acceleration shifts the ZMP by in a calm step (reaction.py); `advises` holds the MPC."""
        self._swing_shift = swing_shift
        self._gait, self._polygon, self._config, self._dt = gait, polygon, config, period_s
        self._cop_box, self._limits = cop_box(polygon, config), limits_of(gait)
        self._advises = advises or advisor_of(gait, polygon, config)
        self.feedback = StepFeedback(config.feedback)
        self._foresight = Foresight(config.foresight, period_s)
        self._push = PushWatch(config.push, period_s)
        self._footing, self._ground, self._trip = Footing(config.footing), Ground(config.ground), Trip(config.trip, period_s)
        self.two_feet = TwoFeet(config.dcm_return_rate, config.placed_max, config.shift_s, period_s)
        self._for_replan = (config.turn_max, config.mpc_authority_m, np.array(self._limits), self._cop_box, np.array(config.adaptation))
        self.reset(0.0)

    def reset(self, heading: float) -> None:
        """Stand, facing `heading` rad."""
        self.tick, self.touchdowns = 0, 0
        self.phase, self.stance, self.time, self.urgency, self._moving = "stand", LEFT, 0.0, 0.0, False
        self.heading = self.intended_yaw = heading
        self.step_duration = self._gait.step_duration_s
        self.double_support = 0.0
        self.foothold = np.zeros(3)  # x, y, yaw of the next touchdown
        self.last_step = np.zeros(2)  # from the old sole to the stance sole, stance axes
        self.swing: SwingFoot | None = None
        self.feedback.reset()
        for part in (self._foresight, self._push, self._footing, self._ground, self._trip, self.two_feet):
            part.reset()
        self.zmp = np.zeros(2)
        self._lift = self._gait.swing_height_m  # of the step in progress
        self._lies = False  # whether the stance sole has come to lie
        self._nominal: Advice | None = None
        self._coming: Advice | None = None
        self._asked: Question | None = None

    def snapshot(self) -> dict[str, object]:
        """Everything that `update` changes, copied."""
        return snapshot_of(self, _FIXED)

    def restore(self, snapshot: dict[str, object]) -> None:
        """Go back to a snapshot of this walker."""
        put_back(self, snapshot)

    # -- one tick ---------------------------------------------------------------------------------------------

    def update(self, d: Dynamics, contact: Array, command: GaitCommand, wrench: Array = _NO_WRENCH) -> Reference:
        """Advance by one tick; between two of them it has to `think`.

        Of measured dynamics, contact probabilities (2,), the command, and what acts on the soles (2 or more, 6), N and N·m in the world.
        """
        self.tick += 1
        self.time += self._dt
        self._command, self._wrench, self._normals = command, wrench, d.sole_rotation[:, :, 2]
        self.sense(d, command.height_m)
        self._moving = max(map(abs, command.twist.tolist())) > self._config.still_twist
        self._keep_footing(d)
        if self.phase == "step":
            self._land(contact)
        if self.phase != "step":
            self._leave_two_feet()
        if self.phase != "step":
            return self._two_feet_reference()
        self._pose()
        return self._step_reference()

    def think(self) -> None:
        """Solve the MPC's problem that the last tick posed, if it did."""
        if self._asked is not None:
            self._coming, self._asked = self._advises.ask(self._asked) or self._coming, None

    def sense(self, d: Dynamics, height_m: float) -> None:
        """Take the soles and the DCM from the estimate."""
        self._omega, self._kappa, seen = look(d.block, d.nv, height_m, self._gait.double_support_s)
        self._soles, self._pelvis, self.sole_yaw, self._com, self.dcm = d.sole_position, d.q[:2], seen[:2], seen[2:4], seen[4:]
        self._momentum, self._weight, self._velocity = d.momentum[3:5], d.mass_matrix[0, 0] * GRAVITY, d.com_velocity[:2]

    def plan(self) -> WalkPlan:
        """The plan in force, for the record."""
        left = max(0.0, self.step_duration - self.time)
        footsteps = np.empty((1 if self.phase == "step" else 0, 4))
        footsteps[:, :3], footsteps[:, 3] = self.foothold, left
        nominal = self._nominal
        return WalkPlan(
            phase=self.phase,
            stance=self.stance,
            time_in_phase_s=self.time,
            step_duration_s=self.step_duration,
            footsteps=footsteps,
            zmp_world=self.zmp,
            dcm_reference_world=self.dcm_target,
            height_m=self._command.height_m,
            mpc_age_s=(self.tick - nominal.born) * self._dt if nominal else np.inf,
            mpc_status=nominal.status if nominal else "none",
        )

    def dcm_offset(self) -> Array:
        """DCM from the stance sole, in its yaw frame, (2,) m."""
        return turned(-self.sole_yaw[self.stance], self.dcm - self._soles[self.stance, :2])

    def _keep_footing(self, d: Dynamics) -> None:
        """Stand on the other foot where the one to stand on is knocked away."""
        standing = _ONE[1 - self.stance] if self.swing is not None else _BOTH
        gone = self._footing(standing, d.sole_position, d.sole_velocity)
        if gone is not None and (self.phase != "step" or gone == self.stance):
            self.touchdowns += 1  # what the MPC was asked is about another step
            self.feedback.interrupted()
            self._begin_step(1 - gone, 0.0)

    # -- on two feet ------------------------------------------------------------------------------------------

    def _leave_two_feet(self) -> None:
        self._hull = support_hull(self._soles, self.sole_yaw, self._polygon)
        coming, settled = self._foresight(self.dcm), self.time > self._config.settle_s
        if margin_inside(coming, self._hull) < self._config.stand_margin and (self.phase == "shift" or settled):
            self._begin_step(self._best_stance(), 0.0)
        elif self.phase == "stand" and self._moving and settled:
            side = self._command.twist[1] + 0.3 * self._command.twist[2]
            self.stance = RIGHT if side > 0.02 else LEFT
            self.phase, self.time = "shift", 0.0
            self.two_feet.begin_shift(self.dcm)
        elif self.phase == "shift" and not self._moving:
            self._stand()
        elif self.phase == "shift" and self.time >= self._config.shift_s:
            self._begin_step(self.stance, 0.0)

    def _stand(self) -> None:
        self.phase, self.time, self.swing = "stand", 0.0, None
        self.two_feet.reset()
        self._foresight.reset()
        self._push.reset()
        self.feedback.stand()

    def _best_stance(self) -> int:
        """The foot to stand on for a step taken at once: the one whose best step costs less."""
        costs = []
        for stance in (LEFT, RIGHT):
            self._begin_step(stance, 0.0)
            costs.append(float(self._adapt(self.dcm)[8]))
        return int(np.argmin(costs))

    def _two_feet_reference(self) -> Reference:
        push = self._push(self.dcm, self._omega, self.zmp)
        if self.phase == "shift":
            reference, rate = self._shift_reference()
        else:
            reference, rate = self.two_feet.stand(self.dcm, self._pelvis, self._com, self._soles)
        self._sense_urgency(float(np.hypot(*(self.dcm - reference))))
        zmp = self.dcm + (push - rate + self._config.dcm_gain * (self.dcm - reference)) / self._omega
        self.zmp, self.dcm_target = clamp_inside(zmp, self._hull, self._config.cop_inset), reference
        yaw = self.sole_yaw[LEFT] + 0.5 * wrap_angle(self.sole_yaw[RIGHT] - self.sole_yaw[LEFT])
        self.heading += self._dt * 2.0 * wrap_angle(yaw - self.heading)
        where = (self.zmp, reference, _BOTH.copy(), _NO_SWING, 0.0, self.heading, 0.0, self._ground.stand(self._soles))
        return Reference(*where, _LEVEL, self.urgency, self._ground.slope)

    def _shift_reference(self) -> tuple[Array, Array]:
        """DCM reference and rate: from rest to where the periodic orbit starts a step."""
        side = 1.0 if self.stance == LEFT else -1.0
        _, _, here, _ = self._orbit(side)
        # No forward speed yet: the first step gains it.
        beside = np.array([0.0, here[1] + self._kappa * side * self._gait.step_width_m])
        start = turned(self.sole_yaw[self.stance], beside)
        end, end_rate = self._soles[self.stance, :2] + start, self._omega * start
        return self.two_feet.shift(self.time, end, end_rate)

    # -- stepping ---------------------------------------------------------------------------------------------

    def _begin_step(self, stance: int, double_support: float) -> None:
        swing = 1 - stance
        self.phase, self.time, self.stance, self.swing = "step", 0.0, stance, None
        self._push.begin_step()
        self.double_support, self.step_duration = double_support, self._command.step_duration_s
        self.last_step = turned(-self.sole_yaw[stance], self._soles[stance, :2] - self._soles[swing, :2])
        self._lies = False
        self.foothold = np.array([*self._soles[swing, :2], self.sole_yaw[swing]])
        if double_support == 0.0:
            self.intended_yaw = self.heading

    def _land(self, contact: Array) -> None:
        cfg, late, swing = self._config, self.time - self.step_duration, 1 - self.stance
        if self.swing is None or (self.swing.phase <= cfg.contact_phase and late <= min(cfg.late_low_s, cfg.late_s)):
            return
        height = self._soles[swing, 2] - self._ground.height_at(self._soles[swing], self._soles[self.stance])
        # A swinging leg's own acceleration looks like a contact force to the observer: the foot must be low as well, or held up.
        held = self._ground.heeds(self.urgency) and self._soles[swing, 2] - self.swing.state[0, 2] > cfg.held_up
        touched = contact[swing] > 0.5 and (height < cfg.contact_height or held) and self.swing.phase > cfg.contact_phase
        if not (touched or (late > cfg.late_low_s and height < cfg.late_height) or late > cfg.late_s):
            return
        self.touchdowns += 1
        self.feedback.touchdown(late, self.tick * self._dt, self._com, self.heading, self._command.twist)
        step = turned(-self.sole_yaw[self.stance], self._soles[swing, :2] - self._soles[self.stance, :2])
        inside = margin_inside(self.dcm, support_hull(self._soles, self.sole_yaw, self._polygon)) > 2.0 * cfg.stand_margin
        short = abs(step[0]) < cfg.stop_length and abs(step[1]) < self._gait.step_width_m + cfg.stop_wider
        if not self._moving and inside and short:
            self._stand()
            self._leave_two_feet()
            return
        self.intended_yaw = self.foothold[2]
        self._begin_step(swing, self._gait.double_support_s)

    def _lead(self) -> float:
        """How much earlier than the step ends the swing foot's reference is over its foothold, s."""
        return lead_of(self._early(), self.step_duration, self._gait.step_duration_hurried_s, self._command.step_duration_s)

    def _early(self) -> float:
        """The part of the lead that hurries the foot, s: one that meets the ground too early stays aloft longer, over its foothold."""
        return max(0.0, self.feedback.lead_s)

    def _twist(self) -> Array:
        return self._command.twist + self.feedback.twist_trim

    def _width(self, twist: Array) -> float:
        return step_width(self._gait, float(twist[1]), self._command.step_duration_s)

    def _orbit(self, side: float) -> Orbit:
        """Nominal steps and DCM offsets (footsteps.orbit_plan)."""
        twist, step_s = self._twist(), self._command.step_duration_s
        in_air = dcm_of_swing(step_s - self._gait.double_support_s, self._omega, self._shift_now())[0]
        return orbit_plan(twist, step_s, self._width(twist), side, self._omega, self._kappa, in_air)

    def _pose(self) -> None:
        """Pose a problem to the MPC every `mpc_every` ticks; its solution counts `mpc_delay` ticks later."""
        later = self._advises.answer()
        if later is not None and later.born <= self.tick:  # of this walk
            self._coming = later
        if self._coming is not None and self.tick >= self._coming.ready:
            self._nominal, self._coming = self._coming, None
        if self.tick % self._config.mpc_every:
            return
        sole, yaw, twist = self._soles[self.stance, :2], float(self.sole_yaw[self.stance]), self._twist()
        dcm, elapsed = horizon_start(self.dcm, self._omega, sole, yaw, self.last_step, self.time, self.double_support)
        left = self.step_duration - elapsed
        if left < self._config.adaptation.freeze_s:
            return
        moving = np.stack((self._soles[1 - self.stance, :2], np.zeros(2))) if self.swing is None else self.swing.state[:2, :2]
        swing = np.stack((turned(-yaw, moving[0] - sole), turned(-yaw, moving[1])))
        momentum = momentum_as_shift(self._momentum, self._weight)
        legs = legs_momentum_as_shift(moving[1], self._velocity, self._swing_shift, self._shift_now())
        self._asked = Question(
            step=self.touchdowns,
            tick=self.tick,
            side=1.0 if self.stance == LEFT else -1.0,
            sole=sole.copy(),  # what is sensed lies where the next tick's will
            yaw=yaw,
            intended_yaw=self.intended_yaw,
            dcm=dcm,
            swing=swing,
            left=left,
            step_s=self._command.step_duration_s,
            in_air_s=self._command.step_duration_s - self._gait.double_support_s,
            omega=self._omega,
            kappa=self._kappa,
            swing_shift=self._shift_now(),
            momentum=turned(-yaw, momentum - legs),
            twist=twist,
            width=self._width(twist),
            shift=np.array(self._command.footstep_offset),
        )

    def _shift_now(self) -> float:
        """What the swing foot's acceleration shifts the ZMP by, s²: in an urgent step trunk and arms take it up instead."""
        return left_to_the_body(self.urgency) * self._swing_shift

    def _sense_urgency(self, off_m: float) -> None:
        """Take how far the DCM is from where it should be: urgency comes at once and goes slowly."""
        low, high = self._config.urgent_m
        fading = self.urgency - self._dt / self._config.urgent_s
        self.urgency = min(1.0, max(0.0, fading, (off_m - low) / (high - low)))

    def _adapt(self, dcm: Array) -> Array:
        """The current step around its nominal one, (10,) as `replan` gives it, of a DCM (2,) m."""
        nominal, command, twist, swing = self._nominal, self._command, self._twist(), self.swing
        advised = nominal is not None and nominal.usable and nominal.step == self.touchdowns
        return replan(
            dcm,
            self._soles,
            self.sole_yaw,
            self.stance,
            self.time,
            self.double_support,
            self.step_duration,
            self.last_step,
            swing is not None,
            _NO_SWING if swing is None else swing.state,
            self.foothold,
            self._early(),
            self._shift_now(),
            twist,
            command.step_duration_s,
            self._width(twist),
            self._omega,
            self._kappa,
            self.heading,
            self.intended_yaw,
            command.footstep_offset[0],
            nominal.touchdown if nominal is not None and advised else _NO_ADVICE,
            *self._for_replan,
        )

    def _dcm_to_come(self) -> Array:
        """The DCM to plan with: pushed on for a while, but in a step off two feet, which came early for what is to come."""
        thrown = np.zeros(2) if self.swing is None else self._shift_now() * self.swing.state[2, :2]
        push = self._push(self.dcm, self._omega, self.zmp - thrown)
        return self.dcm + self._config.push.ahead_s * push if self.double_support > 0.0 else self.dcm

    def _step_reference(self) -> Reference:
        swing, rate = 1 - self.stance, float(self._command.twist[2])
        plan = self._adapt(self._dcm_to_come())
        self.step_duration, self.foothold, self.zmp, self.dcm_target = float(plan[0]), plan[1:4], plan[4:6], plan[6:8]
        self._sense_urgency(float(plan[9]))
        self.heading = wrap_angle(self.heading + self._dt * rate)
        stance, rise, slope = self._soles[self.stance], self._rise(), self._ground.slope
        ground = self._ground.floor(self._com, stance, self._dt)
        moving = (_BOTH.copy(), _NO_SWING, 0.0)
        if self.time >= self.double_support:
            foot = self._swing_on(swing)
            moving = (_ONE[swing].copy(), foot.state, foot.yaw)
        return Reference(self.zmp, self.dcm_target, *moving, self.heading, rate, ground, rise, self.urgency, slope)

    def _swing_on(self, foot: int) -> SwingFoot:
        """Move the swing foot's reference by a tick, and learn of the ground."""
        config, gait, ground, sole, stance = self._config, self._gait, self._ground, self._soles[foot], self._soles[self.stance]
        if self.swing is None:
            self.swing = SwingFoot(sole, float(self.sole_yaw[foot]), self._dt)
            self._lift = gait.swing_height_m * (1.0 + config.lift_urgent * self.urgency) + ground.lift_m
            self._trip.lift_off(sole, self.swing.yaw, ground.high and self.urgency < config.calm_to_wait)
        swing = self.swing
        if not self._lies and self.time > config.lies_s and ground.heeds(self.urgency):
            self._lies = True
            ground.lies(self._normals[self.stance], stance)
        swing.state[0, :2] = toward(sole[:2], swing.state[0, :2], config.swing_lag)
        self.step_duration = min(self.step_duration, self._trip.ends_s)
        left = self.step_duration - self._lead() - self.time
        if ground.heeds(self.urgency) and self._trip.strikes(swing, sole, self._wrench[foot, :2], self.time):
            ground.struck()
            self._lift = max(self._lift, gait.swing_height_m + ground.lift_m) if self._trip.over else self._lift
        side = 1.0 if self.stance == LEFT else -1.0  # round the stance foot first, where it stands in the way
        way = waypoint(swing.state[0], self.foothold, stance, self.sole_yaw[self.stance], side, gait.reach_inward_m, gait.reach_apart_m)
        target = self._trip.target(way, swing, float(sole[2]), self._lift)
        aloft, landing = max(0.0, -self.feedback.lead_s), ground.height_at(target, stance)
        swing.advance(target, left, aloft, self._lift, landing, self.urgency, ground.high)
        return swing

    def _rise(self) -> Array:
        """Of the centre of mass over its mean height (vault.py): a robot that has to be caught is kept level."""
        command, cfg = self._command, self._config
        share, way = (1.0 - self.urgency) * cfg.vault_share, float(command.twist[0]) * command.step_duration_s
        return vault(way, self.time, self.step_duration, command.height_m, share, cfg.vault_lag)


_BOTH, _ONE = np.ones(2), (np.array([0.0, 1.0]), np.array([1.0, 0.0]))  # which feet stand; all, all but the left, all but the right

_FIXED = {
    *("_gait", "_polygon", "_config", "_dt", "_cop_box", "_limits", "_for_replan", "_advises", "_swing_shift"),
    *("_command", "_soles", "_pelvis", "_momentum", "_weight", "_velocity", "_wrench", "_normals"),  # of the tick
}
