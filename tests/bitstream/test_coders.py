"""The coders on their own: lossless for any input, and close to the ideal code length."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion.bitstream.color_stream import decode_color, encode_color
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.label_stream import decode_labels, encode_labels
from sgc_diffusion.bitstream.range_coder import MAX_DROPPED, RangeDecoder, RangeEncoder
from sgc_diffusion.payload import LabelLayer
from sgc_diffusion.taxonomy import NUMBERS, load_taxonomy

sides = st.integers(1, 24)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 65535)), max_size=300))
def test_decisions_survive(decisions):
    encoder = RangeEncoder()
    for bit, probability in decisions:
        encoder.encode(int(bit), probability)
    data = encoder.finish()
    decoder = RangeDecoder(data)
    assert [decoder.decode(probability) for _, probability in decisions] == [bit for bit, _ in decisions]
    decoder.finish()
    ideal = -sum(math.log2((p if bit else 65536 - p) / 65536) for bit, p in decisions) / 8
    assert len(data) <= ideal + 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=40), max_size=60), st.randoms())
def test_symbols_survive(weights, random):
    chosen = [random.randrange(len(sizes)) for sizes in weights]
    encoder = RangeEncoder()
    for sizes, index in zip(weights, chosen, strict=True):
        encoder.narrow(sum(sizes[:index]), sizes[index], sum(sizes))
    decoder = RangeDecoder(encoder.finish())
    for sizes, index in zip(weights, chosen, strict=True):
        target = decoder.target(sum(sizes))
        assert sum(sizes[:index]) <= target < sum(sizes[: index + 1])
        decoder.narrow(sum(sizes[:index]), sizes[index], sum(sizes))
    decoder.finish()


def test_many_decisions_at_once_are_the_same_as_one_by_one():
    generator = np.random.default_rng(0)
    bits, chances = generator.integers(0, 2, 500).tolist(), generator.integers(1, 65536, 500).tolist()
    first, second = RangeEncoder(), RangeEncoder()
    first.encode_many(bits, chances)
    for bit, chance in zip(bits, chances, strict=True):
        second.encode(bit, chance)
    assert first.finish() == second.finish()


def test_every_other_stream_of_the_same_decisions_is_rejected():
    encoder = RangeEncoder()
    encoder.encode_many([1, 0, 0, 1] * 20, [30000] * 80)
    data = encoder.finish()
    for other in (data + b"\0", data + b"\1", data + b"\0\0\0\1"):
        decoder = RangeDecoder(other)
        for _ in range(80):
            decoder.decode(30000)
        with pytest.raises(CorruptSectionError):
            decoder.finish()


def test_a_stream_of_likely_decisions_keeps_its_zeros_but_16_and_survives():
    encoder = RangeEncoder()
    encoder.encode_many([1] * 300, [30000] * 300)  # low stays 0, so that every byte is zero
    data = encoder.finish()
    assert data == bytes(len(data)) and len(data) == 300 * math.log2(65536 / 30000) // 8 + 4 - MAX_DROPPED
    decoder = RangeDecoder(data)
    assert [decoder.decode(30000) for _ in range(300)] == [1] * 300
    decoder.finish()


@pytest.mark.parametrize(("code", "is_valid"), [(0xFFFEFFFF, True), (0xFFFF0000, False), (0xFFFFFFFE, False)])
def test_values_beyond_the_last_symbol_are_rejected(code, is_valid):
    """65536 symbols of weight 1 do not fill the first span: 65535 · 65536 = FFFF0000."""
    decoder = RangeDecoder(code.to_bytes(4, "big"))
    assert decoder.target(65536) == 65535
    if is_valid:
        decoder.narrow(65535, 1, 65536)
    else:
        with pytest.raises(CorruptSectionError, match="no encoder writes"):
            decoder.narrow(65535, 1, 65536)


@pytest.mark.parametrize(("code", "is_valid"), [(0xFFFFFFFE, True), (0xFFFFFFFF, False)])
def test_a_first_value_beyond_the_span_is_rejected(code, is_valid):
    if is_valid:
        RangeDecoder(code.to_bytes(4, "big"))
    else:
        with pytest.raises(CorruptSectionError, match="starts with a value that no encoder writes"):
            RangeDecoder(code.to_bytes(4, "big"))


def test_a_reader_does_not_go_on_long_after_the_end():
    decoder, num_decisions = RangeDecoder(b"\x12\x34"), 0
    with pytest.raises(CorruptSectionError, match="ends before its last symbol"):
        while num_decisions < 8 * (2 + MAX_DROPPED) + 32:
            decoder.decode(32768)
            num_decisions += 1


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(NUMBERS)), st.integers(0, 2**32 - 1), sides, sides, st.integers(1, 30), st.floats(0, 1))
def test_label_maps_survive(name, seed, height, width, num_labels, smoothness):
    """From noise to large regions; the encoder finds contexts at once and the decoder one by one."""
    generator = np.random.default_rng(seed)
    used = generator.integers(0, load_taxonomy(name).num_classes, num_labels)
    label_map = generator.choice(used, (height, width)).astype(np.uint8)
    for row in range(height):
        for column in range(width):
            if generator.random() < smoothness and (row or column):
                from_above = row and (not column or generator.random() < 0.5)
                label_map[row, column] = label_map[row - 1, column] if from_above else label_map[row, column - 1]
    data = encode_labels(label_map, name)
    assert np.array_equal(decode_labels(data, height, width, name), label_map)


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_map_of_every_class_survives(name):
    num_classes = load_taxonomy(name).num_classes
    label_map = np.random.default_rng(0).permutation(num_classes).astype(np.uint8)[None]
    assert np.array_equal(decode_labels(encode_labels(label_map, name), 1, num_classes, name), label_map)


def test_an_even_map_takes_no_more_than_five_bytes_and_no_time():
    label_map = np.full((128, 128), 23, np.uint8)
    data = encode_labels(label_map, "landscape-24")
    assert len(data) <= 5
    assert np.array_equal(decode_labels(data, 128, 128, "landscape-24"), label_map)


def test_too_many_cells_are_rejected():
    with pytest.raises(ValueError, match="`label_map` must have at most 16384 cells"):
        LabelLayer(np.zeros((129, 128), np.uint8), "landscape-24")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), sides, sides, st.integers(0, 63), st.sampled_from([0.3, 2, 50, 20000]))
def test_levels_survive(seed, height, width, quality, size):
    generator = np.random.default_rng(seed)
    falloff = 1 + np.add.outer(np.arange(height), np.arange(width))[..., None]
    levels = np.clip(generator.laplace(0, size, (height, width, 3)) / falloff, -32767, 32767).round().astype(np.int16)
    data = encode_color(levels, quality)
    assert np.array_equal(decode_color(data, height, width, quality), levels)


@pytest.mark.parametrize("shape", [(1, 1, 3), (20, 20, 3), (1, 64, 3), (64, 1, 3)])
@pytest.mark.parametrize("value", [0, 1, -32767, 32767])
def test_extreme_levels_survive(shape, value):
    levels = np.full(shape, value, np.int16)
    assert np.array_equal(decode_color(encode_color(levels, 63), *shape[:2], 63), levels)


@pytest.mark.parametrize("level", [-32768, 32768, 2**31])
def test_level_out_of_range_is_rejected(level):
    with pytest.raises(ValueError, match=f"`levels` must be from -32767 to 32767, got {level}"):
        encode_color(np.full((1, 1, 3), level, np.int64), 0)


def test_ids_do_not_wrap_in_the_coder():
    label_map = np.array([[1, 1, 1], [1, 257, 1]], np.int64)  # 257 is 1 as uint8
    with pytest.raises(IndexError):
        encode_labels(label_map, "landscape-24")
    wide = np.array([[1, 2, 5], [7, 7, 1]], np.int64)
    assert encode_labels(wide, "landscape-24") == encode_labels(wide.astype(np.uint8), "landscape-24")
