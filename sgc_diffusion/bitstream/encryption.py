"""Sealed files

If bit 4 of the version byte is set, the file is sealed with AES-256-GCM:

| size | type | meaning |
|---|---|---|
| … | | the header with the recipe fields, readable, without the checksum |
| 12 | bytes | nonce |
| … | bytes | ciphertext of all layers, required and optional, framed as in a plain file |
| 16 | bytes | tag |

1. The key has 32 bytes. The reader is given it, or a passphrase.
2. The additional authenticated data are all bytes before the nonce.
3. From a passphrase, the key is made by scrypt (RFC 7914) with N = 2¹⁵, r = 8, p = 3, 32 bytes long; the secret is the
   passphrase in Unicode's form NFC, encoded in UTF-8, the salt is the nonce of the file. Nothing in the file says
   whether a key or a passphrase sealed it.
4. A writer MUST draw a new random nonce for each file, and SHOULD NOT seal more than 2³² files with one key.

Readable without the key are the format version, the size of the picture and the recipe; nothing of labels and colors.
Compression comes before encryption, so the size of the file, like its name and time, still tells something about the
picture: a plain sky takes fewer bytes than a street.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sgc_diffusion.bitstream.errors import DecryptionError, TruncatedStreamError
from sgc_diffusion.extras import require

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
MIN_PASSPHRASE = 8  # characters
_SCRYPT = {"n": 2**15, "r": 8, "p": 3, "maxmem": 2**26}  # 32 MiB and a quarter of a second; part of the file format
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_HEX_DIGITS = re.compile(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True)
class Passphrase:
    """Words that seal a file in place of a key.

    Each file gets a key of its own by `derive_key`, with its nonce as the salt, so nothing but the words need be kept.
    Sealing and opening take a quarter of a second each; for many files use a key.

    Attributes:
        text: at least 8 characters.

    Raises:
        ValueError: fewer characters.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or len(self.text) < MIN_PASSPHRASE:
            got = f"{len(self.text)} characters" if isinstance(self.text, str) else type(self.text).__name__
            raise ValueError(f"`text` of a passphrase must have at least {MIN_PASSPHRASE} characters, got {got}")


def derive_key(passphrase: str, salt: bytes) -> bytes:
    """Return the key that a passphrase stands for, by scrypt (RFC 7914) with N = 2¹⁵, r = 8, p = 3.

    Args:
        passphrase: taken in Unicode's form NFC, encoded in UTF-8.
        salt: the 12 bytes of the file's nonce.

    Returns:
        32 bytes.
    """
    secret = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    return hashlib.scrypt(secret, salt=salt, dklen=KEY_BYTES, **_SCRYPT)


def parse_key(data: bytes) -> bytes:
    """Return the key that a key file holds.

    Args:
        data: content of the file: 64 hexadecimal digits as text in any encoding that starts with a byte-order mark, or
            in ASCII, with or without white space around them; or 32 bytes that are not text.

    Returns:
        32 bytes.

    Raises:
        ValueError: it is neither. Text of 32 bytes is refused, since it is a much weaker key than its length says.
    """
    text = _text(data)
    if text is None and len(data) == KEY_BYTES:
        return bytes(data)
    if text is not None and _HEX_DIGITS.fullmatch(text.strip()):
        return bytes.fromhex(text.strip())
    what = f"{len(data)} bytes" if text is None else f"text of {len(text.strip())} characters"
    raise ValueError(
        f"`key` file must hold {2 * KEY_BYTES} hexadecimal digits, or {KEY_BYTES} random bytes, got {what}; make one "
        "with `openssl rand -hex 32`, or give words as a passphrase"
    )


def _text(data: bytes) -> str | None:
    """The text that bytes are, if they are printable text."""
    encoding, start = "utf-8", 0
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            encoding, start = name, len(mark)
            break
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if "".join(text.split()).isprintable() else None


def seal(header: bytes, layers: bytes, key: bytes | Passphrase) -> bytes:
    """Encrypt the layers.

    Args:
        header: what stays readable; it cannot be changed unnoticed.
        layers: what is hidden.
        key: 32 bytes, or a passphrase.

    Returns:
        Nonce, ciphertext and tag.

    Raises:
        ValueError: a key of another length.
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(key, nonce).encrypt(nonce, layers, header)


def unseal(header: bytes, sealed: bytes, key: bytes | Passphrase) -> bytes:
    """Decrypt what `seal` returned.

    Args:
        header: what stayed readable.
        sealed: nonce, ciphertext and tag.
        key: 32 bytes, or a passphrase.

    Returns:
        The layers.

    Raises:
        DecryptionError: the key is another, or a byte was changed, in the header too.
        TruncatedStreamError: fewer bytes than any sealed layers have.
        ValueError: a key of another length.
    """
    _require_key(key)
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise TruncatedStreamError(f"The file ends in its sealed layers, after {len(sealed)} bytes of them")
    nonce = sealed[:NONCE_BYTES]
    cipher = _cipher(key, nonce)
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, sealed[NONCE_BYTES:], header)
    except InvalidTag:
        raise DecryptionError("The `key` is not the one the file was sealed with, or the file was changed") from None


def _require_key(key: bytes | Passphrase) -> None:
    if isinstance(key, Passphrase) or (isinstance(key, bytes) and len(key) == KEY_BYTES):
        return
    got = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
    raise ValueError(
        f"`key` must be {KEY_BYTES} bytes, got {got}; read a key file with `parse_key`, or give a `Passphrase`"
    )


def _cipher(key: bytes | Passphrase, nonce: bytes) -> AESGCM:
    _require_key(key)
    require("crypto", "A key")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(derive_key(key.text, nonce) if isinstance(key, Passphrase) else key)
