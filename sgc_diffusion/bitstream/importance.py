"""The importance layer

Kind 1: a level from 0 to 3 for each cell of a grid over the picture.

| size | type | meaning |
|---|---|---|
| 1 | u8 | the strength, 0 … 3 |
| 1–2 | sides | rows and columns of the grid, each 1 … 64 |
| … | bytes | a stream of the range coder, to the end of the body |

The stream holds three masks (section "Masks"): the cells of level 1 and more; within these, those of level 2 and more;
within these, those of level 3. The tables are the three rows of `importance` in `sgc_diffusion/bitstream/masks.npz`.
"""

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.fields import Reader, sides
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.bitstream.mask_stream import NUM_CONTEXTS, read_mask, write_mask
from sgc_diffusion.bitstream.range_coder import RangeDecoder, RangeEncoder
from sgc_diffusion.bitstream.tables import table_list
from sgc_diffusion.payload.importance import (
    IMPORTANCE_KIND,
    MAX_IMPORTANCE_SIDE,
    MAX_STRENGTH,
    NUM_IMPORTANCE_LEVELS,
    ImportanceLayer,
)


class ImportanceCoder(LayerCoder[ImportanceLayer]):
    """Writes and reads how much each cell matters."""

    name = "importance"
    kind = IMPORTANCE_KIND
    layer_class = ImportanceLayer
    table_file = "masks"

    def encode(self, layer: ImportanceLayer, before: DecodedLayers) -> bytes:
        """Write the strength, the size of the grid, and a mask for each level."""
        encoder, within = RangeEncoder(), None
        for level in range(1, NUM_IMPORTANCE_LEVELS):
            mask = layer.levels >= level
            write_mask(encoder, mask, _table(level), within)
            within = mask
        return bytes([layer.strength]) + sides(*layer.levels.shape) + encoder.finish()

    def decode(self, body: bytes, before: DecodedLayers) -> ImportanceLayer:
        """Read what `encode` wrote."""
        reader = Reader(body)
        strength = reader.integer(1, "strength")
        if strength > MAX_STRENGTH:
            raise CorruptSectionError(f"The strength of the importance is {strength}, more than {MAX_STRENGTH}")
        height, width = reader.sides("importance grid", MAX_IMPORTANCE_SIDE)
        decoder, within = RangeDecoder(body[reader.position :]), None
        levels = np.zeros((height, width), dtype=np.uint8)
        for level in range(1, NUM_IMPORTANCE_LEVELS):
            within = read_mask(decoder, height, width, _table(level), within)
            levels += within
        decoder.finish()
        return ImportanceLayer(levels, strength)


def _table(level: int) -> list[int]:
    """Return the table of the mask of a level and more."""
    return table_list("masks", "importance")[(level - 1) * NUM_CONTEXTS : level * NUM_CONTEXTS]
