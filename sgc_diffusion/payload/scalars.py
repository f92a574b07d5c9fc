"""The numbers of a payload as plain Python numbers, whatever type they come in.

NumPy's integers wrap and NumPy's float32 is not on the decimal grid of a file; neither must get any further than this.
"""

from __future__ import annotations

import math

import numpy as np

_LARGE = 10**9  # beyond every range; `float` takes it
_FLOAT32_EPSILON = 2.0**-23  # also of Python floats, which may have been float32 before


def plain_integer(name: str, value: int, lowest: int, highest: int) -> int:
    """Return an integer of a range as a Python int.

    Args:
        name: of the argument, for the message.
        value: a Python integer or a NumPy integer of any type; booleans are none.
        lowest: the least that is allowed.
        highest: the most that is allowed.

    Raises:
        ValueError: it is no integer, or outside the range.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not lowest <= int(value) <= highest:
        raise ValueError(f"`{name}` must be an integer from {lowest} to {highest}, got {value!r}")
    return int(value)


def decimal_parts(name: str, value: float, parts: int, lowest: int, highest: int) -> int:
    """Return a number in whole parts of one, such as hundredths.

    Args:
        name: of the argument, for the message.
        value: a Python or NumPy number that is a multiple of 1 / `parts`, up to the precision of its type.
        parts: of one, such as 100.
        lowest: the least that is allowed, in parts.
        highest: the most that is allowed, in parts.

    Raises:
        ValueError: it is no number, outside the range, or between two multiples.
    """
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    is_number = is_number and (
        abs(int(value)) < _LARGE if isinstance(value, (int, np.integer)) else math.isfinite(value)
    )
    scaled = float(value) * parts if is_number else 0.0
    epsilon = _FLOAT32_EPSILON
    if isinstance(value, np.floating):
        epsilon = max(epsilon, float(np.finfo(type(value)).eps))
    tolerance = epsilon * max(abs(scaled), 1.0)
    if not (is_number and lowest - tolerance <= scaled <= highest + tolerance):
        raise ValueError(f"`{name}` must be from {lowest / parts} to {highest / parts}, got {value!r}")
    if abs(scaled - round(scaled)) > tolerance:
        raise ValueError(f"`{name}` must be a multiple of {1 / parts}, got {value!r}; round it")
    return round(scaled)
