"""Probabilities

All probabilities come from tables of integers that were trained once and belong to the format version. An entry is a
piece of evidence in 1/32 nat of log-odds for a 1, and independent evidence adds up: z is a sum of entries, and the
probability of the 1 is squash(z) / 65536, where

    squash(z) = entry min(max(z, −352), 352) + 352 of table `squash`

The tables are arrays in row-major order in three files of `sgc_diffusion/bitstream`. The SHA-256 over the bytes
(little-endian) of all tables of a file, in order of the tables' names, is:

| file | tables | SHA-256 |
|---|---|---|
| `shared.npz` | `squash` | 886b365c57e9297d374634f3de5292baa17eabd03dd8d4261a8a3ccdb3336626 |
| `labels.npz` | `label_…`, `class_…`, `prior_…` | 56c110e96d7cffff4f3a242572dba8470455a88a17b8dade2bd16f63ec42cc95 |
| `color.npz` | `color_…` | 80b66f53f650e8966f37a7441af4f9fadd0f8e2d0ad98587727bcc1363b8c5b3 |

Over the tables of all three files, in order of name, it begins 3ca752ccd401ef58. How they were made is in
`pipelines/entropy_tables`.
"""

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
