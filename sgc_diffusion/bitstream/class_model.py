"""Labels that no neighbor has

A cell that is coded as a class has the label of none of W, N, NE, NW, WW, NN and NEE (cell (0, 0) has no such
neighbors). Its label is one that was coded as a class before, or a new one.

    is it new? ──no──▶ is it the label last named? the one before? …
        └─────yes────▶ one symbol among the labels not used yet, by prior × (what is above) × (height in picture)

- `named` lists the labels coded as classes so far, each once, the last coded first. It is empty at first.
- The candidates are the labels of `named`, in its order, that none of the seven neighbors has; n is their number.
- G(x) is the group of label x, 0 … 24: for `landscape-24` x itself; for another taxonomy the class of `landscape-24`
  whose list in `maps["landscape-24"]` of the taxonomy's file names it; 24 if the file has no such map.
- g = G(label of N), for cell (0, 0) 24.
- h = 1 if the seven neighbors all have one label, else 0. For b see "The label layer".

1. Without candidates the label is new. If there are candidates but `named` holds every label of the taxonomy, it is
   not new. Otherwise a decision says whether it is new, with z = class_new[8 · (2 · b + h) + min(n, 8) − 1].
2. A label that is not new: for candidate i = 0, 1, … n − 2 a decision says whether it is this one, with
   z = class_rank[5 · min(i, 4) + min(n − i, 6) − 2] + class_pair[25 · g + G(candidate i)]. The first 1 ends it. After
   only 0s it is the last candidate.
3. A new label is one symbol among all labels of the taxonomy in the order of their ids. A label of `named` has weight
   0, label x otherwise `⌊prior[x] · class_follow[g][G(x)] · class_band[⌊(b + 1) / 2⌋][G(x)] / 256⌋ + 1`. Here prior
   is table `prior_NAME` for the taxonomy NAME, or 8 for every label if there is no such table.
4. The label becomes the first of `named`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import load_tables, probability, table_list
from sgc_diffusion.taxonomy import class_table, load_taxonomy

NUM_GROUPS = 24
UNKNOWN = 24  # group of a class whose taxonomy has no map, and of the missing cell above the first
FACTOR_ONE = 16  # the neutral factor
MAX_AVAILABLE, MAX_RANK = 8, 5


@cache
def class_groups(taxonomy_name: str) -> np.ndarray:
    """Return the group of every class, (K,) uint8, 0 … 24."""
    try:
        return class_table(taxonomy_name, "landscape-24")
    except ValueError:
        return np.full(load_taxonomy(taxonomy_name).num_classes, UNKNOWN, dtype=np.uint8)


class ClassModel:
    """Codes the labels that no neighbor has.

    Args:
        coder: where the decisions go to or come from.
        taxonomy_name: the label set.
    """

    def __init__(self, coder: RangeEncoder | RangeDecoder, taxonomy_name: str) -> None:
        tables = load_tables("labels")
        self._coder: Any = coder  # which of the two it is, the caller of `code` knows
        self._groups = class_groups(taxonomy_name)
        self._group_list = [*self._groups.tolist()]
        prior = tables.get(f"prior_{taxonomy_name}")
        self._prior = np.full(len(self._groups), 8, dtype=np.int64) if prior is None else prior.astype(np.int64)
        self._follow, self._bands = tables["class_follow"].astype(np.int64), tables["class_band"].astype(np.int64)
        self._named: list[int] = []  # the last named first
        self._is_unused = np.ones(len(self._groups), dtype=bool)

    def code(self, label: int | None, above: int | None, excluded: Sequence[int], band: int) -> int:
        """Code one label.

        Args:
            label: to encode, or None to decode.
            above: label of the cell above, None for the first cell.
            excluded: labels of the neighbors, which it is not.
            band: `row_band` of the cell.

        Returns:
            The label.
        """
        available = [known for known in self._named if known not in excluded]
        group = UNKNOWN if above is None else self._group_list[above]
        is_new = not available
        if available and len(self._named) < len(self._groups):
            context = (band * 2 + (len(set(excluded)) == 1)) * MAX_AVAILABLE + min(len(available), MAX_AVAILABLE) - 1
            odds = table_list("labels", "class_new")[context]
            is_new = bool(self._decide(None if label is None else int(label not in available), odds))
        label = self._code_new(label, group, band) if is_new else self._code_named(label, available, group)
        if not is_new:
            self._named.remove(label)
        self._named.insert(0, label)
        self._is_unused[label] = False
        return label

    def _code_named(self, label: int | None, available: list[int], group: int) -> int:
        for rank, known in enumerate(available[:-1]):
            left = min(len(available) - rank, MAX_RANK + 1) - 2
            odds = table_list("labels", "class_rank")[min(rank, MAX_RANK - 1) * MAX_RANK + left]
            odds += table_list("labels", "class_pair")[group * (NUM_GROUPS + 1) + self._group_list[known]]
            if self._decide(None if label is None else int(label == known), odds):
                return known
        return available[-1]

    def _code_new(self, label: int | None, group: int, band: int) -> int:
        factors = self._follow[group] * self._bands[(band + 1) // 2]
        weights = (self._prior * factors[self._groups] // FACTOR_ONE**2 + 1) * self._is_unused
        ends = np.cumsum(weights)
        total = int(ends[-1])
        if label is None:
            target = self._coder.target(total)
            label = int(np.searchsorted(ends, target, side="right"))
        size = int(weights[label])
        self._coder.narrow(int(ends[label]) - size, size, total)
        return label

    def _decide(self, bit: int | None, odds: int) -> int:
        if bit is None:
            return self._coder.decode(probability(odds))
        self._coder.encode(bit, probability(odds))
        return bit
