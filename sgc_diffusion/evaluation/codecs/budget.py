"""The finest setting whose file fits into a number of bytes.

image ──gallop and bisect over the quality parameter, look at the neighbors──▶ setting ──encode──▶ file ≤ budget
      └─no file is as small──▶ the smallest one, the codec's floor
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion.evaluation.codecs.anchor import Anchor, AnchorCodec, FixedCodec, check_side
from sgc_diffusion.evaluation.codecs.codec import Codec
from sgc_diffusion.evaluation.codecs.reduced import (
    FILTERS,
    SCALES,
    TRAILER_BYTES,
    ReducedCodec,
    possible_scales,
)
from sgc_diffusion.evaluation.metrics.distortion import psnr

NEIGHBORS = 3  # sizes wobble: this many settings beside the one that bisection finds are looked at too


@dataclass(frozen=True)
class Fitted:
    """A setting that a search chose.

    Attributes:
        index: of the setting among the anchor's.
        quality: value of the parameter.
        data: the file.
        is_floor: it does not fit, and nothing smaller was found.
    """

    index: int
    quality: float
    data: bytes
    is_floor: bool


def find_quality(anchor: Anchor, encode: Callable[[float], bytes], budget_bytes: int, start: int = 0) -> Fitted:
    """Find the finest setting whose file takes at most `budget_bytes`.

    Files need not grow strictly with quality: every file that was made counts, and the settings next to the one that
    bisection finds are made too.

    Args:
        anchor: gives the settings, the smallest file first.
        encode: makes the file of a setting.
        budget_bytes: what the file may take.
        start: index of a setting that is likely to fit; saves time.
    """
    qualities, files = anchor.qualities, {}

    def fits(index: int) -> bool:
        if index not in files:
            files[index] = encode(qualities[index])
        return len(files[index]) <= budget_bytes

    last = len(qualities) - 1
    lowest = (index for low in (start, 0) for index in range(low, min(low + NEIGHBORS, last + 1)))
    first = next(filter(fits, lowest), None)
    if first is None:
        smallest = min(files, key=lambda index: (len(files[index]), -index))
        return Fitted(smallest, qualities[smallest], files[smallest], is_floor=True)
    inside, step = first, 2
    while inside + step <= last and fits(inside + step):
        inside, step = inside + step, 2 * step
    outside = min(inside + step, last + 1)
    while outside - inside > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if fits(middle) else (inside, middle)
    best = max(index for index in files if fits(index))
    while beside := [index for index in range(best + 1, min(best + 1 + NEIGHBORS, last + 1)) if fits(index)]:
        best = max(beside)
    return Fitted(best, qualities[best], files[best], is_floor=False)


class BudgetCodec(AnchorCodec):
    """An anchor at the finest setting that fits into a number of bytes.

    Args:
        anchor: the codec.
        budget_bytes: for every picture; None if the run says it for each.
        is_reduced: code a reduced picture, at the scale that gives the best PSNR.
    """

    def __init__(self, anchor: Anchor, budget_bytes: int | None, *, is_reduced: bool = False) -> None:
        if budget_bytes is not None and budget_bytes < 1:
            raise ValueError(f"`budget_bytes` must be at least 1, got {budget_bytes}")
        super().__init__(anchor)
        self.budget_bytes, self.is_reduced = budget_bytes, is_reduced
        self.needs_budget = budget_bytes is None
        base = f"{anchor.name}{'-down' if is_reduced else ''}"
        self.spec = f"{base}@{'budget' if budget_bytes is None else budget_bytes}"
        self.name = f"{base}-budget" if budget_bytes is None else f"{base}-{budget_bytes}b"
        rate = "SGC's budget" if budget_bytes is None else f"≤ {budget_bytes} B"
        self.title = f"{anchor.title}{', reduced' if is_reduced else ''}, {rate}"

    def fit(self, image: Image.Image, budget_bytes: int | None = None) -> tuple[Codec, bool]:
        """See the base class."""
        check_side(self.anchor, image)
        budget = self.budget_bytes if self.budget_bytes is not None else budget_bytes
        if budget is None:
            raise ValueError(f"`budget_bytes` must be given for {self.spec}: how many bytes may this picture take?")
        if self.is_reduced:
            return fit_reduced(self.anchor, image, budget)
        fitted = find_quality(self.anchor, lambda quality: self.anchor.encode(image, quality), budget)
        return FixedCodec(self.anchor, fitted.quality), fitted.is_floor

    def encode(self, image: Image.Image, path: Path) -> dict[str, Any]:
        """See the base class; the search included."""
        codec, is_floor = self.fit(image)
        return codec.encode(image, path) | {"is_floor": is_floor, "spec": codec.spec}

    def decode_image(self, path: Path, *, seed: int = 0) -> Image.Image:
        """See the base class."""
        plain: Codec = FixedCodec(self.anchor, self.anchor.qualities[0])
        if self.is_reduced:
            plain = ReducedCodec(self.anchor, self.anchor.qualities[0], SCALES[0])
        return plain.decode_image(path, seed=seed)


def fit_reduced(anchor: Anchor, image: Image.Image, budget_bytes: int) -> tuple[Codec, bool]:
    """Return the scale, setting and enlarging filter with the best PSNR among those that fit; else the smallest file.

    The search ends when PSNR has fallen below the best at two scales in a row.
    """
    best: tuple[tuple[bool, float], Codec] = ((False, -math.inf), FixedCodec(anchor, anchor.qualities[0]))
    start, num_worse = 0, 0
    for scale in possible_scales(anchor, image.size):
        ways = [ReducedCodec(anchor, anchor.qualities[0], scale, enlarging) for enlarging in FILTERS]
        small = ways[0].reduce(image)
        room = budget_bytes - TRAILER_BYTES
        fitted = find_quality(anchor, lambda quality, small=small: anchor.encode(small, quality), room, start)
        start, decoded = fitted.index, anchor.decode(fitted.data)
        merits = [psnr(image, way.enlarge(decoded, image.size)) for way in ways]
        if fitted.is_floor:
            merits = [-float(len(fitted.data))] * len(ways)
        ranked = (not fitted.is_floor, max(merits))
        num_worse = num_worse + 1 if best[0][0] and ranked < best[0] else 0
        if ranked > best[0]:
            way = ways[merits.index(max(merits))]
            best = ranked, ReducedCodec(anchor, fitted.quality, scale, way.enlarging)
        if num_worse == 2:
            break
    return best[1], not best[0][0]
