"""Optional layers through the public registry: kept, damaged, unknown, built on others."""

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import layers as registry
from sgc_diffusion.bitstream.container import write_layer
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload, UnknownLayer

_spec = importlib.util.spec_from_file_location("toy_layers", Path(__file__).parent / "toy_layers.py")
toy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toy)
Words = toy.Words

PLAIN = SemanticPayload(
    320,
    200,
    LabelLayer(np.arange(12, dtype=np.uint8).reshape(3, 4), "landscape-24"),
    ColorLayer.from_color_map(np.full((4, 4, 3), 90, np.uint8), 32),
)
FULL = replace(PLAIN, layers=(Words(43, "three"), Words(44, "four"), Words(46, "six"), Words(90, "nine")))
BASE = bitstream.encode(PLAIN)


@pytest.fixture
def coders():
    with registry.registered(*toy.CODERS):
        yield


@pytest.fixture
def data(coders):
    return bitstream.encode(FULL)


def ends(data):
    """Where each layer of a file ends, the color layer first."""
    places = [len(BASE)]
    for name, size_bytes in bitstream.inspect(data).layer_bytes.items():
        if name not in ("labels", "color"):
            places.append(places[-1] + size_bytes)
    return places


def kinds(payload):
    return [layer.kind for layer in payload.layers]


def test_a_file_with_optional_layers_survives(data):
    assert data.startswith(BASE)
    assert bitstream.decode(data, strict=True) == FULL
    assert bitstream.encode(bitstream.decode(data)) == data
    summary = bitstream.inspect(data)
    assert list(summary.layer_bytes) == ["labels", "color", "words 43", "words 44", "words 46", "words 90"]
    assert summary.header_bytes + sum(summary.layer_bytes.values()) == len(data)
    assert (summary.unknown_layers, summary.damaged_layers, summary.is_intact) == ((), (), True)


def test_a_coder_sees_what_it_is_built_on_and_nothing_else(data):
    assert b"320x200 66 32 threefour|six" in data and b"320x200 66 32 |nine" in data


def test_layers_that_no_coder_knows_are_kept_as_they_stand():
    with registry.registered(*toy.CODERS):
        data = bitstream.encode(FULL)
    payload = bitstream.decode(data, strict=True)
    assert kinds(payload) == [43, 44, 46, 90] and all(isinstance(layer, UnknownLayer) for layer in payload.layers)
    assert bitstream.encode(payload) == data
    assert bitstream.inspect(data).unknown_layers == ("type 43", "type 44", "type 46", "type 90")
    assert bitstream.inspect(data).is_intact
    with registry.registered(*toy.CODERS):
        assert bitstream.decode(bitstream.encode(payload)) == FULL


@pytest.mark.parametrize(("index", "left"), [(0, [90]), (1, [43, 90]), (2, [43, 44, 90]), (3, [43, 44, 46])])
def test_a_damaged_layer_costs_itself_and_what_is_built_on_it(data, index, left):
    places = ends(data)
    broken = bytearray(data)
    broken[places[index + 1] - 1] ^= 1
    with pytest.warns(bitstream.DamagedLayerWarning, match=f"checksum of layer type {kinds(FULL)[index]} does not"):
        payload = bitstream.decode(bytes(broken))
    assert payload == replace(FULL, layers=tuple(layer for layer in FULL.layers if layer.kind in left))
    with pytest.raises(bitstream.CorruptSectionError, match="checksum"):
        bitstream.decode(bytes(broken), strict=True)
    summary = bitstream.inspect(bytes(broken))
    assert summary.is_intact is False and len(summary.damaged_layers) == 1
    assert summary.layer_bytes["damaged"] == places[index + 1] - places[index]
    assert summary.header_bytes + sum(summary.layer_bytes.values()) == len(data)


def test_every_changed_byte_of_an_optional_layer_costs_no_more_than_what_follows(data):
    first = ends(data)[0]
    for place in range(first, len(data)):
        broken = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            payload = bitstream.decode(broken)
        assert [entry.category for entry in caught] == [bitstream.DamagedLayerWarning]
        assert replace(payload, layers=()) == PLAIN
        whole = sum(end <= place for end in ends(data)[1:])
        assert payload.layers[:whole] == FULL.layers[:whole]
        assert bitstream.decode(bitstream.encode(payload), strict=True) == payload
        with pytest.raises(bitstream.BitstreamError):
            bitstream.decode(broken, strict=True)


def test_a_file_may_be_cut_anywhere_after_the_color_layer(data):
    places = ends(data)
    for end in range(places[0], len(data)):
        whole = sum(place <= end for place in places[1:])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert bitstream.decode(data[:end]).layers == FULL.layers[:whole]
        assert len(caught) == (end not in places)
        assert bitstream.inspect(data[:end]).is_intact == (end in places)


