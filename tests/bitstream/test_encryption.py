"""Sealed files: the key opens them, nothing else does."""

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload

KEY = bytes(range(32))
PAYLOAD = SemanticPayload(
    320,
    200,
    LabelLayer(np.arange(12, dtype=np.uint8).reshape(3, 4), "landscape-24"),
    ColorLayer.from_color_map(np.full((4, 4, 3), 90, np.uint8), 32),
)


def test_the_key_opens_the_file():
    data = bitstream.encode(PAYLOAD, key=KEY)
    assert bitstream.decode(data, key=KEY) == PAYLOAD
    assert len(data) == len(bitstream.encode(PAYLOAD)) + 12 + 16 - 2


def test_the_same_payload_is_sealed_differently_each_time():
    assert bitstream.encode(PAYLOAD, key=KEY) != bitstream.encode(PAYLOAD, key=KEY)


def test_any_changed_or_missing_byte_is_noticed():
    data = bitstream.encode(PAYLOAD, key=KEY)
    for index in range(len(data)):
        with pytest.raises(bitstream.BitstreamError):
            bitstream.decode(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :], key=KEY)
        with pytest.raises(bitstream.BitstreamError):
            bitstream.decode(data[:index], key=KEY)


def test_wrong_key_gives_one_clear_error():
    with pytest.raises(bitstream.DecryptionError, match="`key` is not the one"):
        bitstream.decode(bitstream.encode(PAYLOAD, key=KEY), key=bytes(32))


def test_missing_key_gives_one_clear_error():
    with pytest.raises(bitstream.DecryptionError, match="encrypted; give its `key`"):
        bitstream.decode(bitstream.encode(PAYLOAD, key=KEY))


def test_a_key_does_not_open_a_file_that_anyone_could_have_written():
    with pytest.raises(bitstream.DecryptionError, match="not encrypted"):
        bitstream.decode(bitstream.encode(PAYLOAD), key=KEY)


def test_only_the_header_is_readable_without_the_key():
    data = bitstream.encode(PAYLOAD, key=KEY)
    summary = bitstream.inspect(data)
    assert (summary.is_encrypted, summary.width, summary.height, summary.recipe) == (True, 320, 200, PAYLOAD.recipe)
    assert (list(summary.layer_bytes), summary.is_intact) == (["sealed"], None)
    assert list(bitstream.inspect(data, key=KEY).layer_bytes) == ["labels", "color"]


@pytest.mark.parametrize("key", [b"short", bytes(33), "0" * 32])
def test_key_of_another_length_is_rejected(key):
    with pytest.raises(ValueError, match="`key` must be 32 bytes"):
        bitstream.encode(PAYLOAD, key=key)


def test_key_files_hold_bytes_or_digits():
    assert bitstream.parse_key(KEY) == KEY
    assert bitstream.parse_key(KEY.hex().encode() + b"\n") == KEY
    with pytest.raises(ValueError, match="`key` file must hold 32 bytes or 64 hexadecimal digits"):
        bitstream.parse_key(b"password")
