"""Learned parts: demonstrations and the proposer. Importing this needs no torch; `training` and `export` do."""

from .demonstrations import GenerationReport, generate
from .evaluation import HeldOut, evaluate
from .features import feature_names, features
from .operator import OperatorConfig, OperatorProposer
from .proposer import LearnedProposer
from .trace import EpisodeTrace, TraceRecorder, load_trace

__all__ = [
    "EpisodeTrace",
    "GenerationReport",
    "HeldOut",
    "LearnedProposer",
    "OperatorConfig",
    "OperatorProposer",
    "TraceRecorder",
    "evaluate",
    "feature_names",
    "features",
    "generate",
    "load_trace",
]
