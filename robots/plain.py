"""The typed messages as plain data (dict, list, str, float, bool, None) and back: what JSON can hold, losing nothing.

Arrays become nested lists, or `{"shape": […]}` where they are empty. JSON has no NaN and no infinity: they are written
as the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from .errors import RecordError

T = TypeVar("T")
WHOLE_MAX = 2**63  # whole numbers from there on are written as floats


def to_plain(value: Any) -> Any:
    """A message, or any nesting of dataclasses, arrays, tuples and mappings, as plain data."""
    if isinstance(value, np.ndarray):
        return _array_to_plain(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()  # half a character is none in JSON
    if value is None or isinstance(value, bool | int):
        return value if value is None or abs(value) < WHOLE_MAX else to_plain(_as_float(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        item = value.item()
        return str(item) if isinstance(item, np.generic) else to_plain(item)  # a number of 128 bits has no other form
    return str(value)  # paths and the like in a configuration


@lru_cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _array_to_plain(array: np.ndarray[Any, Any]) -> Any:
    if array.size == 0:
        return {"shape": list(array.shape)}
    kind = array.dtype.kind
    if kind in "iub" or (kind == "f" and math.isfinite(np.vdot(array, array))):  # several times quicker than isfinite().all()
        return array.tolist()
    return to_plain(array.tolist())


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def from_plain(kind: type[T], data: Any) -> T:
    """The message of that type from its plain data.

    Raises:
        RecordError: the data lacks an entry that has no default, has one too many, or holds the wrong kind of value.
    """
    try:
        message: T = _reader(cast(Hashable, kind))(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{kind.__name__}: missing or wrong entry ({error}); the recording is damaged or from another version") from error
    return message


@lru_cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """What turns plain data into a value of the type; made once a type, because a recording holds thousands."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        some = _reader(next(a for a in arguments if a is not types.NoneType))
        return lambda data: None if data is None else some(data)
    if origin is np.ndarray:
        return lambda data: np.zeros(data["shape"]) if isinstance(data, dict) else np.array(data, dtype=float)
    if origin is tuple and arguments[-1] is Ellipsis:
        item = _reader(arguments[0])
        return lambda data: tuple([item(value) for value in data])
    if origin is tuple:
        items = tuple(map(_reader, arguments))
        return lambda data: tuple([read(value) for read, value in zip(items, data, strict=True)])
    if origin is Mapping:
        read_value = _reader(arguments[1])
        return lambda data: {key: read_value(value) for key, value in data.items()}
    if origin is Literal:
        return _one_of(arguments)
    if is_dataclass(hint) and isinstance(hint, type):
        return _message_reader(hint)
    return float if hint is float else _checker(hint)


def _message_reader(kind: type[Any]) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def read(data: Mapping[str, Any]) -> Any:
        if wrong := (needed - data.keys()) | (data.keys() - readers.keys()):  # a recording may be older than what has a default
            raise KeyError(", ".join(sorted(wrong)))
        return kind(**{name: readers[name](value) for name, value in data.items()})

    return read


def _checker(kind: type[Any]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if not isinstance(data, kind):
            raise TypeError(f"{data!r} is not a {kind.__name__}")
        return data

    return read


def _one_of(values: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if data not in values:
            raise ValueError(f"{data!r} is none of {values}")
        return data

    return read


def json_schema(hint: Any) -> dict[str, Any]:
    """JSON Schema of a message type as `to_plain` writes it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if a is types.NoneType else json_schema(a) for a in arguments]}
    if origin in (np.ndarray, tuple):
        return {"type": ["array", "object"]} if origin is np.ndarray else {"type": "array", "items": json_schema(arguments[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": json_schema(arguments[1])}
    if is_dataclass(hint) and isinstance(hint, type):
        properties = {name: json_schema(kind) for name, kind in get_type_hints(hint).items()}
        return {"type": "object", "title": hint.__name__, "properties": properties, "required": list(properties)}
    return {"type": {float: ["number", "string"], int: "integer", bool: "boolean", str: "string"}[hint]}
