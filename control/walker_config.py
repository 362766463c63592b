"""What tunes the walker (gait.py)."""

from __future__ import annotations

from dataclasses import dataclass

from .adaptation import AdaptationConfig
from .footing import FootingConfig
from .foresight import ForesightConfig, PushConfig
from .ground import GroundConfig
from .mpc import MpcConfig
from .step_feedback import FeedbackConfig
from .tripping import TripConfig


@dataclass(frozen=True)
class WalkerConfig:
    """Gains in 1/s, times in s, lengths in m."""

    dcm_gain: float = 3.0  # feedback while standing
    dcm_return_rate: float = 4.0  # how fast a stand's DCM reference goes to where it is held
    placed_max: float = 0.015  # how far from the middle it is held, so that the pelvis stays where the stand began
    shift_s: float = 0.45
    cop_inset: float = 0.002  # kept from the sole polygon's edge
    settle_s: float = 0.1  # that a stand lasts at least: begun anew, the estimate of the velocity has not settled yet
    stand_margin: float = 0.01  # DCM margin to the support polygon below which a step is taken
    footing: FootingConfig = FootingConfig()
    ground: GroundConfig = GroundConfig()
    trip: TripConfig = TripConfig()
    calm_to_wait: float = 0.7  # urgency from which on no foot waits until it is high
    foresight: ForesightConfig = ForesightConfig()
    push: PushConfig = PushConfig()
    still_twist: float = 0.02  # commands below it mean: stand
    stop_length: float = 0.06  # longest step after which it may stop
    stop_wider: float = 0.25  # and how much wider than its steps it may be: legs wide apart are stretched
    contact_phase: float = 0.6  # a contact before this swing phase is a scuff
    contact_height: float = 0.012  # and one above this height over the stance sole is the leg's own momentum
    late_low_s: float = 0.02  # after it a foot within `late_height` of the ground counts as down
    late_height: float = 0.004
    held_up: float = 0.012  # over its reference: what carries a foot there is ground that came early
    lies_s: float = 0.12  # after a touchdown the sole lies as the ground does
    late_s: float = 0.12  # and after this any foot
    lift_urgent: float = 0.25  # by this share a foot that has to catch the robot is lifted higher
    swing_lag: float = 0.03  # that the swing foot may be behind its reference, along each axis
    turn_max: float = 0.65  # rad a step: at 1 rad/s a foot turns 0.45 and falls a tenth short of what it is asked for
    vault_share: float = 1.0  # of a stiff leg's rise and fall
    vault_lag: float = 0.9  # rad of the step's 2π by which the lowest point comes after touchdown
    mpc_every: int = 10  # ticks
    # How far the MPC may move the orbit's foothold and DCM offset. It plans at fixed timing: left alone after a push, it
    # settles for an offset that can be reached in time, and the step comes later than it could (15 of 24 pushes of
    # 15 N·s survived with unbounded authority, 23 with none).
    mpc_authority_m: float = 0.02
    mpc_delay: int = 5  # ticks from the problem to the use of its solution
    adaptation: AdaptationConfig = AdaptationConfig()
    # The DCM's distance from the nominal step's, m, from which the walk turns from calm to urgent, and the time it stays so, s.
    urgent_m: tuple[float, float] = (0.06, 0.11)
    urgent_s: float = 0.4
    feedback: FeedbackConfig = FeedbackConfig()
    mpc: MpcConfig = MpcConfig()
