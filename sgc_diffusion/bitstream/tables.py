"""The integer tables that give every probability: trained offline, shipped, part of the format version."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from importlib import resources

import numpy as np

LIMIT = 352  # 11 nats: the largest log-odds
SHARED = "shared"  # the file of the tables that belong to no layer
FILES = (SHARED, "labels", "color")  # of the package, without `.npz`; each layer's beside its coder


@cache
def load_tables(file: str) -> dict[str, np.ndarray]:
    """Return the tables of a file by name, read-only arrays.

    Args:
        file: one of `FILES`.
    """
    data = (resources.files("sgc_diffusion.bitstream") / f"{file}.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        tables = {name: archive[name] for name in archive.files}
    for table in tables.values():
        table.flags.writeable = False
    return tables


@cache
def table_list(file: str, name: str) -> list[int]:
    """Return a table as a flat list in row-major order, which is faster to index one entry at a time."""
    return load_tables(file)[name].ravel().tolist()


def probability(log_odds: int) -> int:
    """Return the probability of 1 in 1/65536 for a sum of table entries."""
    return table_list(SHARED, "squash")[min(max(log_odds, -LIMIT), LIMIT) + LIMIT]


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of 1 in 1/65536 for sums of table entries, int32 of the same shape."""
    return load_tables(SHARED)["squash"][np.clip(log_odds, -LIMIT, LIMIT) + LIMIT].astype(np.int32)


def digest(*files: str) -> str:
    """Return the SHA-256 over the little-endian bytes of all tables of some files in order of name."""
    tables: dict[str, np.ndarray] = {}
    for file in files:
        tables |= load_tables(file)
    data = b"".join(table.astype(table.dtype.newbyteorder("<")).tobytes() for _, table in sorted(tables.items()))
    return hashlib.sha256(data).hexdigest()
