"""One test for each way in which bytes can be wrong."""

import dataclasses

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream.color_stream import encode_color
from sgc_diffusion.bitstream.container import checksum, write_layer
from sgc_diffusion.bitstream.fields import sides, varint
from sgc_diffusion.bitstream.label_stream import encode_labels
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
        (bitstream.UnsupportedVersionError, "layer type 129", {"tail": write_layer(129, b"x")}),
        (bitstream.CorruptSectionError, "picture size", {"size": varint(0)}),
        (bitstream.CorruptSectionError, "picture size", {"size": varint(2 * 2**20 + 2)}),
        (bitstream.CorruptSectionError, "picture size", {"size": varint(2 * 512 + 1) + varint(512)}),
        (bitstream.CorruptSectionError, "shortest form", {"size": b"\x80\x88\x00"}),
        (bitstream.CorruptSectionError, "four bytes", {"size": b"\x80\x80\x80\x80\x01"}),
        (bitstream.CorruptSectionError, "recipe mask", {"version": 0x21, "recipe": b"\x00"}),
        (bitstream.CorruptSectionError, "recipe mask", {"version": 0x21, "recipe": b"\x20"}),
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
        (bitstream.TruncatedStreamError, "layer", {"tail": write_layer(5, b"abc")[:-1]}),
        (bitstream.TruncatedStreamError, "layer checksum", {"tail": b"\x05\x03"}),
        (bitstream.CorruptSectionError, "layer type 5", {"tail": write_layer(5, b"abc")[:-1] + b"d"}),
        (bitstream.CorruptSectionError, "ascend", {"tail": write_layer(5, b"a") + write_layer(5, b"b")}),
        (bitstream.CorruptSectionError, "ascend", {"tail": write_layer(5, b"a") + write_layer(4, b"b")}),
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


def test_empty_last_diagonal_is_rejected():
    """A stream that says that a channel goes on, but holds nothing there, is not what an encoder writes."""
    from sgc_diffusion.bitstream import color_context
    from sgc_diffusion.bitstream import color_stream as color_coder
    from sgc_diffusion.bitstream.range_coder import RangeEncoder

    encoder = RangeEncoder()
    color_coder._encode_last(encoder, [1, 0, 0], 1, 2, 32)
    levels = np.zeros((1, 1, 2, 3), np.int16)
    assert color_context.contexts(levels, np.array([32])).last.tolist() == [[0, 0, 0]]
    with pytest.raises(bitstream.CorruptSectionError):
        bitstream.decode(build(color=encoder.finish() + b"\x01"))


def test_unknown_layers_are_kept_and_the_file_may_be_cut_after_the_color_layer():
    tail = [write_layer(5, b"abc"), write_layer(100, bytes(300))]
    data, whole = build(tail=b"".join(tail)), bitstream.decode(build())
    kept = (UnknownLayer(5, b"abc"), UnknownLayer(100, bytes(300)))
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
