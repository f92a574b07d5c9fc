"""Alpha, ICC profile and EXIF data as layers of a file: by value, small, hostile, thinned."""

import io
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import DecodedLayers, fields
from sgc_diffusion.bitstream.alpha import AlphaCoder
from sgc_diffusion.bitstream.alpha_questions import Writer
from sgc_diffusion.bitstream.container import write_layer
from sgc_diffusion.payload import (
    AlphaLayer,
    ColorLayer,
    DetailLevel,
    ExifLayer,
    IccProfileLayer,
    LabelLayer,
    SemanticPayload,
)
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state

CODER = AlphaCoder()
PROFILE = (200).to_bytes(4, "big") + bytes(12) + b"RGB " + bytes(16) + b"acsp" + bytes(160)
COLOR = ColorLayer(np.zeros((2, 2, 3), np.int16), 0)
PLAIN = SemanticPayload(50, 40, LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"), COLOR)


def size_of(levels, num_levels):
    """Code a map, see that it survives, and return the number of bytes."""
    before = DecodedLayers(levels.shape[1], levels.shape[0])
    body = CODER.encode(AlphaLayer(levels, num_levels), before)
    decoded = CODER.decode(body, before)
    assert decoded == AlphaLayer(levels, num_levels) and CODER.encode(decoded, before) == body
    return len(body)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from([2, 3, 5, 16, 200, 256]),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["noise", "blocks", "slope"]),
)
def test_maps_survive_by_value(shape, num_levels, seed, kind):
    generator = np.random.default_rng(seed)
    levels = generator.integers(0, num_levels, shape)
    if kind == "blocks":
        levels = levels[np.ix_(np.arange(shape[0]) // 9, np.arange(shape[1]) // 9)]
    if kind == "slope":
        levels = np.clip(np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 3 + levels % 4, 0, num_levels - 1)
    size_of(levels.astype(np.uint8), num_levels)


@pytest.mark.parametrize(("num_levels", "is_soft"), [(2, False), (256, True)])
def test_masks_take_fewer_bytes_than_webp(num_levels, is_soft):
    large = Image.new("L", (1024, 1024))
    ImageDraw.Draw(large).ellipse((100, 100, 700, 900), fill=255)
    ImageDraw.Draw(large).polygon([(300, 900), (900, 200), (1000, 1000)], fill=255)
    alpha = np.asarray(large.resize((256, 256), Image.Resampling.BOX))
    alpha = alpha if is_soft else (alpha > 127) * np.uint8(255)
    picture, stream = np.zeros((256, 256, 4), np.uint8), io.BytesIO()
    picture[..., 3] = alpha
    Image.fromarray(picture).save(stream, "webp", lossless=True, method=6)
    levels = alpha if is_soft else alpha // np.uint8(255)
    assert size_of(levels, num_levels) < 0.95 * len(stream.getvalue())


def test_alpha_in_a_file():
    levels = np.zeros((40, 50), np.uint8)
    levels[10:30, 20:] = 1
    payload = PLAIN.with_layers(AlphaLayer(levels, 2))
    data = bitstream.encode(payload)
    assert bitstream.decode(data, strict=True) == payload and len(data) < len(bitstream.encode(PLAIN)) + 60
    assert list(bitstream.inspect(data).layer_bytes) == ["labels", "color", "alpha"]
    with pytest.raises(ValueError, match="must be at most 40×49"):
        bitstream.encode(replace(payload, width=49))


def decoded_body(body, width=50, height=40):
    return CODER.decode(body, DecodedLayers(width, height))


def test_hostile_maps_are_rejected():
    body = CODER.encode(AlphaLayer(np.zeros((40, 50), np.uint8), 2), DecodedLayers(50, 40))
    for wrong in (b"", body[:1], body[:4], body[:-1], body + b"\0", b"\0" + body[1:], b"\1\2" + body[3:]):
        with pytest.raises(bitstream.BitstreamError):
            decoded_body(wrong)
    with pytest.raises(bitstream.CorruptSectionError, match="does not fit"):
        decoded_body(body, width=49)
    started = time.process_time()
    with pytest.raises(bitstream.BitstreamError):
        decoded_body(b"\1\xc0\xa9\x07" + body[3:], 60000, 60000)  # 60,000 × 60,000 in a few bytes
    assert time.process_time() - started < 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_maps_raise_nothing_else(data):
    levels = np.add.outer(np.arange(23), np.arange(31)).astype(np.uint8)
    body = bytearray(CODER.encode(AlphaLayer(levels), DecodedLayers(50, 40)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        layer = decoded_body(bytes(body))
    except bitstream.BitstreamError:
        return
    assert CODER.encode(layer, DecodedLayers(50, 40)) == bytes(body)


def test_metadata_is_kept_to_the_byte():
    payload = PLAIN.with_layers(IccProfileLayer(PROFILE), ExifLayer(b"MM\0*" + bytes(range(30))))
    data = bitstream.encode(payload)
    assert bitstream.decode(data, strict=True) == payload
    assert list(bitstream.inspect(data).layer_bytes)[2:] == ["ICC profile", "EXIF"]


@pytest.mark.parametrize("layer", [write_layer(24, PROFILE[:-1]), write_layer(25, b"JJ*\0"), write_layer(25, b"")])
def test_metadata_that_is_none_is_left_out(layer):
    with pytest.warns(bitstream.DamagedLayerWarning):
        assert bitstream.decode(bitstream.encode(PLAIN) + layer) == PLAIN


def test_the_profile_outlives_fine_detail_when_a_file_is_thinned():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    state = exact_state(pixels, COLOR.color_map)
    layers = [DetailLevel(FIRST_KIND + level, state) for level in (4, 6, 9, 15)]
    payload = PLAIN.with_layers(*layers, IccProfileLayer(PROFILE), ExifLayer(b"II*\0"))
    whole = bitstream.encode(payload)
    seen, data = [], whole
    while len(data) > len(bitstream.encode(PLAIN)):
        data = bitstream.thin(data, max_bytes=len(data) - 1)
        assert data == bitstream.thin(whole, max_bytes=len(data))
        seen.append([layer.kind for layer in bitstream.decode(data, strict=True).layers])
    assert seen == [[12, 14, 17, 23, 24], [12, 14, 17, 24], [12, 14, 24], [12, 24], [12], []]


@pytest.mark.parametrize("denies", [True, False])
def test_a_level_that_was_denied_is_rejected(denies):
    writer, place = Writer(2), np.array([256])
    writer.answer(np.array([2048], np.uint16), np.array([False]))  # the first cell is 0
    writer.ask("low", place, np.array([not denies]), place, np.array([15]))  # is the second?
    if denies:
        writer.ask("size", np.array([0]), np.array([False]))  # it differs by nothing from the 0 that is expected
    body = bytes([1]) + fields.sides(1, 2) + writer.encoder.finish()
    if not denies:
        assert decoded_body(body).levels.tolist() == [[0, 0]]
        return
    with pytest.raises(bitstream.CorruptSectionError, match="level that no encoder writes"):
        decoded_body(body)
