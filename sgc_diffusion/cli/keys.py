"""The key of sealed files, read before anything is loaded."""

from __future__ import annotations

import argparse
import codecs
from pathlib import Path

from sgc_diffusion import bitstream
from sgc_diffusion.cli.errors import CommandError, UsageError, describe_error
from sgc_diffusion.cli.inputs import STANDARD_STREAM
from sgc_diffusion.cli.streams import read_bytes
from sgc_diffusion.extras import require


def read_key(arguments: argparse.Namespace) -> bytes | bitstream.Passphrase | None:
    """Return the key or the passphrase of `--key-file` or `--passphrase-file`, None for neither.

    Raises:
        CommandError: the file cannot be read or holds no key.
        UsageError: key and input are both to come from standard input.
        ImportError: what seals files is not installed.
    """
    path = arguments.key_file or arguments.passphrase_file
    if path == STANDARD_STREAM and STANDARD_STREAM in arguments.inputs:
        raise UsageError("standard input cannot be both the key and a file; give one of them another place")
    return load_key(arguments.key_file, arguments.passphrase_file)


def load_key(key_file: str | None, passphrase_file: str | None) -> bytes | bitstream.Passphrase | None:
    """Return the key or the passphrase that a file holds, None for no file; see `read_key`."""
    path = key_file or passphrase_file
    if path is None:
        return None
    try:
        data = read_bytes() if path == STANDARD_STREAM else Path(path).read_bytes()
        key = bitstream.parse_key(data) if key_file else bitstream.Passphrase(_first_line(data))
    except (OSError, ValueError) as error:
        raise CommandError(describe_error(error, path)) from error
    require("crypto", "A key")
    return key


def _first_line(data: bytes) -> str:
    """Return the first line of a text file, in UTF-8 or in what its byte-order mark says.

    Raises:
        ValueError: it is no such text.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = data.decode("utf-16" if is_utf16 else "utf-8-sig").splitlines()
    return lines[0] if lines else ""
