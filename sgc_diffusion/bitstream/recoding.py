"""Changing how a file is to be drawn, and under which key it lies, without decoding its layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sgc_diffusion.bitstream.container import (
    CRITICAL,
    StoredLayer,
    read_container,
    warn_of_damages,
    write_container,
    write_layer,
    write_required,
)
from sgc_diffusion.bitstream.encryption import Passphrase
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.payload import DecoderRecipe


def recode(
    data: bytes,
    *,
    key: bytes | Passphrase | None = None,
    new_key: bytes | Passphrase | None = None,
    recipe: dict[str, Any] | None = None,
) -> bytes:
    """Write a file anew with another recipe or another key; labels, colors and all layers stay as they are.

    Damaged optional layers are left out with a `DamagedLayerWarning`.

    Args:
        data: the bytes of the file.
        key: that it is sealed with, None for a plain file.
        new_key: that the result is sealed with, None for a plain file.
        recipe: field of `DecoderRecipe` → its new value; None changes nothing.

    Returns:
        The bytes of the new file.

    Raises:
        BitstreamError: the bytes are not such a file, or its header or a required layer is damaged.
        ValueError: a key of another length, or a value out of range.

    Example:
        >>> decode(recode(data, recipe={"seed": 7})).recipe.seed
        7
    """
    container = read_container(data, key)
    if not container.is_intact:
        raise CorruptSectionError("The checksum does not match: the file was changed")
    changed: DecoderRecipe = replace(container.header.recipe, **(recipe or {}))
    header = replace(container.header, recipe=changed, is_sealed=new_key is not None)
    whole = [piece for piece in container.optional if isinstance(piece, StoredLayer)]
    warn_of_damages([piece for piece in container.optional if not isinstance(piece, StoredLayer)], stacklevel=3)
    frames = b"".join(write_layer(piece.kind | CRITICAL * piece.is_critical, piece.body) for piece in whole)
    return write_container(header, b"".join(map(write_required, container.required)), frames, new_key)