def test_a_layer_whose_body_its_coder_rejects_is_left_out(coders):
    data = BASE + write_layer(43, b"no words") + write_layer(44, b"x") + write_layer(90, b"320x200 66 32 |90")
    with pytest.warns(
        bitstream.DamagedLayerWarning, match="2 damaged.*words 43: The words do not fit.*words 44: Layer"
    ):
        assert bitstream.decode(data).layers == (Words(90, "90"),)
    with pytest.raises(bitstream.CorruptSectionError, match="do not fit"):
        bitstream.decode(data, strict=True)


def test_a_layer_without_its_base_is_left_out(coders):
    data = BASE + write_layer(44, b"320x200 66 32 three|four")
    with pytest.warns(bitstream.DamagedLayerWarning, match="words 44 is built on layer type 43, which is not there"):
        assert bitstream.decode(data).layers == ()
    with pytest.raises(bitstream.CorruptSectionError, match="built on"):
        bitstream.decode(data, strict=True)


def test_order_is_judged_by_the_layers_that_are_whole(coders):
    nine = write_layer(90, b"320x200 66 32 |90")
    damaged = write_layer(100, b"x")[:-1] + b"y"
    three = write_layer(43, b"320x200 66 32 |43")
    with pytest.warns(bitstream.DamagedLayerWarning, match=r"^1 damaged .*layer type 100"):
        assert kinds(bitstream.decode(BASE + damaged + nine)) == [90]
    with pytest.warns(bitstream.DamagedLayerWarning, match="type 43 follows type 90; types must ascend"):
        assert kinds(bitstream.decode(BASE + nine + three)) == [90]
    with pytest.warns(bitstream.DamagedLayerWarning, match="type 90 follows type 90"):
        assert kinds(bitstream.decode(BASE + nine + nine)) == [90]


@pytest.mark.parametrize("type_byte", [0, 128])
def test_layers_behind_one_of_no_kind_are_read(coders, type_byte):
    data = BASE + write_layer(type_byte, b"abc") + write_layer(43, b"320x200 66 32 |43")
    with pytest.warns(bitstream.DamagedLayerWarning, match=r"^1 damaged .*belong to none"):
        assert kinds(bitstream.decode(data)) == [43]
    with pytest.raises(bitstream.TrailingBytesError):
        bitstream.decode(data, strict=True)


def test_many_damaged_layers_give_one_short_warning(coders):
    with pytest.warns(bitstream.DamagedLayerWarning, match="50 damaged.*and 42 more") as caught:
        bitstream.decode(BASE + (write_layer(45, b"x")[:-1] + b"y") * 50)
    assert len(caught) == 1 and len(str(caught[0].message)) < 1000


def test_noise_behind_the_color_layer_costs_little(coders):
    broken, whole = write_layer(45, b"")[:-1] + b"?", write_layer(90, b"320x200 66 32 |90")
    with pytest.warns(bitstream.DamagedLayerWarning, match="^126 damaged"):
        assert kinds(bitstream.decode(BASE + broken * 126 + whole)) == [90]
    with pytest.warns(bitstream.DamagedLayerWarning, match="^127 damaged"):
        assert kinds(bitstream.decode(BASE + broken * 127 + whole)) == []
    summary = bitstream.inspect(BASE + broken * 100_000)
    assert len(summary.damaged_layers) == 127 and summary.layer_bytes["damaged"] == 100_000 * len(broken)


def test_a_body_of_a_later_version_is_kept_with_what_is_built_on_it(coders):
    data = BASE + write_layer(43, b"?new") + write_layer(44, b"on new") + write_layer(90, b"320x200 66 32 |90")
    payload = bitstream.decode(data, strict=True)
    assert payload.layers == (UnknownLayer(43, b"?new"), UnknownLayer(44, b"on new"), Words(90, "90"))
    assert bitstream.encode(payload) == data


def test_critical_layers():
    with registry.registered(toy.WordsCoder(45, is_critical=True)):
        payload = replace(PLAIN, layers=(Words(45, "five"),))
        data = bitstream.encode(payload)
        assert data[len(BASE)] == 173
        assert bitstream.decode(data, strict=True) == payload
        with pytest.warns(bitstream.DamagedLayerWarning, match="not marked as an encoder marks it"):
            assert bitstream.decode(BASE + write_layer(45, data[len(BASE) + 4 :])).layers == ()
        with pytest.raises(bitstream.UnsupportedVersionError, match="later version"):
            bitstream.decode(BASE + write_layer(173, b"?"))
    with pytest.raises(bitstream.UnsupportedVersionError, match="needs layer type 173"):
        bitstream.decode(data)
    assert bitstream.inspect(data).unknown_layers == ("type 173",)
    assert bitstream.decode(data[: len(BASE)]) == PLAIN


