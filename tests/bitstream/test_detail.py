"""Detail levels: exact at the last, decodable after each, canonical, and bounded for hostile bytes."""

import hashlib
import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion.bitstream import detail
from sgc_diffusion.bitstream.detail_probability import load_detail_tables
from sgc_diffusion.bitstream.errors import BitstreamError, CorruptSectionError
from sgc_diffusion.bitstream.rans import RansDecoder, RansEncoder, lanes_log2
from sgc_diffusion.payload.detail import likeness, nothing_known

TABLES_DIGEST = "492015339bf56861"
BODY_DIGESTS = ["988849d8677d89c5", "b6a40a34821198a3", "e5d88f184a1ae671"]


def drawn(height, width, seed=0):
    """A picture with edges, texture and noise, and its color map."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    luma = 110 + 60 * np.sin(rows / 9) * np.cos(columns / 14) + 50 * ((rows + columns) % 40 > 20)
    picture = luma[..., None] + np.stack([rows * 0.2, 0 * rows, columns * 0.3], axis=-1)
    picture = np.clip(picture + generator.normal(0, 2, (height, width, 3)), 0, 255).astype(np.uint8)
    return picture, picture[:: -(-height // 4), :: -(-width // 4)].copy()


def decoded(bodies, levels, height, width, color_map):
    state = nothing_known(height, width, color_map)
    for body, level in zip(bodies, levels, strict=True):
        state = detail.decode_level(body, level, state)
    return state


def error(first, second):
    return float(((first.astype(float) - second) ** 2).mean())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(1, 4095)), max_size=200), max_size=8))
def test_batches_of_decisions_survive(batches):
    arrays = [(np.array([b for b, _ in part], bool), np.array([p for _, p in part], np.uint16)) for part in batches]
    encoder = RansEncoder()
    for bits, probabilities in arrays:
        encoder.encode(bits, probabilities)
    decoder = RansDecoder(encoder.finish())
    for bits, probabilities in arrays:
        assert np.array_equal(decoder.decode(probabilities), bits)
    decoder.finish()


@pytest.mark.parametrize("num_decisions", [90, 20_000, 200_000])
def test_a_stream_is_close_to_the_ideal_length_and_no_other_is_taken(num_decisions):
    generator = np.random.default_rng(num_decisions)
    probabilities = np.clip(4096 * generator.beta(0.5, 0.5, num_decisions), 1, 4095).astype(np.uint16)
    bits = generator.random(num_decisions) < probabilities / 4096
    encoder = RansEncoder()
    encoder.encode(bits, probabilities)
    data = encoder.finish()
    ideal = -np.log2(np.where(bits, probabilities, 4096 - probabilities) / 4096).sum() / 8
    assert len(data) <= 1.005 * ideal + 2 + 4 * (1 << lanes_log2(num_decisions))
    for other in (data + b"\0\0", data[:-2], bytes([data[0] + 1]) + data[1:], data[:1] + b"\0\0" + data[3:]):
        with pytest.raises(CorruptSectionError):
            decoder = RansDecoder(other)
            decoder.decode(probabilities)
            decoder.finish()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 3), (16, 16), (61, 90), (128, 128)])
def test_every_level_decodes_and_the_last_is_exact(size):
    picture, color_map = drawn(*size)
    bodies = detail.encode_levels(picture, color_map)
    state, errors = nothing_known(*size, color_map), []
    for level, body in enumerate(bodies):
        state = detail.decode_level(body, level, state)
        errors.append(error(likeness(state), picture))
    assert errors[-1] == 0
    assert all(later <= 1.02 * earlier for earlier, later in pairwise(errors[3:]))


@pytest.mark.parametrize("levels", [[15], [0, 15], [3, 7, 8, 15], [6]])
def test_levels_may_be_left_out(levels):
    picture, color_map = drawn(70, 50)
    bodies = detail.encode_levels(picture, color_map, levels)
    all_bodies = detail.encode_levels(picture, color_map, range(levels[-1] + 1))
    state = decoded(bodies, levels, 70, 50, color_map)
    other = decoded(all_bodies, range(levels[-1] + 1), 70, 50, color_map)
    assert np.array_equal(likeness(state), likeness(other))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 255]))
def test_noise_survives(height, width, seed, amplitude):
    generator = np.random.default_rng(seed)
    picture = generator.integers(0, amplitude + 1, (height, width, 3)).astype(np.uint8)
    color_map = generator.integers(0, 256, (3, 2, 3)).astype(np.uint8)
    state = decoded(detail.encode_levels(picture, color_map, [5, 15]), [5, 15], height, width, color_map)
    assert np.array_equal(likeness(state), picture)


def test_grey_costs_no_chroma():
    picture, _ = drawn(128, 128)
    grey = picture[..., :1].repeat(3, axis=2)
    flat = np.full((2, 2, 3), 128, np.uint8)
    [body] = detail.encode_levels(grey, flat, [15])
    state = detail.decode_level(body, 15, nothing_known(128, 128, flat))
    assert all(band.values is None for band in state.bands if band.channel)


def test_decoding_leaves_the_earlier_state_as_it_was():
    picture, color_map = drawn(64, 64)
    first, second = detail.encode_levels(picture, color_map, [6, 15])
    before = detail.decode_level(first, 6, nothing_known(64, 64, color_map))
    picture_before = likeness(before)
    detail.decode_level(second, 15, before)
    assert np.array_equal(likeness(before), picture_before)


def test_mutated_levels_raise_or_are_canonical():
    picture, color_map = drawn(20, 29)
    levels = [4, 8, 15]
    bodies = detail.encode_levels(picture, color_map, levels)
    states = [nothing_known(20, 29, color_map)]
    for body, level in zip(bodies, levels, strict=True):
        states.append(detail.decode_level(body, level, states[-1]))
    generator = np.random.default_rng(0)
    for _ in range(200):
        index = generator.integers(3)
        body = bytearray(bodies[index])
        for _ in range(generator.integers(1, 4)):
            body[generator.integers(len(body))] = generator.integers(256)
        if generator.random() < 0.2:
            body = body[: generator.integers(len(body) + 1)]
        try:
            after = detail.decode_level(bytes(body), levels[index], states[index])
        except BitstreamError:
            continue
        assert detail.encode_level(after, levels[index], states[index]) == bytes(body)


def test_few_bytes_for_a_huge_picture_cost_little():
    before = nothing_known(4000, 4000, np.zeros((16, 16, 3), np.uint8))
    generator = np.random.default_rng(0)
    tracemalloc.start()
    start = time.perf_counter()
    for _ in range(20):
        body = bytes([0]) + generator.integers(1, 256, 24, dtype=np.uint8).tobytes()
        with pytest.raises(BitstreamError):
            detail.decode_level(body, 15, before)
    assert time.perf_counter() - start < 5
    assert tracemalloc.get_traced_memory()[1] < 120e6
    tracemalloc.stop()


@pytest.mark.parametrize("levels", [[3, 2], [1, 1], [16], [-1]])
def test_wrong_levels_are_rejected(levels):
    with pytest.raises(ValueError, match="`levels` must rise"):
        detail.encode_levels(*drawn(16, 16), levels)


def test_tables_and_a_level_are_pinned():
    """The tables are part of the file format: if this fails, files of this version cannot be read any more."""
    digest = hashlib.sha256()
    for name, table in sorted(load_detail_tables().items()):
        digest.update(name.encode() + table.tobytes())
    assert digest.hexdigest()[:16] == TABLES_DIGEST
    rows, columns = np.mgrid[:40, :56]
    picture = np.stack([rows * 5 + columns, columns * 4 ^ rows, rows * columns & 255], axis=-1).astype(np.uint8)
    bodies = detail.encode_levels(picture, picture[::10, ::14].copy(), [5, 9, 15])
    assert [hashlib.sha256(body).hexdigest()[:16] for body in bodies] == BODY_DIGESTS
