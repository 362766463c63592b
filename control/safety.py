"""The certifier: the last stage of a tick. It bounds every command and says what it changed.

A request is the torque τ_req that a command asks of the motors at the measured joint positions and velocities. It passes as it is
when it keeps every bound of `bounds.py` and, while the robot rests, when the braking manoeuvre of `braking.py` is still open to
it one period later. Else what is sent is the first of these that does:
    clip:  each torque in its own bounds;
    qp:    the nearest torque, by DAQP; at rest only where a rough look lets the manoeuvre pass after the clipped one:
               min ‖(τ − τ_req)/τ_max‖²  s.t.  τ in its bounds,  q̈_min ≤ W τ + q̈_0 ≤ q̈_max,   capsules apart,
           with the answer W, q̈_0 of the supported robot (`support.py`), and clipped to its box exactly; while the robot moves on, only
           arms keep capsules apart: legs and trunk balance it;
    brake: while the robot rests, the braking manoeuvre, which was open when this state was let into;
    best:  while it moves on, the clipped torque with the joints damped that no torque keeps within their bounds.
Without a finite measurement nothing is known: every joint is damped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from poise.robots import RobotModel
from poise.robots.types import Array, Certificate, JointCommand

from .backup import HELD, Backup, BrakingConfig
from .bounds import GAIN_MAX, UNBOUNDED, Look, broken, look, narrowed, nearest_problem, sound_target, target_kept, worst_excess
from .clearance import ClearanceConfig, Spacing
from .dynamics import Dynamics
from .qp import DaqpSolver, OsqpSolver, QpProblem, QpSolver
from .support import Support, joint_acceleration, joint_accelerations, response_and_bias

NEAR = 0.9  # of a jump, from the braking manoeuvre of now: that of the next period is another
NO_FORCE = 1e-6  # of the largest multiplier, under which a bound is not met
# Of the nearest torque, in shares of the torque limits. OSQP's eps keeps a bound to some 1e-2 or 1e-5 of its row; what it gives counts
# where it breaks none by more than a hundredth, since the box is clipped and the joints' bounds are looked at once more afterwards.
SOLVERS: dict[str, Callable[[], QpSolver]] = {
    "daqp": lambda: DaqpSolver(tolerance=1e-5),
    "osqp": lambda: OsqpSolver(tolerance=1e-2, eps=1e-3, max_iterations=500),
    "osqp tight": lambda: OsqpSolver(tolerance=1e-2, eps=1e-5, max_iterations=500),
}
UNCHANGED = Certificate(False, (), 0.0, "unchanged")


@dataclass(frozen=True)
class SafetyConfig:
    """Braking that is counted on, and what is numerical."""

    braking: float = 60.0  # rad/s²; of every joint, while the robot moves on,
    fading: float = 500.0  # 1/s, down to 0.12 rad/s
    resting: BrakingConfig = BrakingConfig()
    clearance: ClearanceConfig = ClearanceConfig()
    clearance_moving: ClearanceConfig = ClearanceConfig(least_m=0.0, rate=30.0, decay=100.0)  # arms that catch the robot need their room
    jump: float = 1.0  # of the torque limit, from one period to the next: at most from all to nothing, which is always inside the bounds
    tolerance: float = 0.5  # rad/s²; rounding and the whole-body QP's residual, not a licence
    reported_change: float = 1e-3  # of the torque limit, below which a change is numerical
    solver: str = "daqp"  # of SOLVERS


@dataclass(slots=True)
class _Case:
    """What one call is about."""

    d: Dynamics
    support: Support
    resting: bool
    asked: Array  # (n,) N·m
    least: Array  # (n,) N·m
    most: Array  # (n,) N·m
    lower: Array  # (n,) rad/s²
    upper: Array  # (n,) rad/s²

    def inside(self, torque: Array) -> Array:
        """The nearest torque (n,) inside the motors' bounds."""
        return np.minimum(np.maximum(torque, self.least), self.most)


