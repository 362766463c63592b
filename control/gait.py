"""The walker: phases, footholds and LIP references of one tick.

Phases: "stand" (both feet, DCM held over the middle), "shift" (the DCM is brought over the first stance foot) and
"step" (double support, then single support, until the swing foot lands). All plans are in the odometry world frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poise.robots.overlay import Gait
from poise.robots.types import LEFT, RIGHT, Array

from .adaptation import AdaptationConfig, adapt_step
from .dynamics import Dynamics
from .footsteps import nominal_step, step_width
from .lip import dcm_in_double_support, natural_frequency, periodic_offset, transfer_shift
from .polygon import clamp_inside, convex_hull, margin_inside
from .rotation import wrap_angle, yaw_of
from .swing import SwingFoot


@dataclass(frozen=True)
class WalkerConfig:
    """Gains in 1/s, times in s, lengths in m."""

    dcm_gain: float = 3.0  # feedback while standing
    dcm_return_rate: float = 4.0  # how fast a stand's DCM reference goes to the middle
    shift_s: float = 0.45
    cop_inset: float = 0.004  # kept from the sole polygon's edge
    stand_margin: float = 0.01  # DCM margin to the support polygon below which a step is taken
    still_twist: float = 0.02  # commands below it mean: stand
    stop_length: float = 0.06  # longest step after which it may stop
    contact_phase: float = 0.6  # a contact before this swing phase is a scuff
    late_s: float = 0.12
    turn_max: float = 0.5  # rad a step
    adaptation: AdaptationConfig = AdaptationConfig()


@dataclass(slots=True)
class GaitCommand:
    """What the walker is asked for at this tick."""

    twist: Array  # (3,) heading frame
    step_duration_s: float
    height_m: float
    footstep_offset: Array  # (2, 2) m, forward and outward


@dataclass(slots=True, eq=False)
class Reference:
    """What the walker gives the whole-body QP at this tick, world frame."""

    zmp: Array  # (2,) m
    dcm: Array  # (2,) m
    contact: Array  # (2,)
    swing_position: Array  # (3,)
    swing_velocity: Array
    swing_acceleration: Array
    swing_yaw: float
    heading: float
    heading_rate: float
    ground_height: float


def _turned(angle: float, vector: Array) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


class Walker:
    """State machine over stand, shift and step; `update` is called once a tick."""

    def __init__(self, gait: Gait, polygon: Array, config: WalkerConfig, period_s: float) -> None:
        self._gait, self._polygon, self._config, self._dt = gait, polygon, config, period_s
        inset = config.cop_inset
        half_width = np.abs(polygon[:, 1]).min() - inset
        self._cop_box = np.array([[polygon[:, 0].min() + inset, polygon[:, 0].max() - inset], [-half_width, half_width]])
        self._hull = polygon
        self.reset(0.0)

    def reset(self, heading: float) -> None:
        """Stand, facing `heading` rad."""
        self.phase, self.stance, self.time = "stand", LEFT, 0.0
        self.heading = heading
        self.step_duration = self._gait.step_duration_s
        self.foothold = np.zeros(3)  # x, y, yaw of the next touchdown
        self.last_step = np.zeros(2)  # from the old sole to the stance sole, stance frame
        self.intended_yaw = heading
        self.double_support = 0.0
        self.swing = SwingFoot(np.zeros(3), self._dt)
        self.swinging = False
        self._dcm_reference: Array | None = None
        self._shift_from = np.zeros(2)
        self.touchdowns = 0

    # -- one tick ---------------------------------------------------------------------------------------------

    def update(self, d: Dynamics, contact: Array, command: GaitCommand) -> Reference:
        """Advance by one tick: measured dynamics, contact probabilities (2,), and the command."""
        self.time += self._dt
        self._command = command
        self._omega = natural_frequency(command.height_m)
        self._soles = d.sole_position
        self._yaws = np.array([yaw_of(d.sole_rotation[0]), yaw_of(d.sole_rotation[1])])
        self._dcm = d.com[:2] + d.com_velocity[:2] / self._omega
        moving = bool(np.abs(command.twist).max() > self._config.still_twist)
        if self.phase == "step":
            self._land(contact, moving)
        if self.phase == "stand":
            self._leave_stand(moving)
        elif self.phase == "shift":
            self._leave_shift(moving)
        if self.phase == "step":
            return self._step_reference(d)
        return self._two_feet_reference()

    # -- standing and shifting --------------------------------------------------------------------------------

    def _support_hull(self) -> Array:
        points = [self._soles[f, :2] + _turned(self._yaws[f], p) for f in (0, 1) for p in self._polygon]
        return convex_hull(np.array(points))

    def _leave_stand(self, moving: bool) -> None:
        self._hull = self._support_hull()
        if margin_inside(self._dcm, self._hull) < self._config.stand_margin and self.time > 0.1:
            self._begin_step(self._best_stance(), 0.0)
        elif moving:
            side = self._command.twist[1] + 0.3 * self._command.twist[2]
            self.stance = RIGHT if side > 0.02 else LEFT
            self.phase, self.time = "shift", 0.0
            self._shift_from = self._dcm.copy()

    def _leave_shift(self, moving: bool) -> None:
        self._hull = self._support_hull()
        if margin_inside(self._dcm, self._hull) < self._config.stand_margin:
            self._begin_step(self._best_stance(), 0.0)
        elif not moving:
            self.phase, self.time, self._dcm_reference = "stand", 0.0, None
        elif self.time >= self._config.shift_s:
            self._begin_step(self.stance, 0.0)

    def _best_stance(self) -> int:
        """The foot to stand on for a step taken at once: the one whose best step costs less."""
        costs = []
        for stance in (LEFT, RIGHT):
            self.stance, self.time, self.double_support, self.last_step = stance, 0.0, 0.0, np.zeros(2)
            self.swing = SwingFoot(self._soles[1 - stance], self._dt)
            self.step_duration = self._gait.step_duration_s
            costs.append(self._adapt()[3])
        return int(np.argmin(costs))

    def _two_feet_reference(self) -> Reference:
        middle = 0.5 * (self._soles[0, :2] + self._soles[1, :2])
        omega, gain = self._omega, self._config.dcm_gain
        if self.phase == "shift":
            reference, rate = self._shift_reference()
        else:
            if self._dcm_reference is None:
                self._dcm_reference = self._dcm.copy()
            rate = self._config.dcm_return_rate * (middle - self._dcm_reference)
            self._dcm_reference = self._dcm_reference + self._dt * rate
            reference = self._dcm_reference
        zmp = self._dcm - rate / omega + gain / omega * (self._dcm - reference)
        zmp = clamp_inside(zmp, self._hull, self._config.cop_inset)
        ground = float(self._soles[:, 2].mean())
        zero = np.zeros(3)
        yaw = self._yaws[LEFT] + 0.5 * wrap_angle(self._yaws[RIGHT] - self._yaws[LEFT])
        self.heading += self._dt * 2.0 * wrap_angle(yaw - self.heading)
        return Reference(zmp, reference, np.ones(2), zero, zero, zero, 0.0, self.heading, 0.0, ground)

    def _shift_reference(self) -> tuple[Array, Array]:
        """DCM reference and rate: a quintic from rest to where the periodic orbit starts a step."""
        b, _, _ = self._orbit(self.stance)
        kappa = transfer_shift(self._omega, self._gait.double_support_s)
        side = 1.0 if self.stance == LEFT else -1.0
        start = b + kappa * np.array([0.0, side * self._gait.step_width_m])
        start[0] = 0.0  # no forward speed yet: the first step gains it
        end = self._soles[self.stance, :2] + _turned(self._yaws[self.stance], start)
        end_rate = self._omega * _turned(self._yaws[self.stance], start)
        total = self._config.shift_s
        s = min(1.0, self.time / total)
        smooth, slope = s**3 * (10 - 15 * s + 6 * s * s), s * s * (30 - 60 * s + 30 * s * s) / total
        push, push_slope = s**3 * (-4 + 7 * s - 3 * s * s), s * s * (-12 + 28 * s - 15 * s * s) / total
        delta = end - self._shift_from
        return self._shift_from + delta * smooth + end_rate * total * push, delta * slope + end_rate * total * push_slope

    # -- stepping ---------------------------------------------------------------------------------------------

    def _begin_step(self, stance: int, double_support: float) -> None:
        swing = 1 - stance
        self.phase, self.time, self.stance = "step", 0.0, stance
        self.double_support = double_support
        self.step_duration = self._command.step_duration_s
        self.last_step = _turned(-self._yaws[stance], self._soles[stance, :2] - self._soles[swing, :2])
        if double_support == 0.0:
            self.intended_yaw = self.heading
        self.swing = SwingFoot(self._soles[swing], self._dt)
        self.swinging = double_support == 0.0
        self.foothold[:2], self.foothold[2] = self._soles[swing, :2], self._yaws[swing]

    def _land(self, contact: Array, moving: bool) -> None:
        swing = 1 - self.stance
        if not self.swinging:
            return
        touched = contact[swing] > 0.5 and self.swing.phase > self._config.contact_phase
        late = self.time - self.step_duration
        low = self._soles[swing, 2] - self._soles[self.stance, 2] < 0.004
        if not (touched or (late > 0.02 and low) or late > self._config.late_s):
            return
        self.touchdowns += 1
        step = _turned(-self._yaws[self.stance], self._soles[swing, :2] - self._soles[self.stance, :2])
        self._hull = self._support_hull()
        inside = margin_inside(self._dcm, self._hull) > 2.0 * self._config.stand_margin
        if not moving and inside and abs(step[0]) < self._config.stop_length:
            self.phase, self.time, self._dcm_reference, self.swinging = "stand", 0.0, None, False
            return
        self.intended_yaw = self.foothold[2]
        self._begin_step(swing, self._gait.double_support_s)

    def _orbit(self, stance: int) -> tuple[Array, Array, float]:
        """DCM offset at this foot's touchdown on the periodic orbit, and the next nominal step (x, y) with its turn."""
        twist, step_s = self._command.twist, self._command.step_duration_s
        width = step_width(self._gait, twist[1], step_s)
        side = 1.0 if stance == LEFT else -1.0
        first, second = nominal_step(twist, step_s, width, side), nominal_step(twist, step_s, width, -side)
        kappa = transfer_shift(self._omega, self._gait.double_support_s)
        b = periodic_offset(first[:2], first[2], second[:2], second[2], self._omega, step_s, kappa)
        return b, first[:2], first[2]

    def _adapt(self) -> tuple[float, Array, Array, float]:
        """Time left, foothold and CoP shift of the current step in the stance frame, and their cost."""
        cfg, gait, stance = self._config.adaptation, self._gait, self.stance
        yaw, sole = self._yaws[stance], self._soles[stance, :2]
        dcm = _turned(-yaw, self._dcm - sole)
        waiting = max(0.0, self.double_support - self.time)
        if waiting > 0.0:
            dcm = dcm_in_double_support(dcm, self.last_step, self._omega, self.time, self.double_support, waiting)
        elapsed = max(self.time, self.double_support)
        left = self.step_duration - elapsed
        _, u_nom, turn = self._orbit(stance)
        b_next, _, _ = self._orbit(1 - stance)
        side = 1.0 if stance == LEFT else -1.0
        correction = wrap_angle(self.intended_yaw - yaw)
        offset = self._command.footstep_offset[0] * np.array([1.0, -side])
        u_nom, b_nom = _turned(correction, u_nom + offset), _turned(correction + turn, b_next)
        reach = np.array([[-gait.reach_backward_m, gait.reach_forward_m], [-gait.reach_outward_m, -gait.reach_inward_m]])
        if side < 0:
            reach[1] = -reach[1, ::-1]
        swing_position = _turned(-yaw, self.swing.position[:2] - sole)
        swing_velocity = _turned(-yaw, self.swing.velocity[:2])
        frozen = self.swinging and left < cfg.freeze_s
        if frozen:
            held = _turned(-yaw, self.foothold[:2] - sole)
            reach = np.stack((held, held), axis=1)
            low = high = max(left, 0.01)
        else:
            low = max(gait.step_duration_min_s - elapsed, cfg.freeze_s)
            high = max(gait.step_duration_max_s - elapsed, low)
        weights = np.array([cfg.weight_foothold, cfg.weight_offset, cfg.weight_cop, cfg.weight_time_nominal, cfg.weight_time_change])
        nominal = self._command.step_duration_s - elapsed
        limit = 1e6 if frozen else cfg.swing_acceleration
        return adapt_step(
            dcm, low, high, nominal, left, self._omega, u_nom, b_nom, reach, self._cop_box, swing_position, swing_velocity, weights, limit, cfg.grid_s
        )

    def _step_reference(self, d: Dynamics) -> Reference:
        stance, swing, gait = self.stance, 1 - self.stance, self._gait
        yaw, sole = self._yaws[stance], self._soles[stance]
        time_left, u, shift, _ = self._adapt()
        elapsed = max(self.time, self.double_support)
        left_before = self.step_duration - elapsed
        if not self.swinging or left_before >= self._config.adaptation.freeze_s:
            self.step_duration = elapsed + time_left
            self.foothold[:2] = sole[:2] + _turned(yaw, u)
            wanted = self.heading + self._command.twist[2] * (time_left + 0.5 * self._command.step_duration_s)
            self.foothold[2] = yaw + np.clip(wrap_angle(wanted - yaw), -self._config.turn_max, self._config.turn_max)
        self.heading = wrap_angle(self.heading + self._dt * self._command.twist[2])
        zmp = sole[:2] + _turned(yaw, shift)
        contact = np.ones(2)
        if self.time < self.double_support:
            zmp = zmp - _turned(yaw, self.last_step) * (1.0 - self.time / self.double_support)
        else:
            if not self.swinging:
                self.swinging = True
                self.swing = SwingFoot(d.sole_position[swing], self._dt)
                self._lift_yaw = self._yaws[swing]
            contact[swing] = 0.0
            self.swing.advance(self.foothold[:2], self.step_duration - self.time, gait.swing_height_m, float(sole[2]))
        s = self.swing
        phase = s.phase if self.swinging else 0.0
        start = getattr(self, "_lift_yaw", self._yaws[swing])
        blend = phase * phase * (3 - 2 * phase)
        swing_yaw = start + blend * wrap_angle(self.foothold[2] - start)
        rate = float(self._command.twist[2])
        return Reference(zmp, self._dcm, contact, s.position, s.velocity, s.acceleration, swing_yaw, self.heading, rate, float(sole[2]))
