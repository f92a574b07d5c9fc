"""Round trips and rejects of whole files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload


def make_payload(seed=0, grid=(16, 16), color_grid=(8, 8), quality=34, width=512, height=512, blocks=4, recipe=None):
    generator = np.random.default_rng(seed)
    label_map = generator.integers(0, 24, (blocks, blocks), dtype=np.uint8)
    label_map = label_map[np.arange(grid[0]) * blocks // grid[0]][:, np.arange(grid[1]) * blocks // grid[1]]
    color_map = generator.integers(0, 256, (*color_grid, 3), dtype=np.uint8)
    labels, color = LabelLayer(label_map, "landscape-24"), ColorLayer.from_color_map(color_map, quality)
    return SemanticPayload(width, height, labels, color, recipe or DecoderRecipe())


sides = st.integers(1, 20)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 63), st.integers(1, 20)
)
def test_every_payload_survives(seed, grid, color_grid, quality, blocks):
    payload = make_payload(seed, grid, color_grid, quality, blocks=blocks)
    data = bitstream.encode(payload)
    assert bitstream.decode(data) == payload
    assert bitstream.encode(bitstream.decode(data)) == data


def test_every_recipe_field_survives():
    recipe = DecoderRecipe("controlnet-seg", 65535, "ddim", 1000, 0.29, 7.3, 40000)
    payload = make_payload(recipe=recipe, width=2**20, height=1)
    assert bitstream.decode(bitstream.encode(payload)).recipe == recipe


def test_overhead_is_at_most_16_bytes():
    summary = bitstream.inspect(bitstream.encode(make_payload(width=1023, height=767)))
    assert summary.header_bytes <= 13
    assert summary.is_intact


@pytest.mark.parametrize("length", range(60))
def test_truncated_file_is_rejected(length):
    data = bitstream.encode(make_payload())
    with pytest.raises(bitstream.TruncatedStreamError):
        bitstream.decode(data[:length])


def test_any_changed_byte_is_rejected():
    data = bitstream.encode(make_payload())
    for index in range(len(data)):
        with pytest.raises(bitstream.BitstreamError):
            bitstream.decode(data[:index] + bytes([data[index] ^ 0x55]) + data[index + 1 :])
