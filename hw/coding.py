"""What processes hand over as bytes: anything, pickled; small records of numbers in a fifth of that time."""

from __future__ import annotations

import math
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Protocol

import numpy as np


class Coding(Protocol):
    """To bytes and back. Picklable."""

    def dumps(self, value: Any) -> bytes:
        """As bytes."""
        ...

    def loads(self, data: bytes) -> Any:
        """What the bytes were made of."""
        ...


class Pickled:
    """Of anything."""

    def dumps(self, value: Any) -> bytes:
        """As bytes."""
        return pickle.dumps(value)

    def loads(self, data: bytes) -> Any:
        """What the bytes were made of."""
        return pickle.loads(data)


class Numbers:
    """Of a dataclass whose fields are int, float, bool, arrays of known shapes, and at most one str; integers below 2⁵³."""

    def __init__(self, kind: Callable[..., Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Of this dataclass, with the shapes of the fields that are arrays."""
        self._kind = kind
        self._shapes = {field.name: shapes.get(field.name, str(field.type)) for field in fields(kind)}  # type: ignore[arg-type]
        sizes = [math.prod(shape) if isinstance(shape, tuple) else shape != "str" for shape in self._shapes.values()]
        self._format = f"{sum(sizes)}d"

    def dumps(self, value: Any) -> bytes:
        """As bytes."""
        numbers, text = list[float](), b""
        for name, shape in self._shapes.items():
            part = getattr(value, name)
            if shape == "str":
                text = part.encode()
            elif isinstance(shape, tuple):
                numbers.extend(part.ravel().tolist())
            else:
                numbers.append(part)
        return struct.pack(self._format, *numbers) + text

    def loads(self, data: bytes) -> Any:
        """What the bytes were made of."""
        numbers, at, parts = struct.unpack_from(self._format, data), 0, list[Any]()
        for shape in self._shapes.values():
            if shape == "str":
                parts.append(data[struct.calcsize(self._format) :].decode())
            elif isinstance(shape, tuple):
                size = math.prod(shape)
                parts.append(np.array(numbers[at : at + size]).reshape(shape))
                at += size
            else:
                parts.append(_SCALARS[shape](numbers[at]))
                at += 1
        return self._kind(*parts)


_SCALARS: dict[str, Callable[[float], Any]] = {"int": int, "float": float, "bool": bool}
