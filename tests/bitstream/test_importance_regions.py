"""Importance and regions as layers of a file, and detail that they steer."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import detail_levels, layers
from sgc_diffusion.bitstream.container import write_layer
from sgc_diffusion.payload import (
    ColorLayer,
    DetailLevel,
    ImportanceLayer,
    LabelLayer,
    Region,
    RegionsLayer,
    SemanticPayload,
    Steering,
)
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state, likeness
from sgc_diffusion.payload.regions import FACE, UNNAMED

HEIGHT, WIDTH = 56, 80
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
PICTURE = np.clip(
    (110 + 60 * np.sin(ROWS / 9) * np.cos(COLUMNS / 14) + 50 * ((ROWS + COLUMNS) % 40 > 20))[..., None]
    + np.random.default_rng(0).normal(0, 3, (HEIGHT, WIDTH, 3)),
    0,
    255,
).astype(np.uint8)
PLAIN = SemanticPayload(
    WIDTH,
    HEIGHT,
    LabelLayer(np.zeros((3, 4), np.uint8), "landscape-24"),
    ColorLayer.from_color_map(PICTURE[::15, ::15].copy(), 32),
)


def disk(exponent=5, rows=12, class_id=UNNAMED, top=2, left=3):
    y, x = np.mgrid[:rows, :rows] - (rows - 1) / 2
    return Region(exponent, top, left, y * y + x * x <= rows * rows / 4, class_id, score=9)


IMPORTANCE = ImportanceLayer(np.add.outer(np.arange(7), np.arange(10)) // 3 % 4, strength=1)
REGIONS = RegionsLayer((disk(), Region(6, 20, 30, np.ones((15, 20), bool), FACE)))


def steered(*levels, importance=None, regions=None):
    state = exact_state(PICTURE, PLAIN.color_map, Steering(HEIGHT, WIDTH, importance, regions))
    steering = [layer for layer in (importance, regions) if layer is not None]
    return replace(PLAIN, layers=(*steering, *(DetailLevel(FIRST_KIND + level, state) for level in levels)))


def quietly_decoded(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return bitstream.decode(data), [str(entry.message) for entry in caught]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 18), st.integers(1, 18), st.integers(0, 3), st.integers(0, 9**9))
def test_importance_survives(rows, columns, strength, seed):
    levels = np.random.default_rng(seed).integers(0, 4, (rows, columns))
    payload = replace(PLAIN, layers=(ImportanceLayer(levels, strength),))
    data = bitstream.encode(payload)
    assert bitstream.decode(data, strict=True) == payload and bitstream.encode(bitstream.decode(data)) == data


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_regions_survive(data):
    regions = []
    for _ in range(data.draw(st.integers(1, 5))):
        exponent = data.draw(st.integers(3, 6))
        top, left = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))
        shape = data.draw(st.integers(1, 2**exponent // 2 - 2)), data.draw(st.integers(1, 2**exponent - 3))
        mask = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape) < data.draw(st.sampled_from((0.3, 1)))
        mask[0, 0] = mask[-1, -1] = True
        class_id = data.draw(st.sampled_from((0, 23, 253, 254, 255)))
        regions.append(Region(exponent, top, left, mask, class_id, data.draw(st.integers(0, 15))))
    inner = tuple(sorted(data.draw(st.tuples(*[st.integers(0, 15)] * 3))))
    payload = replace(PLAIN, layers=(RegionsLayer(regions, inner),))
    content = bitstream.encode(payload)
    assert bitstream.decode(content, strict=True) == payload
    assert bitstream.encode(bitstream.decode(content)) == content


@pytest.mark.parametrize(
    "steering",
    [
        {"importance": IMPORTANCE},
        {"regions": REGIONS},
        {"importance": IMPORTANCE, "regions": RegionsLayer(REGIONS.regions, (3, 5, 9))},
    ],
    ids=["importance", "regions", "both"],
)
@pytest.mark.parametrize("levels", [[0, 1, 2, 3, 6, 9, 15], [2], [0, 1, 4, 9], [15]], ids=str)
def test_steered_detail_survives(steering, levels):
    payload = steered(*levels, **steering)
    data = bitstream.encode(payload)
    decoded = bitstream.decode(data, strict=True)
    assert decoded == payload and bitstream.encode(decoded) == data
    assert np.array_equal(likeness(decoded.layers[-1].state), likeness(payload.layers[-1].state))


def test_three_levels_make_regions_exact():
    whole = steered(0, 1, 2, 3, 15, regions=REGIONS)
    data = bitstream.encode(whole)
    decoded = bitstream.decode(bitstream.thin(data, num_levels=3), strict=True)
    inside = REGIONS.pixels(HEIGHT, WIDTH)
    picture = likeness(decoded.layers[-1].state)
    assert np.array_equal(picture[inside], PICTURE[inside]) and not np.array_equal(picture, PICTURE)
    assert np.array_equal(likeness(bitstream.decode(data).layers[-1].state), PICTURE)
    sizes = bitstream.inspect(data).layer_bytes
    assert sum(sizes[f"detail {level}"] for level in range(3)) < 0.55 * sum(sizes.values())  # and a border around them


def test_detail_without_what_steers_it_is_left_out():
    data = bitstream.encode(steered(3, 6, importance=IMPORTANCE))
    assert bitstream.thin(data, drop={1}) == bitstream.encode(PLAIN)
    start = len(bitstream.encode(PLAIN))
    damaged = bytearray(data)
    damaged[start + 5] ^= 1  # in the importance
    payload, messages = quietly_decoded(bytes(damaged))
    assert payload == PLAIN and "built on layer type 1, which is not there" in messages[0]
    other = bitstream.encode(replace(PLAIN, layers=(ImportanceLayer(3 - IMPORTANCE.levels),)))
    detail = data[start + bitstream.inspect(data).layer_bytes["importance"] :]
    assert bitstream.decode(data) == steered(3, 6, importance=IMPORTANCE)
    quietly_decoded(other + detail)  # another importance: other numbers or an error of the family, never a crash


def test_detail_may_lie_beside_layers_that_do_not_steer_it():
    state = exact_state(PICTURE, PLAIN.color_map)
    payload = replace(PLAIN, layers=(IMPORTANCE, DetailLevel(FIRST_KIND + 4, state)))
    assert bitstream.decode(bitstream.encode(payload), strict=True) == payload
    alone = bitstream.encode(replace(PLAIN, layers=payload.layers[1:]))
    assert bitstream.encode(payload).endswith(alone[len(bitstream.encode(PLAIN)) :])


def test_detail_steered_by_another_layer_is_not_written():
    payload = steered(4, importance=IMPORTANCE)
    for others in ((), (ImportanceLayer(np.zeros((2, 2), int)),)):
        with pytest.raises(ValueError, match="`layers` must hold the importance and regions that steer detail 4"):
            bitstream.encode(replace(payload, layers=(*others, payload.layers[-1])))


def test_regions_that_do_not_fit_are_not_written():
    for region, message in ((disk(class_id=24), "classes of the payload's taxonomy"), (disk(4, 9, top=5), "inside")):
        with pytest.raises(ValueError, match=message):
            bitstream.encode(replace(PLAIN, layers=(RegionsLayer((region,)),)))


@pytest.mark.parametrize("names", [0, 4, 8, 255])
def test_bytes_that_name_no_layer_are_rejected(names):
    payload = steered(4, importance=IMPORTANCE, regions=REGIONS)
    coder = detail_levels.DETAIL_LEVELS[4]
    before = bitstream.DecodedLayers(WIDTH, HEIGHT, PLAIN.labels, PLAIN.color, payload.layers[:2])
    body = bytearray(coder.encode(payload.layers[-1], before))
    assert coder.decode(bytes(body), before) == payload.layers[-1] and body[:2] == b"\x0f\x03"
    body[1] = names
    with pytest.raises(bitstream.BitstreamError):
        coder.decode(bytes(body), before)


def test_levels_of_a_file_are_steered_alike():
    payload = steered(4, importance=IMPORTANCE)
    coder = detail_levels.DETAIL_LEVELS[9]
    unsteered = replace(PLAIN, layers=(DetailLevel(FIRST_KIND + 4, exact_state(PICTURE, PLAIN.color_map)),))
    before = bitstream.DecodedLayers(WIDTH, HEIGHT, PLAIN.labels, PLAIN.color, (IMPORTANCE, *unsteered.layers))
    body = coder.encode(steered(4, 9, importance=IMPORTANCE).layers[-1], replace(before, layers=payload.layers))
    with pytest.raises(bitstream.CorruptSectionError, match="steered by other layers"):
        coder.decode(body, before)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from((1, 2)), st.binary(max_size=60))
def test_any_bytes_are_read_or_rejected(kind, body):
    coder = layers.optional_coder(kind)
    before = bitstream.DecodedLayers(WIDTH, HEIGHT, PLAIN.labels, PLAIN.color)
    try:
        layer = coder.decode(body, before)
    except bitstream.BitstreamError:
        return
    assert coder.encode(layer, before) == body


def test_masks_cost_what_they_should():
    plain = len(bitstream.encode(PLAIN))
    cost = [
        len(bitstream.encode(replace(PLAIN, layers=(RegionsLayer((disk(rows=size),)),)))) - plain for size in (10, 15)
    ]
    assert max(cost) <= 22  # frame and checksum take four of them
    box = RegionsLayer((Region(10, 100, 100, np.ones((500, 700), bool)),))
    assert len(bitstream.encode(replace(PLAIN, layers=(box,)))) - plain <= 16


def test_a_few_bytes_that_steer_a_huge_picture_cost_little():
    huge = replace(PLAIN, width=60_000, height=60_000, layers=(IMPORTANCE,))
    data = bitstream.encode(huge) + write_layer(FIRST_KIND + 15, b"\x0f\x01" + bytes([0]) + b"\x00\x01\x00\x00" * 9)
    payload, messages = quietly_decoded(data)
    assert payload == huge and messages
