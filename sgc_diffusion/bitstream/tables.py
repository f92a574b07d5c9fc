"""The integer tables that give every probability: trained offline, shipped, part of the format version.

A probability is `squash[sum of table entries]`: the entries are log-odds in 1/32 nat, so independent evidence adds up,
and the sum is an integer comparison away from being the same everywhere. `pipelines/entropy_tables` trains them.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources

import numpy as np

LIMIT = 352  # 11 nats: the largest log-odds
FILE_NAME = "tables.npz"


@cache
def load_tables() -> dict[str, np.ndarray]:
    """Return every table by its name; read-only."""
    data = (resources.files("sgc_diffusion.bitstream") / FILE_NAME).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        tables = {name: archive[name] for name in archive.files}
    for table in tables.values():
        table.flags.writeable = False
    return tables


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of 1 in 1/65536 for sums of table entries, int32 of the same shape."""
    return load_tables()["squash"][np.clip(log_odds, -LIMIT, LIMIT) + LIMIT].astype(np.int32)


@cache
def table_list(name: str) -> list[int]:
    """Return a table as a flat list, which is faster to index one entry at a time."""
    return load_tables()[name].ravel().tolist()
