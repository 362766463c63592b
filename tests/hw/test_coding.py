from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.hw.coding import Coding, Numbers, Pickled
from poise.robots.types import Array


@dataclass(frozen=True)
class Record:
    """One of each kind of field."""

    count: int
    gain: float
    place: Array
    usable: bool
    said: str
    turn: Array


CODINGS: list[Coding] = [Pickled(), Numbers(Record, {"place": (2,), "turn": (2, 3)})]
FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize("coding", CODINGS)
@given(count=st.integers(-(2**53), 2**53), numbers=st.lists(FLOATS, min_size=9, max_size=9), usable=st.booleans(), said=st.text())
def test_what_goes_in_comes_out(coding: Coding, count: int, numbers: list[float], usable: bool, said: str) -> None:
    words = said.encode(errors="ignore").decode()
    record = Record(count, numbers[0], np.array(numbers[1:3]), usable, words, np.array(numbers[3:]).reshape(2, 3))
    out = pickle.loads(pickle.dumps(coding)).loads(coding.dumps(record))  # a coding goes to the other process
    for field in fields(Record):
        here, there = getattr(record, field.name), getattr(out, field.name)
        assert type(here) is type(there)
        np.testing.assert_array_equal(here, there)
    assert math.copysign(1.0, out.gain) == math.copysign(1.0, record.gain)
