"""Recorded states through the estimator alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from poise.robots import RobotModel, RobotState
from poise.robots.types import Array, Belief, Intent

from .dynamics import Dynamics
from .estimator import Estimator
from .soundness import SoundnessMonitor
from .stack_config import StackConfig

WALKERS = ("dcm_world", "sole_yaw")  # of a belief, which the estimator does not say: they are left at 0


def beliefs(
    robot: RobotModel,
    states: Iterable[RobotState],
    planned_contact: Array,
    updates: Array,
    config: StackConfig | None = None,
) -> Iterator[Belief | None]:
    """What the estimator believes after each state, None where the stack did not ask it; told the same, it says the same in every bit.

    Args:
        states: as the sensors read them; every one from the first tick on, if beliefs are to be the same.
        planned_contact: (k, 2), which feet the plan let stand, from the recorded beliefs.
        updates: (k,), their count of states since the estimator began; NaN where there was no belief.
        config: of the stack; its estimator's part counts.
    """
    cfg = config or StackConfig()
    monitor = SoundnessMonitor(robot, cfg.hold_ticks)
    dynamics = Dynamics(robot)
    estimator = Estimator(robot, dynamics, cfg.estimator, cfg.period_s)
    intent, unknown = Intent(), np.zeros(2)
    for state, planned, count in zip(states, planned_contact, updates, strict=False):
        problem, _ = monitor.check(state, intent)  # it reckons on joints whose encoders stand still
        if problem or not count >= 1.0:
            yield None
            continue
        if count == 1.0:
            estimator.reset()
        estimator.update(monitor.state, monitor.stamp_s, planned)
        yield estimator.belief(unknown, unknown)
