"""The detail layers

Kind 8 + n is detail level n, 0 … 15: the pixels, coarse to exact. A file may hold any of the levels; each is built on
the next lower one that the file holds, and level 15 makes the picture exact. The body is

| size | type | meaning |
|---|---|---|
| 1 | u8 | bits 4–7: n minus the number of the level that this one is built on, 0 for the first level of a file |
| … | bytes | the stream of the level, see "Coder of the detail levels"; bits 0–3 of the byte above are its first byte |

Where bits 0–3 of the first byte are 15, a byte of flags comes next, then what they announce, then the stream whole:

| flag | announces | meaning |
|---|---|---|
| 1 | – | the importance layer steers the detail |
| 2 | – | the regions layer does; see "What importance and regions do to the detail" |
| 4 | u8, 1 … 127 | PSNR of the picture of this level, over all of R, G, B, in half decibels; no decoder needs it |
| 8 | u8, at least 1 | a part: only so many bands, the first in coding order, but not all, get to this level |

At least one flag MUST be set, and no other. All levels of a file MUST name the same layers that steer, and these MUST
be there. The bands that a part leaves out stay as they were; a level MUST NOT be built on a part. So a file may end
within a level, where a budget does.

A level that is not built on the next lower one of its file MUST be rejected. A reader MUST also reject a level that
calls a block active, or starts a band, of which all coefficients then are 0, for no writer does so.

**Planes.** After level n, a band with at least one coefficient is known down to plane
min(max(⌊(s(n) − g + 4) / 8⌋, 0), 13), before the first level down to 13. s(0) … s(15) are
76 68 61 54 48 43 38 34 30 26 22 18 13 8 3 −64. g is the sum of a number of the channel and one of the band's place.
With transforms of kind 0, 1, 2, 3 that of Y, Co, Cg is 6 −4 −2, 6 5 5, −10 −20 −18, 6 5 5. That of the low band of
scale 0, 1, 2, 3, 4 is 0, 5, 12, 19, 27; of HL and LH of scale 1, 2, 3, 4 it is 0, 5, 12, 20; of HH −4, −1, 5, 13; for
each further scale 8 more. With kind 2 these are 0, 3, 7, 10, 14; 0, 3, 7, 10; −3, 0, 4, 7; and 3 more.

**The picture** is the smooth base before the first level, and then what the inverse transform gives for the
coefficients that are known so far. A known one that is not 0 has its size enlarged by ⌊f · 2^p / 64⌋, p being the plane
of its band; f is 18, 22, 25, 28 or 30 as the sum of the sizes ("Contexts of the detail coder", for plane p) of the four
nearest neighbors, plus half of the sum of those at the corners rounded down, reaches 0, 1, 2, 3 or 4 of 4 9 17 33.
Bytes below 0 and above 255 are clipped; at level 15 there are none.

**Limits** that the contexts use, see "Contexts of the detail coder":

| name | limits |
|---|---|
| `NEAR_LIMITS` (left and right, above and below) | 1 5 11 27 |
| `CORNER_LIMITS` (corners) | 1 7 15 40 |
| `PARENT_LIMITS` (parent) | 1 7 14 32 |
| `PLACE_LIMITS` (cousin, luma, orange) | 1 5 10 24 |
| `TILT_LIMITS` | −3 −1 0 1 2 4 |
| `SIGN_SIZE_LIMITS` | 5 14 |
| steps of sums over blocks | 1 3 8 20 50 120 300 |

`ENERGY_LIMITS` are 8 10 14 19 25 33 45 60 80 107 143 191 256 341 456 608 812
1084 1448 1933 2580 3444 4597 6137 8192 10935 14596 19483 26007 34716 46340.

**Example**, `tests/golden/detail-tiny.sgc`, 46 bytes: 2 rows of 3 pixels, exact.

    53 47 43 01 07 02 01 00 00 d6 ca 02 00 02 04 1e
    02 00 9c 17 17 e1 bf 00 00 40 3c 7c f6 c5 4c 01
    7f 41 24 21 f7 12 fa c8 bc 3e ca fa d5 57

| bytes | part | meaning |
|---|---|---|
| `53 47 43 01 07 02 01 00 00` | header | 3 × 2 pixels |
| `d6 ca` | checksum | of header, labels and colors |
| `02 00 02` | label layer | one cell |
| `04 1e 02 00 9c` | color layer | one cell of (85, 66, 47), which also is the smooth base of each pixel |
| `17` | type | 23 = 8 + 15: detail level 15 |
| `17` | length | the body has 23 bytes |
| `e1 bf` | checksum | 0xbfe1, of the type and the body |
| `00` | base, lanes | built on no level; k = 0: one lane |
| `00 40 3c 7c` | state | 0x00403c7c |
| `f6 c5 4c 01 7f 41 24 21 f7 12 fa c8 bc 3e ca fa d5 57` | words | nine |

The picture is too small to be split: each channel is one low band of 2 rows and 3 columns, known down to plane 13.
After 62 decisions for the choices of the transform, all 0, Y is asked for planes 12 to 3, whether any |c| reaches 2^p:
ten times 0. At plane 2 it is 1, and so is the answer for its only block. The turns then code the bits of the cells
(0, 0) (0, 2): 1 0, and the sign of (0, 0): 1; of (1, 1): 0; of (0, 1): 0; and of (1, 0) (1, 2): 1 0, and the sign of
(1, 0): 1. So far Y is (−4, 0, 0), (−4, 0, 0). After plane 0 it is (−5, −3, −2), (−5, −2, 0), Co is (0, 4, 6),
(4, 4, 6), Cg is (−1, 2, 1), (0, 2, −2), and the state is 0x10000. The base has Y 66, Co 38 and Cg 0 everywhere, so the
first pixel is that of Y 61, Co 38, Cg −1: (81, 61, 43).

The tables are in `sgc_diffusion/bitstream/detail_tables.npz`. The SHA-256 of them all, as in section "Probabilities",
is 9becc4f310b532fd90031b64ef25206ee0320aea21548797ca2aa553f50184b3.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.detail import decode_level, encode_level
from sgc_diffusion.bitstream.detail_head import DetailHead, named_kinds, read_head
from sgc_diffusion.bitstream.detail_probability import TABLE_FILE
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload.detail import (
    DETAIL_KINDS,
    FIRST_KIND,
    DetailLevel,
    DetailState,
    active_blocks,
    coarsened,
    forget_unfinished,
    nothing_known,
    same_state,
)
from sgc_diffusion.payload.importance import IMPORTANCE_KIND, ImportanceLayer
from sgc_diffusion.payload.regions import REGIONS_KIND, RegionsLayer
from sgc_diffusion.payload.steering import Steering


class DetailCoder(LayerCoder[DetailLevel]):
    """Writes and reads one level of detail."""

    layer_class = DetailLevel
    table_file = TABLE_FILE.removesuffix(".npz")

    def __init__(self, level: int) -> None:
        """Set up the coder of a level, 0 … 15."""
        self.kind = FIRST_KIND + level
        self.name = f"detail {level}"
        self.built_on_present = (IMPORTANCE_KIND, REGIONS_KIND, *(kind for kind in DETAIL_KINDS if kind < self.kind))

    def named_bases(self, body: bytes) -> tuple[int, ...]:
        """Return the kinds of the layers that steer, and of the level below, which the first bytes name."""
        return named_kinds(body, self.kind)

    def encode(self, layer: DetailLevel, before: DecodedLayers) -> bytes:
        """Write what the level knows beyond the one below it.

        Raises:
            ValueError: the level is of a picture of another size, or does not refine the one below it.
        """
        if (layer.finest.height, layer.finest.width) != (before.height, before.width):
            raise ValueError(
                f"`layers` must hold detail of a {before.width}×{before.height} picture, got level {layer.level} of "
                f"{layer.finest.width}×{layer.finest.height}"
            )
        start = _start(before, () if layer.finest.steering is None else _kinds_in(layer.finest.steering))
        if not np.array_equal(layer.finest.color_map, start.color_map):
            raise ValueError("`layers` must hold detail over the payload's own color map, got another one")
        if layer.finest.steering != start.steering:
            raise ValueError(
                f"`layers` must hold the importance and regions that steer detail {layer.level}, got others or none"
            )
        lower = _highest(before)
        if lower is None:
            known, distance = start, 0
        else:
            known, distance = coarsened(layer.finest, lower.level), layer.kind - lower.kind
            if lower.num_bands is not None:
                raise ValueError(f"`layers` hold detail {layer.level} after a part of detail {lower.level}; drop one")
            if layer.finest is not lower.finest and not same_state(known, lower.state):
                raise ValueError(
                    f"`layers` must refine each other, got detail {layer.level} of another picture than "
                    f"detail {lower.level}"
                )
        # `known` was made for this, so that it may change
        stream = encode_level(layer.finest, layer.level, known, in_place=True, num_bands=layer.num_bands)
        kinds = () if start.steering is None else _kinds_in(start.steering)
        return DetailHead(distance, kinds, layer.psnr_halves, layer.num_bands).before(stream)

    def decode(self, body: bytes, before: DecodedLayers) -> DetailLevel:
        """Read what `encode` wrote; the lower levels then share the arrays of this one."""
        lower, (head, stream) = _highest(before), read_head(body)
        named = (*head.steering_kinds, *(() if lower is None else (lower.kind,)))
        if self.named_bases(body) != named or (lower is not None and lower.num_bands is not None):
            raise CorruptSectionError(f"Layer {self.name} is not built on the level below it in the file")
        start = _start(before, head.steering_kinds)
        if lower is not None and lower.finest.steering != start.steering:
            raise CorruptSectionError(f"Layer {self.name} is steered by other layers than the level below it")
        if head.num_bands is not None and head.num_bands >= len(start.bands):
            raise CorruptSectionError(f"Layer {self.name} is a part of more bands than there are")
        known = start if lower is None else lower.state
        _thaw(known)
        try:
            state = decode_level(stream, self.kind - FIRST_KIND, known, in_place=True, num_bands=head.num_bands)
            _require_no_empty_blocks(known, state)
        except BaseException:  # the lower levels go on without this one
            forget_unfinished(known)
            raise
        layer = DetailLevel(self.kind, state, head.psnr_halves, head.num_bands)
        for other in before.layers:
            if isinstance(other, DetailLevel):
                other.share(state)
        return layer


DETAIL_LEVELS = tuple(DetailCoder(kind - FIRST_KIND) for kind in DETAIL_KINDS)


def _kinds_in(steering: Steering) -> tuple[int, ...]:
    return tuple(layer.kind for layer in (steering.importance, steering.regions) if layer is not None)


def _start(before: DecodedLayers, kinds: tuple[int, ...]) -> DetailState:
    """Return what is known before the first level of a file whose layers of some kinds steer."""
    if before.color is None:
        raise ValueError("`before` must have the color map, which detail is built on")
    importance = before.layer(ImportanceLayer) if IMPORTANCE_KIND in kinds else None
    regions = before.layer(RegionsLayer) if REGIONS_KIND in kinds else None
    steering = None
    if importance is not None or regions is not None:
        steering = Steering(before.height, before.width, importance, regions)
    return nothing_known(before.height, before.width, before.color.color_map, steering)


def _highest(before: DecodedLayers) -> DetailLevel | None:
    """Return the level that the next one is built on."""
    return next((layer for layer in reversed(before.layers) if isinstance(layer, DetailLevel)), None)


def _thaw(state: DetailState) -> None:
    """Let the arrays of a state be refined in place."""
    for band in state.bands:
        for array in (band.values, band.active):
            if array is not None:
                array.flags.writeable = True


def _require_no_empty_blocks(before: DetailState, after: DetailState) -> None:
    """Reject what decodes, but to coefficients that an encoder writes otherwise."""
    for old, new in zip(before.bands, after.bands, strict=True):
        if new.values is None or new.planes == old.planes:
            continue
        if new.active is None or not new.active.any() or not np.array_equal(new.active, active_blocks(new.values)):
            raise CorruptSectionError("A detail level speaks of coefficients where it has none")
