"""A policy trained against the certifier: evolution picks the gains of `Trained` by how near to the joints' limits they get.

Antithetic evolution strategies with ranks for weights (Salimans et al., 2017): from gains θ pairs θ ± σε are tried on the model, and
θ ← θ + (a/σ) Σ w ε, where w is the rank of a try, from −½ to ½, over their number. Each joint's gains go by the rank of its own score,
since what others do changes little of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from poise.control.safety import Certifier, SafetyConfig
from poise.control.support import Support
from poise.robots import RobotModel
from poise.robots.types import Array

from .adversaries import Trained
from .certified_motion import SUPPORTS, start
from .model_motion import ModelMotion


@dataclass(frozen=True)
class Evolution:
    """How the gains are looked for."""

    pairs: int = 12  # of tries a round
    steps: int = 150  # of a try, on each support
    spread: float = 0.3  # σ
    rate: float = 0.4  # a


@dataclass(frozen=True)
class Round:
    """How far it is: rounds done, the mean score of the last one's tries, and the gains (4, n) by now."""

    done: int
    score: float  # of a joint
    gains: Array


class Trial:
    """What gains come to against the certifier, on the model. Picklable."""

    def __init__(self, robot: RobotModel, config: SafetyConfig, period_s: float, steps: int) -> None:
        self._robot, self._config, self._period, self._steps = robot, config, period_s, steps

    def __call__(self, gains: Array, seed: int) -> Array:
        """How near to its limits each joint comes by gains (4, n) of `Trained`, (n,), 0 to 1, by place or speed.

        A mean over the steps on all supports; starts are drawn from the seed.
        """
        return np.mean([self._on(support, gains, seed) for support in SUPPORTS.values()], axis=0)

    def _on(self, support: Support, gains: Array, seed: int) -> Array:
        robot, rng = self._robot, np.random.default_rng([seed, int(support)])
        motion, certifier = ModelMotion(robot, support, self._period), Certifier(robot, self._config, self._period)
        start(motion, certifier, rng)
        adversary = Trained(robot, rng, self._period, gains)
        d, near = motion.dynamics, np.zeros(robot.n)
        for _ in range(self._steps):
            request = adversary(d.joint_position, d.joint_velocity)
            sent, _ = certifier.certify(d, request, support, resting=True)
            motion.step(sent.torque(d.joint_position, d.joint_velocity))
            near += np.maximum(
                np.abs(d.joint_position - adversary.middle) / adversary.half, np.abs(d.joint_velocity) / robot.velocity_limit
            )
        return near / self._steps


def evolve(trial: Callable[[Array, int], Array], config: Evolution, seed: int, rounds: int, begun: Round) -> Iterator[Round]:
    """The gains (4, n) round by round, from some; tries of a round have the same starts.

    Args:
        trial: each joint's score (n,) of gains with a seed; more is worse for whoever is tried.
        config: how they are looked for.
        seed: of everything.
        rounds: in all.
        begun: where to go on; its gains are nought where nothing is done.
    """
    gains = begun.gains
    for i in range(begun.done, rounds):
        rng = np.random.default_rng([seed, i])
        start_seed = int(rng.integers(2**31))
        half = rng.normal(size=(config.pairs, *gains.shape))
        tries = np.concatenate((half, -half))
        scores = np.array([trial(gains + config.spread * way, start_seed) for way in tries])
        weights = np.argsort(np.argsort(scores, axis=0), axis=0) / (len(tries) - 1) - 0.5
        gains = gains + config.rate / (config.spread * len(tries)) * np.einsum("tn,tkn->kn", weights, tries)
        yield Round(i + 1, float(scores.mean()), gains)
