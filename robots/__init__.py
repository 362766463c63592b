"""What a robot is: description, model, typed messages, and the contract of everything that can be one."""

from .backend import Backend
from .errors import ContractError, PoiseError, RecordError, RobotDescriptionError
from .model import ROBOTS, RobotModel, load_robot
from .types import (
    Belief,
    Certificate,
    Decision,
    Intent,
    JointCommand,
    MotionProposal,
    RobotState,
    Verdict,
    WalkPlan,
)

__all__ = [
    "ROBOTS",
    "Backend",
    "Belief",
    "Certificate",
    "ContractError",
    "Decision",
    "Intent",
    "JointCommand",
    "MotionProposal",
    "PoiseError",
    "RecordError",
    "RobotDescriptionError",
    "RobotModel",
    "RobotState",
    "Verdict",
    "WalkPlan",
    "load_robot",
]
