"""Whether a recording that could be read holds what its readers count on: a file may be damaged, or somebody else's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .log_vectors import ARMS, CODES, LATER, TICK_FIELDS
from .types import Array, Decision, MotionProposal, WalkPlan

Part = tuple[Any, str, tuple[int | None, ...]]
"""A message, the name of an array in it, and the shape that it must have; None: any size."""

PULSE_FIELDS = ("status", "certificate_changed", "torque_change_nm")


def check_vectors(joint_names: Sequence[str], tick: Mapping[str, Array], pulse: Mapping[str, Array]) -> None:
    """Refuse vectors without the fields of every tick, or with ones of another shape than the number of joints gives.

    Raises:
        ValueError: with the first field that is wrong.
    """
    if not joint_names or not all(isinstance(name, str) for name in joint_names):
        raise ValueError("its joints have no names")
    for field in TICK_FIELDS if tick else ():
        known = tick.get(field.key)
        arms = known.shape[-1] if known is not None and ARMS in field.shape else 0
        shape = field.shape_of(len(joint_names), arms)
        if (known is None and field.key not in LATER) or (known is not None and known.shape[1:] != shape):
            raise ValueError(f"{field.key} is missing on /tick, or not of shape {shape}")
    for key in PULSE_FIELDS if pulse else ():
        if key not in pulse:
            raise ValueError(f"{key} is missing on /pulse")
    if any(values.ndim != 1 for values in pulse.values()):
        raise ValueError("a field of /pulse is more than a number")
    if pulse and not np.isin(pulse["status"], list(CODES["pulse_status"].values())).all():
        raise ValueError("a status on /pulse is none")


def check_decision(decision: Decision) -> None:
    """Refuse a decision whose arrays have other shapes than its types say.

    Raises:
        ValueError: with what is wrong.
    """
    if decision.status not in CODES["pulse_status"]:
        raise ValueError(f"the status {decision.status!r} of a decision is none")
    shapes: list[Part] = [(decision.intent, "arms", (None,))] if decision.intent.arms is not None else []
    shapes += [part for proposal in (*decision.proposals, decision.proposal) if proposal for part in _of_proposal(proposal)]
    if decision.belief is not None:
        shapes += [(decision.belief, "dcm_world", (2,)), (decision.belief, "sole_position_world", (2, 3))]
    if decision.plan is not None:
        shapes += _of_plan(decision.plan)
    for message, name, wanted in shapes:
        shape = np.shape(getattr(message, name))
        if len(shape) != len(wanted) or any(side not in (None, size) for size, side in zip(shape, wanted, strict=True)):
            raise ValueError(f"{type(message).__name__}.{name} of a decision has shape {shape}")


def _of_proposal(proposal: MotionProposal) -> Iterator[Part]:
    yield proposal, "twist", (3,)
    yield proposal, "height_m", (None,)


def _of_plan(plan: WalkPlan) -> Iterator[Part]:
    if plan.stance not in (0, 1):
        raise ValueError(f"the stance {plan.stance} of a plan is no foot")
    yield plan, "dcm_reference_world", (2,)
    if np.size(plan.footsteps):
        yield plan, "footsteps", (None, 4)