class Certifier:
    """Bounds torque, power and joint motion; always returns a command that is finite and inside the motor limits.

    `unsolved`: whether a nearest torque of the last call was looked for and not found: infeasible, or capped by iterations.
    """

    def __init__(self, robot: RobotModel, config: SafetyConfig, period_s: float) -> None:
        self._robot, self._config, self._period = robot, config, period_s
        limits = (robot.position_min, robot.position_max, robot.velocity_limit, robot.torque_limit, robot.power_limit)
        self._limits, self._numbers = np.array(limits), np.array((period_s, config.tolerance, config.jump))
        self._moving = np.array((np.full(robot.n, config.fading), np.full(robot.n, config.braking)))
        self._room, self._nothing = tuple(np.empty((5, robot.n))), np.empty(0)
        self._solver = SOLVERS[config.solver]()
        self._near = NEAR * config.jump * robot.torque_limit
        self._all, self._arms = np.ones(robot.n), np.zeros(robot.n)
        self._arms[robot.arms] = 1.0
        self._identity = np.eye(robot.n)
        self._broken = [f"{bound} {joint}" for bound in ("torque", "power", "jump", "motion") for joint in robot.joint_names]
        self._meets = [f"{bound} {joint}" for bound in ("motor", "motion") for joint in robot.joint_names]
        self._spacing = Spacing(robot, config.clearance, config.clearance_moving, period_s)
        self.backup = Backup(robot, config.resting, self._spacing.capsules, config.clearance.least_m, config.jump, period_s)
        self.reset()

    def reset(self) -> None:
        """Nothing was sent yet."""
        self.unsolved = False
        self._before = np.full((2, self._robot.n), np.nan)  # torque and position target that were sent last; NaN: not known

    def snapshot(self) -> Array:
        """What was sent last."""
        return self._before.copy()

    def restore(self, snapshot: Array) -> None:
        """Go back to a snapshot."""
        self._before = snapshot.copy()

    def certify(
        self,
        d: Dynamics,
        command: JointCommand,
        support: Support,
        *,
        resting: bool = False,
        arms_external: bool = False,
        predicted: Array | None = None,
        urgent: bool = False,
    ) -> tuple[JointCommand, Certificate]:
        """Bound a command in the state of `d`.

        Args:
            d: the rigid-body terms of the measured state.
            command: what is asked for.
            support: what stands still in the coming period.
            resting: whether the robot may be stopped as it stands; while it steps, the next step is what stops it.
            arms_external: whether something else moves the arms: nothing that is sent changes how, so their motion is not bounded by what
                the other joints could do, and no robot rests then.
            predicted: joint acceleration (n,) that whoever asks expects of the request, with contacts as they really are. While the robot
                moves on it is believed; at rest, or where it is not finite, the certifier's own counts. Where it is None nobody has looked
                ahead, and joints are bounded as at rest.
            urgent: without `predicted` bound joints as on the move all the same: a falling robot has no time to brake for every limit.

        Returns:
            What is to be sent, which is the request itself exactly when the certificate says unchanged, and the certificate.
        """
        self.unsolved = False
        case = _Case(d, support, resting and not arms_external and support is not Support.NONE, *self._room)
        careful = case.resting or (predicted is None and not urgent)
        foreseen = self._nothing if predicted is None or case.resting else predicted
        sent, certificate, torque = self._certified(case, command, careful, arms_external, foreseen)
        self._before[0], self._before[1] = torque, sent.q
        return sent, certificate

    def _certified(
        self, case: _Case, command: JointCommand, careful: bool, arms_external: bool, foreseen: Array
    ) -> tuple[JointCommand, Certificate, Array]:
        """What `certify` gives, and the torque (n,) N·m of what is sent; careful: joints and pairs are bounded as at rest."""
        d, support, c = case.d, case.support, command
        q, v = d.joint_position, d.joint_velocity
        seen = look(q, v, c.q, c.v, c.kp, c.kd, c.tau, foreseen, self._limits, self._moving, self._numbers, self._before, *self._room)
        limit, most = self._sound_limit(c), self._robot.torque_limit
        if seen == Look.MEASUREMENT_NOT_FINITE:
            certificate = self._certificate(("measurement not finite",), most, "damping", self._nothing)
            return self.damping(q), certificate, self._before[0]
        if limit is not most and (limit < most).any():  # a copy of the robot's own clips nothing: what is beyond it is named
            np.clip(case.asked, -limit, limit, out=case.asked)
        if arms_external:
            self._spacing.clear()
            case.lower[self._robot.arms], case.upper[self._robot.arms] = -UNBOUNDED, UNBOUNDED
        else:
            self._spacing.update(q, v, resting=careful)
        if seen == Look.KEPT and self._spacing.closing(foreseen, self._config.tolerance):
            seen = Look.SOUND
        if seen == Look.KEPT and c.torque_limit is self._robot.torque_limit:  # not a copy of it, which is looked at further
            return command, UNCHANGED, case.asked
        if foreseen.size and not np.isfinite(foreseen).all():
            foreseen = self._nothing
        if careful:
            self.backup.viable(d, support, case.lower, case.upper)
        if seen == Look.COMMAND_NOT_FINITE:
            torque, certificate = self._stop(case, self._braking(case)), self._certificate(("not finite",), most, "brake", self._nothing)
            return self._torques(q, np.zeros(q.size), torque), certificate, torque
        met: Mapping[str, float] = {}
        if seen != Look.KEPT and not self._request_kept(case, foreseen):
            torque, certificate = self._rested(case) if case.resting else self._bounded(case, foreseen)
            if case.resting or not self._is_numerical(case, torque):
                return self._torques(c.q, c.v, torque), certificate, torque
            met = certificate.active
        sent, certificate = self._with_sound_targets(case, command, limit)
        return sent, replace(certificate, active=met) if met else certificate, case.asked

    def damping(self, q: Array) -> JointCommand:
        """The safe command: every joint damped where it is, no stiffness, within the power limit up to full speed.

        What follows it is not bounded by it: who asks for it knows no velocity, and so no torque.
        """
        self.reset()
        robot, zero = self._robot, np.zeros(self._robot.n)
        limit = np.minimum(robot.torque_limit, robot.power_limit / robot.velocity_limit)
        return JointCommand(np.clip(np.nan_to_num(q), robot.position_min, robot.position_max), zero, zero, robot.hold_kd, zero, limit)

    # -- bounds -----------------------------------------------------------------------------------------------

    def _request_kept(self, case: _Case, foreseen: Array) -> bool:
        """Whether a request may pass as it is: by what is foreseen of it, or the certifier's own reckoning."""
        d = case.d
        if worst_excess(case.asked, case.least, case.most) > 0.0:
            return False
        acceleration = foreseen if foreseen.size else joint_acceleration(d.block, d.nv, int(case.support), case.asked)
        return self._kept(case, case.asked, acceleration)

    def _moves_well(self, case: _Case, acceleration: Array) -> bool:
        """Whether a joint acceleration (n,) keeps the bounds on motion; NaN does not."""
        slack = self._config.tolerance
        return worst_excess(acceleration, case.lower, case.upper) <= slack and not self._spacing.closing(acceleration, slack)

    def _kept(self, case: _Case, torque: Array, acceleration: Array) -> bool:
        """Whether a torque and the joint acceleration (n,) of it keep the bounds on motion, or at rest leave the manoeuvre open."""
        if not case.resting:
            return self._moves_well(case, acceleration)
        d, dt = case.d, self._period
        v = d.joint_velocity + dt * acceleration
        return self.backup.open_from(d, case.support, d.joint_position + dt * v, v, torque)[0] == HELD

    def _is_numerical(self, case: _Case, bounded: Array) -> bool:
        """Whether a request inside the motor limits need not be changed for so little."""
        scale = self._config.reported_change * self._robot.torque_limit
        inside = (case.asked >= case.least) & (case.asked <= case.most)
        return bool((inside & (np.abs(bounded - case.asked) <= scale)).all())

    def _reasons(self, case: _Case, acceleration: Array) -> tuple[str, ...]:
        """What a request breaks: torque and power of its own, motion by the acceleration (n,) of what the motors can do of it."""
        slack, box = self._config.tolerance, (case.least, case.most)
        flags = broken(case.asked, box, case.d.joint_velocity, self._limits, acceleration, case.lower, case.upper, slack)
        return (*[self._broken[i] for i in np.flatnonzero(flags).tolist()], *self._spacing.closing(acceleration, slack)) or ("braking",)

    # -- what is sent instead ---------------------------------------------------------------------------------

    def _bounded(self, case: _Case, foreseen: Array) -> tuple[Array, Certificate]:
        """The first torque (n,) that keeps the bounds of a robot that moves on, and what was broken."""
        response, free = response_and_bias(case.d.block, case.d.nv, int(case.support))
        if foreseen.size:
            free = foreseen - response @ case.asked
        torque, method, dual = case.inside(case.asked), "clip", self._nothing
        acceleration = response @ torque + free
        reasons = self._reasons(case, acceleration)
        if not self._moves_well(case, acceleration):
            nearest, dual = self._nearest(case, case.asked, response, free)
            method = "qp" if nearest is not None else "best"
            torque = self._damped(case, torque, acceleration) if nearest is None else nearest
        return torque, self._certificate(reasons, torque - case.asked, method, dual)

    def _rested(self, case: _Case) -> tuple[Array, Certificate]:
        """`_bounded` of one that rests: the manoeuvre must be open one period later, and no motor is thrown about for it."""
        d, braking = case.d, self._braking(case)
        torques, least, most = narrowed(case.asked, braking, self._near, case.least, case.most)
        accelerations = joint_accelerations(d.block, d.nv, int(case.support), torques)
        reasons = self._reasons(case, accelerations[0])
        case.least, case.most = least, most
        torque, dual = self._mended(case, torques[1], accelerations[1])
        method = "brake" if torque is None else "qp" if dual.size else "clip"
        torque = self._stop(case, braking) if torque is None else torque
        return torque, self._certificate(reasons, torque - case.asked, method, dual)

    def _mended(self, case: _Case, torque: Array, acceleration: Array) -> tuple[Array | None, Array]:
        """The clipped torque given, or the nearest, None where neither leaves the manoeuvre open; multipliers of the nearest, else none."""
        d, dual = case.d, self._nothing
        if not self._mendable(case, torque, acceleration):
            return None, dual
        if not self._moves_well(case, acceleration):
            response, free = response_and_bias(d.block, d.nv, int(case.support))
            nearest, dual = self._nearest(case, case.asked, response, free)
            if nearest is None:
                return None, dual
            torque, acceleration = nearest, response @ nearest + free
        return torque if self._kept(case, torque, acceleration) else None, dual

    def _mendable(self, case: _Case, torque: Array, acceleration: Array) -> bool:
        """Whether the nearest torque is worth its cost: a rough look at the way to rest from where a torque and its acceleration lead.

        They (n,) are the clipped ones, here as far as joints may move. The nearest torque leaves the manoeuvre open from where they do
        not, but seldom: it minds neither the motors nor a bent way to rest.
        """
        d, dt = case.d, self._period
        v = d.joint_velocity + dt * np.minimum(np.maximum(acceleration, case.lower), case.upper)
        return self.backup.open_from(d, case.support, d.joint_position + dt * v, v, torque, roughly=True)[0] == HELD

    def _nearest(self, case: _Case, asked: Array, response: Array, free: Array) -> tuple[Array | None, Array]:
        """The torque (n,) inside the bounds that is nearest to one, None where there is none, and the multipliers of the bounds."""
        scale = self._robot.torque_limit
        bounds = (case.lower, case.upper, self._spacing.rows, self._spacing.least, self._all if case.resting else self._arms)
        gradient, rows, low, high, size = nearest_problem(asked, (case.least, case.most), scale, response, free, *bounds)
        solution = self._solver.solve(QpProblem(self._identity, gradient, rows, low, high))
        if not solution.usable:
            self.unsolved = True
            return None, self._nothing
        return case.inside(solution.x * scale), np.concatenate((solution.dual[: scale.size] / scale, solution.dual[scale.size :] / size))

    def _met(self, dual: Array) -> dict[str, float]:
        """The bounds that the nearest torque meets, by name, with their multipliers."""
        known, size = len(self._meets), np.abs(dual)
        where = np.flatnonzero(size > NO_FORCE * size.max()).tolist()
        return {self._meets[i] if i < known else self._spacing.name(i - known): float(dual[i]) for i in where}

    def _damped(self, case: _Case, torque: Array, acceleration: Array) -> Array:
        """No torque meets every bound: the joints that break theirs are damped."""
        over = (acceleration > case.upper) | (acceleration < case.lower)
        return case.inside(np.where(over, torque - self._robot.hold_kd * case.d.joint_velocity, torque))

    def _braking(self, case: _Case) -> Array:
        """Torques (n,) of the braking manoeuvre; where nothing stands, of damping."""
        d = case.d
        torque = self._nothing if case.support is Support.NONE else self.backup.torque(d, case.support)
        return torque if torque.size and np.isfinite(torque).all() else -self._robot.hold_kd * d.joint_velocity

    def _stop(self, case: _Case, torque: Array) -> Array:
        """Torques (n,) of the braking manoeuvre as the motors can give them."""
        # Between two looks on its way joints with room brake less for those without; where the plant is another, pairs are kept apart.
        if worst_excess(torque, case.least, case.most) > 0.0 or self._spacing.intruded:
            nearest = self._nearest(case, torque, *response_and_bias(case.d.block, case.d.nv, int(case.support)))[0]
            torque = torque if nearest is None else nearest
        return case.inside(torque)

    def _with_sound_targets(self, case: _Case, c: JointCommand, limit: Array) -> tuple[JointCommand, Certificate]:
        """A command whose torque may pass: itself, or with the robot's targets and torque limit, and no gains, where its own are beyond."""
        q, v = case.d.joint_position, case.d.joint_velocity
        reasons = list[str]()
        if limit is not c.torque_limit:
            reasons.append("torque limit")
        if not all(((gain >= 0.0) & (gain <= GAIN_MAX)).all() for gain in (c.kp, c.kd)):
            reasons.append("gain")
            zero = np.zeros(q.size)
            c = replace(c, kp=zero, kd=zero, tau=case.asked)  # the same torque, for now
        targets = (c.q, c.v, c.tau)
        if not target_kept(c.q, c.v, self._limits[0], self._limits[1], self._limits[2], self._before[1], self._period):
            reasons.append("target")
            here, rate = sound_target(c.q, c.v, self._limits, self._before[1], self._period)
            targets = (here, rate, case.asked - c.kp * (here - q) - c.kd * (rate - v))  # as above
        if not reasons:
            return c, UNCHANGED
        return replace(c, q=targets[0], v=targets[1], tau=targets[2], torque_limit=limit), Certificate(True, tuple(reasons), 0.0, "clip")

    def _sound_limit(self, command: JointCommand) -> Array:
        """The command's own torque limit where it only tightens the robot's, else the robot's."""
        given, most = command.torque_limit, self._robot.torque_limit
        return given if given is most or ((given >= 0.0) & (given <= most)).all() else most

    def _torques(self, q: Array, v: Array, torque: Array) -> JointCommand:
        """A command that is nothing but torques, with sound targets."""
        zero = np.zeros(self._robot.n)
        here, rate = sound_target(q, v, self._limits, self._before[1], self._period)
        return JointCommand(here, rate, zero, zero, torque, self._robot.torque_limit)

    def _certificate(self, reasons: tuple[str, ...], change: Array, method: str, dual: Array) -> Certificate:
        """dual: the multipliers of the bounds of the nearest torque, which count where that is what is sent."""
        return Certificate(True, reasons, float(np.abs(change).max()), method, self._met(dual) if method == "qp" else {})


class Uncertified(Certifier):
    """Sends what is asked for: what the certifier is compared with in simulation, and nothing for a robot."""

    def certify(self, d: Dynamics, command: JointCommand, support: Support, **_: object) -> tuple[JointCommand, Certificate]:
        """The command as it is."""
        return command, UNCHANGED
