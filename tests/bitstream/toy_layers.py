"""Three small layers with coders of their own, built on each other, as another package would add them."""

from dataclasses import dataclass

from sgc_diffusion.bitstream import CorruptSectionError, LayerCoder, UnsupportedVersionError
from sgc_diffusion.payload import Layer


@dataclass(frozen=True, eq=False)
class Words(Layer):
    kind: int
    text: str


class WordsCoder(LayerCoder):
    """Stores text with the sum of the labels and the texts of the layers it is built on before it."""

    layer_class = Words

    def __init__(self, kind, built_on=(), is_critical=False):
        self.kind, self.built_on, self.is_critical = kind, built_on, is_critical
        self.name = f"words {kind}"

    def _start(self, before):
        seen = "".join(layer.text for layer in before.layers)
        return f"{before.width}x{before.height} {before.labels.label_map.sum()} {before.color.quality} {seen}|".encode()

    def encode(self, layer, before):
        return self._start(before) + layer.text.encode()

    def decode(self, body, before):
        if body[:1] == b"?":
            raise UnsupportedVersionError("words of a later version")
        start = self._start(before)
        if not body.startswith(start):
            raise CorruptSectionError("The words do not fit the picture")
        return Words(self.kind, body[len(start) :].decode())


CODERS = WordsCoder(43), WordsCoder(44, built_on=(43,)), WordsCoder(46, built_on=(44,)), WordsCoder(90)
