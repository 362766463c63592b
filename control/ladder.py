"""What a tick comes down to when it cannot do what it should: six rungs, each left by itself once its cause is gone.

nominal             what is asked is done
filtered            the certifier changed the command of this tick, or the whole-body QP failed and the posture was held
recovery step       the capture point is off the plan (the walker's urgency is above 0), or a stand steps because it must
safe stop           whatever is asked, the robot comes to a stand on the scripted motion, arms to the posture
controlled descent  balance is given up: hips bent, joints soft, arms to the ground (descent.py)
damping             every joint is damped

The first three are found of each tick. A safe stop is entered when one of its causes has lasted for as long as `LadderConfig` says,
and left when none has been there for `cleared_s`. The last two follow from the state: what is known of it, and how it leans.
"""

from __future__ import annotations

from copy import copy
from enum import IntEnum
from typing import NamedTuple

from poise.robots.types import RUNGS


class Rung(IntEnum):
    """The rungs, the least first."""

    NOMINAL = 0
    FILTERED = 1
    RECOVERY = 2
    SAFE_STOP = 3
    DESCENT = 4
    DAMPING = 5

    @property
    def words(self) -> str:
        """Its name in a `Decision`."""
        return RUNGS[self]


CAPPED = frozenset(("best", "brake"))  # ways of the certifier where no torque that it can find keeps every bound
CAUSES = ("where to go is not known", "no torque keeps every bound", "the whole-body QP fails")
_NOTHING = (0.0,) * len(CAUSES)


class LadderConfig(NamedTuple):
    """How long each of `CAUSES`, in their order, lasts without a break before the robot is stopped; when it goes on."""

    aimless_s: float = 0.1  # an intent that does not say where to go: one message that is lost stops no walk
    capped_s: float = 0.1  # nothing that the certifier finds for a robot that moves on keeps every bound
    failed_s: float = 0.02  # the whole-body QP fails
    cleared_s: float = 0.5  # after the last cause


class Walk(NamedTuple):
    """What a tick did, as far as its rung depends on it."""

    method: str  # of the certificate
    source: str  # of the whole-body solution
    phase: str  # of the walker
    touchdowns: int
    urgency: float
    resting: bool


class Ladder:
    """`watch` begins a tick with a plan, `found` ends it, `left` ends one without a plan."""

    def __init__(self, config: LadderConfig, period_s: float) -> None:
        self._config, self._period = config, period_s
        # Half a period is rounding; a cause lasts from its first tick on.
        self._after_s = tuple([max(0.0, after - 0.5 * period_s) for after in config[: len(CAUSES)]])
        self.reset()

    def reset(self) -> None:
        """Nominal, and nothing seen so far."""
        self.rung = Rung.NOMINAL  # of the last tick
        self.why = ""  # the robot is stopped; empty: it is not
        self._lasted_s: tuple[float, ...] = _NOTHING
        self._clear_s = 0.0
        self._capped = self._failed = False
        self._phase, self._step = "stand", -1  # of the last tick; the step, by touchdowns before it, that a stand had to take

    def copy(self) -> Ladder:
        """An independent copy."""
        return copy(self)

    @property
    def stopping(self) -> bool:
        """Whether the robot is brought to a stand, or kept there."""
        return self.why != ""

    @property
    def stop(self) -> str:
        """The sentence that says why the robot is stopped."""
        return f"{self.why}: it comes to a stand" if self.why else ""

    def watch(self, aimless: bool, at_once: str) -> bool:
        """Take what is known before a tick is planned; whether a safe stop begins with it.

        `at_once` says what stops the robot without delay: a motor or encoder at fault, a shut gate; empty: nothing.
        """
        if not (aimless or at_once or self._capped or self._failed or self.why):
            self._lasted_s = _NOTHING
            return False
        causes = (aimless, self._capped, self._failed)
        self._lasted_s = tuple([lasted + self._period if cause else 0.0 for lasted, cause in zip(self._lasted_s, causes, strict=True)])
        due = zip(CAUSES, self._lasted_s, self._after_s, strict=True)
        why = at_once or next((cause for cause, lasted, after in due if lasted > after), "")
        before = self.stopping
        if why:
            self.why, self._clear_s = why, 0.0
        elif before:
            self._clear_s = 0.0 if any(causes) else self._clear_s + self._period
            if self._clear_s > self._config.cleared_s - 0.5 * self._period:
                self.why = ""
        return self.stopping and not before

    def found(self, walk: Walk) -> Rung:
        """The rung of a tick with a plan."""
        # At rest the braking manoeuvre is what stops the robot, and a stop would keep it from walking out of where it is sent.
        self._capped, self._failed = walk.method in CAPPED and not walk.resting, walk.source == "hold"
        if walk.phase == "step" and self._phase == "stand":
            self._step = walk.touchdowns
        elif walk.phase != "step" or walk.touchdowns != self._step:
            self._step = -1
        self._phase = walk.phase
        if walk.method == "damping":
            self.rung = Rung.DAMPING
        elif self.why:
            self.rung = Rung.SAFE_STOP
        elif walk.urgency > 0.0 or self._step >= 0:
            self.rung = Rung.RECOVERY
        else:
            self.rung = Rung.FILTERED if self._failed or walk.method != "unchanged" else Rung.NOMINAL
        return self.rung

    def left(self, rung: Rung) -> Rung:
        """End a tick without a plan, on that rung; what was seen of the walk before it counts no more."""
        self.reset()
        self.rung = rung
        return rung
