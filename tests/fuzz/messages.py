"""Sound messages, and what may stand in a field of a message instead of what belongs there."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from poise.robots import Intent, RobotModel, RobotState

WALK = Intent(velocity=(0.4, 0.0, 0.0))
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (2,), (3,), (4,), (14,), (28,), (29,), (1, 29), (29, 1), (3, 3))
FILLS = (np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 1e-300, 1e6, 1e300, -1e300)
TYPES: tuple[Any, ...] = (float, np.float32, np.float16, np.int8, np.int64, bool, complex, str, object, "datetime64[s]")
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 1e300, np.nan, np.inf, "", "x", b"x", [], [1.0, 2.0], [[1.0], [1.0, 2.0]], [None] * 3, [10**400] * 3,
    (1, 2, 3), ("a", "b", "c"), {}, {"x": 1}, 1j, object(), lambda: 0, np.ma.masked, float, np.float64(2.0), range(3),
)  # fmt: skip


def sound_state(robot: RobotModel, stamp_s: float = 0.0) -> RobotState:
    """The robot at rest in its posture."""
    zero = np.zeros(robot.n)
    return RobotState(stamp_s, robot.posture.copy(), zero, zero.copy(), np.array([1.0, 0, 0, 0]), np.zeros(3), np.array([0.0, 0, 9.81]))


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """An array of some shape, type and filling, in some order in memory, read-only or not."""
    with np.errstate(all="ignore"):
        fill = draw(st.sampled_from(FILLS)) if draw(st.booleans()) else draw(st.floats(-2.0, 2.0))
        array = np.full(draw(st.sampled_from(SHAPES)), fill)
        kind = draw(st.sampled_from(TYPES))
        if kind == "datetime64[s]":
            array = np.zeros(array.shape, dtype=kind)
        else:
            array = array.astype(kind)
    if array.ndim and draw(st.booleans()):
        array = np.repeat(array, 2, axis=0)[::2]
    array.setflags(write=draw(st.booleans()))
    return array


def odd() -> st.SearchStrategy[Any]:
    """What may stand in a field."""
    return st.one_of(st.sampled_from(ODD), arrays())


@st.composite
def with_one_entry(draw: st.DrawFn, sound: Any) -> Any:
    """A sound array with one entry that is out of the ordinary."""
    array = np.array(sound, dtype=float)
    if array.size:
        array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from((*FILLS, 20.0, -20.0, 1000.0)))
    return array


def put(message: Any, changes: dict[str, Any]) -> Any:
    """A copy of a frozen message with fields that its constructor may not let pass."""
    copy = object.__new__(type(message))
    for name in message.__dataclass_fields__:
        object.__setattr__(copy, name, changes.get(name, getattr(message, name)))
    return copy
