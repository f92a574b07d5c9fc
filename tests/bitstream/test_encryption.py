"""Sealed files: the key opens them, nothing else does."""

import codecs

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


def test_key_files_hold_digits_or_random_bytes():
    assert bitstream.parse_key(KEY) == KEY
    assert bitstream.parse_key(KEY.hex().encode() + b"\n") == KEY


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", " \r\n\r\n"])
def test_key_files_of_every_shell_give_the_same_bytes(encoding, end):
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    for digits in (KEY.hex(), KEY.hex().upper()):
        assert bitstream.parse_key(mark + (digits + end).encode(encoding)) == KEY


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"password",
        b"correct horse battery staple 123",  # 32 characters
        ("пароль" * 3)[:16].encode(),  # 32 bytes
        b"0123456789abcdef0123456789abcdef",  # 16 bytes as digits
        codecs.BOM_UTF16_LE + "passphrase 1234".encode("utf-16-le"),  # 32 bytes
        KEY.hex().encode()[:63],
        KEY.hex().encode() + b"0",
        KEY.hex().encode()[:32] + b" " + KEY.hex().encode()[32:],
        KEY + b"\n",
        KEY[:31],
        "٣".encode() * 64,  # digits, but not hexadecimal ones
    ],
)
def test_other_key_files_are_refused_with_what_to_do(content):
    with pytest.raises(
        ValueError, match=r"`key` file must hold 64 hexadecimal digits.*openssl rand -hex 32.*passphrase"
    ):
        bitstream.parse_key(content)


def test_a_passphrase_opens_what_it_sealed_and_each_file_has_its_own_key():
    phrase = bitstream.Passphrase("größer als acht")
    data = bitstream.encode(PAYLOAD, key=phrase)
    assert len(data) == bitstream.size_bytes(PAYLOAD, sealed=True)
    assert bitstream.decode(data, key=bitstream.Passphrase("gro\u0308ßer als acht")) == PAYLOAD  # another form of ö
    nonce = data[len(data) - 28 - sum(bitstream.inspect(data, key=phrase).layer_bytes.values()) :][:12]
    assert bitstream.decode(data, key=bitstream.derive_key(phrase.text, nonce)) == PAYLOAD
    assert bitstream.derive_key(phrase.text, bytes(12)) != bitstream.derive_key(phrase.text, nonce)
    with pytest.raises(bitstream.DecryptionError, match="`key` is not the one"):
        bitstream.decode(data, key=bitstream.Passphrase("another one"))
    assert phrase.text not in repr(phrase)


def test_derived_keys_are_what_they_were():
    """An independent statement of the rule: RFC 7914 with N = 2^15, r = 8, p = 3."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    salt = bytes(range(12))
    expected = Scrypt(salt=salt, length=32, n=2**15, r=8, p=3).derive("pässword".encode())
    assert bitstream.derive_key("pässword", salt) == expected


def test_eight_characters_are_a_passphrase():
    assert bitstream.Passphrase("12345678").text == "12345678"


@pytest.mark.parametrize("text", ["", "1234567", None, b"12345678"])
def test_short_passphrases_are_refused(text):
    with pytest.raises(ValueError, match="at least 8 characters"):
        bitstream.Passphrase(text)


def test_counting_a_sealed_file_draws_no_nonce(monkeypatch):
    expected = len(bitstream.encode(PAYLOAD, key=KEY))
    monkeypatch.setattr("os.urandom", lambda size: pytest.fail("a nonce was drawn"))
    assert bitstream.size_bytes(PAYLOAD, sealed=True) == expected
