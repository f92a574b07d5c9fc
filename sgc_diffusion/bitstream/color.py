"""The color layer

| size | type | meaning |
|---|---|---|
| 1 | u8 | quality, 0 … 63 |
| 1–3 | sides | rows and columns of the color map, each 1 … 64 |
| … | bytes | the color stream, from the range coder, to the end of the body |

The stream holds the levels l(u, v, c) of the frequencies u < rows and v < columns and the channels c = 0, 1, 2, with
−32767 ≤ l ≤ 32767; what they mean is in section "What the color levels mean". A level outside of the grid (u < 0 or
v < 0) is 0 wherever it is used.

**The scale** of a level, how large it should be, is S(u, v, c) = min(max(⌊E / 2⌋ + 20, 0), 48) with

    E = color_scale[min(u, 15)][min(v, 15)][c] + 2 · ⌊log2((rows · columns)²)⌋ − 32 − F − 8 − quality

where F is how many of 16 17 19 20 22 24 26 28 30 32 35 38 41 44 48 51 56 60 are reached by max(u, v).

**First, the last diagonals.** T(c) is the largest u + v for which channel c has a level other than 0, or 0 if it has
none. For each channel c in turn, for t = 0, 1, … rows + columns − 3: a decision says whether T(c) > t, with
z = color_last[3 · S + c], S that of channel c at

    u = min(⌊(t + 1) / 2⌋, rows − 1)
    v = min(t − min(⌊t / 2⌋, rows − 1), columns − 1)

The first 0 ends it. After only 1s, T(c) = rows + columns − 2. A reader MUST reject a stream that gives a T(c) > 0 on
whose diagonal all levels turn out to be 0.

**Then the levels**, by diagonals t = u + v = 0, 1, 2, …; within a diagonal by rising u; for each (u, v) by channels c,
those with T(c) ≥ t. Each level l:

1. A decision of size j = 0: is l ≠ 0? After a 0 the level is done.
2. A decision of sign: is l < 0?
3. A decision of size j = 1: is |l| > 1? After a 0 the level is done.
4. A decision of size j = 2: is |l| > 2? After a 0 the level is done.
5. The rest n = |l| − 2 ≥ 1 by an Elias gamma code. Let x = ⌊log2 n⌋. For i = 0, 1, …: a decision says whether x > i,
   with z = color_exponent[49 · min(i, 9) + S]; the first 0 ends it; x is at most 14. Then come the x bits of n below
   the leading one, from the top: the first with z = color_mantissa[min(x, 9)], the others with p = 32768.

**A decision of size j** has z =

      color_energy[j][3 · (13 · S + e) + c]
    + color_shape[j][3 · (16 · (16 · U + 4 · L + D) + o) + c]
    + color_activity[j][3 · (49 · A + S) + c]
    + color_ending[j][3 · (13 · min(T(c) − t, 7) + e) + c]

with, all levels l being of channel c unless said otherwise,

- U, L, D = |l| at (u−1, v), (u, v−1), (u−1, v−1), each at most 3.
- e: how many of 1 2 3 4 5 6 8 10 13 17 23 33 are reached by the sum 2 · (u−1, v) + 2 · (u, v−1) + (u−1, v−1)
  + (u−2, v) + (u, v−2), where (·, ·) stands for |l| there, at most 15.
- o: 0 for c = 0; min(|l(u, v, 0)|, 3) for c = 1; for c = 2 the same plus 4 · min(|l(u, v, 1)|, 3).
- A: how many of 6 8 10 13 15 18 21 26 34 are reached by ⌊16 · (x + 48) / (y + 48)⌋. The sums go over all levels of
  the diagonals 1 … t − 1 in all three channels, those that ended before included: x is the sum of
  16 · min(|l|, 8), y the sum of color_expected[S].

**A decision of sign** has z =

      color_sign_place[0][3 · (8 · min(u, 7) + min(v, 7)) + c]
    + color_sign_other[0][3 · (9 · k + w) + c]
    + color_sign_near[0][81 · k + 40 + 27 · s(u−1, v) + 9 · s(u−2, v) + 3 · s(u, v−1) + s(u, v−2)]

with

- s = −1, 0 or 1, the sign of the level of channel c there.
- k = 0, plus 2 if u = 0, plus 1 if v = 0.
- w = 4; for c > 0 plus 3 times the sign of l(u, v, 0); for c = 2 plus the sign of l(u, v, 1).
"""

from __future__ import annotations

from sgc_diffusion.bitstream.color_stream import decode_color, encode_color
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.fields import Reader, sides
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload import ColorLayer
from sgc_diffusion.payload.color_transform import MAX_SIDE, STEPS


class ColorCoder(LayerCoder[ColorLayer]):
    """Writes and reads the coarse color map."""

    name = "color"
    layer_class = ColorLayer
    table_file = "color"

    def encode(self, layer: ColorLayer, before: DecodedLayers) -> bytes:
        """Write the quality, the size of the grid and the color stream."""
        head = bytes([layer.quality]) + sides(*layer.levels.shape[:2])
        return head + encode_color(layer.levels, layer.quality)

    def decode(self, body: bytes, before: DecodedLayers) -> ColorLayer:
        """Read what `encode` wrote."""
        reader = Reader(body)
        quality = reader.integer(1, "color quality")
        if quality >= len(STEPS):
            raise CorruptSectionError(f"The color quality {quality} is not below {len(STEPS)}")
        height, width = reader.sides("color grid", MAX_SIDE)
        return ColorLayer(decode_color(body[reader.position :], height, width, quality), quality)
