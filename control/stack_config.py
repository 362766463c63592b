"""What a stack is made with."""

from __future__ import annotations

from dataclasses import dataclass, field

from .descent import DescentConfig
from .estimator import EstimatorConfig
from .gate import GateConfig
from .ladder import LadderConfig
from .let_down import LetDownConfig
from .safety import SafetyConfig
from .walker_config import WalkerConfig
from .wholebody import WholeBodyConfig


@dataclass(frozen=True)
class StackConfig:
    """Rates in ticks of `period_s`, slews in m/s² and rad/s²."""

    period_s: float = 0.002
    propose_every: int = 50
    propose_delay: int = 5  # ticks from a situation to the use of the proposals made for it
    propose_overdue: int = 250  # ticks without an answer from elsewhere, beyond which it is not waited for
    missed_most: int = 5  # periods by which references move on at once after states that were missed
    hold_ticks: int = 10  # how long the last command stands in for an unusable state
    slew: tuple[float, float, float] = (0.8, 0.5, 1.5)
    # Of the angular momentum of a leg that swings from the hip of a pelvis at rest. Regressed on walks at 0.5 m/s the whole
    # body's is 1.4 times that: the knee bends as well, and the trunk answers. At 1.0 m/s a share of 1 costs 1.7 times the power.
    swing_share: float = 1.5
    estimator: EstimatorConfig = EstimatorConfig()
    let_down: LetDownConfig = LetDownConfig()
    descent: DescentConfig = DescentConfig()
    ladder: LadderConfig = LadderConfig()
    gate: GateConfig = GateConfig()
    walker: WalkerConfig = field(default_factory=WalkerConfig)
    whole_body: WholeBodyConfig = field(default_factory=WholeBodyConfig)
    safety: SafetyConfig = field(default_factory=SafetyConfig)
