from __future__ import annotations

import numpy as np

from poise.robots.log_differences import FieldDifference, common, differences

TICKS = np.arange(1.0, 5.0)
ONE = 1.0 + np.finfo(float).eps


def test_what_is_the_same_in_every_bit_is_identical() -> None:
    table = {"tick": TICKS, "a": np.array([1.0, np.nan, np.inf, -0.0]), "b": np.ones((4, 2, 3))}
    found = differences(table, {name: values.copy() for name, values in table.items()}, "float64", ("a", "b", "c"))
    assert found.identical and found.ticks == 4


def test_each_field_says_where_and_by_how_much() -> None:
    """By hand: a in its last bit at tick 3, b first at tick 2, where it was unknown."""
    recorded = {"tick": TICKS, "a": np.ones((4, 2)), "b": np.array([0.0, np.nan, 2.0, 3.0])}
    replayed = {"tick": TICKS, "a": np.array([[1.0, 1.0], [1.0, 1.0], [1.0, ONE], [1.0, 3.5]]), "b": np.array([0.0, 1.0, 2.0, 4.0])}
    b, a = differences(recorded, replayed, "float64", ("a", "b")).fields
    assert (b.field, b.differing, b.first_tick, b.replayed, b.largest) == ("b", 2, 2, 1.0, 1.0) and np.isnan(b.recorded)
    assert a == FieldDifference("a", 2, 3, 1.0, ONE, 2.5)


def test_numbers_are_compared_as_they_were_written() -> None:
    """What single precision does not tell apart is the same; a zero of the other sign is not."""
    recorded = {"tick": TICKS, "a": np.ones(4), "b": np.zeros(4)}
    replayed = {"tick": TICKS, "a": np.full(4, ONE), "b": np.array([0.0, 0.0, 0.0, -0.0])}
    (field,) = differences(recorded, replayed, "float32", ("a", "b")).fields
    assert (field.field, field.first_tick, field.largest) == ("b", 4, 0.0)


def test_ticks_that_one_of_the_two_lacks_are_counted() -> None:
    recorded, replayed = {"tick": TICKS, "a": TICKS}, {"tick": TICKS[1:] + 1.0, "a": TICKS[1:] + 1.0}
    assert [rows.tolist() for rows in common(recorded, replayed)] == [[2, 3], [0, 1]]
    found = differences(recorded, replayed, "float64", ("a",))
    assert (found.ticks, found.missing, found.fields, found.identical) == (2, 3, (), False)


def test_fields_of_other_shapes_are_other_fields() -> None:
    assert differences({"tick": TICKS, "a": np.ones((4, 2))}, {"tick": TICKS, "a": np.ones((4, 3))}, "float64", ("a",)).identical
