"""How the codec grows: a layer and a decoder family that the package does not know, through its public registries."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from sgc_diffusion import BitstreamError, ColorLayer, LabelLayer, SemanticPayload, bitstream
from sgc_diffusion.bitstream import CorruptSectionError, LayerCoder, layers
from sgc_diffusion.payload import Layer
from sgc_diffusion.pipeline import SemanticCompressionPipeline
from sgc_diffusion.synthesis.conditioning import upsample_color
from sgc_diffusion.zoo import families


@dataclass(frozen=True, eq=False)
class BrightnessLayer(Layer):
    """How much brighter than the color map the picture is drawn, in gray levels."""

    level: int
    kind = 100

    def __post_init__(self):
        if not 0 <= self.level <= 255:
            raise ValueError(f"`level` must be from 0 to 255, got {self.level}")


class BrightnessCoder(LayerCoder):
    """The level beyond the label of the first cell, in one byte."""

    name, kind, layer_class = "brightness", BrightnessLayer.kind, BrightnessLayer

    def encode(self, layer, before):
        return bytes([(layer.level - int(before.labels.label_map[0, 0])) % 256])

    def decode(self, body, before):
        if len(body) != 1:
            raise CorruptSectionError(f"The brightness takes one byte, got {len(body)}")
        return BrightnessLayer((body[0] + int(before.labels.label_map[0, 0])) % 256)


class FlatCompressionPipeline(SemanticCompressionPipeline):
    """Draws the enlarged color map, brighter by what the file says."""

    def __init__(
        self,
        segmenter=None,
        image_processor=None,
        taxonomy="landscape-24",
        profile="custom",
        preset="sdedit",
        segmenter_short_side=64,
        gain=1.0,
    ):
        super().__init__()
        self.register_modules(segmenter=segmenter, image_processor=image_processor)
        self.register_to_config(gain=gain)
        self.configure(taxonomy, profile, preset, segmenter_short_side)

    def draw(self, payloads, recipe, generators, observer):
        return torch.stack([self._draw_alone(payload) for payload in payloads])

    def _draw_alone(self, payload):
        layer = payload.layer(BrightnessLayer)
        colors = upsample_color(payload.color_map, payload.height, payload.width)
        texture = torch.linspace(-1, 1, payload.width) if payload.width % 2 else 0  # of no mean, so that it stays
        return colors + self.config.gain * (layer.level / 127.5 if layer else 0) * texture


@pytest.fixture()
def coder():
    with layers.registered(BrightnessCoder()):
        yield


@pytest.fixture()
def family():
    families.register_family("FlatCompressionPipeline", __name__)
    yield
    del families.FAMILIES["FlatCompressionPipeline"]


@pytest.fixture()
def payload():
    labels = LabelLayer(np.full((4, 4), 7, np.uint8), "landscape-24")
    color = ColorLayer.from_color_map(np.full((4, 4, 3), 128, np.uint8), quality=20)
    return SemanticPayload(33, 16, labels, color, layers=(BrightnessLayer(50),))


def test_a_new_layer_is_written_and_read(coder, payload):
    data = bitstream.encode(payload)
    assert bitstream.decode(data) == payload and data[-1] == 50 - 7
    assert bitstream.inspect(data).layer_bytes["brightness"] == 5
    without = replace(payload, layers=())
    assert bitstream.decode(bitstream.encode(without)) == without != payload


def test_a_version_without_the_layer_keeps_it(payload):
    with layers.registered(BrightnessCoder()):
        data = bitstream.encode(payload)
    older = bitstream.decode(data)
    assert bitstream.encode(older) == data and older.layer(BrightnessLayer) is None
    with layers.registered(BrightnessCoder()):
        assert bitstream.decode(bitstream.encode(older)).layer(BrightnessLayer) == BrightnessLayer(50)


def test_a_new_layer_rejects_with_the_errors_of_the_format(coder, payload):
    data = bytearray(bitstream.encode(payload))
    with pytest.warns(bitstream.DamagedLayerWarning, match="type 100"):
        data[-1] ^= 1
        assert bitstream.decode(bytes(data)).layers == ()
    with pytest.raises(BitstreamError):
        bitstream.decode(bytes(data), strict=True)


def test_a_new_family_draws_what_it_reads(family, coder, payload, tmp_path):
    pipeline = FlatCompressionPipeline(gain=2.0)
    pipeline.save_pretrained(tmp_path)
    loaded = SemanticCompressionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is FlatCompressionPipeline and loaded.config.gain == 2.0 and loaded.weights_hash == 0
    data = bitstream.encode(payload)
    bright = loaded.decompress(data, output_type="np").images[0]
    plain = loaded(replace(payload, layers=()), output_type="np").images[0]
    assert bright.shape == plain.shape == (16, 33, 3) and np.ptp(plain) < 0.02 < np.ptp(bright)
    image = loaded.decompress(data).images[0]
    assert image.size == (33, 16) and "not evidence" in image.info["Description"]


def test_a_family_without_latents_or_segmenter_says_so(family, payload):
    pipeline = FlatCompressionPipeline()
    with pytest.raises(ValueError, match="`output_type` latent: this pipeline has no latents"):
        pipeline(payload, output_type="latent")
    with pytest.raises(ValueError, match="`segmenter` is missing"):
        pipeline.compress(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="`enable_tiling`"):
        pipeline.enable_tiling()


def test_a_name_is_not_given_twice(family):
    with pytest.raises(ValueError, match="is taken by"):
        families.register_family("FlatCompressionPipeline", "another_module")
