"""Sealing the layers of a file with a key: AES-256-GCM through the `cryptography` package.

    header (stays readable, authenticated) │ nonce, 12 bytes │ sealed layers │ tag, 16 bytes

Compression comes before encryption, so the size of the file, like its name and time, still tells something about the
picture: a plain sky takes fewer bytes than a street. Readable without the key are format version, width, height and the
decoder recipe; nothing of labels and colors. A nonce is drawn for each file, so the same payload gives other bytes each
time; one key must not seal more than 2³² files.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sgc_diffusion.bitstream.errors import DecryptionError, TruncatedStreamError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16


def parse_key(text: bytes) -> bytes:
    """Return the key that a key file holds.

    Args:
        text: content of the file: 32 bytes, or 64 hexadecimal digits with or without white space around them.

    Raises:
        ValueError: it is neither.
    """
    if len(text) == KEY_BYTES:
        return text
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except (UnicodeDecodeError, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"`key` file must hold {KEY_BYTES} bytes or {2 * KEY_BYTES} hexadecimal digits, got {len(text)} bytes; "
            "make one with `openssl rand -hex 32`"
        )
    return key


def seal(header: bytes, layers: bytes, key: bytes) -> bytes:
    """Encrypt the layers.

    Args:
        header: what stays readable; it cannot be changed unnoticed.
        layers: what is hidden.
        key: 32 bytes.

    Returns:
        Nonce, ciphertext and tag.

    Raises:
        ValueError: a key of another length.
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, layers, header)


def unseal(header: bytes, sealed: bytes, key: bytes) -> bytes:
    """Decrypt what `seal` returned.

    Raises:
        DecryptionError: the key is another, or a byte was changed, in the header too.
        TruncatedStreamError: fewer bytes than any sealed layers have.
        ValueError: a key of another length.
    """
    from cryptography.exceptions import InvalidTag

    cipher = _cipher(key)
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise TruncatedStreamError(f"The file ends in its sealed layers, after {len(sealed)} bytes of them")
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], header)
    except InvalidTag:
        raise DecryptionError("The `key` is not the one the file was sealed with, or the file was changed") from None


def _cipher(key: bytes) -> AESGCM:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        got = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise ValueError(f"`key` must be {KEY_BYTES} bytes, got {got}; read a key file with `parse_key`")
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ImportError(
            "Encrypted files need the `cryptography` package: pip install 'sgc-diffusion[crypto]'"
        ) from error
    return AESGCM(key)
