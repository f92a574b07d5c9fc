"""The label layer ↔ bytes."""

from __future__ import annotations

from sgc_diffusion import taxonomy
from sgc_diffusion.bitstream.errors import CorruptSectionError, UnsupportedVersionError
from sgc_diffusion.bitstream.fields import Reader, sides
from sgc_diffusion.bitstream.label_stream import decode_labels, encode_labels
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload import MAX_GRID_CELLS, MAX_GRID_SIDE, LabelLayer


class LabelCoder(LayerCoder[LabelLayer]):
    """Writes and reads the map of class ids."""

    name = "labels"
    layer_class = LabelLayer
    table_file = "labels"

    def encode(self, layer: LabelLayer, before: DecodedLayers) -> bytes:
        """Write the label set, the size of the grid and the label stream."""
        label_set = layer.taxonomy
        head = bytes([label_set.number]) + sides(*layer.label_map.shape)
        return head + encode_labels(layer.label_map, label_set.name)

    def decode(self, body: bytes, before: DecodedLayers) -> LabelLayer:
        """Read what `encode` wrote."""
        reader = Reader(body)
        number = reader.integer(1, "taxonomy")
        try:
            name = taxonomy.taxonomy_name(number)
        except ValueError as error:
            raise UnsupportedVersionError(str(error)) from error
        height, width = reader.sides("label grid", MAX_GRID_SIDE)
        if height * width > MAX_GRID_CELLS:
            raise CorruptSectionError(f"The label grid {height} x {width} has more than {MAX_GRID_CELLS} cells")
        return LabelLayer(decode_labels(body[reader.position :], height, width, name), name)
