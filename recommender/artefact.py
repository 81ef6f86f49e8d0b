"""A model's arrays as bytes, laid out so that a file of them can be mapped into memory and used in place. Pure.

A short head names each array, its type, shape and place; then come the arrays themselves, each on a border of 64 bytes
as processors like it. There is nothing to execute in it, and whoever maps the same file shares the same memory.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from recommender.algorithms.base import Arrays

FORMAT = 2
"""Raised when an artefact of before could no longer be read."""

MAGIC = b"RELANCE\n"
BORDER = 64
PART = 8 * 1024 * 1024
"""Bytes written, read and checked at a time."""


class Damaged(Exception):
    """An artefact is not what was published: it is refused, and whatever serves keeps serving."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What an artefact must weigh, and its checksum."""

    sha256: bytes
    size: int

    @classmethod
    def of(cls, parts: Iterable[bytes | memoryview]) -> "Seal":
        """Of what these parts make end to end."""
        digest, size = hashlib.sha256(), 0
        for part in parts:
            digest.update(part)
            size += len(part)
        return cls(digest.digest(), size)


def parts(arrays: Arrays) -> Iterator[bytes]:
    """The artefact of these arrays, some megabytes at a time; the same arrays always give the same bytes."""
    waiting = bytearray()
    for block in _blocks(arrays):
        for start in range(0, len(block), PART):
            waiting += block[start : start + PART]
            while len(waiting) >= PART:
                yield bytes(memoryview(waiting)[:PART])
                del waiting[:PART]
    if waiting:
        yield bytes(waiting)


def read(whole: memoryview) -> dict[str, NDArray[Any]]:
    """The arrays, in place and read-only; raises `Damaged` if these bytes are no artefact of this format."""
    try:
        if bytes(whole[: len(MAGIC)]) != MAGIC:
            raise Damaged("these bytes are no artefact")
        begins = len(MAGIC) + 8
        head = orjson.loads(whole[begins : begins + int.from_bytes(whole[len(MAGIC) : begins], "little")])
        if head["format"] != FORMAT:
            raise Damaged(f"the artefact has format {head['format']}, this program reads {FORMAT}")
        return {name: _array(whole, **place) for name, place in head["arrays"].items()}
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"the artefact cannot be read: {error}") from error


def text(value: object) -> NDArray[np.uint8]:
    """What is no array, as one: JSON."""
    return np.frombuffer(orjson.dumps(value), np.uint8)


def value(array: NDArray[np.uint8]) -> Any:
    """What `text` was made of."""
    return orjson.loads(array.tobytes())


def _blocks(arrays: Arrays) -> Iterator[bytes | memoryview]:
    places: dict[str, dict[str, object]] = {}
    start = 0
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds objects, which an artefact does not")
        places[name] = {"dtype": array.dtype.str, "shape": array.shape, "start": start}
        start += _padded(array.nbytes)
    head = orjson.dumps({"format": FORMAT, "arrays": places})
    head += b" " * (_padded(len(MAGIC) + 8 + len(head)) - len(MAGIC) - 8 - len(head))
    yield MAGIC + len(head).to_bytes(8, "little") + head
    for array in arrays.values():
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        yield bytes(_padded(array.nbytes) - array.nbytes)


def _array(whole: memoryview, *, dtype: str, shape: list[int], start: int) -> NDArray[Any]:
    """A start counts from the end of the head."""
    head = len(MAGIC) + 8 + int.from_bytes(whole[len(MAGIC) : len(MAGIC) + 8], "little")
    kind = np.dtype(dtype)
    if kind.hasobject:
        raise ValueError("an array of objects")
    count = int(np.prod(shape))
    found = np.frombuffer(whole, kind, count, head + start) if count else np.zeros(0, kind)
    found.flags.writeable = False
    return found.reshape(shape)


def _padded(size: int) -> int:
    return -(-size // BORDER) * BORDER
