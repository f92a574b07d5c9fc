"""The base of all layers of a payload, and the layer that this version does not know."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sgc_diffusion.payload.scalars import plain_integer

MAX_KIND = 127  # of an optional layer; its kind is its place in a file


class Layer:
    """One part of a payload that is stored by itself.

    A layer is a frozen dataclass, declared with `@dataclass(frozen=True, eq=False)`, that checks its fields when it is
    made, keeps arrays as read-only copies (`frozen_array`) and integers as plain ones (`scalars.plain_integer`).
    Two layers are equal if they are of the same class and all their fields are, arrays by value. They hold arrays, so
    they cannot be hashed.

    Attributes:
        kind: place of the layer in a file, 1 … 127; 0 for the label map and the color map, which every file has.
            A constant of the class, or a field if a class stands for several kinds.
    """

    kind: int

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class UnknownLayer(Layer):
    """A layer that this version cannot read, kept so that it is still there when the file is written again.

    Attributes:
        kind: of the layer, 1 … 127.
        body: its bytes as they stand in the file.

    Raises:
        ValueError: a kind out of range, or a body that is not bytes.
    """

    kind: int
    body: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", plain_integer("kind", self.kind, 1, MAX_KIND))
        if not isinstance(self.body, bytes):
            raise ValueError(f"`body` must be bytes, got {type(self.body).__name__}")


def same_fields(first: object, second: object) -> bool:
    """Return whether two objects of one dataclass have equal fields; arrays are equal if their values are."""
    for field in fields(first):  # type: ignore[arg-type] - the caller gives dataclasses
        mine, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(mine, np.ndarray) or isinstance(other, np.ndarray):
            if not np.array_equal(mine, other):
                return False
        elif mine != other:
            return False
    return True


def frozen_array(array: np.ndarray, dtype: np.dtype | type | None = None) -> np.ndarray:
    """Return a read-only copy of an array, in row-major order.

    Args:
        array: of any shape; its values must fit `dtype`, which the caller has seen to.
        dtype: of the copy; that of the array if None.
    """
    copy = np.array(array, dtype=dtype, order="C")
    copy.flags.writeable = False
    return copy