def test_sizes_are_those_of_the_files(coders):
    for payload in (PLAIN, FULL, replace(PLAIN, layers=(UnknownLayer(77, bytes(300)),))):
        assert bitstream.size_bytes(payload) == len(bitstream.encode(payload))
        assert bitstream.size_bytes(payload, sealed=True) == len(bitstream.encode(payload, key=bytes(32)))
    before = bitstream.DecodedLayers(320, 200, PLAIN.labels, PLAIN.color, FULL.layers[:2])
    summary = bitstream.inspect(bitstream.encode(FULL))
    stack = [("labels", FULL.labels), ("color", FULL.color), ("words 46", FULL.layers[2]), ("words 90", FULL.layers[3])]
    for name, layer in stack:
        assert bitstream.layer_size_bytes(layer, before) == summary.layer_bytes[name]
    assert bitstream.layer_size_bytes(PLAIN.labels, bitstream.DecodedLayers(320, 200)) == summary.layer_bytes["labels"]


def test_what_cannot_be_read_is_not_written(coders):
    for layers, message in (
        ((Words(44, "four"),), "`layers` must hold kind 43, which layer words 44 is built on; add it"),
        ((UnknownLayer(43, b""), Words(44, "four")), "`layers` must hold kind 43"),
        ((Words(7, "seven"),), "`layer` Words of kind 7 has no coder"),
    ):
        for count in (bitstream.encode, bitstream.size_bytes):
            with pytest.raises(ValueError, match=message):
                count(replace(PLAIN, layers=layers))


@pytest.mark.parametrize(
    ("coder", "message"),
    [
        (toy.WordsCoder(43), "`coder` has kind 43, which 'words 43' has"),
        (toy.WordsCoder(0), "`coder` must have a kind from 1 to 127, got 0"),
        (toy.WordsCoder(128), "`coder` must have a kind from 1 to 127, got 128"),
        (toy.WordsCoder(91, built_on=(45,)), "built on kind 45"),
        (toy.WordsCoder(45, built_on=(46,)), "built on kind 46"),
    ],
)
def test_coders_that_cannot_be_registered(coders, coder, message):
    with pytest.raises(ValueError, match=message):
        registry.register(coder)
    assert registry.optional_coder(43) is toy.CODERS[0]


@pytest.mark.parametrize("kind", [45, 127])
def test_a_free_kind_can_be_registered(kind):
    payload = replace(PLAIN, layers=(Words(kind, "a"),))
    with registry.registered(toy.WordsCoder(kind)):
        assert bitstream.decode(bitstream.encode(payload), strict=True) == payload


def test_registered_coders_go_with_their_block_even_after_an_error():
    with pytest.raises(ValueError, match="has kind 43"), registry.registered(toy.WordsCoder(43), toy.WordsCoder(43)):
        pass
    assert registry.optional_coder(43) is None


def test_required_layers_have_digests_of_their_own_tables():
    assert [coder.name for coder in registry.REQUIRED] == ["labels", "color"]
    assert len({coder.table_digest() for coder in registry.REQUIRED}) == 2
    assert toy.CODERS[0].table_digest() == ""


@pytest.mark.parametrize(
    ("drop", "left"),
    [((), [43, 44, 46, 90]), ((90,), [43, 44, 46]), ((43,), [90]), ((44, 90), [43]), ((45,), [43, 44, 46, 90])],
)
def test_thinning_drops_layers_and_those_built_on_them(data, drop, left):
    expected = replace(FULL, layers=tuple(layer for layer in FULL.layers if layer.kind in left))
    assert bitstream.thin(data, drop=drop) == bitstream.encode(expected)
    sealed = bitstream.thin(bitstream.encode(FULL, key=bytes(32)), drop=drop, key=bytes(32))
    assert bitstream.decode(sealed, key=bytes(32), strict=True) == expected


def test_thinning_keeps_unknown_layers_and_leaves_out_damaged_ones(coders):
    unknown, damaged = write_layer(100, b"abc"), write_layer(2, b"x")[:-1] + b"y"
    with pytest.warns(bitstream.DamagedLayerWarning, match="checksum of layer type 2"):
        assert bitstream.thin(BASE + damaged + unknown, drop=()) == BASE + unknown
    with pytest.raises(bitstream.CorruptSectionError, match="checksum"):
        bitstream.thin(BASE[:-1] + b"\0", drop=())
