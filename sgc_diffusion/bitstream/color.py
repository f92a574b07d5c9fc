"""The color layer ↔ bytes."""

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
