"""A file

A `.sgc` file holds the true size of a picture, how it is to be drawn, a map of class ids, a map of coarse colors, and
any number of optional layers. The format version is independent of the version of the package. The same payload gives
the same file on every machine: every number in a file comes from integer arithmetic.

**The parts of a plain file, in this order**

1. The header with the recipe (section "The header").
2. A checksum of 2 bytes.
3. The label layer, then the color layer: every file has both.
4. Optional layers, to the end of the file (section "Layers").

A sealed file has the header, a nonce, and everything that follows the checksum encrypted (section "Sealed files").

**A writer** MUST write, for a given payload without a key, exactly the bytes that this text gives.

**A reader** MUST go through a file in these steps, and reject it at the first that fails; which errors there are is in
section "Errors and limits".

1. Read the header.
2. Sealed: decrypt what follows. Plain: read the checksum.
3. Read the lengths and bodies of the label layer and of the color layer.
4. Plain: compare the checksum.
5. Decode the label layer, then the color layer.
6. Read the optional layers; a damaged one is no reason to reject the file.

**Example**, `tests/golden/tiny.sgc`, 29 bytes:

    53 47 43 01 81 01 30 01 00 00 07 81 05 00 08 fc
    91 fc 0a 20 08 ed 21 d7 bc 22 83 99 8f

| bytes | part | meaning |
|---|---|---|
| `53 47 43` | signature | "SGC" |
| `01` | version and flags | version 1, not sealed, no recipe fields |
| `81 01` | first side | varint 129 = 2·64 + 1: the width is 64, and the height differs |
| `30` | second side | varint 48: the height |
| `01` | profile | landscape-256 |
| `00 00` | weights hash | unknown |
| `07 81` | checksum | 0x8107, over the 10 bytes before it and the 17 bytes after it |
| `05` | length | the label layer has 5 bytes |
| `00` | taxonomy | landscape-24 |
| `08` | sides | varint 8 = 2·4: 4 rows, 4 columns |
| `fc 91 fc` | label stream | four rows of the classes 12 12 11 11 |
| `0a` | length | the color layer has 10 bytes |
| `20` | quality | 32 |
| `08` | sides | 4 rows, 4 columns |
| `ed 21 d7 bc 22 83 99 8f` | color stream | the levels below |

The levels of channel 0, by rows u = 0 … 3, are (2, −1, 1, 1), (−2, 2, 1, 1), (−2, −1, −1, 0) and (1, 0, 0, 0); of
channel 1 only l(0, 1, 1) = 1 is not zero, of channel 2 only l(0, 0, 2) = −1. They stand for a color map whose first
cell is (138, 140, 123) and whose last is (149, 167, 164).
"""

from __future__ import annotations

from dataclasses import replace

from sgc_diffusion.bitstream.coded_layers import read_optional, write_coded, write_layers
from sgc_diffusion.bitstream.container import CHECKSUM_BYTES, read_container, warn_of_damages, write_container
from sgc_diffusion.bitstream.encryption import NONCE_BYTES, TAG_BYTES, Passphrase
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.header import Header, write_header
from sgc_diffusion.bitstream.layer_coder import DecodedLayers
from sgc_diffusion.bitstream.layers import COLOR, LABELS
from sgc_diffusion.payload import Layer, SemanticPayload


def encode(payload: SemanticPayload, *, key: bytes | Passphrase | None = None) -> bytes:
    """Write a payload as one self-contained file.

    Args:
        payload: what the file is to hold.
        key: 32 bytes or a passphrase that seals the layers, see `encryption`; None leaves them readable.

    Returns:
        The bytes of the file. Equal payloads give equal bytes, except under a key.

    Raises:
        ValueError: a key of another length, or an optional layer that has no coder or lacks what it is built on.

    Example:
        >>> encode(decode(data)) == data
        True
    """
    header = Header(payload.width, payload.height, payload.recipe, key is not None)
    return write_container(header, *write_layers(payload), key)


def size_bytes(payload: SemanticPayload, *, sealed: bool = False) -> int:
    """Return the size of the file that `encode` writes, without drawing a nonce.

    Args:
        payload: what the file is to hold.
        sealed: count the file that a key seals.

    Raises:
        ValueError: an optional layer has no coder or lacks what it is built on.
    """
    header = write_header(Header(payload.width, payload.height, payload.recipe, sealed))
    overhead = NONCE_BYTES + TAG_BYTES if sealed else CHECKSUM_BYTES
    return len(header) + overhead + sum(map(len, write_layers(payload)))


def layer_size_bytes(layer: Layer, before: DecodedLayers) -> int:
    """Return what one layer adds to the size of a file.

    The sizes of all layers, of the header and of its checksum add up to the size of the file, so that rate control
    need not write every combination of layers.

    Args:
        layer: of any kind that can be written.
        before: the picture's size and the layers that the layer may be built on.

    Raises:
        ValueError: the layer has no coder.
    """
    return len(write_coded(layer, before))


def last_layer_size_bytes(payload: SemanticPayload) -> int:
    """Return what the last optional layer of a payload adds to its file.

    Raises:
        ValueError: there is none, or it has no coder or lacks what it is built on.
    """
    if not payload.layers:
        raise ValueError("`payload` must have an optional layer, got none")
    *before, last = payload.layers
    decoded = DecodedLayers(payload.width, payload.height, payload.labels, payload.color, tuple(before))
    return layer_size_bytes(last, decoded)


def decode(data: bytes, *, key: bytes | Passphrase | None = None, strict: bool = False) -> SemanticPayload:
    """Read the payload of a file.

    A file that was cut anywhere after the color layer gives what is whole. An optional layer that is damaged, cut or
    out of order is left out together with those that are built on it, with a `DamagedLayerWarning`. Layers that this
    version does not know are kept as `UnknownLayer`, so that `encode` writes them again.

    Args:
        data: the bytes of the file.
        key: the 32 bytes or the passphrase that an encrypted file was sealed with.
        strict: raise an error for a damaged optional layer too.

    Returns:
        The payload that `encode` was given, less what is damaged.

    Raises:
        BitstreamError: the bytes are not such a file.
        ValueError: a key of another length.
    """
    container = read_container(data, key)
    if not container.is_intact:
        raise CorruptSectionError("The checksum does not match: the file was changed")
    header = container.header
    decoded = DecodedLayers(header.width, header.height)
    labels = LABELS.decode(container.required[0], decoded)
    decoded = replace(decoded, labels=labels)
    color = COLOR.decode(container.required[1], decoded)
    layers, damages = read_optional(container.optional, replace(decoded, color=color))
    if strict and damages:
        raise damages[0].error
    warn_of_damages(damages, stacklevel=3)
    return SemanticPayload(header.width, header.height, labels, color, header.recipe, layers)
