"""One test for each way in which bytes can be wrong."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import color_stream
from sgc_diffusion.bitstream.color_stream import encode_color
from sgc_diffusion.bitstream.container import checksum, write_layer
from sgc_diffusion.bitstream.fields import sides, varint
from sgc_diffusion.bitstream.label_stream import encode_labels
from sgc_diffusion.bitstream.range_coder import RangeEncoder
from sgc_diffusion.payload import UnknownLayer

LABELS = encode_labels(np.array([[1, 1, 4], [4, 4, 4]], np.uint8), "landscape-24")
COLOR = encode_color(np.array([[[3, 0, -1], [0, 1, 0]]], np.int16), 32)
SIZE, GRID, COLOR_GRID = sides(512, 512), sides(2, 3), sides(1, 2)


def build(
    signature=b"SGC",
    version=1,
    size=SIZE,
    profile=1,
    recipe=b"",
    label_head=bytes([0]) + GRID,
    labels=LABELS,
    color_head=bytes([32]) + COLOR_GRID,
    color=COLOR,
    tail=b"",
):
    header = signature + bytes([version]) + size + bytes([profile]) + b"\0\0" + recipe
    label_body, color_body = label_head + labels, color_head + color
    layers = varint(len(label_body)) + label_body + varint(len(color_body)) + color_body
    return header + checksum(header + layers) + layers + tail


def test_the_unchanged_file_is_accepted():
    assert bitstream.decode(build()).label_map.tolist() == [[1, 1, 4], [4, 4, 4]]


@pytest.mark.parametrize(
    ("error", "message", "parts"),
    [
        (bitstream.BadMagicError, "not an .sgc file", {"signature": b"SGX"}),
        (bitstream.UnsupportedVersionError, "format 2", {"version": 2}),
        (bitstream.UnsupportedVersionError, "flags 0x4", {"version": 0x41}),
        (bitstream.UnsupportedVersionError, "profile number 200", {"profile": 200}),
        (bitstream.UnsupportedVersionError, "scheduler number 9", {"version": 0x21, "recipe": b"\x01\x09"}),
        (bitstream.UnsupportedVersionError, "taxonomy", {"label_head": bytes([77]) + GRID}),
        (bitstream.UnsupportedVersionError, "layer type 229", {"tail": write_layer(229, b"x")}),
        (bitstream.CorruptSectionError, "picture size", {"size": varint(0)}),
        (bitstream.CorruptSectionError, "picture size", {"size": varint(2 * 2**20 + 2)}),
        (bitstream.CorruptSectionError, "picture size", {"size": varint(2 * 512 + 1) + varint(512)}),
        (bitstream.CorruptSectionError, "shortest form", {"size": b"\x80\x88\x00"}),
        (bitstream.CorruptSectionError, "four bytes", {"size": b"\x80\x80\x80\x80\x01"}),
        (bitstream.CorruptSectionError, "recipe mask", {"version": 0x21, "recipe": b"\x00"}),
        (bitstream.CorruptSectionError, "recipe mask", {"version": 0x21, "recipe": b"\x40"}),
        (bitstream.CorruptSectionError, "recipe mask", {"version": 0x21, "recipe": b"\x21\x02"}),
        (bitstream.CorruptSectionError, "two leaps", {"version": 0x21, "recipe": b"\x03\x03\x02\x00"}),
        (bitstream.CorruptSectionError, "default", {"version": 0x21, "recipe": b"\x02\x14\x00"}),
        (bitstream.CorruptSectionError, "num_inference_steps", {"version": 0x21, "recipe": b"\x02\xe9\x03"}),
        (bitstream.CorruptSectionError, "strength", {"version": 0x21, "recipe": b"\x04\x65"}),
        (bitstream.CorruptSectionError, "label grid", {"label_head": bytes([0]) + sides(1025, 1)}),
        (bitstream.CorruptSectionError, "cells", {"label_head": bytes([0]) + sides(512, 512)}),
        (bitstream.CorruptSectionError, "color quality", {"color_head": bytes([64]) + COLOR_GRID}),
        (bitstream.CorruptSectionError, "color grid", {"color_head": bytes([32]) + sides(65, 1)}),
        (bitstream.CorruptSectionError, "does not end", {"labels": LABELS + b"\0"}),
        (bitstream.CorruptSectionError, "does not end", {"labels": LABELS + b"\1"}),
        (bitstream.CorruptSectionError, "does not end", {"color": COLOR + b"\1"}),
        (bitstream.CorruptSectionError, "no encoder", {"color": b"\xff\xff\xff\xff"}),
        (bitstream.TruncatedStreamError, "label grid", {"label_head": bytes([0]), "labels": b""}),
        (bitstream.TruncatedStreamError, "layer", {"tail": write_layer(45, b"abc")[:-1]}),
        (bitstream.TruncatedStreamError, "layer checksum", {"tail": b"\x2d\x03"}),
        (bitstream.CorruptSectionError, "layer type 45", {"tail": write_layer(45, b"abc")[:-1] + b"d"}),
        (bitstream.CorruptSectionError, "ascend", {"tail": write_layer(45, b"a") + write_layer(45, b"b")}),
        (bitstream.CorruptSectionError, "ascend", {"tail": write_layer(45, b"a") + write_layer(44, b"b")}),
        (bitstream.TrailingBytesError, "1 bytes follow", {"tail": b"\0"}),
        (bitstream.DecryptionError, "`key`", {"version": 0x11}),
    ],
)
def test_is_rejected(error, message, parts):
    with pytest.raises(error, match=message):
        bitstream.decode(build(**parts), strict=True)
    if "tail" not in parts or error is bitstream.UnsupportedVersionError:
        with pytest.raises(error, match=message):
            bitstream.decode(build(**parts))
    else:  # a damaged optional layer costs itself, not the file
        with pytest.warns(bitstream.DamagedLayerWarning, match=message):
            assert bitstream.decode(build(**parts)).label_map.tolist() == [[1, 1, 4], [4, 4, 4]]


def test_empty_file_is_rejected():
    with pytest.raises(bitstream.TruncatedStreamError, match="signature"):
        bitstream.decode(b"")


def test_wrong_checksum_is_rejected():
    data = bytearray(build())
    data[9] ^= 1
    with pytest.raises(bitstream.CorruptSectionError, match="checksum"):
        bitstream.decode(bytes(data))
    assert not bitstream.inspect(bytes(data)).is_intact


def scripted_color(monkeypatch, bits, rows=1, columns=1):
    """Return the color stream whose decisions are these bits and then 0s, as long as a reader goes on asking.

    The reader itself says which probabilities they have, so the stream is whole and differs from an encoder's in
    nothing but what it says.
    """
    encoder, script = RangeEncoder(), bits if isinstance(bits, Iterator) else iter(bits)

    class Recorder:
        def __init__(self, data):
            pass

        def decode(self, probability):
            bit = next(script, 0)
            encoder.encode(bit, probability)
            return bit

        def finish(self):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(color_stream, "RangeDecoder", Recorder)
        try:
            color_stream.decode_color(b"", rows, columns, 32)
        except bitstream.CorruptSectionError:
            pass
    return encoder.finish()


def test_empty_last_diagonal_is_rejected(monkeypatch):
    """A stream that says that a channel goes on, but holds nothing there, is not what an encoder writes."""
    goes_on, sizes = [1, 0, 0], [0, 0, 0]
    filled = scripted_color(monkeypatch, [*goes_on, *sizes, 1, 0, 0], 1, 2)  # ±1 on the second diagonal
    assert bitstream.decode(build(color=filled)).color.levels.tolist() == [[[0, 0, 0], [1, 0, 0]]]
    empty = scripted_color(monkeypatch, [*goes_on, *sizes, 0], 1, 2)
    with pytest.raises(bitstream.CorruptSectionError, match="last frequency"):
        bitstream.decode(build(color=empty))


@pytest.mark.parametrize(("size", "is_valid"), [(32766, True), (32767, True), (32768, False), (32769, False)])
@pytest.mark.parametrize("sign", [0, 1])
def test_levels_beyond_the_limit_are_rejected(monkeypatch, size, is_valid, sign):
    rest = [int(bit) for bit in bin(size - 2)[3:]]
    color = scripted_color(monkeypatch, [1, sign, 1, 1, *[1] * len(rest), 0, *rest])
    data = build(color_head=bytes([32]) + sides(1, 1), color=color)
    if is_valid:
        assert bitstream.decode(data).color.levels[0, 0, 0] == (-size if sign else size)
    else:
        with pytest.raises(bitstream.CorruptSectionError, match="beyond 32767"):
            bitstream.decode(data)


def test_a_level_of_too_many_bits_is_rejected(monkeypatch):
    script = iter([1, 0, 1, 1, *[1] * 1000])
    color = scripted_color(monkeypatch, script)
    assert len(list(script)) == 985  # no reader asks after the 15th
    with pytest.raises(bitstream.CorruptSectionError, match="beyond 32767"):
        bitstream.decode(build(color_head=bytes([32]) + sides(1, 1), color=color))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"version": 0x81}, "flags 0x8"),
        ({"version": 0}, "format 0"),
        ({"size": sides(2**20 + 1, 5)}, "picture size"),
        ({"size": sides(5, 2**20 + 1)}, "picture size"),
        ({"size": varint(2 * 5 + 1) + varint(0)}, "picture size"),
        ({"version": 0x21, "recipe": b"\x80"}, "recipe mask"),
        ({"version": 0x21, "recipe": b"\x01\x00"}, "default"),
        ({"version": 0x21, "recipe": b"\x04\x64"}, "default"),
        ({"version": 0x21, "recipe": b"\x08\x1e"}, "default"),
        ({"version": 0x21, "recipe": b"\x10\x00\x00"}, "default"),
        ({"version": 0x21, "profile": 2, "recipe": b"\x02\xc8\x00"}, "default"),
        ({"version": 0x21, "recipe": b"\x02\x00\x00"}, "num_inference_steps"),
        ({"label_head": bytes([0]) + sides(1, 1025)}, "label grid"),
        ({"label_head": bytes([0]) + varint(2 * 2 + 1) + varint(2)}, "label grid"),
        ({"label_head": bytes([0]) + sides(129, 128)}, "cells"),
        ({"color_head": bytes([32]) + sides(1, 65)}, "color grid"),
        ({"color_head": bytes([255]) + COLOR_GRID}, "color quality"),
        ({"color_head": bytes([32]), "color": b""}, "color grid"),
        ({"color_head": b"", "color": b""}, "color quality"),
        ({"label_head": b"", "labels": b""}, "taxonomy"),
        ({"label_head": bytes([9]) + GRID}, "taxonomy"),
        ({"profile": 7}, "profile number 7"),
        ({"version": 0x21, "recipe": b"\x01\x04"}, "scheduler number 4"),
    ],
)
def test_values_at_the_borders_are_rejected(field, message):
    with pytest.raises(bitstream.BitstreamError, match=message):
        bitstream.decode(build(**field))


@pytest.mark.parametrize(
    "field",
    [
        {"size": sides(2**20, 1)},
        {"size": sides(1, 2**20)},
        {"version": 0x21, "recipe": b"\x02\xe8\x03"},
        {"version": 0x21, "recipe": b"\x02\x01\x00"},
        {"version": 0x21, "recipe": b"\x04\x00"},
        {"version": 0x21, "recipe": b"\x20"},
        {"version": 0x21, "recipe": b"\x24\x00"},
        {"version": 0x21, "recipe": b"\x03\x03\x01\x00"},
        {"version": 0x21, "recipe": b"\x0c\x63\xff"},
        {"version": 0x21, "recipe": b"\x08\x00"},
        {"version": 0x21, "recipe": b"\x10\xff\xff"},
        {"version": 0x21, "profile": 2, "recipe": b"\x01\x00"},
        {"profile": 4},
    ],
)
def test_values_at_the_borders_are_accepted_and_written_again(field):
    assert bitstream.encode(bitstream.decode(build(**field))) == build(**field)


@pytest.mark.parametrize("num_rows", [1024, 1])
def test_the_largest_grids_are_accepted(num_rows):
    label_map = np.zeros((num_rows, 16384 // 1024 if num_rows > 1 else 1024), np.uint8)
    head = bytes([0]) + sides(*label_map.shape)
    data = build(label_head=head, labels=encode_labels(label_map, "landscape-24"))
    assert bitstream.decode(data).label_map.shape == label_map.shape
    levels = np.zeros((64, 64, 3), np.int16)
    data = build(color_head=bytes([63]) + sides(64, 64), color=encode_color(levels, 63))
    assert bitstream.decode(data).color.levels.shape == (64, 64, 3)


def test_unknown_layers_are_kept_and_the_file_may_be_cut_after_the_color_layer():
    tail = [write_layer(45, b"abc"), write_layer(100, bytes(300))]
    data, whole = build(tail=b"".join(tail)), bitstream.decode(build())
    kept = (UnknownLayer(45, b"abc"), UnknownLayer(100, bytes(300)))
    ends = {len(build()) + len(b"".join(tail[:count])): kept[:count] for count in range(3)}
    assert bitstream.inspect(data).layer_bytes["type 100"] == 305
    for end in range(len(data) + 1):
        if end < len(build()):
            with pytest.raises(bitstream.TruncatedStreamError):
                bitstream.decode(data[:end])
            continue
        expected = dataclasses.replace(whole, layers=ends[max(whole_end for whole_end in ends if whole_end <= end)])
        if end in ends:
            assert bitstream.decode(data[:end], strict=True) == expected
            assert bitstream.encode(expected) == data[:end]
        else:
            with pytest.warns(bitstream.DamagedLayerWarning, match="ends in its layer"):
                assert bitstream.decode(data[:end]) == expected
            with pytest.raises(bitstream.TruncatedStreamError):
                bitstream.decode(data[:end], strict=True)


def test_hostile_sizes_are_rejected_before_anything_is_allocated():
    import tracemalloc

    data = build(label_head=bytes([0]) + sides(1024, 1024))
    tracemalloc.start()
    with pytest.raises(bitstream.CorruptSectionError):
        bitstream.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("shape", [(2**20, 2**20), (60_000, 60_000)])
def test_a_declared_picture_size_alone_allocates_nothing(shape):
    """Only who draws the picture needs room for it; `verify`, `inspect` and `thin` of such a file work."""
    import tracemalloc

    data = build(size=sides(*shape))
    bitstream.decode(data)  # loads the tables
    tracemalloc.start()
    payload = bitstream.decode(data)
    assert bitstream.encode(payload) == data == bitstream.thin(data, drop=())
    assert bitstream.size_bytes(payload) == len(data)
    summary = bitstream.inspect(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (payload.width, payload.height) == (summary.width, summary.height) == shape
    assert peak < 1_000_000
